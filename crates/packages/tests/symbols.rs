//! Functions in real programs: built here by Go and Rust, and as others publish them.
#![expect(clippy::unwrap_used, reason = "a fixture that cannot be made fails its test")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use careen_packages as packages;
use common::{have, image_of, path, run, skip};
use packages::symbols::{Answer, Functions, Language, Question, look};

const DEP: &str = "package dep

//go:noinline
func Used(n int) int { return n * 7 }

func Inlined(n int) int { return n ^ 0x5a5a }

//go:noinline
func Unused(n int) int { return n * 9 }

type Box[T any] struct{ V T }

//go:noinline
func (b *Box[T]) Get() T { return b.V }

//go:noinline
func (b *Box[T]) Never() T { return b.V }
";
const MAIN: &str = "package main

import (
\t\"os\"

\t\"example.com/dep\"
)

func main() {
\tbox := dep.Box[int]{V: len(os.Args)}
\tprintln(dep.Used(len(os.Args)), dep.Inlined(len(os.Args)), box.Get())
}
";

/// Builds a Go program for this architecture, with these flags of `go build`; none (after a skip) without Go.
fn go_program(dir: &Path, architecture: &str, flags: &[&str]) -> Option<PathBuf> {
    if Command::new("go").arg("version").output().is_err() {
        skip("no go");
        return None;
    }
    fs::create_dir_all(dir.join("dep")).unwrap();
    fs::write(
        dir.join("go.mod"),
        "module example.com/shop\n\ngo 1.18\n\nrequire example.com/dep v0.0.0\n\nreplace example.com/dep => ./dep\n",
    )
    .unwrap();
    fs::write(dir.join("dep/go.mod"), "module example.com/dep\n\ngo 1.18\n").unwrap();
    fs::write(dir.join("dep/dep.go"), DEP).unwrap();
    fs::write(dir.join("main.go"), MAIN).unwrap();
    let output = Command::new("go")
        .args(["build", "-buildvcs=false", "-o", "shop"])
        .args(flags)
        .arg(".")
        .current_dir(dir)
        .env("GOCACHE", dir.parent().unwrap().join("go-cache"))
        .env("GOFLAGS", "-mod=mod")
        .env("GOARCH", architecture)
        .env("CGO_ENABLED", "0")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(dir.join("shop"))
}

/// What a program in an image of its own answers.
fn ask(program: &Path, language: Language, package: &str, functions: &[(&str, &str)]) -> Vec<Answer> {
    let root = tempfile::tempdir().unwrap();
    fs::copy(program, root.path().join("program")).unwrap();
    let (_layout, image) = image_of(root.path());
    let question = |(at, name): &(&str, &str)| Question {
        file: path("/program"),
        language,
        package: package.to_owned(),
        functions: vec![Functions {
            path: (*at).to_owned(),
            names: name.split_whitespace().map(str::to_owned).collect(),
        }],
    };
    let questions: Vec<Question> = functions.iter().map(question).collect();
    let answers = look(&image, &questions);
    questions.iter().map(|question| answers[question].clone()).collect()
}

fn words(answers: &[Answer]) -> Vec<&'static str> {
    let word = |answer: &Answer| match answer {
        Answer::Present { .. } => "present",
        Answer::Absent { .. } => "absent",
        Answer::Unknown => "unknown",
    };
    answers.iter().map(word).collect()
}

