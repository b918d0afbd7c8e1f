//! The canary helper by itself, for tests; the `careen` binary has it as a hidden command.
#![forbid(unsafe_code)]

fn main() {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    std::process::exit(sensor::canary_main(&args));
}
