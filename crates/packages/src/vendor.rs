//! Packages of a distribution's format that the distribution did not make.
//!
//! A package of Docker's, NodeSource's or PostgreSQL's own archive is a `.deb` too, but Debian's advisories say nothing
//! of it: its versions count otherwise, and Debian's fixes are not in it. Many maintainers of Debian use private
//! addresses, so who is foreign stands in a list, and nobody is foreign for not being on one.
//!
//! The lists hold what the archives themselves write: addresses in `Maintainer` (rpm's `VENDOR`), and what they append
//! to versions. Neither occurs in Debian's `main` (bookworm, 63,000 packages, compared in 2026).

use crate::{Ecosystem, OsRelease, Package};

/// What stands in a maintainer's name or address, lower case, and whose archive that is.
const MAINTAINERS: &[(&str, &str)] = &[
    ("support@docker.com", "docker"),
    ("nodesource", "nodesource"),
    ("@hashicorp.com", "hashicorp"),
    ("hashicorp", "hashicorp"),
    ("nginx-packaging@", "nginx"),
    ("@nginx.com", "nginx"),
    ("@nginx.org", "nginx"),
    ("@mariadb.org", "mariadb"),
    ("@mariadb.com", "mariadb"),
    ("mysql-build@", "mysql"),
    ("mysql release engineering", "mysql"),
    ("@percona.com", "percona"),
    ("percona", "percona"),
    ("@microsoft.com", "microsoft"),
    ("microsoft corporation", "microsoft"),
    (".net team", "microsoft"),
    ("chrome linux team", "google"),
    ("google-cloud-cli", "google"),
    ("cloud-sdk", "google"),
    ("linux-packages-keymaster@google.com", "google"),
    ("gc-team@google.com", "google"),
    ("google, inc", "google"),
    ("google llc", "google"),
    ("kubernetes authors", "kubernetes"),
    ("contact@grafana.com", "grafana"),
    ("grafana labs", "grafana"),
    ("@influxdata.com", "influxdata"),
    ("@influxdb.com", "influxdata"),
    ("info@elastic.co", "elastic"),
    ("@elastic.co", "elastic"),
    ("@opensearch.org", "opensearch"),
    ("packaging@mongodb.com", "mongodb"),
    ("@mongodb.com", "mongodb"),
    ("mongodb, inc", "mongodb"),
    ("@redis.com", "redis"),
    ("@redis.io", "redis"),
    ("redis.com", "redis"),
    ("@clickhouse.com", "clickhouse"),
    ("clickhouse dev team", "clickhouse"),
    ("@rabbitmq.com", "rabbitmq"),
    ("rabbitmq-core@", "rabbitmq"),
    ("@erlang-solutions.com", "erlang-solutions"),
    ("@gitlab.com", "gitlab"),
    ("gitlab, inc", "gitlab"),
    ("github <", "github"),
    ("opensource+cli@github.com", "github"),
    ("@datadoghq.com", "datadog"),
    ("datadog packages", "datadog"),
    ("@newrelic.com", "newrelic"),
    ("@splunk.com", "splunk"),
    ("@treasure-data.com", "treasure-data"),
    ("fluent bit", "fluent"),
    ("cudatools@nvidia.com", "nvidia"),
    ("@apache.jfrog", "jfrog"),
    ("@jfrog.com", "jfrog"),
    ("@varnish-software.com", "varnish"),
    ("varnish cache team", "varnish"),
    ("@haproxy.com", "haproxy"),
    ("@openresty.com", "openresty"),
    ("openresty", "openresty"),
    ("@konghq.com", "kong"),
    ("@traefik.io", "traefik"),
    ("@caddyserver.com", "caddy"),
    ("matt holt", "caddy"),
    ("@cloudflare.com", "cloudflare"),
    ("@tailscale.com", "tailscale"),
    ("@temurin", "adoptium"),
    ("adoptium", "adoptium"),
    ("temurin-dev@eclipse.org", "adoptium"),
    ("@azul.com", "azul"),
    ("azulsystems", "azul"),
    ("amazon corretto", "amazon"),
    ("@amazon.com", "amazon"),
    ("yarn developers", "yarn"),
    ("@yarnpkg.com", "yarn"),
    ("@dan.cx", "yarn"),
    ("@slack-corp.com", "slack"),
    ("@opscode.com", "chef"),
    ("@chef.io", "chef"),
    ("@puppet.com", "puppet"),
    ("puppet labs", "puppet"),
    ("@saltstack.com", "salt"),
    ("@zabbix.com", "zabbix"),
    ("@timescale.com", "timescale"),
    ("@citusdata.com", "citus"),
    ("@snyk.io", "snyk"),
    ("@aquasec.com", "aqua"),
    ("@dotdeb.org", "dotdeb"),
    ("@ondrej.sury", "sury"),
    ("@neo4j.com", "neo4j"),
    ("@couchbase.com", "couchbase"),
    ("@confluent.io", "confluent"),
    ("confluent packaging", "confluent"),
    ("@vmware.com", "vmware"),
    ("@bitnami.com", "bitnami"),
    ("@oracle.com", "oracle"),
    ("@raspberrypi.com", "raspberrypi"),
    ("remi's rpm repository", "remi"),
    ("remi collet", "remi"),
    ("postgresql global development group", "pgdg"),
];

