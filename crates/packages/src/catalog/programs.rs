//! Programs that no package brought: built by hand, copied from another image. They say their version in their text.
//!
//! A program is recognised by its name and by a pattern in its bytes; either alone is no evidence.

use std::io::Read as _;
use std::sync::OnceLock;

use regex::bytes::Regex;

use super::found::{Content, Findings, Found};
use crate::{Ecosystem, Limits, purl};

/// How much is searched at once, and how much of it again with what follows.
const CHUNK_BYTES: usize = 1 << 20;
const OVERLAP_BYTES: usize = 4 << 10;

/// One known program.
pub(crate) struct Program {
    /// Its name as a component, and in Bitnami's advisories unless `bitnami` says otherwise.
    pub(crate) name: &'static str,
    /// What the file is called.
    file: &'static str,
    /// What stands in it; the first group is the version.
    version: &'static str,
    /// Vendor and product of its CPE.
    pub(crate) cpe: (&'static str, &'static str),
    /// Its name in Bitnami's advisories; empty where they do not have it.
    pub(crate) bitnami: &'static str,
}

macro_rules! programs {
    ($($name:literal, $file:literal, $version:literal, $vendor:literal, $product:literal, $bitnami:literal;)*) => {
        &[$(Program {
            name: $name, file: $file, version: $version, cpe: ($vendor, $product), bitnami: $bitnami,
        }),*]
    };
}

/// All known programs.
pub(crate) const PROGRAMS: &[Program] = programs![
    "redis", r"^redis-(server|sentinel|check-rdb)$", r"\x00(\d+\.\d+\.\d+)\x00+(?:c11|sync|atomic)-builtin", "redis", "redis", "redis";
    "valkey", r"^valkey-(server|sentinel|check-rdb)$", r"\x00(\d+\.\d+\.\d+)\x00+(?:c11|sync|atomic)-builtin", "lfprojects", "valkey", "valkey";
    "nginx", r"^nginx(-debug)?$", r"nginx version: nginx/(\d+\.\d+\.\d+)", "f5", "nginx", "nginx";
    "openresty", r"^(nginx|openresty)$", r"nginx version: openresty/(\d+\.\d+\.\d+(?:\.\d+)?)", "openresty", "openresty", "openresty";
    "node", r"^node(js)?$|^libnode\.so", r"node\.js/v(\d+\.\d+\.\d+)", "nodejs", "node.js", "node";
    "python", r"^(libpython[23]\.\d+m?\.so.*|python[23]\.\d+)$", r"\x00([23]\.\d+\.\d+(?:(?:a|b|rc)\d+)?)\+?\x00", "python", "python", "python";
    "openssl", r"^(openssl|lib(ssl|crypto)(-[0-9a-f]+)?\.so.*)$", r"OpenSSL (\d+\.\d+\.\d+[a-z]{0,2})(?:-[a-z0-9]+)? +\d{1,2} [A-Z][a-z]{2} \d{4}", "openssl", "openssl", "openssl";
    "busybox", r"^busybox", r"BusyBox v(\d+\.\d+\.\d+)", "busybox", "busybox", "";
    "curl", r"^(curl|libcurl(-gnutls)?(-[0-9a-f]+)?\.so.*)$", r"(?:lib)?curl[/ ](\d+\.\d+\.\d+)", "haxx", "curl", "curl";
    "postgresql", r"^(postgres|psql|pg_dump)$", r"\(PostgreSQL\) (\d+(?:\.\d+){1,2})", "postgresql", "postgresql", "postgresql";
    "mariadb", r"^(mariadbd|mysqld|mariadb|mysql)$", r"(\d+\.\d+\.\d+)-MariaDB", "mariadb", "mariadb", "mariadb";
    "mysql", r"^(mysqld|mysql)$", r"mysql-(\d+\.\d+\.\d+)[^-.\d]", "oracle", "mysql", "mysql";
    "haproxy", r"^haproxy$", r" version (\d+\.\d+(?:\.\d+|-dev\d+))[^,\x00]{0,60}, released \d{4}/", "haproxy", "haproxy", "haproxy";
    "memcached", r"^memcached$", r"memcached (\d+\.\d+\.\d+)", "memcached", "memcached", "memcached";
    "php", r"^(php(-fpm|-cgi)?[\d.]*|libphp[\d.]*\.so)$", r"X-Powered-By: PHP/(\d+\.\d+\.\d+)", "php", "php", "php";
    "perl", r"^(perl[\d.]*|libperl\.so.*)$", r"/perl5?/(5\.\d+\.\d+)", "perl", "perl", "perl";
    "ruby", r"^(ruby[\d.]*|libruby[-\d.]*\.so.*)$", r"ruby (\d+\.\d+\.\d+)(?:p\d+)? ?\(", "ruby-lang", "ruby", "ruby";
    "rust", r"^(rustc|librustc_driver-.*|libstd-[0-9a-f]+\.so)$", r"rustc version (\d+\.\d+\.\d+)", "rust-lang", "rust", "rust";
    "httpd", r"^(httpd|apache2)$", r"Apache/(\d+\.\d+\.\d+)", "apache", "http_server", "apache";
    "varnish", r"^varnishd$", r"varnish-(\d+\.\d+\.\d+)", "varnish-software", "varnish_cache", "varnish";
    "envoy", r"^envoy", r"[0-9a-f]{40}/(\d+\.\d+\.\d+)/(?:Clean|Modified)", "envoyproxy", "envoy", "envoy";
    "git", r"^git$", r"git/(\d+\.\d+\.\d+(?:\.\d+)?)|git version (\d+\.\d+\.\d+)", "git-scm", "git", "git";
    "bash", r"^(ba)?sh$", r"Bash version (\d+\.\d+\.\d+)", "gnu", "bash", "";
    "lighttpd", r"^lighttpd$", r"lighttpd/(\d+\.\d+\.\d+)", "lighttpd", "lighttpd", "lighttpd";
    "mosquitto", r"^mosquitto$", r"\x00(\d+\.\d+\.\d+)\x00+mosquitto version", "eclipse", "mosquitto", "";
    "sqlite", r"^(sqlite3|libsqlite3(-[0-9a-f]+)?\.so.*)$", r"\x00(3\.\d+\.\d+)\x00", "sqlite", "sqlite", "";
    "zlib", r"^libz(-[0-9a-f]+)?\.so", r"deflate (1\.\d+(?:\.\d+)+) Copyright", "zlib", "zlib", "";
    "glibc", r"^libc([-.][\d.]+)?\.so", r"GNU C Library [^\n]{0,80}version (\d\.\d+(?:\.\d+)?)", "gnu", "glibc", "";
];

