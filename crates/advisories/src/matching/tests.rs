use image::ImagePath;
use packages::{Ecosystem, FileList, InstallState, Origin, OsRelease};

use super::*;
use crate::database::{Epss, Kev, Rating, Release};
use crate::{Advisory, Affected, DatabaseBuilder, Range, Severity, Symbols};

const BOOKWORM: &str = "ID=debian\nVERSION_ID=12\nVERSION_CODENAME=bookworm\n";

fn package(ecosystem: Ecosystem, name: &str, version: &str) -> Package {
    Package {
        ecosystem,
        name: name.into(),
        version: version.into(),
        architecture: "amd64".into(),
        source_name: name.into(),
        source_version: version.into(),
        licence: None,
        maintainer: None,
        state: InstallState::Installed,
        purl: format!("pkg:x/{name}@{version}"),
        file_list: FileList::Complete,
        files: BTreeSet::new(),
        origin: Origin::Embedded { file: ImagePath::root(), within: Vec::new() },
    }
}

/// A binary package of Debian: name, version, source, version of the source.
fn deb(name: &str, version: &str, source: &str, source_version: &str) -> Package {
    Package {
        source_name: source.into(),
        source_version: source_version.into(),
        ..package(Ecosystem::Dpkg, name, version)
    }
}

fn image(os: &str, packages: Vec<Package>) -> PackageDatabase {
    let mut database = PackageDatabase::default();
    database.packages = packages;
    database.os_release = (!os.is_empty()).then(|| OsRelease::parse(os.as_bytes()));
    database
}

fn affected(ecosystem: &str, package: &str, fixed: &str) -> Affected {
    Affected {
        ecosystem: ecosystem.into(),
        package: package.into(),
        ranges: vec![Range { fixed: (!fixed.is_empty()).then(|| fixed.into()), ..Range::default() }],
        ..Affected::default()
    }
}

fn advisory(source: &str, id: &str, affected: Affected) -> Advisory {
    Advisory { id: id.into(), source: source.into(), affected: vec![affected], ..Advisory::default() }
}

fn database(advisories: Vec<Advisory>) -> Database {
    let mut builder = DatabaseBuilder::new();
    for advisory in advisories {
        builder.advisory(advisory);
    }
    open(builder)
}

fn open(builder: DatabaseBuilder) -> Database {
    Database::from_bytes(builder.finish().unwrap()).unwrap()
}

/// The findings as `vulnerability package < fixed`.
fn found(packages: &PackageDatabase, database: &Database) -> Vec<String> {
    let row = |finding: &Finding| {
        format!("{} {} < {}", finding.vulnerability, finding.name, finding.fixed.join(", "))
    };
    find(packages, database).unwrap().iter().map(row).collect()
}

#[test]
fn binary_packages_are_hit_by_the_version_of_their_source() {
    let database = database(vec![
        advisory("debian/tracker", "CVE-1", affected("Debian:12", "openssl", "3.0.15-1~deb12u1")),
        // Of another release, and by the name of a binary package.
        advisory("debian/tracker", "CVE-2", affected("Debian:11", "openssl", "9")),
        advisory("debian/tracker", "CVE-3", affected("Debian:12", "libssl3", "9")),
        advisory("debian/tracker", "CVE-4", affected("Debian:12", "util-linux", "2.38.1-5")),
    ]);
    let image = image(
        BOOKWORM,
        vec![
            deb("bsdutils", "1:2.38.1-5+b1", "util-linux", "2.38.1-5"),
            deb("libssl3", "3.0.14-1~deb12u2", "openssl", "3.0.14-1~deb12u2"),
            deb("openssl", "3.0.15-1~deb12u1", "openssl", "3.0.15-1~deb12u1"),
            Package {
                state: InstallState::ConfigFiles,
                ..deb("removed", "3.0.14-1~deb12u2", "openssl", "3.0.14-1~deb12u2")
            },
        ],
    );
    assert_eq!(found(&image, &database), ["CVE-1 libssl3 < 3.0.15-1~deb12u1"]);
}

#[test]
fn what_debian_decided_stays_on_the_finding() {
    for (state, expected) in [
        (FixState::Affected, Some(FixState::Affected)),
        (FixState::NoAdvisory, Some(FixState::NoAdvisory)),
        (FixState::Postponed, Some(FixState::Postponed)),
        (FixState::Ignored, Some(FixState::Ignored)),
        (FixState::Unimportant, Some(FixState::Unimportant)),
        (FixState::EndOfLife, Some(FixState::EndOfLife)),
        (FixState::NotAffected, None),
        (FixState::Undetermined, None),
    ] {
        let affected = Affected { state, ..affected("Debian:12", "curl", "") };
        let database = database(vec![advisory("debian/tracker", "CVE-1", affected)]);
        let image = image(BOOKWORM, vec![deb("curl", "7.88.1-10", "curl", "7.88.1-10")]);
        let states: Vec<FixState> =
            find(&image, &database).unwrap().iter().map(|finding| finding.state).collect();
        assert_eq!(states, Vec::from_iter(expected), "{state:?}");
    }
}

