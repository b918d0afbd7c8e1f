//! The sources we know, and the terms of their data.

/// A sort of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    /// Its name in the database.
    pub(super) name: &'static str,
    /// The format it is read from.
    pub(super) format: &'static str,
    /// The licence of the data.
    pub(super) licence: &'static str,
}

const TRACKER: &str = "Debian security tracker data";

pub(super) const DEBIAN_TRACKER: Kind =
    Kind { name: "debian/tracker", format: "debian-tracker-json", licence: TRACKER };
pub(super) const DEBIAN_DSA: Kind =
    Kind { name: "debian/dsa", format: "debian-advisories", licence: TRACKER };
pub(super) const DEBIAN_DLA: Kind =
    Kind { name: "debian/dla", format: "debian-advisories", licence: TRACKER };
pub(super) const DEBIAN_CVE_LIST: Kind =
    Kind { name: "debian/cve-list", format: "debian-cve-list", licence: TRACKER };
pub(super) const DEBIAN_CHANGELOGS: Kind =
    Kind { name: "debian/changelogs", format: "debian-changelog-cves", licence: "facts" };
pub(super) const DEBIAN_ARCHIVE: Kind =
    Kind { name: "debian/archive", format: "debian-source-versions", licence: "facts" };
pub(super) const DEBIAN_RELEASES: Kind =
    Kind { name: "debian/releases", format: "distro-info", licence: "ISC" };
pub(super) const DEBIAN_SUPPORT: Kind =
    Kind { name: "debian/support", format: "debian-security-support", licence: "GPL-2.0-only" };
pub(super) const ALPINE: Kind =
    Kind { name: "alpine/secdb", format: "alpine-secdb", licence: "Alpine secdb" };
pub(super) const KEV: Kind = Kind { name: "cisa/kev", format: "cisa-kev", licence: "CC0-1.0" };
pub(super) const EPSS: Kind = Kind {
    name: "first/epss",
    format: "epss-csv",
    licence: "free with attribution to FIRST, first.org/epss",
};
pub(super) const VULNRICHMENT: Kind =
    Kind { name: "cisa/vulnrichment", format: "vulnrichment", licence: "CC0-1.0" };
pub(super) const CVE_RECORDS: Kind =
    Kind { name: "cve/records", format: "cve-5", licence: "CVE terms of use" };
pub(super) const NVD: Kind = Kind { name: "nvd", format: "nvd-2.0", licence: "public domain" };
pub(super) const CPE: Kind = Kind { name: "nvd/overrides", format: "nvd-configurations", licence: "CC0-1.0" };
pub(super) const RETIRE: Kind = Kind { name: "retire.js", format: "retire.js", licence: "Apache-2.0" };
pub(super) const NODE_CORE: Kind = Kind { name: "nodejs/core", format: "nodejs-core", licence: "MIT" };
pub(super) const NODE_NPM: Kind = Kind { name: "nodejs/npm", format: "nodejs-npm", licence: "MIT" };

/// Sources of OSV records: by the beginning of an ID, else by ecosystem. An unknown one has no licence here.
pub(super) fn osv(id: &str, ecosystem: &str) -> (String, &'static str) {
    let by_id = [
        ("GHSA-", "CC-BY-4.0"),
        ("MAL-", "Apache-2.0"),
        ("PYSEC-", "CC-BY-4.0"),
        ("PSF-", "CC-BY-4.0"),
        ("GO-", "CC-BY-4.0"),
        ("RUSTSEC-", "CC0-1.0"),
        ("BIT-", "Apache-2.0"),
        ("ALPINE-", "Alpine secdb"),
        ("DEBIAN-", TRACKER),
        ("DSA-", TRACKER),
        ("DLA-", TRACKER),
    ];
    let licence = by_id.iter().find(|(start, _)| id.starts_with(start)).map_or("", |(_, licence)| licence);
    let base = ecosystem.split(':').next().unwrap_or(ecosystem);
    let name = match id.split_once('-') {
        Some(("GHSA", _)) => format!("ghsa/{base}"),
        Some(("PSF", _)) => "osv/PSF".to_owned(),
        _ if base.is_empty() => "osv".to_owned(),
        _ => format!("osv/{base}"),
    };
    (name, licence)
}
