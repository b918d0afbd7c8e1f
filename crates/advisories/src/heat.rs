//! How far each package of an image was used: hot, warm, cold, gone.
//!
//! A package is as hot as the hottest of its code. Reading a document, a licence or settings does not put it into the
//! execution path, and what no run showed is *cold*, which is not the same as harmless: see
//! [`Heat::NotRecorded`] for what nobody looked at.

use std::collections::BTreeSet;

use image::ImagePath;
use packages::{Package, PackageDatabase, Presence, is_document, is_licence};
use profile::{AccessKind, PathUsage, Process, Profile};
use serde::{Deserialize, Serialize};

/// How far a package is in the execution path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Heat {
    /// Code of it ran: a file was executed, mapped executable, or read as code by an interpreter.
    Hot,
    /// Something of it was used, and no code: data, settings or documents were read, or paths were only looked up.
    Warm,
    /// It is there, and no run used anything of it.
    Cold,
    /// There is no profile: nobody looked.
    NotRecorded,
    /// No file of it is left, licences and documents apart.
    Gone,
}

/// How one package was used, and what is left of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageUse {
    /// How far it is in the execution path; `gone` for one of which nothing is left.
    pub heat: Heat,
    /// How hot it was on the original, where it is gone now: a used part may be removed by a policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<Heat>,
    /// Whether only a part of it is left.
    #[serde(default)]
    pub partial: bool,
    /// Files of it that count and are left.
    #[serde(default)]
    pub files_left: u64,
    /// Files of it that counted in the original.
    #[serde(default)]
    pub files_before: u64,
    /// What of it was used, code first, then by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub used: Vec<UsedFile>,
}

/// A file of a package that was used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UsedFile {
    /// Whether it was used as code or otherwise.
    pub role: Role,
    /// The path.
    pub path: ImagePath,
    /// How it was used.
    pub kinds: BTreeSet<AccessKind>,
    /// By what.
    pub processes: BTreeSet<Process>,
    /// The coverage of the run in which it was first used.
    pub coverage: String,
    /// The name of the step of that run; `start` for all before the first.
    pub step: String,
}

/// What a used file was to the workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It was executed, mapped executable, or read by an interpreter as code.
    Code,
    /// Anything else was done with it.
    Data,
}

/// Endings of files that interpreters and virtual machines read as code.
const CODE_ENDINGS: [&str; 26] = [
    ".beam", ".cjs", ".class", ".dll", ".ear", ".egg", ".jar", ".jmod", ".js", ".jsa", ".lua", ".mjs",
    ".node", ".php", ".phar", ".pl", ".pm", ".py", ".pyc", ".r", ".rb", ".rdb", ".sh", ".tcl", ".war",
    ".whl",
];

/// How a file was used.
pub fn role(path: &ImagePath, usage: &PathUsage) -> Role {
    let mut kinds = usage.0.keys();
    let is_code = kinds.any(|kind| match kind {
        AccessKind::Exec | AccessKind::MapExec => true,
        AccessKind::OpenRead => {
            let name = path.name().to_ascii_lowercase();
            CODE_ENDINGS.iter().any(|ending| name.ends_with(ending.as_bytes()))
        }
        _ => false,
    });
    if is_code { Role::Code } else { Role::Data }
}

/// How each package was used, in the order of [`PackageDatabase::packages`].
///
/// `packages` are those of the original. `profile` says what runs of it used, none if there was no run. `kept` says
/// which paths are left in the image that is spoken of; for the original itself, all.
pub fn uses(
    packages: &PackageDatabase,
    profile: Option<&Profile>,
    kept: &dyn Fn(&ImagePath) -> bool,
) -> Vec<PackageUse> {
    packages.packages.iter().map(|package| package_use(package, profile, kept)).collect()
}

fn package_use(
    package: &Package,
    profile: Option<&Profile>,
    kept: &dyn Fn(&ImagePath) -> bool,
) -> PackageUse {
    let mut used: Vec<UsedFile> = match profile {
        Some(profile) => package.files.iter().filter_map(|path| used_file(path, profile)).collect(),
        None => Vec::new(),
    };
    used.sort();
    let observed = match (profile, used.first()) {
        (None, _) => Heat::NotRecorded,
        (Some(_), None) => Heat::Cold,
        (Some(_), Some(first)) if first.role == Role::Code => Heat::Hot,
        (Some(_), Some(_)) => Heat::Warm,
    };
    let files_before = package.counted_files() as u64;
    let (is_gone, partial, files_left) = match package.presence(kept) {
        // A package of nothing that counts was never more: it goes when its documents go.
        Presence::Gone => (files_before > 0 || !package.files.iter().any(kept), false, 0),
        Presence::Partial { kept, .. } => (false, true, kept.len() as u64),
        Presence::Full | Presence::Unlisted => (false, false, files_before),
    };
    let heat = if is_gone { Heat::Gone } else { observed };
    let was = is_gone.then_some(observed);
    PackageUse { heat, was, partial, files_left, files_before, used }
}

fn used_file(path: &ImagePath, profile: &Profile) -> Option<UsedFile> {
    let usage = profile.paths.get(path)?;
    let kinds: BTreeSet<AccessKind> = usage.0.keys().copied().filter(|kind| kind.is_use()).collect();
    if kinds.is_empty() {
        return None;
    }
    let read_only = is_licence(path) || is_document(path);
    let role = if read_only { Role::Data } else { role(path, usage) };
    let used = || usage.0.iter().filter(|(kind, _)| kind.is_use()).map(|(_, usage)| usage);
    let processes = used().flat_map(|usage| profile.processes_of(usage)).cloned().collect();
    let first = used().min_by_key(|usage| (usage.first_run, usage.first_step))?;
    let coverage = profile.run(first.first_run).map(|run| run.coverage.clone()).unwrap_or_default();
    Some(UsedFile {
        role,
        path: path.clone(),
        kinds,
        processes,
        coverage,
        step: profile.first_step_name(first).to_owned(),
    })
}
