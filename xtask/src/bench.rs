//! `cargo xtask bench`: what hardening, scanning and watching cost, always beside what they are measured against.
//!
//! Machines differ and other work runs beside, so a figure is a ratio of two things measured in turn in one run.

mod codecs;
mod findings;
mod harden;
mod median;
mod page;
pub(crate) mod peers;
mod scan;
mod sensor;
mod timed;
mod workloads;

use anyhow::{Result, bail};

pub(crate) fn main(arguments: &[String]) -> Result<()> {
    match arguments {
        [name, images @ ..] if name == "harden" => harden::main(images),
        [name, options @ ..] if name == "scan" => scan::main(options),
        [name, options @ ..] if name == "findings" => findings::main(options),
        [name, names @ ..] if name == "sensor" => sensor::main(names),
        _ => bail!(
            "`bench` takes `harden [IMAGE...]`, `scan [--vulndata DIR]`, `findings [--vulndata DIR]` or \
             `sensor [WORKLOAD...]`"
        ),
    }
}