#[test]
fn a_notice_is_a_vulnerability_only_where_somebody_calls_it_one() {
    let notice = Affected { state: FixState::Informational, ..affected("crates.io", "atty", "") };
    for (by_others, expected) in [(None, FixState::Informational), (Some("2"), FixState::Affected)] {
        let mut advisories = vec![advisory("osv/crates.io", "CVE-1", notice.clone())];
        advisories.extend(
            by_others.map(|fixed| advisory("ghsa/crates.io", "CVE-1", affected("crates.io", "atty", fixed))),
        );
        let image = image(BOOKWORM, vec![package(Ecosystem::Cargo, "atty", "0.2.14")]);
        let findings = find(&image, &database(advisories)).unwrap();
        assert_eq!(findings.iter().map(|found| found.state).collect::<Vec<_>>(), [expected]);
    }
}

#[test]
fn nvd_is_asked_about_programs_built_by_hand_that_no_feed_knows() {
    let by_cpe = |product: &str| advisory("nvd", "CVE-1", affected("CPE", product, "9"));
    let by_hand = || package(Ecosystem::Generic, "redis", "7.0.1");
    let alone = database(vec![
        by_cpe("redis:redis"),
        advisory("nvd", "CVE-3", affected("CPE", "unknown:unknown", "9")),
    ]);
    assert_eq!(found(&image(BOOKWORM, vec![by_hand()]), &alone), ["CVE-1 redis < 9"]);
    // Bitnami's feed knows of Redis, and that this version is not hit.
    let known = database(vec![
        by_cpe("redis:redis"),
        advisory("osv/Bitnami", "CVE-2", affected("Bitnami", "redis", "6.0")),
    ]);
    assert_eq!(found(&image(BOOKWORM, vec![by_hand()]), &known), [""; 0]);
    // A package of the distribution, and a program whose name in NVD would be a guess.
    let others =
        vec![deb("redis", "5:7.0.1-1", "redis", "5:7.0.1-1"), package(Ecosystem::Generic, "unknown", "1.0")];
    assert_eq!(found(&image(BOOKWORM, others), &alone), [""; 0]);
}

#[test]
fn a_distribution_that_is_not_affected_has_the_last_word() {
    let not_affected = Affected { state: FixState::NotAffected, ..affected("Debian:12", "curl", "") };
    let database = database(vec![
        advisory("debian/tracker", "CVE-1", not_affected),
        advisory("debian/changelogs", "CVE-1", affected("Debian:12", "curl", "8")),
        advisory("osv/Bitnami", "CVE-2", affected("Bitnami", "curl", "8")),
    ]);
    let image = image(BOOKWORM, vec![deb("curl", "7.88.1-10", "curl", "7.88.1-10")]);
    assert_eq!(found(&image, &database), [""; 0]);
}

#[test]
fn sources_that_speak_of_one_vulnerability_make_one_finding() {
    let dsa = Advisory {
        fixes: ["CVE-2024-1".to_owned(), "CVE-2024-2".to_owned()].into(),
        ..advisory("debian/dsa", "DSA-1-1", affected("Debian:12", "curl", "7.88.1-10+deb12u5"))
    };
    let mut builder = DatabaseBuilder::new();
    builder
        .advisory(dsa)
        .advisory(Advisory {
            severities: vec![Severity::Word("high".into())],
            summary: "curl leaks".into(),
            ..advisory("debian/tracker", "CVE-2024-1", affected("Debian:12", "curl", "7.88.1-10+deb12u4"))
        })
        .advisory(Advisory {
            aliases: ["CVE-2024-1".to_owned()].into(),
            ..advisory("ghsa/npm", "GHSA-x", affected("npm", "curl-wrapper", "2.0.0"))
        })
        .cvss(
            "CVE-2024-1",
            Rating {
                by: "NVD".into(),
                severity: Severity::Cvss("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H".into()),
            },
        )
        .epss("CVE-2024-1", Epss { score: 0.5, percentile: 0.9 })
        .exploited(Kev { cve: "CVE-2024-1".into(), added: "2024-01-02".into(), ..Kev::default() });
    let database = open(builder);
    let image = image(
        BOOKWORM,
        vec![
            deb("curl", "7.88.1-10+deb12u1", "curl", "7.88.1-10+deb12u1"),
            package(Ecosystem::Npm, "curl-wrapper", "1.0.0"),
        ],
    );
    let findings = find(&image, &database).unwrap();
    let rows: Vec<_> = findings.iter().map(|found| (found.vulnerability.as_str(), found.package.0)).collect();
    assert_eq!(rows, [("CVE-2024-1", 0), ("CVE-2024-2", 0), ("CVE-2024-1", 1)]);
    let first = &findings[0];
    assert_eq!(first.fixed, ["7.88.1-10+deb12u4", "7.88.1-10+deb12u5"]);
    assert_eq!(first.aliases, ["GHSA-x".to_owned()].into());
    assert_eq!((first.severity, first.ratings.len()), (Rank::Critical, 2));
    assert_eq!(first.epss.map(|epss| epss.score), Some(0.5));
    assert!(first.exploited.is_some());
    let evidence: Vec<_> = first.evidence.iter().map(|e| (e.advisory.as_str(), e.range.as_str())).collect();
    assert_eq!(evidence, [("DSA-1-1", "< 7.88.1-10+deb12u5"), ("CVE-2024-1", "< 7.88.1-10+deb12u4")]);
    assert_eq!(findings[2].evidence[0].advisory, "GHSA-x");
    insta::assert_json_snapshot!(first);
    let json = serde_json::to_string(&findings).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Finding>>(&json).unwrap(), findings);
}

