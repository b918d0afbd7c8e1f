//! `cargo xtask vm-test`: the sensor on another kernel, in a virtual machine whose processor is emulated.
//!
//! Some kernels refuse what stronger backends are made of. Debian's refuses nothing, and a machine that is emulated in
//! software runs anywhere, slowly. Each backend is forced once, and again on a kernel that lets itself be preempted
//! anywhere; then the choice is left to the sensor where the BPF security module is not active.

mod disk;
mod kernel;
mod machine;
mod parts;

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::workspace;
use machine::{Machine, Outcome};
use parts::{Part, Run};

/// Where the columns of `docs/sensor.md` are kept.
const TABLE: &str = "crates/sensor/tests/table";
/// For one run of the machine.
const LIMIT: Duration = Duration::from_secs(1500);

/// Without arguments all runs, else those that are named.
pub(crate) fn main(arguments: &[String]) -> Result<()> {
    let all = parts::runs();
    if let Some(unknown) = arguments.iter().find(|name| all.iter().all(|run| run.name != name.as_str())) {
        let names: Vec<_> = all.iter().map(|run| run.name).collect();
        bail!("`vm-test` knows no run {unknown:?}; there are {}", names.join(", "));
    }
    let start = Instant::now();
    let kernel = kernel::ensure()?;
    let dir = workspace::target_dir()?.join("vm");
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let disk = disk::make(&dir, &all)?;
    let initial = disk::make_initial(&dir, &kernel)?;
    println!("built in {:.0} s", start.elapsed().as_secs_f64());
    let machine = Machine { kernel: &kernel, initial: &initial, disk: &disk };
    let mut failures = Vec::new();
    for run in all.iter().filter(|run| arguments.is_empty() || arguments.iter().any(|name| name == run.name))
    {
        match perform(&machine, run) {
            Ok(found) => failures.extend(found),
            Err(error) => failures.push(format!("{}: {error:#}", run.name)),
        }
    }
    fs::remove_file(&disk).with_context(|| format!("cannot remove {}", disk.display()))?;
    println!("{:.0} s in all", start.elapsed().as_secs_f64());
    if !failures.is_empty() {
        bail!("{} things are not in order\n{}", failures.len(), failures.join("\n"));
    }
    Ok(())
}

/// Performs one run and prints what came of each part. Returns what is not in order.
fn perform(machine: &Machine<'_>, run: &Run) -> Result<Vec<String>> {
    eprintln!("--- {}", run.name);
    let start = Instant::now();
    let dir = workspace::target_dir()?.join("vm").join(run.name);
    let outcome = machine.run(run.name, run.boot, LIMIT, &dir)?;
    let seconds = start.elapsed().as_secs_f64();
    println!("{}: {seconds:.0} s, of which {:.0} s until it was up", run.name, outcome.boot_seconds);
    let mut failures = Vec::new();
    let mut hardened = BTreeSet::new();
    for part in &run.parts {
        match judge(&outcome, part) {
            Ok((seconds, found)) => {
                println!("  ok     {seconds:6.1} s  {}: {found}", part.name);
                if part.name.starts_with("harden") {
                    hardened.insert(found);
                }
            }
            Err(error) => {
                println!("  FAILED           {}", part.name);
                failures.push(format!("{}: {error:#}", run.name));
            }
        }
    }
    if hardened.len() > 1 {
        failures.push(format!("{}: the hardened images differ by backend: {hardened:?}", run.name));
    }
    if run.boot.is_empty() {
        failures.extend(compare_columns(&outcome)?);
    }
    Ok(failures)
}

fn judge(outcome: &Outcome, part: &Part) -> Result<(f64, String)> {
    let (code, seconds) =
        *outcome.ended.get(&part.name).with_context(|| format!("{} did not run", part.name))?;
    Ok((seconds, parts::judge(part, code, &outcome.dir)?))
}

/// Leaves the columns of the torture program's table where the test that makes the page takes them in, and compares them
/// with those of the page.
fn compare_columns(outcome: &Outcome) -> Result<Vec<String>> {
    let fresh = workspace::target_dir()?.join("sensor-table");
    fs::create_dir_all(&fresh).with_context(|| format!("cannot make {}", fresh.display()))?;
    let mut stale = Vec::new();
    for backend in parts::BACKENDS {
        let name = format!("{backend}.json");
        let Ok(column) = fs::read(outcome.dir.join(&name)) else {
            stale.push(format!("the torture program left no column of {backend}"));
            continue;
        };
        fs::write(fresh.join(&name), &column)?;
        if fs::read(workspace::root().join(TABLE).join(&name)).ok().as_ref() != Some(&column) {
            stale.push(format!(
                "the column of {backend} in docs/sensor.md is stale: run CAREEN_UPDATE_DOCS=1 cargo nextest run \
                 --release -p careen-sensor every_way"
            ));
        }
    }
    Ok(stale)
}
