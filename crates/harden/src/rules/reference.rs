//! Static references: what code that was used names literally, although no recorded run reached that place.

use std::collections::BTreeSet;

use image::{ImagePath, NodeKind};
use profile::AccessKind;

use super::{erlang, java, lua, native, node, perl, php, python, ruby, script, settings};
use crate::draft::Draft;
use crate::rules::elf::Programs;
use crate::scene::Scene;
use crate::{Generalize, PlanError, Rule};

/// Longest file that is searched for references.
const MAX_CODE_BYTES: u64 = 64 << 20;

/// Most bytes that a command which a script of a package names may cost, with the libraries that nothing else keeps, where
/// nobody ran that script.
pub(crate) const CHEAP_BYTES: u64 = 256 << 10;

/// What a piece of code names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reference {
    /// A file of the image, already found: an import that the language's own rules resolved.
    File(ImagePath),
    /// An absolute path as written. A directory is kept alone, without what is in it.
    Path(Vec<u8>),
    /// The same of settings: what they name is to work, also where the workload only looked whether it is there.
    Setting(Vec<u8>),
    /// A program, looked up along `PATH` or, with a slash, from the working directory.
    Command(Vec<u8>),
    /// A shared library by name, looked up as the dynamic loader does it for the file that names it.
    Library(Vec<u8>),
}

/// The code that was searched already.
#[derive(Debug, Default)]
pub(crate) struct References {
    searched: BTreeSet<ImagePath>,
    /// For the content of one file after the other.
    room: Vec<u8>,
}

impl References {
    /// Keeps what code that the workload used names, one level deep: what is kept here is closed over as everything
    /// else, but not searched in turn. The image's [own code](is_own_code) counts as one whole: whatever part of it is
    /// kept is searched, and so is what it names, as if that had been used; and so are the helpers that settings name.
    ///
    /// Says whether anything was searched; then the draft is to be closed, and this called again.
    pub(crate) fn apply(
        &mut self,
        scene: &Scene<'_>,
        draft: &mut Draft<'_>,
        programs: &mut Programs<'_>,
    ) -> Result<bool, PlanError> {
        if scene.policy.generalize < Generalize::References {
            return Ok(false);
        }
        let own: Vec<ImagePath> = draft
            .kept()
            .filter(|(path, reason)| is_code_rule(reason.rule) && self.counts_as_used(scene, draft, path))
            .map(|(path, _)| path.clone())
            .collect();
        // What settings name runs when the first client needs it, so it counts as used. A set of commands that somebody
        // asked for is no part of the workload.
        let named =
            draft.wanted().filter(|path| draft.reason(path).is_some_and(|reason| reason.rule != Rule::Kit));
        let named: BTreeSet<ImagePath> =
            named.filter(|path| scene.file_size(path).is_some()).cloned().collect();
        // Source says more than its bytecode, and is read once whichever of the two was used.
        let used = used_code(scene, draft);
        let code: BTreeSet<ImagePath> = used
            .iter()
            .cloned()
            .chain(own)
            .chain(named.iter().cloned())
            .map(|path| python::source_of(scene, &path).unwrap_or(path))
            .filter(|path| !self.searched.contains(path))
            .collect();
        for path in &code {
            if scene.file_size(path).is_none_or(|size| size > MAX_CODE_BYTES) {
                continue;
            }
            let content = scene.image.read_file_into(path, MAX_CODE_BYTES, &mut self.room)?;
            let mut references = references_of(scene, path, content);
            if named.contains(path) && !used.contains(path) && !is_own_code(scene, path) {
                references = affordable(scene, draft, programs, references)?;
            }
            for reference in references {
                keep(scene, draft, programs, path, &reference)?;
            }
        }
        let is_done = code.is_empty();
        self.searched.extend(code);
        Ok(!is_done)
    }

    /// Whether a file that no run reached is searched all the same: the image's own code, and what that names, with
    /// what this loads at once.
    fn counts_as_used(&self, scene: &Scene<'_>, draft: &Draft<'_>, path: &ImagePath) -> bool {
        if scene.file_size(path).is_none() {
            return false;
        }
        if is_own_code(scene, path) {
            return true;
        }
        // Node.js code names more than it ever loads.
        if ![&b".lua"[..], b".py", b".pm", b".pl", b".rb"].iter().any(|ending| path.name().ends_with(ending))
        {
            return false;
        }
        let mut at = path;
        for _ in 0..MAX_CHAIN {
            if is_own_code(scene, at) {
                return true;
            }
            let Some(reason) = draft.reason(at).filter(|reason| is_code_rule(reason.rule)) else {
                return false;
            };
            let Some(because) = &reason.because else { return false };
            if self.searched.contains(because) {
                return is_own_code(scene, because);
            }
            at = because;
        }
        false
    }
}

