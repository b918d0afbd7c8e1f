//! `cargo xtask bench sensor`: processor time of one operation, with the sensor on the workload, with the sensor on
//! something else, and without it, in turn.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Pid;

use super::median::{Median, median};
use super::page;
use super::workloads::{self, Kind, PACKAGES, WORKLOADS, Workload};
use crate::{apt, command, workspace};

const ROUNDS: usize = 7;
/// Of a service, in each round, all in turn; the least counts, for what else the machine does only adds.
const SERVICE_SLICES: usize = 5;
const STRACE_ROUNDS: usize = 3;
const FILES: usize = 1000;
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// What a workload that is not watched may take.
const BESIDE: f64 = 1.05;
const SECTION: &str = "Watching";
/// What the program that watches is told to attach one that does nothing.
const EMPTY: &str = "empty";

/// What looks on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mode {
    Alone,
    Inside,
    Outside,
    Empty,
    Strace,
    StraceSeccomp,
}

pub(crate) fn main(names: &[String]) -> Result<()> {
    apt::ensure(&workspace::TO_BUILD)?;
    apt::ensure(&PACKAGES)?;
    let wanted =
        |workload: &&Workload| names.is_empty() || names.iter().any(|n| workload.name.contains(&**n));
    let ground = Ground::new()?;
    let (mut rows, mut missed) = (Vec::new(), Vec::new());
    for workload in WORKLOADS.iter().filter(wanted) {
        let (row, misses) = measure(&ground, workload)?;
        println!("{row}");
        misses.iter().for_each(|miss| println!("missed: {miss}"));
        rows.push(row);
        missed.extend(misses);
    }
    if rows.is_empty() {
        bail!("no workload is called so");
    }
    if names.is_empty() {
        page::write_section(&workspace::root().join("docs/performance.md"), SECTION, &text(&rows, &missed))?;
    }
    Ok(())
}

fn text(rows: &[String], missed: &[String]) -> String {
    let missed = match missed {
        [] => "All are kept.".to_owned(),
        missed => format!("Missed: {}.", missed.join("; ")),
    };
    format!(
        "Written by `cargo xtask bench sensor`; do not edit. Processor time of one operation, workload and sensor \
         together, as a ratio to the same without a sensor: median of {ROUNDS} rounds, in each of which all are measured \
         in turn, and the spread. Times are those that the kernel keeps of the cgroups. A service runs through all its \
         rounds and has a processor of its own, its clients another; it is measured {SERVICE_SLICES} times in each round, all in \
         turn, and the least counts. *Watched*: in the container's cgroup. *Beside*: another cgroup is watched, which \
         is what the rest of the host pays. *Empty program*: one that does nothing stands in the sensor's place, which is \
         what the kernel takes for calling any. strace, of programs that end by themselves, {STRACE_ROUNDS} rounds.\n\n\
         | workload | one operation alone | watched | beside | empty program | `strace -f` | `strace -f --seccomp-bpf` |\n\
         |---|---|---|---|---|---|---|\n{}\n\n\
         Bounds for the medians: {} watched for the services, {} for open and close, {} for stat; {BESIDE} for everything \
         beside. {missed}\n",
        rows.join("\n"),
        workloads::SERVICE,
        workloads::OPEN,
        workloads::STAT
    )
}

/// What each mode cost in each round, in microseconds of an operation.
type Costs = Vec<BTreeMap<Mode, f64>>;

/// One row of the table, and the bounds that it misses.
fn measure(ground: &Ground, workload: &Workload) -> Result<(String, Vec<String>)> {
    let costs = perform(ground, workload).with_context(|| format!("{} failed", workload.name))?;
    let base = median(costs.iter().filter_map(|round| round.get(&Mode::Alone).copied()));
    let base = base.context("nothing was measured")?;
    let ratio = |mode: Mode| {
        let of_round = |round: &BTreeMap<Mode, f64>| Some(round.get(&mode)? / round.get(&Mode::Alone)?);
        median(costs.iter().filter_map(of_round))
    };
    let shown = |mode: Mode| {
        ratio(mode).map_or_else(
            || "–".to_owned(),
            |Median { value, smallest, largest }| format!("**{value:.2}** ({smallest:.2}–{largest:.2})"),
        )
    };
    let bounds = [("watched", Mode::Inside, workload.bound), ("beside", Mode::Outside, Some(BESIDE))];
    let misses = bounds
        .into_iter()
        .filter_map(|(what, mode, bound)| missed(workload.name, what, ratio(mode)?, bound?))
        .collect();
    let cells = [Mode::Inside, Mode::Outside, Mode::Empty, Mode::Strace, Mode::StraceSeccomp].map(shown);
    let row =
        format!("| {} | {:.2} µs a {} | {} |", workload.name, base.value, workload.unit, cells.join(" | "));
    Ok((row, misses))
}

