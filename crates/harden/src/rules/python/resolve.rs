//! Which file of an image a module name stands for. Source: Python's reference, "The import system"; PEP 420, PEP 3147.

use std::collections::BTreeSet;

use image::ImagePath;

use super::environment::{Environment, join};
use super::source::Import;
use crate::scene::Scene;

/// Most components of a module's name.
const MAX_DEPTH: usize = 32;

/// Finds modules for one importing file.
pub(super) struct Resolver<'a> {
    scene: &'a Scene<'a>,
    environment: &'a Environment,
    from: &'a ImagePath,
    path: Vec<ImagePath>,
}

/// What a name leads to.
pub(super) struct Module {
    /// The file that holds it; none for a namespace package.
    pub(super) file: Option<ImagePath>,
    /// Where its submodules are looked up.
    pub(super) inside: Vec<ImagePath>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(scene: &'a Scene<'a>, environment: &'a Environment, from: &'a ImagePath) -> Self {
        Self { scene, environment, from, path: environment.search_path(scene, from) }
    }

    /// Where the names of modules begin.
    pub(super) fn path(&self) -> &[ImagePath] {
        &self.path
    }

    /// The files of all modules that an import loads as far as the image has them.
    pub(super) fn import(&self, import: &Import) -> BTreeSet<ImagePath> {
        let mut files = BTreeSet::new();
        if let Some(moved) = moved(import) {
            moved.iter().for_each(|name| drop(self.walk(&self.path, name, &mut files)));
        }
        let start = match import.level {
            0 => self.path.clone(),
            level => match self.package(level) {
                Some(directory) => vec![directory],
                None => return files,
            },
        };
        let Some(module) = self.walk(&start, &import.module, &mut files) else { return files };
        for name in &import.names {
            if let Some(Module { file: Some(file), .. }) = self.find(&module.inside, name) {
                files.insert(file);
            }
        }
        files
    }

    /// The files of a module that a text names in full, such as `logging.handlers`, or with one of its members, such as
    /// `logging.handlers.SysLogHandler` or `shop.web:app`. Empty for every other text.
    pub(super) fn literal(&self, text: &str) -> BTreeSet<ImagePath> {
        let mut files = BTreeSet::new();
        let (name, member) = text.split_once(':').map_or((text, None), |(name, member)| (name, Some(member)));
        let is_name = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if text.len() > 200
            || !name.split('.').chain(member).all(is_name)
            || !(name.contains('.') || member.is_some())
        {
            return files;
        }
        if self.walk(&self.path, name, &mut files).is_some() {
            return files;
        }
        files.clear();
        if let Some((module, last)) = name.rsplit_once('.')
            && member.is_none()
            && (module.contains('.') || last.starts_with(|c: char| c.is_ascii_uppercase()))
            && self.walk(&self.path, module, &mut files).is_some()
        {
            return files;
        }
        BTreeSet::new()
    }

    /// Follows a dotted name, collecting the files on the way. The last part may be a member and not a module if
    /// everything before it is found; then there is no answer, and the files found stay.
    fn walk(&self, start: &[ImagePath], name: &str, files: &mut BTreeSet<ImagePath>) -> Option<Module> {
        let mut module = Module { file: None, inside: start.to_vec() };
        for part in name.split('.').filter(|part| !part.is_empty()).take(MAX_DEPTH) {
            module = self.find(&module.inside, part)?;
            files.extend(module.file.clone());
        }
        Some(module)
    }

    /// The package that a relative import starts from.
    fn package(&self, level: usize) -> Option<ImagePath> {
        let mut directory = self.from.parent()?;
        if directory.name() == b"__pycache__" {
            directory = directory.parent()?;
        }
        for _ in 1..level {
            directory = directory.parent()?;
        }
        Some(directory)
    }

