//! What an image is made of: one TOML file, and a folder of the same name for the files that go into it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// One declared image.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) name: String,
    pub(crate) declaration: Declaration,
    /// The declaration as written: part of the cache key.
    pub(crate) text: String,
    /// Where `source` of a file is looked up.
    pub(crate) files_dir: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Declaration {
    pub(crate) description: String,
    /// Debian suite of the base layer, by code name; `scratch` for none.
    pub(crate) base: String,
    /// Whether packages come from the point release alone: neither security updates nor others.
    #[serde(default)]
    pub(crate) release_only: bool,
    /// Debian packages of the application layer.
    #[serde(default)]
    pub(crate) packages: Vec<String>,
    /// Packages from PyPI, all of them and with their versions, in a layer of their own.
    #[serde(default)]
    pub(crate) python: Vec<String>,
    /// Folder that gets the packages from npm, in a layer of their own: those of `package-lock.json` in the image's
    /// folder.
    pub(crate) npm: Option<String>,
    /// What is compiled for this image, apart from it.
    pub(crate) build: Option<Build>,
    /// Made before the packages are installed, so that their scripts find them.
    #[serde(default, rename = "user")]
    pub(crate) users: Vec<User>,
    /// Put in place after the packages, before `run`.
    #[serde(default, rename = "file")]
    pub(crate) files: Vec<File>,
    /// Shell commands, run inside as root at the end.
    #[serde(default)]
    pub(crate) run: Vec<String>,
    #[serde(default)]
    pub(crate) config: Config,
}

/// A declaration that only says how an image differs from another one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Variant {
    description: String,
    /// The image that has everything else, its folder too.
    like: String,
    #[serde(default)]
    release_only: bool,
    /// Another Debian suite than that of the other image.
    base: Option<String>,
}

/// A system of its own, of which only the outputs get into the image.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Build {
    /// Debian suite, by code name.
    pub(crate) base: String,
    #[serde(default)]
    pub(crate) packages: Vec<String>,
    #[serde(default, rename = "file")]
    pub(crate) files: Vec<File>,
    /// Shell commands, run inside as root.
    pub(crate) run: Vec<String>,
    /// From where to where: a file, or a folder whose content is added to another.
    pub(crate) outputs: BTreeMap<String, String>,
}

/// A system user with a group of the same name and number.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) home: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct File {
    pub(crate) path: String,
    #[serde(flatten)]
    pub(crate) content: Content,
    /// `UID:GID`, root's if absent.
    pub(crate) owner: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Content {
    /// A file out of the image's folder; `mode` is octal.
    Copy {
        source: String,
        mode: String,
    },
    /// A folder out of the image's folder, readable by all; what can be executed stays so.
    Tree {
        source: String,
    },
    Directory {
        mode: String,
    },
    Symlink {
        target: String,
    },
}

impl Content {
    /// The file or folder in the image's folder that goes into the image.
    pub(crate) fn source(&self) -> Option<&str> {
        match self {
            Self::Copy { source, .. } | Self::Tree { source } => Some(source),
            Self::Directory { .. } | Self::Symlink { .. } => None,
        }
    }
}

/// What the image's config says, in its own words.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) entrypoint: Vec<String>,
    pub(crate) cmd: Vec<String>,
    /// `{upstream-version:PACKAGE}` in a value stands for the version that was installed, without Debian's part.
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) exposed_ports: BTreeSet<String>,
    pub(crate) volumes: BTreeSet<String>,
    pub(crate) working_dir: Option<String>,
    pub(crate) stop_signal: Option<String>,
    pub(crate) user: Option<String>,
}

/// The base of an image that has nothing beneath.
pub(crate) const SCRATCH: &str = "scratch";
/// What `npm` needs to know which packages in which versions.
pub(crate) const NPM_FILES: [&str; 2] = ["package.json", "package-lock.json"];

impl Image {
    /// Everything in the image's folder that gets into it, or into what is compiled for it.
    pub(crate) fn sources(&self) -> BTreeSet<&str> {
        let Declaration { files, build, npm, .. } = &self.declaration;
        let built = build.iter().flat_map(|build| &build.files);
        let mut sources: BTreeSet<&str> =
            files.iter().chain(built).filter_map(|file| file.content.source()).collect();
        if npm.is_some() {
            sources.extend(NPM_FILES);
        }
        sources
    }
}

/// Whether a declaration says only how an image differs from another one.
fn is_variant(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("like = "))
}

/// The names of the declared images that are like no other, sorted: those that are tested.
pub(crate) fn originals(declarations: &Path) -> Result<Vec<String>> {
    let mut originals = Vec::new();
    for name in names(declarations)? {
        let file = declarations.join(format!("{name}.toml"));
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        originals.extend((!is_variant(&text)).then_some(name));
    }
    Ok(originals)
}