fn perform(ground: &Ground, workload: &Workload) -> Result<Costs> {
    let server = ground.serve(workload)?;
    let slices = if server.is_some() { SERVICE_SLICES } else { 1 };
    let mut costs = Costs::new();
    for round in 0..ROUNDS {
        let mut modes = vec![Mode::Alone, Mode::Inside, Mode::Outside, Mode::Empty];
        let count = modes.len();
        modes.rotate_left(round % count);
        if round < STRACE_ROUNDS && matches!(workload.kind, Kind::Batch { .. }) && has_strace() {
            modes.extend([Mode::Strace, Mode::StraceSeccomp]);
        }
        let mut least = BTreeMap::new();
        for &mode in std::iter::repeat_n(&modes, slices).flatten() {
            let cost = ground.run(workload, server.as_ref(), mode)?;
            let entry = least.entry(mode).or_insert(cost);
            *entry = entry.min(cost);
        }
        eprintln!("{}, round {}: {least:.3?}", workload.name, round + 1);
        costs.push(least);
    }
    Ok(costs)
}

/// A bound that is missed, in the two digits that the table shows.
fn missed(workload: &str, what: &str, ratio: Median, bound: f64) -> Option<String> {
    let shown = (ratio.value * 100.0).round() / 100.0;
    (shown > bound).then(|| format!("{workload}, {what}: {shown:.2}, not {bound:.2}"))
}

fn has_strace() -> bool {
    Path::new("/usr/bin/strace").is_file()
}

/// Cgroups, an overlay mount with files, and the program that watches.
#[derive(Debug)]
struct Ground {
    dir: PathBuf,
    /// What is watched, what is not, and the sensor itself.
    cgroup: PathBuf,
    beside: PathBuf,
    sensor: PathBuf,
    watch: PathBuf,
    postgres: PathBuf,
}

impl Ground {
    fn new() -> Result<Self> {
        let root = workspace::root();
        let mut cargo = Command::new("cargo");
        cargo.current_dir(&root).args(["build", "--release", "--package", "careen-sensor", "--bins"]);
        command::run(&mut cargo).context("cannot build the sensor")?;
        let dir = std::env::temp_dir().join(format!("careen-bench-{}", std::process::id()));
        for name in ["lower/t/many", "upper", "work", "root", "files"] {
            fs::create_dir_all(dir.join(name)).with_context(|| format!("cannot make {}", dir.display()))?;
        }
        for file in 0..FILES {
            fs::write(dir.join(format!("lower/t/many/f{file}")), "").context("cannot make a file")?;
        }
        let mut cc = Command::new("cc");
        cc.args(["-O1", "-w", "-static", "-no-pie", "-pthread"])
            .arg(root.join("crates/sensor/tests/storm.c"));
        command::run(cc.arg("-o").arg(dir.join("lower/t/storm")))?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").context("cannot read the mounts")?;
        let line =
            mounts.lines().find(|line| line.contains(" - cgroup2 ")).context("no cgroup2 is mounted")?;
        let hierarchy = Path::new(line.split(' ').nth(4).unwrap_or_default());
        clear_dead(hierarchy);
        let cgroup = |name: &str| {
            let cgroup = hierarchy.join(format!("careen-bench-{}-{name}", std::process::id()));
            fs::create_dir(&cgroup)
                .with_context(|| format!("cannot make {}", cgroup.display()))
                .map(|()| cgroup)
        };
        let watch = workspace::target_dir()?.join("release/sensor-watch");
        let postgres = newest_postgres().unwrap_or_default();
        let (cgroup, beside, sensor) = (cgroup("watched")?, cgroup("beside")?, cgroup("sensor")?);
        let this = Self { dir, cgroup, beside, sensor, watch, postgres };
        let options = format!("lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work", this.dir.display());
        command::run(
            Command::new("mount")
                .args(["-t", "overlay", "-o", &options, "overlay"])
                .arg(this.dir.join("root")),
        )?;
        Ok(this)
    }