/// Of Go programs: the main module, what the program is called, the vendor of its CPE, and Bitnami's name.
pub(crate) const GO_PROGRAMS: &[(&str, &str, &str, &str)] = &[
    ("github.com/traefik/traefik", "traefik", "traefik", "traefik"),
    ("github.com/hashicorp/consul", "consul", "hashicorp", "consul"),
    ("github.com/hashicorp/vault", "vault", "hashicorp", "vault"),
    ("go.etcd.io/etcd", "etcd", "etcd", "etcd"),
    ("github.com/prometheus/prometheus", "prometheus", "prometheus", "prometheus"),
    ("github.com/grafana/grafana", "grafana", "grafana", "grafana"),
    ("github.com/minio/minio", "minio", "minio", "minio"),
    ("github.com/caddyserver/caddy", "caddy", "caddyserver", "caddy"),
    ("github.com/influxdata/influxdb", "influxdb", "influxdata", "influxdb"),
    ("github.com/nats-io/nats-server", "nats", "nats", "nats-server"),
    ("github.com/docker/docker", "docker", "docker", "docker"),
    ("k8s.io/kubernetes", "kubernetes", "kubernetes", "kubernetes"),
];

/// Programs of other kinds: what they are called, vendor and product, Bitnami's name.
const OTHERS: &[(&str, &str, &str, &str)] = &[
    ("openjdk", "oracle", "openjdk", "java"),
    ("erlang", "erlang", "erlang/otp", "erlang"),
    ("rabbitmq", "vmware", "rabbitmq", "rabbitmq"),
];

/// Vendor and product of a known program.
pub(crate) fn cpe(name: &str) -> Option<(&'static str, &'static str)> {
    let known = PROGRAMS.iter().find(|program| program.name == name).map(|program| program.cpe);
    known.or_else(|| {
        let go = GO_PROGRAMS
            .iter()
            .find(|(_, found, ..)| *found == name)
            .map(|(_, name, vendor, _)| (*vendor, *name));
        go.or_else(|| {
            OTHERS
                .iter()
                .find(|(found, ..)| *found == name)
                .map(|(_, vendor, product, _)| (*vendor, *product))
        })
    })
}

/// What Bitnami's advisories call a known program.
pub(crate) fn bitnami(name: &str) -> Option<&'static str> {
    let known = PROGRAMS.iter().map(|program| (program.name, program.bitnami));
    let go = GO_PROGRAMS.iter().map(|(_, name, _, bitnami)| (*name, *bitnami));
    let others = OTHERS.iter().map(|(name, _, _, bitnami)| (*name, *bitnami));
    let found = known.chain(go).chain(others).find(|(found, _)| *found == name);
    found.map(|(_, bitnami)| bitnami).filter(|bitnami| !bitnami.is_empty())
}

/// A known program with its patterns. Most images have few of them: what is looked for is made when a name fits.
struct Known {
    program: &'static Program,
    file: Regex,
    version: OnceLock<Regex>,
}

impl Known {
    fn version(&self) -> &Regex {
        self.version.get_or_init(|| pattern(self.program.version))
    }
}

fn pattern(text: &str) -> Regex {
    regex::bytes::RegexBuilder::new(text).unicode(false).build().expect("patterns of ours are right")
}