/// Builds programs for these architectures with these flags, and asks each for the same functions.
fn programs_answer(programs: &[(&str, &[&str])]) {
    let dir = tempfile::tempdir().unwrap();
    let asked = [
        ("example.com/dep", "Used"),
        ("example.com/dep", "Inlined"),
        ("example.com/dep", "Box.Get"),
        ("example.com/dep", "Unused"),
        ("example.com/dep", "Box.Never"),
        ("example.com/dep", "Unused Used"),
        ("example.com/dep", ""),
        ("example.com/other", ""),
        ("dep", "Used"),
        ("runtime", "main"),
        ("net/http", "Client.Do"),
    ];
    let expected = [
        "present", "present", "present", "absent", "absent", "present", "present", "absent", "unknown",
        "present", "absent",
    ];
    for (architecture, flags) in programs {
        let source = dir.path().join("source");
        fs::create_dir_all(&source).unwrap();
        let Some(program) = go_program(&source, architecture, flags) else { return };
        let answers = ask(&program, Language::Go, "example.com/dep", &asked);
        assert_eq!(words(&answers), expected, "{architecture} {flags:?}: {answers:?}");
        if flags.is_empty() {
            // The inlined one is no function of its own: a table of symbols would call it absent.
            let symbols = run("go", &["tool", "nm", program.to_str().unwrap()]);
            assert!(symbols.contains("example.com/dep.Used"), "{symbols}");
            assert!(!symbols.contains("example.com/dep.Inlined"), "{symbols}");
        }
    }
}

#[test]
fn a_go_program_without_section_headers_is_read_and_one_without_its_table_says_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    fs::create_dir_all(&source).unwrap();
    let Some(program) = go_program(&source, "amd64", &["-ldflags=-s -w"]) else { return };
    let asked = [("example.com/dep", "Used"), ("example.com/dep", "Unused")];
    let mut bytes = fs::read(&program).unwrap();
    // e_shoff, e_shnum and e_shstrndx of a 64-bit ELF.
    bytes[40..48].fill(0);
    bytes[60..64].fill(0);
    fs::write(&program, &bytes).unwrap();
    assert_eq!(words(&ask(&program, Language::Go, "example.com/dep", &asked)), ["present", "absent"]);
    // Names that were made unreadable: what every program has is not there.
    let at = bytes.windows(17).position(|window| window == b"runtime.mallocgc\0").unwrap();
    bytes[at + 8] = b'X';
    fs::write(&program, &bytes).unwrap();
    assert_eq!(words(&ask(&program, Language::Go, "example.com/dep", &asked)), ["unknown", "unknown"]);
}

#[test]
fn every_function_that_go_itself_lists_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    fs::create_dir_all(&source).unwrap();
    let Some(program) = go_program(&source, "amd64", &[]) else { return };
    let listed = run("go", &["tool", "nm", program.to_str().unwrap()]);
    let functions: BTreeSet<(String, String)> = listed
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [_, "T" | "t", name] = fields[..] else { return None };
            let slash = name.rfind('/').map_or(0, |at| at + 1);
            let dot = slash + name[slash..].find('.')?;
            let (path, function) = (&name[..dot], &name[dot + 1..]);
            let is_plain =
                |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_');
            let is_code = !path.starts_with("type");
            (is_code && is_plain(function)).then(|| (path.to_owned(), function.to_owned()))
        })
        .collect();
    assert!(functions.len() > 500, "{}", functions.len());
    let asked: Vec<(&str, &str)> =
        functions.iter().map(|(path, name)| (path.as_str(), name.as_str())).collect();
    let answers = ask(&program, Language::Go, "stdlib", &asked);
    let missed: Vec<_> =
        asked.iter().zip(&answers).filter(|(_, answer)| !matches!(answer, Answer::Present { .. })).collect();
    // Ends of tables that the linker lists, and that are no functions.
    let known = ["text", "etext"];
    let missed: Vec<_> = missed.into_iter().filter(|((_, name), _)| !known.contains(name)).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn go_programs_stripped_or_not_name_what_is_in_them_inlined_or_not() {
    programs_answer(&[("amd64", &[]), ("amd64", &["-ldflags=-s -w"])]);
}

/// What takes minutes, or the network.
mod runtimes {
    use super::*;

    #[test]
    #[ignore = "builds Go's standard library for other machines"]
    fn go_programs_of_both_widths_and_orders_name_what_is_in_them() {
        programs_answer(&[
            ("amd64", &["-buildmode=pie"]),
            ("386", &["-ldflags=-s -w"]),
            ("mips", &["-ldflags=-s -w"]),
            ("s390x", &["-trimpath"]),
        ]);
    }

