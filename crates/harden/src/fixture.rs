//! Images, profiles and ledgers from short text, for the tests of this crate.

use std::collections::{BTreeMap, BTreeSet};

use image::{Digest, Image, ImagePath, ImageSource, OpenOptions, Platform};
use packages::PackageDatabase;
use profile::{
    AccessKind, Compare, Counters, ImageIdentity, Observation, Process, Profile, Run, SensorReport, Step,
    StepOutcome, StepResult, Verdict,
};
use testkit::{ImageBuilder, TarBuilder};

use crate::{Decision, Evidence, Ledger, LedgerEntry, PathKind, Plan, Policy, Rule};

/// An opened image.
pub(crate) struct Fixture {
    pub(crate) image: Image,
    pub(crate) packages: PackageDatabase,
    pub(crate) policy: Policy,
    uses: Vec<(String, AccessKind, i32)>,
}

pub(crate) fn path(text: &str) -> ImagePath {
    ImagePath::from_absolute(text.as_bytes()).unwrap()
}

/// An image of one layer.
pub(crate) fn image(layer: impl Into<TarBuilder>) -> Fixture {
    configured(layer, serde_json::json!({}))
}

/// An image of one layer with the config's `config`.
pub(crate) fn configured(layer: impl Into<TarBuilder>, config: serde_json::Value) -> Fixture {
    open(&ImageBuilder::new().layer(layer).container_config(config).oci_layout())
}

/// The image of a layout.
pub(crate) fn open(layout: &testkit::Layout) -> Fixture {
    let source = ImageSource::OciLayout { dir: layout.dir().to_owned(), tag: None };
    let image = Image::open(&source, &OpenOptions::new()).unwrap();
    let packages = packages::read(&image).unwrap();
    Fixture { image, packages, policy: Policy::default(), uses: Vec::new() }
}

impl Fixture {
    /// Adds words such as `exec:/bin/sh`; a path alone is read.
    pub(crate) fn uses(mut self, words: &str) -> Self {
        for word in words.split_whitespace() {
            let (kind, path) = word.split_once(':').unwrap_or(("open-read", word));
            let kind: AccessKind = serde_json::from_value(kind.into()).unwrap();
            let errno = if kind == AccessKind::Missing { 2 } else { 0 };
            self.uses.push((path.to_owned(), kind, errno));
        }
        self
    }

    pub(crate) fn policy(mut self, change: impl FnOnce(&mut Policy)) -> Self {
        change(&mut self.policy);
        self
    }

    pub(crate) fn profile(&self) -> Profile {
        let observations: BTreeSet<Observation> = self
            .uses
            .iter()
            .map(|(path, kind, errno)| Observation {
                path: self::path(path),
                kind: *kind,
                errno: *errno,
                process: Process { exe: "/usr/bin/app".into(), argv0: "app".into() }.into(),
                step: Step(0),
            })
            .collect();
        Profile::from_run(identity(&self.image), run(), &observations)
    }

    pub(crate) fn plan(&self) -> Plan {
        crate::plan(&self.image, &self.packages, &self.profile(), &self.policy).unwrap()
    }

    /// What is kept by which rule, directories by [`Rule::Ancestor`] and [`Rule::RuntimeDirectory`] left out: `RULE PATH` or `RULE PATH < BECAUSE`.
    pub(crate) fn kept(&self) -> Vec<String> {
        let plan = self.plan();
        let kept = plan.ledger.entries.iter().filter(|(_, entry)| entry.decision == Decision::Keep);
        let is_mere_directory = |rule| matches!(rule, Rule::Ancestor | Rule::RuntimeDirectory);
        kept.filter(|(path, entry)| !is_mere_directory(entry.rule) && !path.is_root())
            .map(|(path, entry)| match &entry.because {
                Some(because) => format!("{} {path} < {because}", entry.rule),
                None => format!("{} {path}", entry.rule),
            })
            .collect()
    }

    /// The paths that this rule keeps or removes.
    pub(crate) fn by(&self, rule: Rule) -> Vec<String> {
        let plan = self.plan();
        let entries = plan.ledger.entries.iter().filter(|(_, entry)| entry.rule == rule);
        entries.map(|(path, _)| path.to_string()).collect()
    }
}

