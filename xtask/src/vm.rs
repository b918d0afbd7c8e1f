//! `cargo xtask vm-test`: the sensor on another kernel, in virtual machines whose processors are emulated.
//!
//! Some kernels refuse what stronger backends are made of. Debian's refuses nothing, and a machine that is emulated in
//! software runs anywhere, slowly. Each backend is forced once, and again on a kernel that lets itself be preempted
//! anywhere; then the choice is left to the sensor where the BPF security module is not active. Most of a run keeps one
//! processor busy, so two machines run at once where there is room.

mod disk;
mod kernel;
mod machine;
mod parts;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{interrupt, workspace};
use kernel::Edition;
use machine::{Ended, Machine, Outcome};
use parts::{Part, Run};

/// Where the columns of `docs/sensor.md` are kept.
const TABLE: &str = "crates/sensor/tests/table";
/// For one run of a machine.
const LIMIT: Duration = Duration::from_secs(1500);
/// How many machines run at once.
const AT_ONCE: usize = 2;
/// What one of them takes of the host's memory, with what the emulator itself needs.
const MEMORY_KIB: u64 = 3 << 20;
/// A machine that takes longer until it is up runs on a host too slow to judge by: some twenty seconds are usual.
const SLOW_BOOT_SECONDS: f64 = 90.0;
/// Succeed where no machine can be had, or none that is fast enough.
pub(crate) const OR_SKIP: &str = "--or-skip";

/// Without names all runs, else those that are named.
pub(crate) fn main(arguments: &[String]) -> Result<()> {
    let (options, names): (Vec<_>, Vec<_>) = arguments.iter().partition(|argument| argument.starts_with('-'));
    if let Some(unknown) = options.iter().find(|option| option.as_str() != OR_SKIP) {
        bail!("`vm-test` has no option {unknown}");
    }
    let or_skip = !options.is_empty() && std::env::var_os("CAREEN_NO_SKIP").is_none();
    let all = parts::runs();
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|run| run.name != name.as_str())) {
        let names: Vec<_> = all.iter().map(|run| run.name).collect();
        bail!("`vm-test` knows no run {unknown:?}; there are {}", names.join(", "));
    }
    let start = Instant::now();
    let wanted: Vec<_> =
        all.iter().filter(|run| names.is_empty() || names.iter().any(|name| *name == run.name)).collect();
    let editions: BTreeSet<_> = wanted.iter().map(|run| run.kernel).collect();
    let kernels = editions.into_iter().map(|edition| Ok((edition, kernel::ensure(edition)?)));
    let kernels: BTreeMap<_, _> = match kernels.collect::<Result<_>>() {
        Ok(kernels) => kernels,
        Err(error) if or_skip => {
            println!("SKIP the sensor's backends on another kernel: {error:#}");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    interrupt::take_over()?;
    let place = Place::new(workspace::target_dir()?.join("vm"))?;
    let disk = disk::make(&place.dir, &all)?;
    let mut machines = BTreeMap::new();
    for (edition, kernel) in &kernels {
        let initial = disk::make_initial(&place.dir, *edition, kernel)?;
        machines.insert(*edition, Machine { kernel, initial, disk: &disk });
    }
    println!("built in {:.0} s", start.elapsed().as_secs_f64());
    let failures = perform_all(&machines, &wanted, &place.dir, or_skip);
    interrupt::check()?;
    println!("{:.0} s in all", start.elapsed().as_secs_f64());
    if !failures.is_empty() {
        bail!("{} things are not in order\n{}", failures.len(), failures.join("\n"));
    }
    Ok(())
}

/// Where all of it lies. What is only needed while machines run goes in the end, however that comes.
struct Place {
    dir: PathBuf,
}

impl Place {
    fn new(dir: PathBuf) -> Result<Self> {
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let place = Self { dir };
        place.clear();
        Ok(place)
    }

    fn clear(&self) {
        for name in Edition::ALL.map(disk::initial).into_iter().chain([disk::DISK.to_owned()]) {
            let _ = fs::remove_file(self.dir.join(name));
        }
        let _ = fs::remove_dir_all(self.dir.join(disk::ROOT));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.clear();
    }
}

/// How many machines this host can run at once.
fn at_once() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let free = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let free = free.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0);
    let with_room = usize::try_from(free / MEMORY_KIB).unwrap_or(AT_ONCE);
    AT_ONCE.min(processors).min(with_room).max(1)
}

/// Performs the runs, the first ones first. Returns what is not in order, in their order.
fn perform_all(
    machines: &BTreeMap<Edition, Machine<'_>>,
    runs: &[&Run],
    dir: &Path,
    or_skip: bool,
) -> Vec<String> {
    let queue = Mutex::new(runs.iter().enumerate());
    let found = Mutex::new(BTreeMap::new());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        for _ in 0..at_once() {
            scope.spawn(|| {
                while let Some((index, run)) = next() {
                    let machine = machines.get(&run.kernel).context("there is no kernel for it");
                    let failures = machine
                        .and_then(|machine| perform(machine, run, &dir.join(run.name), or_skip))
                        .unwrap_or_else(|error| vec![format!("{}: {error:#}", run.name)]);
                    found.lock().unwrap_or_else(PoisonError::into_inner).insert(index, failures);
                }
            });
        }
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().flatten().collect()
}

/// Performs one run and prints what came of each part. Returns what is not in order.
fn perform(machine: &Machine<'_>, run: &Run, dir: &Path, or_skip: bool) -> Result<Vec<String>> {
    let start = Instant::now();
    let outcome = machine.run(run.name, run.boot, LIMIT, dir)?;
    let seconds = start.elapsed().as_secs_f64();
    let mut report =
        format!("{}: {seconds:.0} s, of which {:.0} s until it was up\n", run.name, outcome.boot_seconds);
    let mut failures = Vec::new();
    let mut hardened = BTreeSet::new();
    for part in &run.parts {
        match judge(&outcome, part) {
            Ok((Ended { seconds, busy, .. }, found)) => {
                let _infallible =
                    writeln!(report, "  ok     {seconds:6.1} s, {busy:.1} busy  {}: {found}", part.name);
                if part.name.starts_with("harden") {
                    hardened.insert(found);
                }
            }
            Err(error) => {
                let _infallible = writeln!(report, "  FAILED                     {}", part.name);
                failures.push(format!("{}: {error:#}", run.name));
            }
        }
    }
    print!("{report}");
    if hardened.len() > 1 {
        failures.push(format!("{}: the hardened images differ by backend: {hardened:?}", run.name));
    }
    if run.kernel == Edition::Newest && run.boot.is_empty() {
        failures.extend(compare_columns(&outcome)?);
    }
    if or_skip && outcome.boot_seconds > SLOW_BOOT_SECONDS && !failures.is_empty() {
        println!("SKIP {}: this host is too slow to judge by\n{}", run.name, failures.join("\n"));
        failures.clear();
    }
    Ok(failures)
}

fn judge(outcome: &Outcome, part: &Part) -> Result<(Ended, String)> {
    let ended = *outcome.ended.get(&part.name).with_context(|| format!("{} did not run", part.name))?;
    Ok((ended, parts::judge(part, ended.code, &outcome.dir)?))
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
