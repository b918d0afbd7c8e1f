//! The helper alone, for the tests of this crate. The product's helper is `careen __engine`.
#![forbid(unsafe_code)]

fn main() {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    std::process::exit(careen_engine::helper_main(&args));
}