pub(crate) fn identity(image: &Image) -> ImageIdentity {
    ImageIdentity {
        reference: "oci:fixture".into(),
        manifest_digest: image.manifest_digest(),
        image_id: image.image_id(),
        platform: image.platform().clone(),
    }
}

/// A complete run of one step.
pub(crate) fn run() -> Run {
    let counters = Counters { canaries_expected: 2, canaries_seen: 2, ..Counters::default() };
    Run {
        coverage: "fixture".into(),
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
            name: "ask".into(),
            outcome: StepOutcome::Exited { code: 0 },
            allow_failure: false,
            unmet: None,
            compare: Compare::Outcome,
            stdout: String::new(),
            stderr: String::new(),
            duration_ms: 1,
        }],
        tags: BTreeSet::new(),
        carried_from: None,
        activity: None,
    }
}

/// A small ledger with a chain: a command, its library, the link to it, and a removed file.
pub(crate) fn ledger() -> Ledger {
    let entry = |decision, rule, because: Option<&str>, kind, size_bytes| LedgerEntry {
        decision,
        rule,
        because: because.map(path),
        evidence: None,
        packages: Vec::new(),
        kind,
        size_bytes,
        layer: 0,
    };
    let evidence = Evidence {
        kinds: BTreeSet::from([AccessKind::Exec]),
        processes: BTreeSet::from([Process {
            exe: "/usr/local/bin/docker-entrypoint.sh".into(),
            argv0: "docker-entrypoint.sh".into(),
        }]),
        coverage: "redis".into(),
        step: "start".into(),
        carried_from: None,
    };
    use Decision::{Keep, Remove};
    let mut entries = BTreeMap::from([
        (path("/"), entry(Keep, Rule::ImageConfig, None, PathKind::Directory, 0)),
        (path("/usr"), entry(Keep, Rule::Ancestor, Some("/usr/bin"), PathKind::Directory, 0)),
        (
            path("/usr/bin"),
            entry(Keep, Rule::Ancestor, Some("/usr/bin/redis-server"), PathKind::Directory, 0),
        ),
        (path("/usr/bin/redis-server"), entry(Keep, Rule::Observed, None, PathKind::File, 1000)),
        (path("/lib"), entry(Keep, Rule::Ancestor, Some("/lib/libssl.so.3"), PathKind::Directory, 0)),
        (
            path("/lib/libssl.so.3"),
            entry(Keep, Rule::ElfNeeded, Some("/usr/bin/redis-server"), PathKind::File, 600),
        ),
        (path("/usr/bin/perl"), entry(Remove, Rule::Unused, None, PathKind::File, 4000)),
    ]);
    entries.get_mut(&path("/usr/bin/redis-server")).unwrap().evidence = Some(evidence);
    entries.get_mut(&path("/usr/bin/perl")).unwrap().packages = vec!["perl-base".into()];
    let image = ImageIdentity {
        reference: "redis:7".into(),
        manifest_digest: Digest::of(b"manifest"),
        image_id: Digest::of(b"config"),
        platform: "linux/amd64".parse::<Platform>().unwrap(),
    };
    Ledger { format_version: 1, image, policy: Policy::default(), entries }
}

/// A small ELF file of 64 bits for x86-64, with a header, one segment and a dynamic section.
#[derive(Debug, Clone, Default)]
pub(crate) struct Elf<'a> {
    pub(crate) interpreter: &'a str,
    pub(crate) needed: &'a [&'a str],
    pub(crate) rpath: &'a str,
    pub(crate) runpath: &'a str,
    pub(crate) soname: &'a str,
    pub(crate) functions: &'a [&'a str],
    /// 0 = x86-64.
    pub(crate) machine: u16,
}

/// The loader that [`Elf`] programs of the tests name.
pub(crate) const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

