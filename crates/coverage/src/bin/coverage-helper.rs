//! The helpers of engine and sensor, for the tests of this crate. The product's helper is `careen` itself.
#![forbid(unsafe_code)]

fn main() {
    let mut args = std::env::args_os().skip(1);
    let which = args.next().unwrap_or_default();
    let rest: Vec<_> = args.collect();
    let code = if which == "engine" { engine::helper_main(&rest) } else { sensor::canary_main(&rest) };
    std::process::exit(code);
}