/// Longest chain of modules that load one another.
const MAX_CHAIN: usize = 32;

fn is_code_rule(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::Reference
            | Rule::OwnData
            | Rule::ScriptCommand
            | Rule::Python
            | Rule::Perl
            | Rule::Ruby
            | Rule::Php
            | Rule::Node
            | Rule::Lua
    )
}

/// Directories of what was installed and not written for this image.
const INSTALLED: [&str; 9] =
    ["bin", "lib", "lib64", "sbin", "usr/bin", "usr/lib", "usr/local/lib", "usr/sbin", "usr/share"];

/// Names of directories that hold what others wrote.
pub(crate) const VENDORED: [&str; 7] =
    ["dist-packages", "gems", "local-lib", "node_modules", "site-packages", "site_perl", "vendor"];

/// Whether a file was written for this image, as far as one can tell: no package owns it, and it lies neither where
/// distributions and run times are installed nor in a directory of third-party packages.
pub(crate) fn is_own_code(scene: &Scene<'_>, path: &ImagePath) -> bool {
    let is_regular = scene.file_size(path).is_some();
    let absolute = path.to_absolute();
    let is_beneath = |directory: &str| {
        absolute[1..].strip_prefix(directory.as_bytes()).is_some_and(|rest| rest.starts_with(b"/"))
    };
    is_regular
        && scene.packages.owners(path).is_empty()
        && !INSTALLED.iter().any(|directory| is_beneath(directory))
        && !path.components().any(|part| VENDORED.iter().any(|name| part == name.as_bytes()))
}

/// The regular files that the workload read, ran or mapped executable, as far as they are kept.
pub(crate) fn used_code(scene: &Scene<'_>, draft: &Draft<'_>) -> BTreeSet<ImagePath> {
    let is_code = |path: &ImagePath| {
        let is_file = scene.tree().get(path).is_some_and(|node| matches!(node.kind, NodeKind::File { .. }));
        is_file
            && scene.profile.usage(path).is_some_and(|usage| {
                usage
                    .kinds()
                    .any(|kind| matches!(kind, AccessKind::Exec | AccessKind::MapExec | AccessKind::OpenRead))
            })
    };
    draft.kept_paths().filter(|path| is_code(path)).cloned().collect()
}

/// `path` from `base`, or from the root if it is absolute; dots are worked out on the text, as languages do
/// it before they ask the kernel.
pub(crate) fn beneath(base: &ImagePath, path: &str) -> Option<ImagePath> {
    let mut out = if path.starts_with('/') { ImagePath::root() } else { base.clone() };
    for part in path.split('/') {
        out = match part {
            "" | "." => out,
            ".." => out.parent()?,
            name => out.join(name.as_bytes()).ok()?,
        };
    }
    Some(out)
}

/// These references without commands that cost much: a helper's message to the log must not bring half a system.
fn affordable(
    scene: &Scene<'_>,
    draft: &Draft<'_>,
    programs: &mut Programs<'_>,
    references: BTreeSet<Reference>,
) -> Result<BTreeSet<Reference>, PlanError> {
    let mut out = BTreeSet::new();
    for reference in references {
        let command = match &reference {
            Reference::Command(name) => scene.program(name).and_then(|path| scene.find(&path)),
            _ => None,
        };
        let is_cheap = match command {
            Some(command) => programs.cost_bytes(scene, draft, &command)? <= CHEAP_BYTES,
            None => true,
        };
        if is_cheap {
            out.insert(reference);
        }
    }
    Ok(out)
}

fn references_of(scene: &Scene<'_>, path: &ImagePath, content: &[u8]) -> BTreeSet<Reference> {
    [
        native::references,
        python::references,
        node::references,
        java::references,
        php::references,
        perl::references,
        ruby::references,
        erlang::references,
        lua::references,
        script::references,
        settings::references,
    ]
    .iter()
    .find_map(|references| references(scene, path, content))
    .unwrap_or_default()
}

fn keep(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
    programs: &mut Programs<'_>,
    from: &ImagePath,
    reference: &Reference,
) -> Result<(), PlanError> {
    let root = ImagePath::root();
    match reference {
        Reference::File(path) => {
            draft.keep_way(&root, &path.to_absolute(), Rule::Reference, Some(from));
        }
        Reference::Path(path) => {
            draft.keep_way(&root, path, Rule::Reference, Some(from));
        }
        Reference::Setting(path) => {
            if let Some(end) = draft.keep_way(&root, path, Rule::Reference, Some(from)) {
                draft.want(&end);
            }
        }
        Reference::Command(name) => {
            if let Some(path) = scene.program(name) {
                draft.keep_way(&root, &path, Rule::Reference, Some(from));
            }
        }
        Reference::Library(name) => programs.keep_library(draft, name, Rule::Reference, Some(from))?,
    }
    Ok(())
}
