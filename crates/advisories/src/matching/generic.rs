//! Programs that no distribution answers for: those built by hand, and those of vendors' archives.

use packages::Package;

use super::question::{Question, question};

/// What programs and vendors' packages are called, and who knows of their vulnerabilities under which name.
///
/// Bitnami's database is about the programs themselves, as their authors release them; a name that is the same there
/// needs no row. Longer names of one program come with a number: `postgresql-16`.
const NAMES: &[(&str, &str, &str)] = &[
    ("apache-httpd", "Bitnami", "apache"),
    ("apache2", "Bitnami", "apache"),
    ("clickhouse-client", "Bitnami", "clickhouse"),
    ("clickhouse-common-static", "Bitnami", "clickhouse"),
    ("clickhouse-server", "Bitnami", "clickhouse"),
    ("docker", "Bitnami", "docker-cli"),
    ("docker-ce-cli", "Bitnami", "docker-cli"),
    ("gitlab-ce", "Bitnami", "gitlab"),
    ("gitlab-ee", "Bitnami", "gitlab"),
    ("go", "Go", "stdlib"),
    ("go", "Go", "toolchain"),
    ("golang", "Go", "stdlib"),
    ("golang", "Go", "toolchain"),
    ("grafana-enterprise", "Bitnami", "grafana"),
    ("httpd", "Bitnami", "apache"),
    ("influxdb2", "Bitnami", "influxdb"),
    ("jdk", "Bitnami", "java"),
    ("mariadb-client", "Bitnami", "mariadb"),
    ("mariadb-server", "Bitnami", "mariadb"),
    ("mongod", "Bitnami", "mongodb"),
    ("mongodb-org-mongos", "Bitnami", "mongodb"),
    ("mongodb-org-server", "Bitnami", "mongodb"),
    ("node.js", "Bitnami", "node"),
    ("nodejs", "Bitnami", "node"),
    ("openjdk", "Bitnami", "java"),
    ("postgres", "Bitnami", "postgresql"),
    ("postgresql-client", "Bitnami", "postgresql"),
    ("python3", "Bitnami", "python"),
    ("rabbitmq-server", "Bitnami", "rabbitmq"),
    ("redis-server", "Bitnami", "redis"),
    ("redis-tools", "Bitnami", "redis"),
    ("temurin", "Bitnami", "java"),
    ("valkey-server", "Bitnami", "valkey"),
    ("varnishd", "Bitnami", "varnish"),
];

/// Packages of vendors that carry a program whose authors are somebody else, or the vendor's own.
const OF_VENDORS: &[&str] = &[
    "apache2",
    "clickhouse-client",
    "clickhouse-common-static",
    "clickhouse-server",
    "consul",
    "docker-ce-cli",
    "elasticsearch",
    "envoy",
    "fluent-bit",
    "gitlab-ce",
    "gitlab-ee",
    "gitlab-runner",
    "grafana",
    "grafana-enterprise",
    "haproxy",
    "influxdb",
    "influxdb2",
    "jenkins",
    "kibana",
    "logstash",
    "mariadb-client",
    "mariadb-server",
    "memcached",
    "mongodb-org-mongos",
    "mongodb-org-server",
    "neo4j",
    "nginx",
    "nodejs",
    "openresty",
    "php",
    "php-cli",
    "php-fpm",
    "postgresql",
    "postgresql-client",
    "rabbitmq-server",
    "redis",
    "redis-server",
    "redis-tools",
    "valkey",
    "varnish",
    "vault",
];

/// What to ask about a program that says of itself what it is.
pub(super) fn questions(name: &str, version: &str) -> Vec<Question> {
    let name = name.to_lowercase();
    let mut rows = NAMES.iter().filter(|(known, ..)| *known == name).peekable();
    if rows.peek().is_none() {
        return vec![question("Bitnami", name, version)];
    }
    rows.map(|(_, ecosystem, package)| question(ecosystem, (*package).to_owned(), version)).collect()
}

/// What to ask about a vendor's package: by the version of the program in it.
pub(super) fn questions_of_vendor(package: &Package) -> Vec<Question> {
    let names = [unnumbered(&package.name), unnumbered(&package.source_name)];
    let Some(name) = names.into_iter().find(|name| OF_VENDORS.contains(name)) else { return Vec::new() };
    let name = if name.starts_with("php") { "php" } else { name };
    questions(name, program_version(&package.version))
}

/// `postgresql` of `postgresql-16`, `php` of `php8.3`.
fn unnumbered(name: &str) -> &str {
    let base = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    if base.len() < name.len() && !OF_VENDORS.contains(&name) { base.trim_end_matches('-') } else { name }
}

/// `1.25.3` of `1:1.25.3+maria~deb12-1~bookworm`: no epoch, no revision, nothing that the archive appended.
fn program_version(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_, version)| version);
    let version = version.rsplit_once('-').map_or(version, |(version, _)| version);
    version.split(['+', '~']).next().unwrap_or(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_program_is_found_in_that_of_its_package() {
        for (version, expected) in [
            ("1.25.3-1~bookworm", "1.25.3"),
            ("20.10.0-1nodesource1", "20.10.0"),
            ("1:11.2.2+maria~deb12", "11.2.2"),
            ("5:24.0.7-1~debian.12~bookworm", "24.0.7"),
            ("16.1-1.pgdg120+1", "16.1"),
            ("6:7.2.4-1rl1~bookworm1", "7.2.4"),
            ("10.2.3", "10.2.3"),
        ] {
            assert_eq!(program_version(version), expected, "{version}");
        }
    }

    #[test]
    fn the_program_is_found_behind_numbered_names() {
        for (name, expected) in [
            ("postgresql-16", "postgresql"),
            ("influxdb2", "influxdb2"),
            ("php8.3", "php"),
            ("nginx", "nginx"),
        ] {
            assert_eq!(unnumbered(name), expected);
        }
    }
}
