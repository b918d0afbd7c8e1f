//! The project's own commands: `cargo xtask images`, `test`, `vm-test`, `evaluate`, `demo`, `bench`, `fuzz`.
//!
//! Each command brings the machine into the state it needs (Debian packages by name, images, builds) and then
//! calls ordinary tools. Nothing here is part of the product.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool for people who work on careen"
)]

mod apt;
mod bench;
mod command;
mod demo;
mod evaluations;
mod fuzz;
mod images;
mod interrupt;
mod results;
mod test;
mod vm;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
The project's own commands.

Usage: cargo xtask COMMAND

Commands:
  demo             Harden a Redis image and show that the new one works
  test [FILTER]    Run what CI runs; with a filter only the tests that match it
                   --all-images [NAME...]: harden and check every declared image, write docs/results.md
  vm-test [RUN...]  The sensor's backends on a kernel of Debian's, in emulated machines
                   --or-skip: say so and succeed where no such machine can be had
  evaluate [NAME...]
                   Leave out each step of the images' coverages once; writes that part of docs/results.md
                   --page-only: only write it, with what earlier calls measured
  bench harden [IMAGE...]
                   Time and memory of hardening, beside what the codecs alone cost; writes docs/performance.md
  bench scan [--vulndata DIR]
                   Time and memory of listing components and matching, beside Syft; writes docs/performance.md
  bench findings [--vulndata DIR]
                   Findings before and after hardening, beside Syft and Trivy; writes docs/findings.md
  bench sensor     What watching costs the watched service
  fuzz [TARGET...] [--seconds N]
                   Let libFuzzer try to break what reads foreign bytes
  images NAME...   Build look-alikes of official images out of Debian packages
                   --all: every declared one  --list: show them  --force: rebuild
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    let result = match name.as_str() {
        "bench" => bench::main(rest),
        "evaluate" => evaluations::main(rest),
        "fuzz" => fuzz::main(rest),
        "demo" => demo::main(rest),
        "test" => test::main(rest),
        "images" => images::main(rest),
        "vm-test" => vm::main(rest),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => Err(anyhow::anyhow!("there is no command {other:?}; see `cargo xtask help`")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("  caused by: {cause}");
            }
            let is_interrupted = error.downcast_ref::<interrupt::Interrupted>().is_some();
            if is_interrupted { ExitCode::from(interrupt::EXIT_CODE) } else { ExitCode::FAILURE }
        }
    }
}