    /// Microseconds of processor time of one operation. Both a watched workload and one beside run in the same cgroup;
    /// what differs is which cgroup the sensor watches.
    fn run(&self, workload: &Workload, server: Option<&Server>, mode: Mode) -> Result<f64> {
        let watcher = match mode {
            Mode::Inside => Some(Watcher::start(self, &[&self.cgroup, &self.dir.join("root")])?),
            Mode::Outside => Some(Watcher::start(self, &[&self.beside, &self.dir.join("root")])?),
            Mode::Empty => Some(Watcher::start(self, &[Path::new(EMPTY)])?),
            _ => None,
        };
        let before = (cpu_seconds(&self.cgroup)?, cpu_seconds(&self.sensor)?);
        let operations = match workload.kind {
            Kind::Batch { script, operations, slow } => {
                let slow = if matches!(mode, Mode::Strace | Mode::StraceSeccomp) { slow } else { 1 };
                let mut shell = self.shell(&self.traced(script, mode), Some(&self.cgroup));
                shell.env("slow", slow.to_string());
                command::run(shell.stdout(Stdio::null()).stderr(Stdio::null()))?;
                f64::from(operations) / f64::from(slow)
            }
            Kind::Server { load, .. } => {
                let server = server.context("no server runs")?;
                let mut shell = self.beside_server(load, server.port);
                let printed = command::output(&mut shell)?;
                let count = printed.lines().last().and_then(|line| line.trim().parse().ok());
                count.with_context(|| format!("the load printed {printed:?}"))?
            }
        };
        let mut seconds = cpu_seconds(&self.cgroup)? - before.0;
        if let Some(watcher) = watcher {
            let own = cpu_seconds(&self.sensor)? - before.1;
            watcher.stop()?;
            seconds += if mode == Mode::Inside { own } else { 0.0 };
        }
        Ok(seconds * 1e6 / operations)
    }

    fn traced(&self, script: &str, mode: Mode) -> String {
        let options = match mode {
            Mode::Strace => "",
            Mode::StraceSeccomp => "--seccomp-bpf ",
            _ => return script.to_owned(),
        };
        let quoted = script.replace('\'', r"'\''");
        format!("strace -f {options}-qq -o /dev/null -e trace=%file bash -c '{quoted}'")
    }

