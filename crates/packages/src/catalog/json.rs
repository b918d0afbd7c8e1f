//! Manifests in JSON: Composer's, .NET's, Conda's, npm's lock file.
//!
//! Source: Composer, "installed.json" and "The composer.json schema"; .NET runtime, "runtime-configuration-file.md";
//! conda, "conda-meta"; npm, "package-lock.json".

use image::ImagePath;
use serde_json::Value;

use super::found::{Findings, Found, Owned};
use crate::{Ecosystem, FileList, purl};

/// Components that `read` finds in a document; a problem where it is no JSON.
fn document(bytes: &[u8], read: impl FnOnce(&Value) -> Vec<Option<Found>>) -> Findings {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match serde_json::from_slice::<Value>(bytes) {
        Ok(value) => Findings { found: read(&value).into_iter().flatten().collect(), problems: Vec::new() },
        Err(error) => Findings::problem(format!("no JSON: {error}")),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Composer's `vendor/composer/installed.json`, of version 1 (a list) and 2.
pub(super) fn composer_installed(path: &ImagePath, bytes: &[u8]) -> Findings {
    let vendor = path.parent().and_then(|composer| composer.parent()).unwrap_or_default();
    document(bytes, |value| {
        let packages = if value.is_array() { list(value) } else { list(&value["packages"]) };
        packages.iter().map(|package| composer_package(package, Some(&vendor))).collect()
    })
}

/// Composer's `composer.lock`.
pub(super) fn composer_lock(_path: &ImagePath, bytes: &[u8]) -> Findings {
    document(bytes, |value| {
        list(&value["packages"]).iter().map(|package| composer_package(package, None)).collect()
    })
}

fn composer_package(package: &Value, vendor: Option<&ImagePath>) -> Option<Found> {
    let name = package["name"].as_str()?.to_lowercase();
    let version = package["version"].as_str()?;
    let number = version.strip_prefix('v').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let version = number.unwrap_or(version);
    let names: Vec<&str> = name.split('/').collect();
    let licences: Vec<&str> = list(&package["license"]).iter().filter_map(Value::as_str).collect();
    let found = Found::new(Ecosystem::Composer, &name, version, purl::of("composer", &names, version, &[]))?;
    let found = found.licence((!licences.is_empty()).then(|| licences.join(" OR ")));
    // `install-path` is relative to the directory of installed.json, and always in the vendor directory by default.
    let directory = vendor
        .and_then(|vendor| names.iter().try_fold(vendor.clone(), |at, name| at.join(name.as_bytes()).ok()));
    Some(found.owning(directory.map(Owned::Path)))
}

/// .NET's `NAME.deps.json`: the libraries of a program.
pub(super) fn nuget(path: &ImagePath, bytes: &[u8]) -> Findings {
    let directory = path.parent().unwrap_or_default();
    document(bytes, |value| {
        let targets = value["targets"].as_object().into_iter().flat_map(|targets| targets.values());
        let targets: Vec<&Value> = targets.collect();
        let Some(libraries) = value["libraries"].as_object() else { return Vec::new() };
        let library = |(key, library): (&String, &Value)| {
            let (name, version) = key.split_once('/')?;
            let kind = library["type"].as_str().unwrap_or("package");
            if !matches!(kind, "package" | "project" | "runtimepack") {
                return None;
            }
            let purl = purl::of("nuget", &[name], version, &[]);
            let found = Found::new(Ecosystem::Nuget, name, version, purl)?;
            // Assemblies lie beside the document, whatever directory they had in the package.
            let files = targets.iter().flat_map(|target| {
                let kinds = ["runtime", "native", "runtimeTargets"].map(|kind| target[key][kind].as_object());
                kinds.into_iter().flatten().flat_map(|files| files.keys())
            });
            let file = |file: &String| {
                let name = file.rsplit('/').next()?;
                let beside = directory.join(name.as_bytes()).ok();
                let deep =
                    file.split('/').try_fold(directory.clone(), |at, part| at.join(part.as_bytes()).ok());
                Some(beside.into_iter().chain(deep))
            };
            let files: Vec<Owned> = files.filter_map(file).flatten().map(Owned::Path).collect();
            Some(found.owning(files))
        };
        libraries.iter().map(library).collect()
    })
}

/// One package of Conda's: `conda-meta/NAME-VERSION-BUILD.json`.
pub(super) fn conda(path: &ImagePath, bytes: &[u8]) -> Findings {
    let prefix = path.parent().and_then(|meta| meta.parent()).unwrap_or_default();
    document(bytes, |value| {
        let text = |name: &str| value[name].as_str().unwrap_or_default();
        let (name, version) = (text("name"), text("version"));
        let channel = text("channel").rsplit('/').find(|part| *part != text("subdir")).unwrap_or_default();
        let qualifiers = [("build", text("build")), ("channel", channel), ("subdir", text("subdir"))];
        let purl = purl::of("conda", &[name], version, &qualifiers);
        let found = Found::new(Ecosystem::Conda, name, version, purl).filter(|_| !version.is_empty());
        let files = list(&value["files"]).iter().filter_map(Value::as_str);
        let file = |file: &str| {
            let deep = file.split('/').try_fold(prefix.clone(), |at, part| at.join(part.as_bytes()).ok());
            deep.map(Owned::Path)
        };
        let files: Vec<Owned> = files.filter_map(file).collect();
        let licence = value["license"].as_str().map(str::to_owned);
        vec![
            found
                .map(|found| Found { file_list: FileList::Complete, ..found.licence(licence).owning(files) }),
        ]
    })
}

/// npm's `package-lock.json`: version 1 (nested `dependencies`), 2 and 3 (`packages` by path).
pub(super) fn npm_lock(_path: &ImagePath, bytes: &[u8]) -> Findings {
    document(bytes, |value| {
        if let Some(packages) = value["packages"].as_object() {
            let package = |(path, package): (&String, &Value)| {
                let (_, name) = path.rsplit_once("node_modules/")?;
                let is_kept = package["dev"] != true && package["link"] != true;
                let name = package["name"].as_str().unwrap_or(name);
                is_kept.then(|| npm(name, package["version"].as_str()?, package["license"].as_str()))?
            };
            return packages.iter().map(package).collect();
        }
        let mut found = Vec::new();
        let mut pending = vec![&value["dependencies"]];
        while let Some(dependencies) = pending.pop() {
            for (name, package) in dependencies.as_object().into_iter().flatten() {
                if package["dev"] != true {
                    found.push(package["version"].as_str().and_then(|version| npm(name, version, None)));
                }
                pending.push(&package["dependencies"]);
            }
        }
        found
    })
}

/// An npm package by its name and version.
pub(super) fn npm(name: &str, version: &str, licence: Option<&str>) -> Option<Found> {
    let is_version = version.starts_with(|letter: char| letter.is_ascii_digit());
    let (scope, bare) = name.split_once('/').unwrap_or(("", name));
    let purl = purl::of("npm", &[scope, bare], version, &[]);
    let found = is_version.then(|| Found::new(Ecosystem::Npm, name, version, purl))??;
    Some(found.licence(licence.map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> ImagePath {
        ImagePath::from_text(text).unwrap()
    }

    fn purls(findings: &Findings) -> Vec<&str> {
        findings.found.iter().map(|found| found.purl.as_str()).collect()
    }

    #[test]
    fn composer_names_packages_and_their_directories() {
        let text =
            br#"{"packages":[{"name":"Monolog/Monolog","version":"v2.9.1","license":["MIT"]},{"name":1}]}"#;
        let found = composer_installed(&path("/app/vendor/composer/installed.json"), text);
        assert_eq!(purls(&found), ["pkg:composer/monolog/monolog@2.9.1"]);
        assert_eq!(found.found[0].owns, [Owned::Path(path("/app/vendor/monolog/monolog"))]);
        assert_eq!(purls(&composer_lock(&path("/app/composer.lock"), text)), purls(&found));
        let old = br#"[{"name":"a/b","version":"dev-main"}]"#;
        assert_eq!(
            purls(&composer_installed(&path("/v/composer/installed.json"), old)),
            ["pkg:composer/a/b@dev-main"]
        );
    }

    #[test]
    fn dotnet_names_libraries_and_their_assemblies() {
        let text = br#"{"targets":{"net8":{"A.B/1.0.0":{"runtime":{"lib/net8/A.B.dll":{}}}}},
            "libraries":{"A.B/1.0.0":{"type":"package"},"Ref/1":{"type":"reference"}}}"#;
        let found = nuget(&path("/app/x.deps.json"), text);
        assert_eq!(purls(&found), ["pkg:nuget/A.B@1.0.0"]);
        assert_eq!(found.found[0].owns[0], Owned::Path(path("/app/A.B.dll")));
    }

    #[test]
    fn conda_names_build_channel_and_files() {
        let text = br#"{"name":"zlib","version":"1.3","build":"h1_0","subdir":"linux-64","license":"Zlib",
            "channel":"https://conda.example/conda-forge/linux-64","files":["lib/libz.so.1","../../etc/passwd"]}"#;
        let found = conda(&path("/opt/conda/conda-meta/zlib-1.3-h1_0.json"), text);
        assert_eq!(purls(&found), ["pkg:conda/zlib@1.3?build=h1_0&channel=conda-forge&subdir=linux-64"]);
        assert_eq!(found.found[0].owns[0], Owned::Path(path("/opt/conda/lib/libz.so.1")));
        assert_eq!(found.found[0].owns.len(), 1);
    }

    #[test]
    fn lock_files_of_npm_name_what_is_not_for_development() {
        let text = br#"{"packages":{"":{"name":"app"},"node_modules/@s/a":{"version":"1.0.0"},
            "node_modules/b/node_modules/c":{"version":"2.0.0"},"node_modules/d":{"version":"3.0.0","dev":true}}}"#;
        assert_eq!(purls(&npm_lock(&path("/p"), text)), ["pkg:npm/%40s/a@1.0.0", "pkg:npm/c@2.0.0"]);
        let old = br#"{"dependencies":{"a":{"version":"1.0.0","dependencies":{"b":{"version":"2.0.0"}}}}}"#;
        assert_eq!(purls(&npm_lock(&path("/p"), old)), ["pkg:npm/a@1.0.0", "pkg:npm/b@2.0.0"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_components_or_a_problem(text in ".{0,200}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let at = path("/a/b/c");
            for read in [composer_installed, composer_lock, nuget, conda, npm_lock] {
                let _ = read(&at, text.as_bytes());
                let broken = [&bytes[..], b"{"].concat();
                prop_assert_eq!(read(&at, &broken).problems.len(), 1);
            }
        }
    }

    #[test]
    fn deep_nesting_is_a_problem() {
        assert_eq!(npm_lock(&path("/p"), "[".repeat(100_000).as_bytes()).problems.len(), 1);
    }
}
