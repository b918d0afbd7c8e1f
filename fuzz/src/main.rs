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
    ("sealed-database", sealed_database),
    ("sbom", read_sbom),
    ("vex", read_vex),
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

/// The same with checksums that are right: what they protect is read, whatever it is.
fn sealed_database(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    advisories::database::seal(&mut bytes);
    database(&bytes);
}

/// A VEX document, in any of its three forms; what was read is applied to a finding.
fn read_vex(bytes: &[u8]) {
    type Scanned = (packages::PackageDatabase, Vec<advisories::matching::Finding>);
    static SCANNED: OnceLock<Scanned> = OnceLock::new();
    let (packages, findings) = SCANNED.get_or_init(|| {
        let list = br#"{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [
            {"type": "library", "name": "a", "version": "1", "purl": "pkg:npm/a@1"}]}"#;
        let packages = sbom::read(list).expect("this is CycloneDX").into_database();
        let advisory = br#"{"id": "CVE-2023-1255", "modified": "2026-01-01T00:00:00Z", "affected": [
            {"package": {"ecosystem": "npm", "name": "a"}, "versions": ["1"]}]}"#;
        let mut import = advisories::import::Import::new("2026-01-01T00:00:00Z", Default::default());
        import.bytes("a.json", advisory);
        let bytes = import.finish().finish().expect("one advisory makes a database");
        let database = advisories::Database::from_bytes(bytes).expect("a database of ours is read");
        let findings = advisories::matching::find(&packages, &database).expect("it is whole");
        assert_eq!(findings.len(), 1);
        (packages, findings)
    });
    if let Ok(document) = advisories::vex::read(bytes) {
        let subject =
            advisories::vex::Subject { names: vec!["ghcr.io/acme/shop:1".into()], digests: Vec::new() };
        let _ = advisories::vex::apply(findings, packages, &[document], &subject);
    }
}

fn read_sbom(bytes: &[u8]) {
    if let Ok(list) = sbom::read(bytes) {
        let _ = list.into_database();
    }
}
