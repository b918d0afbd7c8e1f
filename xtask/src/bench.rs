//! `cargo xtask bench`: what hardening and watching cost, always beside what they are measured against.

use anyhow::{Result, bail};

pub(crate) fn main(arguments: &[String]) -> Result<()> {
    match arguments {
        [name] if name == "harden" => bail!("not there yet"),
        [name] if name == "sensor" => bail!("not there yet"),
        _ => bail!("`bench` takes `harden` or `sensor`"),
    }
}
