//! What Erlang, Perl, R and Lua write beside the code that they install, and Java beside its runtime.
//!
//! Source: OTP, `app(4)`; Perl, `ExtUtils::Packlist` and CPAN::Meta::Spec 2; "Writing R Extensions", 1.1.1; LuaRocks,
//! "Rockspec format"; JEP 223 (`release`).

use std::sync::OnceLock;

use image::ImagePath;
use regex::Regex;
use serde_json::Value;

use super::found::{Findings, Found, Owned};
use super::programs;
use crate::{Ecosystem, purl};

/// Applications of Erlang's own distribution, which no index of packages has.
const OTP: &[&str] = &[
    "asn1",
    "common_test",
    "compiler",
    "crypto",
    "debugger",
    "dialyzer",
    "diameter",
    "edoc",
    "eldap",
    "erl_docgen",
    "erl_interface",
    "erts",
    "et",
    "eunit",
    "ftp",
    "inets",
    "jinterface",
    "kernel",
    "megaco",
    "mnesia",
    "observer",
    "odbc",
    "os_mon",
    "parsetools",
    "public_key",
    "reltool",
    "runtime_tools",
    "sasl",
    "snmp",
    "ssh",
    "ssl",
    "stdlib",
    "syntax_tools",
    "tftp",
    "tools",
    "wx",
    "xmerl",
    "elixir",
    "eex",
    "ex_unit",
    "iex",
    "logger",
    "mix",
];

