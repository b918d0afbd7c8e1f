//! Which files say something of components, by their names and modes, and who reads them.

use std::io::Read as _;

use image::{Image, ImagePath, Node, NodeKind, Tree};

use super::elf::{self, Elf};
use super::found::{Content, Findings};
use super::{cargo, go, java, javascript, json, locks, programs, python, ruby, scripts};
use crate::Limits;

/// What a file is, and so who reads it.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// An archive of Java's.
    JavaArchive,
    /// An archive with a Python distribution.
    Egg,
    /// What may be a program or a library.
    Program,
    /// What may be a JavaScript library for browsers.
    Script,
    /// A document that is read whole, by this function.
    Document(fn(&ImagePath, &[u8]) -> Findings),
}

/// The kind of this node; none for what says nothing.
pub(super) fn of(tree: &Tree, path: &ImagePath, node: &Node) -> Option<Kind> {
    let NodeKind::File { size_bytes, .. } = node.kind else { return None };
    if size_bytes == 0 {
        return None;
    }
    let name = std::str::from_utf8(path.name()).unwrap_or_default();
    if java::is_archive(name) {
        return Some(Kind::JavaArchive);
    }
    if name.ends_with(".egg") {
        return Some(Kind::Egg);
    }
    if let Some(read) = document(tree, path, name) {
        return Some(Kind::Document(read));
    }
    if javascript::is_script(path, name) {
        return Some(Kind::Script);
    }
    let is_program = node.metadata.mode & 0o111 != 0 || name.contains(".so") || name.ends_with(".node");
    (is_program && size_bytes > 64).then_some(Kind::Program)
}

/// Who reads this document. A lock file is read only where what it asks for is not installed beside it.
fn document(tree: &Tree, path: &ImagePath, name: &str) -> Option<fn(&ImagePath, &[u8]) -> Findings> {
    let directory = path.parent()?;
    let beside = |place: &str| {
        let at = place.split('/').try_fold(directory.clone(), |at, part| at.join(part.as_bytes()).ok());
        at.is_some_and(|at| tree.get(&at).is_some())
    };
    let within = |name: &str| directory.name() == name.as_bytes();
    match name {
        "installed.json" if within("composer") => Some(json::composer_installed),
        "composer.lock" if !beside("vendor/composer/installed.json") => Some(json::composer_lock),
        "package-lock.json" | "npm-shrinkwrap.json" if !beside("node_modules") => Some(json::npm_lock),
        "yarn.lock" if !beside("node_modules") => Some(locks::yarn),
        "pnpm-lock.yaml" if !beside("node_modules") => Some(locks::pnpm),
        "Gemfile.lock" if !beside("vendor/bundle") => Some(ruby::lock),
        "MYMETA.json" if directory.parent().is_some_and(|above| above.name() == b".meta") => {
            Some(scripts::perl_meta)
        }
        ".packlist" => Some(scripts::perl_packlist),
        "DESCRIPTION" => Some(scripts::r_description),
        "OTP_VERSION" => Some(scripts::otp_version),
        "release" if beside("bin/java") => Some(scripts::java_release),
        _ if within("conda-meta") && name.ends_with(".json") => Some(json::conda),
        _ if within("ebin") && name.ends_with(".app") => Some(scripts::erlang),
        _ if name.ends_with(".deps.json") => Some(json::nuget),
        _ if name.ends_with(".rockspec") => Some(scripts::rockspec),
        _ if ruby::is_specification(path) => Some(ruby::specification),
        _ => None,
    }
}

impl Kind {
    /// What the file says.
    pub(super) fn examine(self, image: &Image, path: &ImagePath, limits: &Limits) -> Findings {
        let mut content = match image.open_file(path) {
            Ok(content) => content,
            Err(error) => return Findings::problem(error.to_string()),
        };
        match self {
            Self::JavaArchive => java::examine(path, &mut content, limits),
            Self::Egg => python::egg(&mut content, limits),
            Self::Script => javascript::examine(path, &mut content, limits),
            Self::Program => program(&String::from_utf8_lossy(path.name()), &mut content, limits),
            Self::Document(read) => {
                if content.size_bytes() > limits.manifest_bytes {
                    let message = format!("more than {} bytes: not read", limits.manifest_bytes);
                    return Findings::problem(message);
                }
                let mut bytes = Vec::new();
                match content.read_to_end(&mut bytes) {
                    Ok(_) => read(path, &bytes),
                    Err(error) => Findings::problem(format!("cannot read it: {error}")),
                }
            }
        }
    }
}

/// What a program of this name says.
pub(super) fn program(name: &str, content: &mut dyn Content, limits: &Limits) -> Findings {
    let mut magic = [0; 4];
    if content.read_exact(&mut magic).is_err() || magic != *elf::MAGIC {
        return Findings::default();
    }
    let Some(elf) = Elf::parse(content) else { return Findings::default() };
    let mut findings = go::examine(&elf, content);
    let crates = cargo::examine(&elf, content);
    findings.found.extend(crates.found);
    findings.problems.extend(crates.problems);
    findings.found.extend(programs::of_go(&findings.found));
    if findings.found.is_empty() && content.rewind().is_ok() {
        let known = programs::examine(name, content, limits);
        findings.found.extend(known.found);
        findings.problems.extend(known.problems);
    }
    findings
}