    /// The module of this name in the first of these directories that has one.
    pub(super) fn find(&self, directories: &[ImagePath], name: &str) -> Option<Module> {
        let mut portions = Vec::new();
        for directory in directories {
            if !self.environment.may_hold(self.scene, directory, name) {
                continue;
            }
            let package = join(directory, name)?;
            if self.scene.is_directory(&package) && !self.environment.is_for_tests(&package) {
                if let Some(file) = self.file(&package, "__init__") {
                    return Some(Module { file: Some(file), inside: vec![package] });
                }
                portions.push(package);
            }
            if let Some(file) = self.file(directory, name) {
                return Some(Module { file: Some(file), inside: Vec::new() });
            }
        }
        (!portions.is_empty()).then_some(Module { file: None, inside: portions })
    }

    /// A module's file in a directory: an extension, a source, bytecode without a source.
    fn file(&self, directory: &ImagePath, name: &str) -> Option<ImagePath> {
        let endings = self.environment.suffixes.iter().map(String::as_str).chain([".py", ".pyc"]);
        endings.filter_map(|ending| join(directory, &format!("{name}{ending}"))).find(|path| {
            self.scene.file_size(path).is_some()
                || (self.scene.tree().get(path).is_some()
                    && self
                        .scene
                        .find(&path.to_absolute())
                        .is_some_and(|end| self.scene.file_size(&end).is_some()))
        })
    }
}

/// The modules of the standard library that an import through `six.moves` means, as far as their name differs from
/// what is imported: `six.moves.http_client`. `None` for every other import.
fn moved(import: &Import) -> Option<Vec<String>> {
    let at = import.module.find("six.moves").or_else(|| import.module.starts_with("moves").then_some(0))?;
    let rest =
        import.module[at..].trim_start_matches("six.").trim_start_matches("moves").trim_start_matches('.');
    let names: Vec<&str> = match rest.split('.').next().filter(|part| !part.is_empty()) {
        Some(part) if part != "urllib" => vec![part],
        Some(_) => {
            let mut names: Vec<String> = import.names.iter().map(|name| format!("urllib.{name}")).collect();
            names.push(rest.to_owned());
            return Some(names);
        }
        None => import.names.iter().map(String::as_str).collect(),
    };
    Some(names.into_iter().map(unmoved).collect())
}

/// The name in Python 3 of what `six.moves` calls by another. Source: the documentation of six.
fn unmoved(name: &str) -> String {
    let name = match name {
        "BaseHTTPServer" | "CGIHTTPServer" | "SimpleHTTPServer" => "http.server",
        "cPickle" => "pickle",
        "cStringIO" | "StringIO" => "io",
        "html_entities" => "html.entities",
        "html_parser" => "html.parser",
        "http_client" => "http.client",
        "http_cookiejar" => "http.cookiejar",
        "http_cookies" => "http.cookies",
        "reload_module" => "importlib",
        "shlex_quote" => "shlex",
        "urllib_error" => "urllib.error",
        "urllib_parse" => "urllib.parse",
        "urllib_robotparser" => "urllib.robotparser",
        "xmlrpc_client" => "xmlrpc.client",
        "xmlrpc_server" => "xmlrpc.server",
        name => return name.replace("email_mime_", "email.mime."),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_that_moved_between_the_versions_of_python_are_found_under_their_new_names() {
        for (level, module, names, expected) in [
            (0, "six.moves", &["http_client", "queue"][..], Some(&["http.client", "queue"][..])),
            (1, "packages.six.moves.urllib", &["parse"], Some(&["urllib.parse", "urllib"])),
            (0, "six.moves.urllib.parse", &["quote"], Some(&["urllib.quote", "urllib.parse"])),
            (0, "six.moves.cPickle", &[], Some(&["pickle"])),
            (0, "six", &["moves"], None),
        ] {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            let import = Import { level, module: module.to_owned(), names, is_lazy: false };
            let expected = expected.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
            assert_eq!(moved(&import), expected, "{module}");
        }
    }
}
