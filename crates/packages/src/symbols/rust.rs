//! The names of the functions of a Rust program: its table of symbols, and the names in its debug information.
//!
//! A function that was inlined wherever it is called has no symbol. Debug information names inlined functions too, as
//! long as an instruction of them is left; one that only turns a pointer into a reference leaves none, and just such are
//! what many advisories of Rust are about. So these tables tell what is there, and never what is not.
//!
//! Advisories name functions by the path under which users reach them, which need not be where they were defined: only
//! an exact path is told.
//!
//! Source: rustc, `rustc_symbol_mangling`; RFC 2603; RustSec advisories, `affected.functions`.

use std::collections::BTreeSet;

use super::{Answer, Functions, Sighting, conclude};
use crate::catalog::elf::{Elf, read_at};
use crate::catalog::found::Content;

const MAX_BYTES: u64 = 512 << 20;
const MAX_NAME_BYTES: usize = 16 << 10;
const MAX_NAMES: usize = 2_000_000;
/// Paths of the functions of a program without parameters of types, each as its identifiers.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<Vec<String>>);

/// The names of this program; none where it was stripped, or is not of Rust.
pub(super) fn read(elf: &Elf, content: &mut dyn Content) -> Option<Names> {
    let tables = [".strtab", ".debug_str"].into_iter().filter_map(|name| section(elf, content, name));
    let names = Names(tables.flat_map(|table| paths(&table)).collect());
    (!names.0.is_empty()).then_some(names)
}

fn section(elf: &Elf, content: &mut dyn Content, name: &str) -> Option<Vec<u8>> {
    let (offset, bytes) = elf.place(name).filter(|(_, bytes)| *bytes <= MAX_BYTES)?;
    read_at(content, offset, bytes).ok()
}

/// The paths behind the names that Rust made, of a table of strings.
fn paths(table: &[u8]) -> BTreeSet<Vec<String>> {
    let names = table.split(|byte| *byte == 0).filter(|name| name.len() <= MAX_NAME_BYTES);
    let is_ours = |name: &&[u8]| {
        name.starts_with(b"_R")
            || (name.starts_with(b"_ZN") && name.len() > 22 && name[name.len() - 20..].starts_with(b"17h"))
    };
    let names = names.filter(is_ours).filter_map(|name| std::str::from_utf8(name).ok()).take(MAX_NAMES);
    // The alternate form leaves out hashes.
    names.map(|name| path(&format!("{:#}", rustc_demangle::demangle(name)))).collect()
}

/// The identifiers of a path, in order.
fn identifiers(name: &str) -> Vec<String> {
    let parts = name.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// The identifiers of a path without parameters of types: `<a::T<X> as b::Tr>::f` is `a T f`.
fn path(name: &str) -> Vec<String> {
    let mut plain = String::with_capacity(name.len());
    let mut depth = 0_usize;
    // A path that begins with a bracket is a type's, and may name a trait.
    let (inner, is_type) = name.strip_prefix('<').map_or((name, false), |rest| (rest, true));
    let mut is_trait = false;
    let mut open = is_type;
    for (at, letter) in inner.char_indices() {
        match letter {
            '>' if depth == 0 => {
                open = false;
                is_trait = false;
            }
            '<' => depth += 1,
            '>' => depth -= 1,
            ' ' if depth == 0 && open && inner[at..].starts_with(" as ") => is_trait = true,
            _ if depth == 0 && !is_trait => plain.push(letter),
            _ => {}
        }
    }
    identifiers(&plain)
}

impl Names {
    /// Which of these functions are named.
    pub(super) fn answer(&self, functions: &[Functions]) -> Answer {
        let mut seen = Vec::new();
        for Functions { path, names } in functions {
            for name in names {
                let whole = if path.is_empty() { name.clone() } else { format!("{path}::{name}") };
                let sighting = self.sighting(&whole);
                seen.push((whole, sighting));
            }
        }
        conclude(&seen, false, "symbol table")
    }

    fn sighting(&self, function: &str) -> Sighting {
        let wanted = identifiers(function);
        let is_in = |path: &&Vec<String>| !wanted.is_empty() && path.starts_with(&wanted);
        match self.0.range(wanted.clone()..).next().filter(is_in) {
            Some(_) => Sighting::Certain,
            None => Sighting::Doubtful,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn exact_paths_are_there_and_nothing_is_ever_absent() {
        let all = [
            "smallvec::SmallVec<A>::grow",
            "<once_cell::sync::Lazy<T,F> as core::ops::deref::Deref>::deref",
            "futures_util::lock::mutex::MutexGuard<T>::map",
        ];
        let names = Names(all.iter().map(|name| path(name)).collect());
        let present =
            |symbol: &str| Answer::Present { symbols: vec![symbol.into()], table: "symbol table".into() };
        for (path, name, expected) in [
            ("smallvec::SmallVec", "grow", present("smallvec::SmallVec::grow")),
            ("once_cell::sync::Lazy", "deref", present("once_cell::sync::Lazy::deref")),
            ("futures_util::lock::MutexGuard", "map", Answer::Unknown),
            ("smallvec::SmallVec", "insert_many", Answer::Unknown),
            ("", "", Answer::Unknown),
        ] {
            let functions = Functions { path: path.into(), names: vec![name.into()] };
            assert_eq!(names.answer(&[functions]), expected, "{path}::{name}");
        }
    }

    #[test]
    fn paths_have_no_parameters() {
        for (name, expected) in [
            ("a::T<b::X<c::Y>>::f", "a T f"),
            ("<a::T<X> as b::Tr<Y>>::f::{{closure}}", "a T f closure"),
            ("<&[T] as a::Tr>::f", "T f"),
            ("a::f", "a f"),
            (">>", ""),
        ] {
            assert_eq!(path(name).join(" "), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_names_or_none(bytes in "([<>: a-c_]|as|_ZN|_R|17h|\u{0}){0,80}") {
            let _ = (paths(bytes.as_bytes()), path(&bytes));
        }
    }
}