    /// Programs that their authors built with Go 1.15 to 1.23 and stripped: each form of the table.
    #[test]
    #[ignore = "fetches packages of npm"]
    fn published_go_programs_of_every_form_of_the_table_answer() {
        if !have(&["npm"]) {
            return;
        }
        for (package, table) in [
            ("esbuild-linux-64@0.8.0", "1.2"),
            ("esbuild-linux-64@0.9.0", "1.16"),
            ("esbuild-linux-64@0.14.50", "1.18"),
            ("@esbuild/linux-x64@0.25.0", "1.20"),
            ("@esbuild/linux-s390x@0.25.0", "1.20"),
            ("@esbuild/linux-ia32@0.25.0", "1.20"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let at = dir.path().to_str().unwrap();
            run("npm", &["pack", "--silent", "--pack-destination", at, package]);
            let archive = fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
            run("tar", &["-xzf", archive.to_str().unwrap(), "-C", at]);
            let program = dir.path().join("package/bin/esbuild");
            let parser = "github.com/evanw/esbuild/internal/js_parser";
            let asked = [
                (parser, "Parse"),
                ("os", "File.Write"),
                ("encoding/xml", "Unmarshal"),
                ("html/template", ""),
                ("github.com/evanw/esbuild/cmd/esbuild", "main"),
            ];
            let answers = ask(&program, Language::Go, "stdlib", &asked);
            assert_eq!(
                words(&answers),
                ["present", "present", "absent", "absent", "present"],
                "{package}: {answers:?}"
            );
            assert_eq!(answers[2], Answer::Absent { table: format!("pclntab of Go {table}") }, "{package}");
        }
    }
}

const RUST: &str = "
pub mod store {
    pub struct Shop<T>(pub T);
    impl<T: Copy> Shop<T> {
        #[inline(never)]
        pub fn used(&self) -> T { std::hint::black_box(self.0) }
        #[inline(always)]
        pub fn inlined(&self, n: u64) -> u64 { std::hint::black_box(n.rotate_left(7)) ^ 0x5a5a }
        #[inline(never)]
        pub fn unused(&self) -> T { std::hint::black_box(self.0) }
    }
}
fn main() {
    let shop = store::Shop(std::env::args().count() as u64);
    println!(\"{} {}\", shop.used(), shop.inlined(shop.0));
}
";

#[test]
fn a_rust_program_says_what_is_there_and_never_what_is_not() {
    if !have(&["rustc"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("shop.rs");
    fs::write(&source, RUST).unwrap();
    let asked = [
        ("shop::store::Shop", "used"),
        ("shop::store::Shop", "inlined"),
        ("shop::store::Shop", "unused"),
        ("shop::elsewhere::Shop", "used"),
    ];
    for (flags, expected) in [
        (&["-O"][..], ["present", "unknown", "unknown", "unknown"]),
        (&["-O", "-Csymbol-mangling-version=v0"], ["present", "unknown", "unknown", "unknown"]),
        (&["-O", "-g"], ["present", "present", "unknown", "unknown"]),
        (&["-O", "-g", "-Csymbol-mangling-version=v0"], ["present", "present", "unknown", "unknown"]),
        (&["-O", "-g", "-Cstrip=debuginfo"], ["present", "unknown", "unknown", "unknown"]),
        (&["-O", "-g", "-Cstrip=symbols"], ["unknown"; 4]),
    ] {
        let program = dir.path().join("shop");
        let mut arguments = vec!["--edition=2021", "-o", program.to_str().unwrap(), source.to_str().unwrap()];
        arguments.extend(flags);
        run("rustc", &arguments);
        let answers = ask(&program, Language::Rust, "shop", &asked);
        assert_eq!(words(&answers), expected, "{flags:?}: {answers:?}");
    }
}