/// What an archive appends to the versions of its packages, and whose archive that is.
const VERSION_MARKS: &[(&str, &str)] = &[
    (".pgdg", "pgdg"),
    ("pgdg", "pgdg"),
    ("+maria~", "mariadb"),
    ("deb.sury.org", "sury"),
    ("~1.gbp", "sury"),
    ("nodesource", "nodesource"),
    ("~debian.", "docker"),
    ("~ubuntu.", "docker"),
    ("+rpt", "raspberrypi"),
    ("~ppa", "ppa"),
    ("+ppa", "ppa"),
    ("-ppa", "ppa"),
    ("ppa1", "ppa"),
    (".remi.", "remi"),
    ("+dotdeb", "dotdeb"),
    ("percona", "percona"),
];

/// Codenames of releases, which distributions do not write into the versions of their own packages.
const CODENAMES: &[&str] = &[
    "stretch", "buster", "bullseye", "bookworm", "trixie", "forky", "xenial", "bionic", "focal", "jammy",
    "noble", "oracular", "plucky", "questing", "resolute",
];

/// Distributions whose own packages a vendor of the list makes.
const OWN: &[(&str, &str)] = &[
    ("azurelinux", "microsoft"),
    ("mariner", "microsoft"),
    ("amzn", "amazon"),
    ("ol", "oracle"),
    ("photon", "vmware"),
    ("raspbian", "raspberrypi"),
];