    /// Starts the server of a workload that has one. It runs through all rounds, so that what differs between two starts
    /// of a program, such as where its memory lies, is the same for all.
    fn serve(&self, workload: &Workload) -> Result<Option<Server>> {
        let Kind::Server { prepare, server, ready, .. } = workload.kind else { return Ok(None) };
        let port = free_port()?;
        let mut shell = self.shell(prepare, None);
        command::run(shell.env("port", port.to_string()).stdin(Stdio::null()).stderr(Stdio::null()))?;
        let mut shell = self.shell(&format!("{}{server}", on_processor(1)), Some(&self.cgroup));
        shell.env("port", port.to_string()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut server = Server { process: shell.spawn().context("no bash")?, port };
        let started = Instant::now();
        let answers = || self.beside_server(ready, port).stdout(Stdio::null()).status();
        while !answers().is_ok_and(|status| status.success()) {
            if started.elapsed() > START_TIMEOUT || server.process.try_wait()?.is_some() {
                bail!("the server does not answer");
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(Some(server))
    }

    /// A client's script, which has a processor of its own.
    fn beside_server(&self, script: &str, port: u16) -> Command {
        let mut shell = self.shell(&format!("{}{script}", on_processor(0)), None);
        shell.env("port", port.to_string()).stdin(Stdio::null()).stderr(Stdio::null());
        shell
    }

    /// A shell, within a cgroup or where the benchmark is.
    fn shell(&self, script: &str, home: Option<&Path>) -> Command {
        let join = home.map_or("", |_| "echo 0 > \"$home/cgroup.procs\"; ");
        let mut shell = Command::new("bash");
        shell.args(["-euc", &format!("{join}{script}")]);
        shell
            .env("home", home.unwrap_or(&self.dir))
            .env("dir", self.dir.join("files"))
            .env("root", self.dir.join("root"));
        shell.env("pg", &self.postgres).current_dir("/");
        shell
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let cgroups = [&self.cgroup, &self.beside, &self.sensor];
        for cgroup in cgroups {
            let _ = fs::write(cgroup.join("cgroup.kill"), "1");
        }
        let _ = Command::new("umount").arg("-l").arg(self.dir.join("root")).status();
        thread::sleep(Duration::from_millis(200));
        for cgroup in cgroups {
            let _ = fs::remove_dir(cgroup);
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Ends and removes what runs left behind that were killed.
fn clear_dead(hierarchy: &Path) {
    let of_the_dead = |dir: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
        let dead = |path: &PathBuf| {
            let name = path.file_name()?.to_str()?.strip_prefix("careen-bench-")?;
            let pid: u32 = name.split('-').next()?.parse().ok()?;
            Some(!Path::new("/proc").join(pid.to_string()).exists())
        };
        entries.filter(|path| dead(path) == Some(true)).collect()
    };
    let cgroups = of_the_dead(hierarchy);
    for cgroup in &cgroups {
        let _ = fs::write(cgroup.join("cgroup.kill"), "1");
    }
    thread::sleep(Duration::from_millis(if cgroups.is_empty() { 0 } else { 200 }));
    for cgroup in &cgroups {
        let _ = fs::remove_dir(cgroup);
    }
    for dir in of_the_dead(&std::env::temp_dir()) {
        let _ = Command::new("umount").args(["-l", "-q"]).arg(dir.join("root")).status();
        let _ = fs::remove_dir_all(dir);
    }
}

/// Seconds of processor time of all that ran in a cgroup.
fn cpu_seconds(cgroup: &Path) -> Result<f64> {
    let file = cgroup.join("cpu.stat");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let usage = text.lines().find_map(|line| line.strip_prefix("usage_usec ")?.parse::<f64>().ok());
    Ok(usage.with_context(|| format!("{} tells no processor time", file.display()))? / 1e6)
}

/// What a script begins with to stay on one processor, where there is more than one.
fn on_processor(number: usize) -> String {
    let enough = thread::available_parallelism().is_ok_and(|count| count.get() > number);
    if enough { format!("taskset -pc {number} $$ > /dev/null; ") } else { String::new() }
}

fn newest_postgres() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|entry| entry.path().join("bin"));
    versions.max()
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no port is free")?;
    Ok(listener.local_addr().context("a listener has no address")?.port())
}

/// A server, which its shell has become.
struct Server {
    process: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.process.try_wait().is_ok_and(|status| status.is_none()) {
            let _ =
                rustix::process::kill_process(Pid::from_child(&self.process), rustix::process::Signal::INT);
            let _ = self.process.wait();
        }
    }
}

/// The running sensor.
struct Watcher(Child);

impl Watcher {
    fn start(ground: &Ground, arguments: &[&Path]) -> Result<Self> {
        let mut command = Command::new(&ground.watch);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut this = Self(command.spawn().context("cannot start the sensor")?);
        let procs = ground.sensor.join("cgroup.procs");
        fs::write(&procs, this.0.id().to_string())
            .with_context(|| format!("cannot write {}", procs.display()))?;
        if this.line()? != "ready" {
            bail!("the sensor does not watch");
        }
        Ok(this)
    }

    /// A line that it prints, byte by byte, so that none is lost in a buffer.
    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let stdout = self.0.stdout.as_mut().context("the sensor prints nowhere")?;
        BufReader::with_capacity(1, stdout).read_line(&mut line).context("the sensor is gone")?;
        Ok(line.trim_end().to_owned())
    }

    /// Ends it; what it saw must be complete.
    fn stop(mut self) -> Result<()> {
        let mut input = self.0.stdin.take().context("the sensor has no input")?;
        input.flush().context("the sensor is gone")?;
        drop(input);
        let verdict = self.line()?;
        self.0.wait().context("cannot wait for the sensor")?;
        if verdict != "complete" {
            bail!("the record is {verdict}");
        }
        Ok(())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_missed_by_what_the_table_shows() {
        let of = |value| Median { value, smallest: 1.0, largest: 2.0 };
        assert_eq!(missed("stat", "beside", of(1.054), 1.05), None);
        let told = missed("stat", "beside", of(1.056), 1.05);
        assert_eq!(told.as_deref(), Some("stat, beside: 1.06, not 1.05"));
    }

    #[test]
    fn a_cgroup_tells_the_processor_time_of_what_ran_in_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("cpu.stat"), "usage_usec 1500000\nuser_usec 1\n").unwrap();
        assert!((cpu_seconds(dir.path()).unwrap() - 1.5).abs() < 1e-9);
        fs::write(dir.path().join("cpu.stat"), "user_usec 1\n").unwrap();
        assert!(cpu_seconds(dir.path()).is_err());
    }
}