impl Elf<'_> {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut strings = vec![0u8];
        let mut dynamic: Vec<(u64, u64)> = Vec::new();
        let tagged = self.needed.iter().map(|name| (1, *name)).chain([
            (15, self.rpath),
            (29, self.runpath),
            (14, self.soname),
        ]);
        for (tag, text) in tagged.filter(|(_, text)| !text.is_empty()) {
            dynamic.push((tag, strings.len() as u64));
            strings.extend(text.bytes().chain([0]));
        }
        self.functions.iter().for_each(|name| strings.extend(name.bytes().chain([0])));
        let interpreter: Vec<u8> = self.interpreter.bytes().chain([0]).collect();
        let interpreter_at = 64 + 3 * 56;
        let strings_at = interpreter_at + interpreter.len();
        let dynamic_at = (strings_at + strings.len()).next_multiple_of(8);
        dynamic.extend([(5, strings_at as u64), (10, strings.len() as u64), (0, 0)]);
        let dynamic: Vec<u8> = dynamic
            .iter()
            .flat_map(|(tag, value)| [tag.to_le_bytes(), value.to_le_bytes()].concat())
            .collect();
        let total = dynamic_at + dynamic.len();

        let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        let machine = if self.machine == 0 { 62 } else { self.machine };
        [3u16, machine].iter().for_each(|half| out.extend(half.to_le_bytes()));
        out.extend(1u32.to_le_bytes());
        [0u64, 64, 0].iter().for_each(|word| out.extend(word.to_le_bytes()));
        out.extend(0u32.to_le_bytes());
        [64u16, 56, 3, 64, 0, 0].iter().for_each(|half| out.extend(half.to_le_bytes()));
        let mut segment = |kind: u32, at: usize, length: usize| {
            out.extend([kind.to_le_bytes(), 5u32.to_le_bytes()].concat());
            for word in [at, at, at, length, length, 8] {
                out.extend((word as u64).to_le_bytes());
            }
        };
        segment(1, 0, total);
        segment(2, dynamic_at, dynamic.len());
        // PT_NULL where there is no interpreter.
        segment(if self.interpreter.is_empty() { 0 } else { 3 }, interpreter_at, interpreter.len());
        out.extend(interpreter);
        out.extend(strings);
        out.resize(dynamic_at, 0);
        out.extend(dynamic);
        out
    }
}

/// Layers with programs: words as in `testkit::words`, then ELF files, which may be executed.
pub(crate) fn layer(words: &str, files: &[(&str, Elf<'_>)]) -> TarBuilder {
    files.iter().fold(TarBuilder::from_text(words), |tar, (name, elf)| {
        let mut entry = testkit::TarEntry::file(name, elf.bytes());
        entry.mode = 0o755;
        tar.entry(entry)
    })
}

/// The C library and its loader, as Debian has them.
pub(crate) fn libc() -> [(&'static str, Elf<'static>); 2] {
    [
        (
            "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
            Elf { soname: "ld-linux-x86-64.so.2", ..Elf::default() },
        ),
        (
            "usr/lib/x86_64-linux-gnu/libc.so.6",
            Elf {
                soname: "libc.so.6",
                needed: &["ld-linux-x86-64.so.2"],
                functions: &["iconv_open"],
                ..Elf::default()
            },
        ),
    ]
}

/// The links of a merged system.
pub(crate) const MERGED: &str = "bin->usr/bin lib->usr/lib lib64->usr/lib64 \
    usr/lib64/ld-linux-x86-64.so.2->../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 ";

/// A layer of Debian packages, each `NAME` or `NAME=VERSION` with the files that it owns; programs may be executed.
pub(crate) fn debian(packages: &[(&str, &str)]) -> TarBuilder {
    use testkit::TarEntry;
    let (mut status, mut seen) = (String::new(), BTreeSet::new());
    let mut tar = TarBuilder::new();
    for (package, files) in packages {
        let (name, version) = package.split_once('=').unwrap_or((package, "1"));
        status += &format!(
            "Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n\n"
        );
        let list: String = files.split_whitespace().map(|file| format!("{file}\n")).collect();
        tar = tar.entry(TarEntry::file(format!("var/lib/dpkg/info/{name}.list"), list));
        for file in files.split_whitespace().filter(|file| seen.insert(*file)) {
            let mode = if file.contains("bin/") { 0o755 } else { 0o644 };
            tar = tar.entry(TarEntry::file(&file[1..], format!("{package} {file}")).mode(mode));
        }
    }
    tar.entry(TarEntry::file("var/lib/dpkg/status", status))
}