/// The programs that a file of this name may be.
fn candidates(name: &str) -> Vec<&'static Known> {
    static ALL: OnceLock<Vec<Known>> = OnceLock::new();
    let known = |program| Known { program, file: pattern(program.file), version: OnceLock::new() };
    let all = ALL.get_or_init(|| PROGRAMS.iter().map(known).collect());
    all.iter().filter(|known| known.file.is_match(name.as_bytes())).collect()
}

/// What known program this file is, by its name and its bytes.
pub(super) fn examine(name: &str, content: &mut dyn Content, limits: &Limits) -> Findings {
    let mut open = candidates(name);
    if open.is_empty() {
        return Findings::default();
    }
    let mut found = Vec::new();
    let mut content = content.take(limits.program_bytes);
    let mut window: Vec<u8> = Vec::new();
    while !open.is_empty() {
        let before = window.len();
        let read = content.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut window);
        if let Err(error) = read {
            return Findings::problem(format!("cannot read it: {error}"));
        }
        if window.len() == before {
            break;
        }
        open.retain(|known| {
            let program = known.program;
            let mut matches = known.version().captures_iter(&window).filter_map(|found| {
                let group = (1..found.len()).find_map(|at| found.get(at))?;
                std::str::from_utf8(group.as_bytes()).ok()
            });
            let version = matches.find(|version| agrees(program.name, name, version)).map(str::to_owned);
            found.extend(version.as_deref().and_then(|version| component(program, version)));
            version.is_none()
        });
        window.drain(..window.len().saturating_sub(OVERLAP_BYTES));
    }
    Findings { found, problems: Vec::new() }
}

/// Whether the version is of the series that the file's name speaks of (`python3.11`).
fn agrees(program: &str, file: &str, version: &str) -> bool {
    if program != "python" {
        return true;
    }
    let named = file.trim_start_matches(|letter: char| !letter.is_ascii_digit());
    let mut parts = named.split(|letter: char| !letter.is_ascii_digit());
    let series = format!("{}.{}.", parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    version.starts_with(&series)
}

fn component(program: &Program, version: &str) -> Option<Found> {
    generic(program.name, version)
}

/// A program as a component.
pub(super) fn generic(name: &str, version: &str) -> Option<Found> {
    Found::new(Ecosystem::Generic, name, version, purl::of("generic", &[name], version, &[]))
}

/// What a Go program is called, by its main module; none for modules that are no well-known program.
pub(super) fn of_go(modules: &[Found]) -> Option<Found> {
    let main = modules.first().filter(|main| !main.version.is_empty())?;
    let is_of = |module: &str| {
        main.name.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let (_, name, ..) = GO_PROGRAMS.iter().find(|(module, ..)| is_of(module))?;
    generic(name, main.version.strip_prefix('v').unwrap_or(&main.version))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn found(name: &str, bytes: &[u8]) -> Vec<String> {
        let found = examine(name, &mut Cursor::new(bytes), &Limits::default()).found;
        found.into_iter().map(|found| found.purl).collect()
    }

    #[test]
    fn programs_need_their_name_and_their_text() {
        for (name, text, purl) in [
            ("nginx", &b"\x00nginx version: nginx/1.22.1\x00"[..], Some("pkg:generic/nginx@1.22.1")),
            ("busybox", b"BusyBox v1.36.1 (Debian)", Some("pkg:generic/busybox@1.36.1")),
            ("libcrypto.so.3", b"\x00OpenSSL 3.0.15 3 Sep 2024\x00", Some("pkg:generic/openssl@3.0.15")),
            ("libcrypto.so.1.1", b"OpenSSL 1.1.1w  11 Sep 2023", Some("pkg:generic/openssl@1.1.1w")),
            ("python3.11", b"\x003.10.2\x00\x003.11.2\x00", Some("pkg:generic/python@3.11.2")),
            ("mysqld", b"10.11.6-MariaDB", Some("pkg:generic/mariadb@10.11.6")),
            ("node", b"https://node.js/v20.1.0", Some("pkg:generic/node@20.1.0")),
            ("other", b"nginx version: nginx/1.22.1", None),
            ("nginx", b"1.22.1", None),
        ] {
            assert_eq!(found(name, text), purl.into_iter().collect::<Vec<_>>(), "{name}");
        }
    }

    #[test]
    fn a_version_across_two_chunks_is_found() {
        for at in [CHUNK_BYTES - 10, CHUNK_BYTES, 3 * CHUNK_BYTES - 15] {
            let mut bytes = vec![0; at];
            bytes.extend(b"nginx version: nginx/1.22.1\x00");
            assert_eq!(found("nginx", &bytes), ["pkg:generic/nginx@1.22.1"], "{at}");
        }
    }

    #[test]
    fn every_pattern_is_one_and_every_name_is_its_own() {
        let names: std::collections::BTreeSet<_> = PROGRAMS.iter().map(|program| program.name).collect();
        assert_eq!(names.len(), PROGRAMS.len());
        assert_eq!(candidates("redis-server").len(), 1);
        PROGRAMS.iter().for_each(|program| drop(pattern(program.version)));
    }
}
