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

/// Whether a file's name is one of those that interpreters and virtual machines read as code.
pub fn is_code_name(path: &ImagePath) -> bool {
    let name = path.name().to_ascii_lowercase();
    CODE_ENDINGS.iter().any(|ending| name.ends_with(ending.as_bytes()))
}

/// How a file was used.
pub fn role(path: &ImagePath, usage: &PathUsage) -> Role {
    let mut kinds = usage.0.keys();
    let is_code = kinds.any(|kind| match kind {
        AccessKind::Exec | AccessKind::MapExec => true,
        AccessKind::OpenRead => is_code_name(path),
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
    let is_filtered = packages.packages.iter().flat_map(|package| &package.files).any(|path| !kept(path));
    packages.packages.iter().map(|package| package_use(package, profile, kept, is_filtered)).collect()
}

fn package_use(
    package: &Package,
    profile: Option<&Profile>,
    kept: &dyn Fn(&ImagePath) -> bool,
    is_filtered: bool,
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
        // A package of nothing that counts was never more: it stays in a package database that is as it was, and in one
        // that lists what is left, documents do not speak for it.
        Presence::Gone => (files_before > 0 || is_filtered || package.files.is_empty(), false, 0),
        Presence::Partial { kept, .. } => (false, true, kept.len() as u64),
        Presence::Full | Presence::Unlisted => (false, false, files_before),
    };
    let heat = if is_gone { Heat::Gone } else { observed };
    let was = is_gone.then_some(observed);
    PackageUse { heat, was, partial, files_left, files_before, used }
}

/// Whether this is a link by whose name a program was run: `redis-server` of Debian is one into another package, and
/// what the kernel executes is the link's end.
fn is_name_of_a_program(path: &ImagePath, usage: &PathUsage, profile: &Profile) -> bool {
    usage.0.contains_key(&AccessKind::Readlink)
        && profile.processes.iter().any(|process| {
            let (name, exe) = (process.argv0.as_bytes(), process.exe.as_bytes());
            let absolute = path.to_absolute();
            let is_named = match name.contains(&b'/') {
                true => name == &absolute[..],
                false => name == path.name() && path.parent().is_some_and(|parent| is_of_programs(&parent)),
            };
            is_named && exe != &absolute[..]
        })
}

fn is_of_programs(directory: &ImagePath) -> bool {
    matches!(directory.name(), b"bin" | b"sbin" | b"games")
}

fn used_file(path: &ImagePath, profile: &Profile) -> Option<UsedFile> {
    let usage = profile.paths.get(path)?;
    let kinds: BTreeSet<AccessKind> = usage.0.keys().copied().filter(|kind| kind.is_use()).collect();
    if kinds.is_empty() {
        return None;
    }
    let role = match is_licence(path) || is_document(path) {
        true => Role::Data,
        false if is_name_of_a_program(path, usage, profile) => Role::Code,
        false => role(path, usage),
    };
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

#[cfg(test)]
mod tests {
    use profile::{
        Compare, Counters, ImageIdentity, Observation, Run, SensorReport, Step, StepOutcome, StepResult,
        Verdict,
    };

    use super::*;

    fn path(text: &str) -> ImagePath {
        ImagePath::from_absolute(text.as_bytes()).unwrap()
    }

    /// A profile of words such as `exec:/bin/sh`; a path alone is read.
    fn profile(words: &str) -> Profile {
        let observations: BTreeSet<Observation> = words
            .split_whitespace()
            .map(|word| {
                let (kind, path) = word.split_once(':').unwrap_or(("open-read", word));
                let kind: AccessKind = serde_json::from_value(kind.into()).unwrap();
                Observation {
                    path: self::path(path),
                    kind,
                    errno: if kind == AccessKind::Missing { 2 } else { 0 },
                    process: Process { exe: "/usr/bin/app-real".into(), argv0: "app".into() }.into(),
                    step: Step(1),
                }
            })
            .collect();
        let identity = ImageIdentity {
            reference: "oci:fixture".into(),
            manifest_digest: image::Digest::of(b"manifest"),
            image_id: image::Digest::of(b"config"),
            platform: "linux/amd64".parse().unwrap(),
        };
        let counters = Counters { canaries_expected: 2, canaries_seen: 2, ..Counters::default() };
        let run = Run {
            coverage: "shop".into(),
            started_at: "2026-01-01T00:00:00Z".into(),
            sensor: SensorReport {
                backend: "none".into(),
                kernel: "6.1".into(),
                passed_over: Vec::new(),
                counters,
                verdict: Verdict::Complete,
                not_seen: Vec::new(),
            },
            steps: vec![StepResult {
                name: "buy".into(),
                outcome: StepOutcome::Exited { code: 0 },
                allow_failure: false,
                unmet: None,
                compare: Compare::default(),
                duration_ms: 1,
                stdout: String::new(),
                stderr: String::new(),
            }],
            tags: BTreeSet::new(),
            carried_from: None,
            activity: None,
        };
        Profile::from_run(identity, run, &observations)
    }

    fn packages(files: &str) -> PackageDatabase {
        let mut database = PackageDatabase::default();
        database.packages = vec![Package {
            files: files.split_whitespace().map(path).collect(),
            ..crate::scan::tests::deb("tool", "1.0")
        }];
        database
    }

    fn use_of(files: &str, words: Option<&str>, kept: &[&str]) -> PackageUse {
        let profile = words.map(profile);
        let kept = |path: &ImagePath| kept.iter().any(|kept| *kept == "*" || path == &self::path(kept));
        uses(&packages(files), profile.as_ref(), &kept).remove(0)
    }

    #[test]
    fn a_package_is_as_hot_as_the_hottest_of_its_files() {
        let files = "/usr/bin/tool /usr/bin/app /usr/lib/libtool.so.1 /usr/lib/python3/tool.py /usr/share/tool/app \
                     /etc/tool.conf /usr/share/doc/tool/README.gz /usr/share/doc/tool/copyright \
                     /usr/share/doc/tool/examples/x.py";
        for (words, expected) in [
            ("exec:/usr/bin/tool", Heat::Hot),
            ("map-exec:/usr/lib/libtool.so.1", Heat::Hot),
            ("/usr/lib/python3/tool.py", Heat::Hot),
            ("/etc/tool.conf exec:/usr/bin/tool", Heat::Hot),
            ("readlink:/usr/bin/app", Heat::Hot),
            ("readlink:/usr/share/tool/app", Heat::Warm),
            ("readlink:/usr/bin/tool", Heat::Warm),
            ("/usr/lib/libtool.so.1", Heat::Warm),
            ("/etc/tool.conf", Heat::Warm),
            ("stat:/usr/bin/tool", Heat::Warm),
            ("stat:/usr/lib/python3/tool.py", Heat::Warm),
            ("/usr/share/doc/tool/README.gz", Heat::Warm),
            ("/usr/share/doc/tool/copyright", Heat::Warm),
            ("/usr/share/doc/tool/examples/x.py", Heat::Warm),
            ("missing:/usr/bin/tool", Heat::Cold),
            ("exec:/usr/bin/other", Heat::Cold),
        ] {
            let found = use_of(files, Some(words), &["*"]);
            assert_eq!((found.heat, found.was, found.partial), (expected, None, false), "{words}");
        }
        assert_eq!(use_of(files, None, &["*"]).heat, Heat::NotRecorded);
    }

    #[test]
    fn what_was_used_names_process_and_step_and_code_comes_first() {
        let found = use_of("/etc/a.conf /usr/bin/tool", Some("/etc/a.conf exec:/usr/bin/tool"), &["*"]);
        let used: Vec<_> = found.used.iter().map(|file| (file.role, file.path.to_string())).collect();
        assert_eq!(used, [(Role::Code, "/usr/bin/tool".to_owned()), (Role::Data, "/etc/a.conf".to_owned())]);
        let first = &found.used[0];
        assert_eq!((first.coverage.as_str(), first.step.as_str()), ("shop", "buy"));
        assert_eq!(first.processes.first().unwrap().exe, "/usr/bin/app-real");
    }

    #[test]
    fn gone_is_what_has_no_file_left_but_licences_and_documents() {
        let files = "/usr/bin/tool /usr/bin/toolctl /usr/share/doc/tool/copyright /usr/share/doc/tool/README";
        let documents = ["/usr/share/doc/tool/copyright", "/usr/share/doc/tool/README"];
        for (words, kept, expected) in [
            (Some(""), &documents[..], (Heat::Gone, Some(Heat::Cold), false, 0)),
            (Some("exec:/usr/bin/tool"), &[], (Heat::Gone, Some(Heat::Hot), false, 0)),
            (None, &[], (Heat::Gone, Some(Heat::NotRecorded), false, 0)),
            (Some("exec:/usr/bin/tool"), &["/usr/bin/tool"], (Heat::Hot, None, true, 1)),
            (Some(""), &["/usr/bin/tool"], (Heat::Cold, None, true, 1)),
            (Some(""), &["*"], (Heat::Cold, None, false, 2)),
        ] {
            let found = use_of(files, words, kept);
            let left = (found.heat, found.was, found.partial, found.files_left);
            assert_eq!((left, found.files_before), (expected, 2), "{words:?} {kept:?}");
        }
    }

    #[test]
    fn a_meta_package_goes_with_its_documents_and_an_unlisted_one_never() {
        let copyright = "/usr/share/doc/tool/copyright";
        assert_eq!(use_of(copyright, Some(""), &["*"]).heat, Heat::Cold);
        assert_eq!(use_of(copyright, Some(""), &[]).heat, Heat::Gone);
        let documents = "/usr/share/doc/tool/copyright /usr/share/doc/tool/README";
        assert_eq!(use_of(documents, Some(""), &[copyright]).heat, Heat::Gone);
        // Its only document is kept for a neighbour, of which something was removed.
        let mut two = packages(copyright);
        two.packages.extend(packages("/usr/bin/other").packages);
        assert_eq!(uses(&two, None, &|kept| *kept == path(copyright))[0].heat, Heat::Gone);
        assert_eq!(uses(&two, None, &|_| true)[0].heat, Heat::NotRecorded);
        let mut unlisted = packages("");
        unlisted.packages[0].file_list = packages::FileList::Absent;
        assert_eq!(uses(&unlisted, None, &|_| false)[0].heat, Heat::NotRecorded);
    }
}