impl Package {
    /// Whose archive the package comes from, where that is known not to be the archive of the distribution `os`; none
    /// for the distribution's own packages, and for those of languages.
    ///
    /// Advisories of the distribution say nothing of such a package.
    pub fn third_party(&self, os: Option<&OsRelease>) -> Option<&'static str> {
        if !self.ecosystem.is_system() {
            return None;
        }
        let id = os.map_or("", |os| os.id.as_str());
        let vendor = self.vendor_by_maintainer().or_else(|| self.vendor_by_version())?;
        (!OWN.contains(&(id, vendor))).then_some(vendor)
    }

    /// Whether the package is known to come from an archive that is not the distribution's.
    pub fn is_third_party(&self, os: Option<&OsRelease>) -> bool {
        self.third_party(os).is_some()
    }

    fn vendor_by_maintainer(&self) -> Option<&'static str> {
        let maintainer = self.maintainer.as_deref()?.to_lowercase();
        // Debian's own maintainers may bear any name.
        let is_of_debian = ["debian.org>", "debian.net>", "ubuntu.com>", "alpinelinux.org>"];
        if is_of_debian.iter().any(|end| maintainer.ends_with(end)) {
            return None;
        }
        MAINTAINERS.iter().find(|(pattern, _)| maintainer.contains(pattern)).map(|(_, vendor)| *vendor)
    }

    fn vendor_by_version(&self) -> Option<&'static str> {
        let version = &self.version;
        if let Some((_, vendor)) = VERSION_MARKS.iter().find(|(mark, _)| version.contains(mark)) {
            return Some(vendor);
        }
        if self.ecosystem != Ecosystem::Dpkg {
            return None;
        }
        // A revision: what follows the last hyphen.
        let (_, revision) = version.rsplit_once('-')?;
        // MySQL writes the release right after the revision: `1debian12`. Debian's own elogind has `1debian1`.
        let after_number = revision.trim_start_matches(|letter: char| letter.is_ascii_digit());
        let release = after_number.strip_prefix("debian").unwrap_or_default();
        if release.len() == 2 && release.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some("mysql");
        }
        let named = revision.split(['~', '+', '.']).skip(1).any(|part| {
            CODENAMES.iter().any(|codename| {
                part.strip_prefix(codename).is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
            })
        });
        named.then_some("third-party")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use image::ImagePath;

    use super::*;
    use crate::{FileList, InstallState, Origin};

    fn package(ecosystem: Ecosystem, version: &str, maintainer: &str) -> Package {
        Package {
            ecosystem,
            name: "x".into(),
            version: version.into(),
            architecture: "amd64".into(),
            source_name: "x".into(),
            source_version: version.into(),
            licence: None,
            maintainer: Some(maintainer.into()),
            state: InstallState::Installed,
            purl: String::new(),
            file_list: FileList::Absent,
            files: BTreeSet::new(),
            origin: Origin::Embedded { file: ImagePath::root(), within: Vec::new() },
        }
    }

    #[test]
    fn packages_of_other_archives_are_told_from_the_distributions() {
        let debian = OsRelease::parse(b"ID=debian\nVERSION_ID=12\n");
        for (version, maintainer, vendor) in [
            ("5:24.0.7-1~debian.12~bookworm", "Docker <support@docker.com>", Some("docker")),
            ("1.6.26-1", "Containerd team <help@containerd.io>", None),
            ("20.10.0-1nodesource1", "Node.js Linux Binaries <nodejs@example.org>", Some("nodesource")),
            ("1.9.2-1", "HashiCorp <hashicorp@hashicorp.com>", Some("hashicorp")),
            ("1.25.3-1~bookworm", "NGINX Packaging <nginx-packaging@f5.com>", Some("nginx")),
            ("1.25.3-1~bookworm", "Somebody <some@one.example>", Some("third-party")),
            (
                "1:11.2.2+maria~deb12",
                "MariaDB Developers <maria-developers@lists.launchpad.net>",
                Some("mariadb"),
            ),
            (
                "16.1-1.pgdg120+1",
                "Debian PostgreSQL Maintainers <team+postgresql@tracker.debian.org>",
                Some("pgdg"),
            ),
            (
                "8.3.0-1+0~20231123.13+debian12~1.gbp5f8e7e",
                "Debian PHP Maintainers <team+pkg-php@tracker.debian.org>",
                Some("sury"),
            ),
            ("8.0.35-1debian12", "MySQL Release Engineering <mysql-build@oss.oracle.com>", Some("mysql")),
            ("8.0.35-1debian12", "", Some("mysql")),
            ("8.0.0", ".NET Team <nugetaspnet@microsoft.com>", Some("microsoft")),
            ("3.12.0-1+jammy1", "Felix Krull <f_krull@gmx.de>", Some("third-party")),
            // Debian's own, of every kind of version and address.
            ("1.22.1-9+deb12u1", "Debian Nginx Maintainers <pkg@alioth-lists.debian.net>", None),
            ("2.36-9+deb12u9", "GNU Libc Maintainers <debian-glibc@lists.debian.org>", None),
            ("1:10.11.6-0+deb12u1", "Debian MySQL Maintainers <pkg-mysql-maint@lists.debian.net>", None),
            ("8.2.29-1~deb12u1", "Debian PHP Maintainers <team+pkg-php@tracker.debian.org>", None),
            ("6.1-4~bpo12+1", "Some One <someone@gmail.com>", None),
            ("1.2.3-1+b2", "Bdale Garbee <bdale@gag.com>", None),
            ("20230311+deb12u1", "Julien Cristau <jcristau@debian.org>", None),
            ("246.10-1debian1", "Init Team <debian-init-diversity@chiark.greenend.org.uk>", None),
            ("0~2.gbp234f0c6-1", "", None),
            ("1.1", "Percona Fan <fan@debian.org>", None),
        ] {
            let found = package(Ecosystem::Dpkg, version, maintainer).third_party(Some(&debian));
            assert_eq!(found, vendor, "{version} by {maintainer}");
        }
    }

    #[test]
    fn a_vendors_own_distribution_is_no_third_party() {
        let azure = OsRelease::parse(b"ID=azurelinux\nVERSION_ID=3.0\n");
        let fedora = OsRelease::parse(b"ID=fedora\nVERSION_ID=40\n");
        let package = package(Ecosystem::Rpm, "1-1", "Microsoft Corporation");
        assert_eq!(package.third_party(Some(&azure)), None);
        assert_eq!(package.third_party(Some(&fedora)), Some("microsoft"));
        assert!(package.is_third_party(None));
    }

    #[test]
    fn packages_of_languages_have_no_distribution() {
        assert_eq!(package(Ecosystem::Npm, "1.pgdg", "Docker <support@docker.com>").third_party(None), None);
    }
}