#[test]
fn withdrawn_advisories_find_nothing() {
    let withdrawn = Advisory {
        withdrawn: Some("2024-01-01T00:00:00Z".into()),
        ..advisory("osv/PyPI", "PYSEC-1", affected("PyPI", "jinja2", "3"))
    };
    let image = image("", vec![package(Ecosystem::Python, "Jinja2", "2.0")]);
    assert_eq!(found(&image, &database(vec![withdrawn])), [""; 0]);
}

#[test]
fn packages_of_languages_are_asked_for_by_the_names_of_their_ecosystems() {
    for (package, ecosystem, name) in [
        (package(Ecosystem::Python, "Zope.Interface__x", "1.0rc1"), "PyPI", "zope-interface-x"),
        (package(Ecosystem::Npm, "@babel/core", "1.0.0"), "npm", "@babel/core"),
        (package(Ecosystem::Maven, "org.x:y", "1.0"), "Maven", "org.x:y"),
        (package(Ecosystem::Maven, "org.x/y", "1.0"), "Maven", "org.x:y"),
        (package(Ecosystem::Go, "github.com/X/y", "v1.0.0"), "Go", "github.com/X/y"),
        (package(Ecosystem::Go, "stdlib", "1.21rc2"), "Go", "stdlib"),
        (package(Ecosystem::Cargo, "time", "0.1.0"), "crates.io", "time"),
        (package(Ecosystem::Gem, "rack", "1.0.0"), "RubyGems", "rack"),
        (package(Ecosystem::Composer, "Symfony/Http", "v1.0.0"), "Packagist", "symfony/http"),
        (package(Ecosystem::Nuget, "Newtonsoft.Json", "1.0.0"), "NuGet", "newtonsoft.json"),
        (package(Ecosystem::Generic, "nodejs", "18.1.0"), "Bitnami", "node"),
        (package(Ecosystem::Generic, "redis", "7.0.1"), "Bitnami", "redis"),
        (package(Ecosystem::Generic, "go", "1.21.0"), "Go", "stdlib"),
    ] {
        let database = database(vec![advisory("any", "CVE-1", affected(ecosystem, name, "99"))]);
        assert_eq!(found(&image(BOOKWORM, vec![package.clone()]), &database).len(), 1, "{}", package.name);
    }
}

#[test]
fn what_has_no_version_is_not_guessed_about() {
    for version in ["", "(devel)", "unknown"] {
        let database = database(vec![advisory("osv/Go", "GO-1", affected("Go", "x", "99"))]);
        assert_eq!(found(&image("", vec![package(Ecosystem::Go, "x", version)]), &database), [""; 0]);
    }
}

#[test]
fn packages_of_vendors_archives_never_get_the_distributions_data() {
    let database = database(vec![
        advisory("debian/tracker", "CVE-1", affected("Debian:12", "nginx", "99")),
        advisory("osv/Bitnami", "CVE-2", affected("Bitnami", "nginx", "1.25.4")),
        advisory("osv/Bitnami", "CVE-3", affected("Bitnami", "nginx", "1.25.3")),
        advisory("osv/Bitnami", "CVE-4", affected("Bitnami", "containerd", "99")),
        advisory("debian/tracker", "CVE-5", affected("Debian:12", "containerd.io", "99")),
    ]);
    let by = |maintainer: &str, name: &str, version: &str| Package {
        maintainer: Some(maintainer.into()),
        ..deb(name, version, name, version)
    };
    for (package, expected) in [
        (by("NGINX Packaging <nginx-packaging@f5.com>", "nginx", "1.25.3-1~bookworm"), &["CVE-2"][..]),
        (by("Debian Nginx Maintainers <n@alioth-lists.debian.net>", "nginx", "1.22.1-9+deb12u1"), &["CVE-1"]),
        // A maintainer with a private address is Debian's unless known otherwise.
        (by("Bdale Garbee <bdale@gag.com>", "nginx", "1.22.1-9"), &["CVE-1"]),
        (by("Docker <support@docker.com>", "containerd.io", "1.6.1-1"), &[]),
    ] {
        let label = format!("{:?}", package.maintainer);
        let found = find(&image(BOOKWORM, vec![package]), &database).unwrap();
        let names: Vec<_> = found.iter().map(|found| found.vulnerability.as_str()).collect();
        assert_eq!(names, expected, "{label}");
    }
}