/// The names of all images declared in this folder, sorted.
pub(crate) fn names(declarations: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let listing =
        fs::read_dir(declarations).with_context(|| format!("cannot list {}", declarations.display()))?;
    for entry in listing {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".toml").map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// Reads the declaration of one image.
pub(crate) fn read(declarations: &Path, name: &str) -> Result<Image> {
    let file = declarations.join(format!("{name}.toml"));
    if !file.is_file() {
        bail!("there is no image {name:?}; declared are: {}", names(declarations)?.join(", "));
    }
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    if is_variant(&text) {
        let variant: Variant =
            toml::from_str(&text).with_context(|| format!("cannot read {}", file.display()))?;
        if names(declarations)?.contains(&variant.like) && !originals(declarations)?.contains(&variant.like) {
            bail!("{name} is like {}, which is a variant itself", variant.like);
        }
        let mut image = read(declarations, &variant.like)?;
        image.text += &text;
        image.name = name.to_owned();
        image.declaration.description = variant.description;
        image.declaration.release_only = variant.release_only;
        image.declaration.base = variant.base.unwrap_or(image.declaration.base);
        return Ok(image);
    }
    let declaration = toml::from_str(&text).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Image { name: name.to_owned(), declaration, text, files_dir: declarations.join(name) })
}

/// An octal mode such as `0755`.
pub(crate) fn mode(text: &str) -> Result<u32> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o7777)
        .with_context(|| format!("{text:?} is not a mode"))
}

/// Replaces `{upstream-version:PACKAGE}` by the version found in `versions`.
pub(crate) fn expand(value: &str, versions: &BTreeMap<String, String>) -> Result<String> {
    const OPEN: &str = "{upstream-version:";
    let mut result = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let (package, tail) =
            after.split_once('}').with_context(|| format!("{value:?} lacks a closing brace"))?;
        let version =
            versions.get(package).with_context(|| format!("package {package} is not in the image"))?;
        result.push_str(before);
        result.push_str(upstream(version));
        rest = tail;
    }
    result.push_str(rest);
    Ok(result)
}

/// `7.0.15` of `5:7.0.15-1~deb12u6`.
fn upstream(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_epoch, rest)| rest);
    version.rsplit_once('-').map_or(version, |(upstream, _revision)| upstream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_declaration_of_the_repository_is_valid() {
        let declarations = crate::workspace::root().join("images");
        let names = names(&declarations).unwrap();
        assert!(names.contains(&"redis".to_owned()), "{names:?}");
        for name in names {
            let image = read(&declarations, &name).unwrap();
            for source in image.sources() {
                assert!(image.files_dir.join(source).exists(), "{name}: {source}");
            }
            let built = image.declaration.build.iter().flat_map(|build| &build.files);
            for file in image.declaration.files.iter().chain(built) {
                assert!(file.path.starts_with('/'), "{name}: {}", file.path);
                match &file.content {
                    Content::Copy { source, mode: text } => {
                        assert!(image.files_dir.join(source).is_file(), "{name}: {source}");
                        mode(text).unwrap();
                    }
                    Content::Tree { source } => {
                        assert!(image.files_dir.join(source).is_dir(), "{name}: {source}");
                    }
                    Content::Directory { mode: text } => assert!(mode(text).is_ok(), "{name}: {text}"),
                    Content::Symlink { .. } => {}
                }
            }
        }
    }

    #[test]
    fn a_variant_has_all_of_its_original_and_is_not_tested() {
        let declarations = crate::workspace::root().join("images");
        let (original, variant) =
            (read(&declarations, "redis").unwrap(), read(&declarations, "redis-release").unwrap());
        assert_eq!(variant.declaration.packages, original.declaration.packages);
        assert_eq!(variant.files_dir, original.files_dir);
        assert_eq!((original.declaration.release_only, variant.declaration.release_only), (false, true));
        assert_ne!(variant.text, original.text);
        let next = read(&declarations, "redis-trixie").unwrap();
        assert_eq!(
            (original.declaration.base.as_str(), next.declaration.base.as_str()),
            ("bookworm", "trixie")
        );
        let tested = originals(&declarations).unwrap();
        assert!(tested.contains(&"redis".to_owned()) && !tested.contains(&"redis-release".to_owned()));
    }

    #[test]
    fn versions_lose_epoch_and_revision() {
        let versions = BTreeMap::from([
            ("redis-server".to_owned(), "5:7.0.15-1~deb12u6".to_owned()),
            ("tzdata".to_owned(), "2025b".to_owned()),
            ("odd".to_owned(), "1.2-3-4".to_owned()),
        ]);
        for (value, expected) in [
            ("{upstream-version:redis-server}", "7.0.15"),
            ("v{upstream-version:tzdata}+{upstream-version:odd}.", "v2025b+1.2-3."),
            ("plain", "plain"),
        ] {
            assert_eq!(expand(value, &versions).unwrap(), expected);
        }
        assert!(expand("{upstream-version:absent}", &versions).is_err());
        assert!(expand("{upstream-version:redis-server", &versions).is_err());
    }
}
