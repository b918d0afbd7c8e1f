//! One program for all targets: the environment variable `CAREEN_FUZZ` names the one to run.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::{Corpus, fuzz_target};

/// The targets: a name and what reads the bytes.
const TARGETS: &[(&str, fn(&[u8]))] = &[
    ("dpkg", packages::fuzz::dpkg),
    ("apk", packages::fuzz::apk),
    ("rpmdb", packages::fuzz::rpmdb),
    ("archive", packages::fuzz::archive),
    ("program", packages::fuzz::program),
    ("manifest", packages::fuzz::manifest),
    ("upstream", upstream),
    ("database", database),
    ("sbom", read_sbom),
];

fn target() -> fn(&[u8]) {
    static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();
    *TARGET.get_or_init(|| {
        let name = std::env::var("CAREEN_FUZZ").unwrap_or_default();
        match TARGETS.iter().find(|(known, _)| *known == name) {
            Some((_, run)) => *run,
            None => {
                let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
                eprintln!("CAREEN_FUZZ must be one of {}", names.join(", "));
                std::process::exit(2);
            }
        }
    })
}

fuzz_target!(|bytes: &[u8]| -> Corpus {
    target()(bytes);
    Corpus::Keep
});

/// What upstreams publish; the first byte picks a file's name, which some formats are known by.
fn upstream(bytes: &[u8]) {
    const NAMES: [&str; 8] = [
        "osv.jsonl",
        "DSA.list",
        "CVE.list",
        "debian.csv",
        "epss.csv",
        "kev.json",
        "source-versions.tsv",
        "security-support-ended.deb12",
    ];
    let Some((first, bytes)) = bytes.split_first() else { return };
    let limits = advisories::import::Limits {
        file_bytes: 1 << 20,
        archive_bytes: 4 << 20,
        members: 100,
        ..Default::default()
    };
    let mut import = advisories::import::Import::new("2026-01-01T00:00:00Z", limits);
    import.bytes(NAMES[usize::from(*first) % NAMES.len()], bytes);
    let built = import.finish().finish();
    // What an import gives is a database that can be opened, whole.
    if let Ok(built) = built {
        let database = advisories::Database::from_bytes(built).expect("a database of ours is read");
        database.check().expect("a database of ours is whole");
    }
}

fn database(bytes: &[u8]) {
    let Ok(database) = advisories::Database::from_bytes(bytes.to_vec()) else { return };
    let _ = database.check();
    let _ = database.affected("Debian:12", "redis");
    let _ = database.vulnerability("CVE-2024-1");
    for (ecosystem, package) in database.packages().unwrap_or_default().into_iter().take(10) {
        let _ = database.affected(&ecosystem, &package);
    }
}

fn read_sbom(bytes: &[u8]) {
    if let Ok(list) = sbom::read(bytes) {
        let _ = list.into_database();
    }
}
