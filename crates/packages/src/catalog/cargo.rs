//! The crates that a Rust program was built from, where `cargo auditable` built it.
//!
//! The section `.dep-v0` holds JSON, compressed by zlib: every crate with its name, version, source and kind.
//!
//! Source: cargo-auditable, `PARSING.md` and its JSON schema.

use std::io::Read as _;

use flate2::read::ZlibDecoder;
use serde::Deserialize;

use super::elf::Elf;
use super::found::{Content, Findings, Found};
use crate::{Ecosystem, purl};

const SECTION: &str = ".dep-v0";
const MAX_SECTION_BYTES: u64 = 8 << 20;
const MAX_JSON_BYTES: u64 = 8 << 20;

#[derive(Debug, Deserialize)]
struct Crates {
    packages: Vec<Crate>,
}

#[derive(Debug, Deserialize)]
struct Crate {
    name: String,
    version: String,
    #[serde(default)]
    source: String,
    /// `build` for what only ran while building; absent for what is in the program.
    #[serde(default)]
    kind: Option<String>,
}

/// The crates built into this program; nothing without the section.
pub(super) fn examine(elf: &Elf, content: &mut dyn Content) -> Findings {
    let Some(section) = elf.section(content, SECTION, MAX_SECTION_BYTES) else { return Findings::default() };
    crates(&section)
}

fn crates(section: &[u8]) -> Findings {
    let mut json = Vec::new();
    if let Err(error) = ZlibDecoder::new(section).take(MAX_JSON_BYTES + 1).read_to_end(&mut json) {
        return Findings::problem(format!("its list of crates cannot be inflated: {error}"));
    }
    if json.len() as u64 > MAX_JSON_BYTES {
        return Findings::problem(format!("its list of crates has more than {MAX_JSON_BYTES} bytes"));
    }
    let crates: Crates = match serde_json::from_slice(&json) {
        Ok(crates) => crates,
        Err(error) => return Findings::problem(format!("its list of crates is no such list: {error}")),
    };
    let in_program = crates.packages.iter().filter(|found| found.kind.as_deref() != Some("build"));
    let found = in_program.filter_map(|found| {
        let source = if matches!(found.source.as_str(), "crates.io" | "") { "" } else { &found.source };
        let purl = purl::of("cargo", &[&found.name], &found.version, &[("source", source)]);
        Found::new(Ecosystem::Cargo, &found.name, &found.version, purl)
    });
    Findings { found: found.collect(), problems: Vec::new() }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn compressed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn crates_of_the_program_are_listed_and_those_of_its_build_are_not() {
        let json = br#"{"packages":[{"name":"serde","version":"1.0.0","source":"crates.io"},
            {"name":"cc","version":"1.0.1","source":"crates.io","kind":"build"},
            {"name":"app","version":"0.1.0","source":"local","root":true}]}"#;
        let found = crates(&compressed(json));
        let purls: Vec<_> = found.found.iter().map(|found| found.purl.as_str()).collect();
        assert_eq!(purls, ["pkg:cargo/serde@1.0.0", "pkg:cargo/app@0.1.0?source=local"]);
    }

    #[test]
    fn a_bomb_is_a_problem() {
        let found = crates(&compressed(&vec![b' '; 9 << 20]));
        assert!(found.problems[0].contains("more than"), "{found:?}");
        assert_eq!(crates(b"nonsense").problems.len(), 1);
    }

    proptest! {
        #[test]
        fn any_bytes_are_crates_or_a_problem(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = crates(&bytes);
            let _ = crates(&compressed(&bytes));
        }
    }
}