#[test]
fn alpine_goes_by_the_origin_and_the_branch() {
    let database = database(vec![
        advisory("alpine/secdb", "CVE-1", affected("Alpine:v3.20", "openssl", "3.3.1-r1")),
        advisory("alpine/secdb", "CVE-2", affected("Alpine:v3.19", "openssl", "9")),
    ]);
    let libssl = Package { source_name: "openssl".into(), ..package(Ecosystem::Apk, "libssl3", "3.3.1-r0") };
    let image = image("ID=alpine\nVERSION_ID=3.20.1\n", vec![libssl]);
    assert_eq!(found(&image, &database), ["CVE-1 libssl3 < 3.3.1-r1"]);
}

#[test]
fn rpm_goes_by_the_source_or_the_binary_package_as_its_distribution_does() {
    let libs = Package {
        source_name: "openssl".into(),
        ..package(Ecosystem::Rpm, "openssl-libs", "1:3.0.7-24.el9")
    };
    for (os, ecosystem, name) in [
        ("ID=rocky\nVERSION_ID=9.3", "Rocky Linux:9", "openssl"),
        ("ID=almalinux\nVERSION_ID=9.3", "AlmaLinux:9", "openssl-libs"),
        ("ID=rhel\nVERSION_ID=9.3", "Red Hat:enterprise_linux:9::baseos", "openssl-libs"),
    ] {
        let database = database(vec![advisory("x", "CVE-1", affected(ecosystem, name, "1:3.0.7-25.el9_3"))]);
        assert_eq!(found(&image(os, vec![libs.clone()]), &database).len(), 1, "{os}");
    }
}

#[test]
fn what_is_open_in_a_release_that_ended_is_marked_so() {
    let mut builder = DatabaseBuilder::new();
    builder
        .advisory(advisory("debian/tracker", "CVE-1", affected("Debian:10", "curl", "")))
        .advisory(advisory("debian/tracker", "CVE-2", affected("Debian:10", "curl", "7.64.0-5")))
        .release(Release {
            ecosystem: "Debian:10".into(),
            end_of_life: Some("2022-09-10".into()),
            ..Release::default()
        })
        .built("2026-08-22T00:00:00Z");
    let image = image("ID=debian\nVERSION_ID=10\n", vec![deb("curl", "7.64.0-4", "curl", "7.64.0-4")]);
    let states: Vec<_> = find(&image, &open(builder)).unwrap().iter().map(|found| found.state).collect();
    assert_eq!(states, [FixState::EndOfLife, FixState::Affected]);
}

#[test]
fn vulnerable_functions_come_along() {
    let symbols = vec![Symbols { path: "net/http".into(), names: vec!["Get".into()] }];
    let affected = Affected { symbols: symbols.clone(), ..affected("Go", "stdlib", "1.22.1") };
    let database = database(vec![advisory("osv/Go", "GO-1", affected)]);
    let findings = find(&image("", vec![package(Ecosystem::Go, "stdlib", "1.22.0")]), &database).unwrap();
    assert_eq!(findings[0].symbols, symbols);
}

#[test]
fn functions_count_only_if_all_who_know_functions_name_some() {
    let symbols = vec![Symbols { path: "net/http".into(), names: vec!["Get".into()] }];
    let named = Affected { symbols: symbols.clone(), ..affected("Go", "stdlib", "1.22.1") };
    let whole = affected("Go", "stdlib", "1.22.2");
    let alias = |mut advisory: Advisory| {
        advisory.aliases.insert("CVE-2024-1".into());
        advisory
    };
    // The other source never names functions; the same one means all of the package where it names none.
    for (other, expected) in [("osv/GHSA", symbols), ("osv/Go", Vec::new())] {
        let all = [advisory("osv/Go", "GO-1", named.clone()), advisory(other, "X-2", whole.clone())];
        let database = database(all.map(alias).to_vec());
        let found = find(&image("", vec![package(Ecosystem::Go, "stdlib", "1.22.0")]), &database).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].symbols, expected, "{other}");
    }
}