fn pattern(place: &'static OnceLock<Regex>, text: &str) -> &'static Regex {
    place.get_or_init(|| Regex::new(text).expect("a pattern of ours is right"))
}

/// An application of Erlang or Elixir: `ebin/NAME.app`.
pub(super) fn erlang(path: &ImagePath, bytes: &[u8]) -> Findings {
    static NAME: OnceLock<Regex> = OnceLock::new();
    static VERSION: OnceLock<Regex> = OnceLock::new();
    let text = String::from_utf8_lossy(bytes);
    let name = pattern(&NAME, r"\{\s*application\s*,\s*'?([A-Za-z][A-Za-z0-9_@]*)'?").captures(&text);
    let version = pattern(&VERSION, r#"\{\s*vsn\s*,\s*"([^"\n]*)""#).captures(&text);
    let (Some(name), Some(version)) = (name, version) else {
        return Findings::problem("an application without a name and a version");
    };
    let (name, version) = (&name[1], &version[1]);
    let kind = if OTP.contains(&name) { "otp" } else { "hex" };
    let directory = path.parent().and_then(|ebin| ebin.parent());
    let found = Found::new(Ecosystem::Hex, name, version, purl::of(kind, &[name], version, &[]));
    let mut findings = Findings::only(found.map(|found| found.owning(directory.map(Owned::Path))));
    if name == "rabbit" {
        findings.found.extend(programs::generic("rabbitmq", version));
    }
    findings
}

/// Which Erlang is installed: `releases/26/OTP_VERSION`.
pub(super) fn otp_version(_path: &ImagePath, bytes: &[u8]) -> Findings {
    let version = String::from_utf8_lossy(bytes).trim().to_owned();
    let is_version = version.starts_with(|letter: char| letter.is_ascii_digit()) && version.len() < 40;
    Findings::only(is_version.then(|| programs::generic("erlang", &version)).flatten())
}

/// A distribution of Perl's by the metadata that its installer kept: `.meta/NAME-VERSION/MYMETA.json`.
pub(super) fn perl_meta(path: &ImagePath, bytes: &[u8]) -> Findings {
    let Ok(meta) = serde_json::from_slice::<Value>(bytes) else { return Findings::problem("no JSON") };
    let (Some(name), Some(version)) = (meta["name"].as_str(), meta["version"].as_str()) else {
        return Findings::problem("metadata without a name and a version");
    };
    let licences: Vec<&str> =
        meta["license"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let found = Found::new(Ecosystem::Cpan, name, version, purl::of("cpan", &[name], version, &[]));
    // Beside `.meta`, `auto/NAME/PARTS/.packlist` lists what was installed.
    let own = path.parent();
    let library = own.as_ref().and_then(ImagePath::parent).and_then(|meta| meta.parent());
    let packlist = library.and_then(|library| {
        let auto = library.join(b"auto").ok()?;
        let place = name.split('-').try_fold(auto, |at, part| at.join(part.as_bytes()).ok())?;
        place.join(b".packlist").ok()
    });
    let owns = packlist.map(Owned::ListedIn).into_iter().chain(own.map(Owned::Path));
    let licence = (!licences.is_empty()).then(|| licences.join(" OR "));
    Findings::only(found.map(|found| found.licence(licence).owning(owns)))
}

/// A distribution of Perl's by the list of its files, `auto/NAME/PARTS/.packlist`. The list has no version.
pub(super) fn perl_packlist(path: &ImagePath, _bytes: &[u8]) -> Findings {
    let parts: Vec<String> =
        path.components().map(|part| String::from_utf8_lossy(part).into_owned()).collect();
    let Some(auto) = parts.iter().rposition(|part| part == "auto") else { return Findings::default() };
    let name = parts[auto + 1..parts.len().saturating_sub(1).max(auto + 1)].join("-");
    let found = Found::new(Ecosystem::Cpan, &name, "", purl::of("cpan", &[&name], "", &[]));
    Findings::only(found.map(|found| found.owning([Owned::ListedIn(path.clone())])))
}

/// The version that a module of Perl's says of itself: `our $VERSION = '1.04';`, `package A::B 1.04;`.
pub(super) fn perl_version(module: &[u8]) -> Option<String> {
    static VERSION: OnceLock<Regex> = OnceLock::new();
    let text = String::from_utf8_lossy(module);
    let pattern = pattern(
        &VERSION,
        r#"(?m)^[^#\n]*?(?:\$(?:\w+::)*VERSION\s*=\s*|^package\s+[\w:]+\s+)(?:qv\()?['"]?(v?\d[\d._]{0,30})"#,
    );
    pattern.captures(&text).map(|found| found[1].to_owned())
}

/// A package of R's, `LIBRARY/NAME/DESCRIPTION`: only installed ones have `Built`.
pub(super) fn r_description(path: &ImagePath, bytes: &[u8]) -> Findings {
    let text = String::from_utf8_lossy(bytes);
    let field = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    };
    let (Some(name), Some(version), Some(_)) = (field("Package"), field("Version"), field("Built")) else {
        return Findings::default();
    };
    let found = Found::new(Ecosystem::Cran, &name, &version, purl::of("cran", &[&name], &version, &[]));
    let directory = path.parent().map(Owned::Path);
    Findings::only(found.map(|found| found.licence(field("License")).owning(directory)))
}

/// A rock of Lua's: `rocks-5.4/NAME/VERSION/NAME-VERSION.rockspec`.
pub(super) fn rockspec(path: &ImagePath, bytes: &[u8]) -> Findings {
    static FIELD: OnceLock<Regex> = OnceLock::new();
    let text = String::from_utf8_lossy(bytes);
    let fields = pattern(&FIELD, r#"(?m)^\s*(package|version|license)\s*=\s*["'\[]+([^"'\]\r\n]*)["'\]]"#);
    let field = |name: &str| {
        fields.captures_iter(&text).find(|found| &found[1] == name).map(|found| found[2].to_owned())
    };
    let (Some(name), Some(version)) = (field("package"), field("version")) else {
        return Findings::problem("a rock without a name and a version that are plain text");
    };
    let found =
        Found::new(Ecosystem::Luarocks, &name, &version, purl::of("luarocks", &[&name], &version, &[]));
    let directory = path.parent().map(Owned::Path);
    Findings::only(found.map(|found| found.licence(field("license")).owning(directory)))
}

/// A Java runtime by its `release`: what it says that it is, and everything beside it.
pub(super) fn java_release(path: &ImagePath, bytes: &[u8]) -> Findings {
    let text = String::from_utf8_lossy(bytes);
    let field = |name: &str| {
        let value = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='));
        value.map(|value| value.trim().trim_matches('"').to_owned())
    };
    let Some(version) = field("JAVA_VERSION") else { return Findings::default() };
    // `JAVA_RUNTIME_VERSION` has the build too, which tells updates apart.
    let version = field("JAVA_RUNTIME_VERSION").unwrap_or(version);
    let found = programs::generic("openjdk", &version);
    Findings::only(found.map(|found| found.owning(path.parent().map(Owned::Path))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> ImagePath {
        ImagePath::from_text(text).unwrap()
    }

    #[test]
    fn each_language_says_name_and_version() {
        type Read = fn(&ImagePath, &[u8]) -> Findings;
        let cases: [(Read, &str, &str, &str); 8] = [
            (
                erlang,
                "/l/cowboy/ebin/cowboy.app",
                "{application, 'cowboy', [\n {vsn, \"2.9.0\"}]}.",
                "pkg:hex/cowboy@2.9.0",
            ),
            (erlang, "/l/ssl/ebin/ssl.app", "{application,ssl,[{vsn,\"10.8\"}]}.", "pkg:otp/ssl@10.8"),
            (otp_version, "/e/OTP_VERSION", "26.2.1\n", "pkg:generic/erlang@26.2.1"),
            (
                perl_meta,
                "/p/lib/perl5/x86/.meta/Try-Tiny-0.31/MYMETA.json",
                r#"{"name":"Try-Tiny","version":"0.31","license":["mit"]}"#,
                "pkg:cpan/Try-Tiny@0.31",
            ),
            (perl_packlist, "/p/lib/perl5/x86/auto/Try/Tiny/.packlist", "/x\n", "pkg:cpan/Try-Tiny"),
            (
                r_description,
                "/R/x/DESCRIPTION",
                "Package: x\nVersion: 1.2-3\nBuilt: R 4.2\n",
                "pkg:cran/x@1.2-3",
            ),
            (
                rockspec,
                "/r/x.rockspec",
                "package = \"inspect\"\nversion = '3.1.3-0'\n",
                "pkg:luarocks/inspect@3.1.3-0",
            ),
            (
                java_release,
                "/opt/jdk/release",
                "JAVA_VERSION=\"17.0.9\"\nJAVA_RUNTIME_VERSION=\"17.0.9+9\"\n",
                "pkg:generic/openjdk@17.0.9%2B9",
            ),
        ];
        for (read, place, text, purl) in cases {
            let findings = read(&path(place), text.as_bytes());
            let purls: Vec<_> = findings.found.iter().map(|found| found.purl.as_str()).collect();
            assert_eq!(purls, [purl], "{findings:?}");
        }
        for (module, version) in [
            ("package A;\nour $VERSION = '1.04';\n", Some("1.04")),
            ("package A;\n# $VERSION = 2;\n$A::VERSION = \"v1.2.3\";", Some("v1.2.3")),
            ("package A::B 0.5;\n", Some("0.5")),
            ("package A;\n$VERSION = $B::VERSION;\n", None),
        ] {
            assert_eq!(perl_version(module.as_bytes()).as_deref(), version, "{module}");
        }
        let meta = perl_meta(&path("/l/.meta/A-B-1/MYMETA.json"), br#"{"name":"A-B","version":"1"}"#);
        assert_eq!(meta.found[0].owns[0], Owned::ListedIn(path("/l/auto/A/B/.packlist")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_component_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in ".{0,200}") {
            for read in [erlang, otp_version, perl_meta, perl_packlist, r_description, rockspec, java_release] {
                for place in ["/a/auto", "/auto/b/.packlist", "/a"] {
                    let _ = read(&path(place), &bytes);
                    let _ = read(&path(place), text.as_bytes());
                }
            }
        }
    }
}
