//! `cargo xtask bench sensor`: processor time of one operation, with the sensor on the workload, with the sensor on
//! something else, and without it, in turn.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::median::{Median, median};
use super::page;
use super::workloads::{self, Kind, PACKAGES, WORKLOADS, Workload};
use crate::{apt, command, workspace};

const ROUNDS: usize = 7;
const STRACE_ROUNDS: usize = 3;
const FILES: usize = 1000;
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// What a workload that is not watched may take.
const BESIDE: f64 = 1.05;
const SECTION: &str = "Watching";

/// What looks on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Alone,
    Inside,
    Outside,
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
        "Processor time of one operation, workload and sensor together, as a ratio to the same without a sensor: median of \
         {ROUNDS} rounds, in each of which all are measured in turn, and the spread. *Watched*: in the container's cgroup. \
         *Beside*: another cgroup is watched, which is what the rest of the host pays. strace, of programs that end by \
         themselves, {STRACE_ROUNDS} rounds. Made by `cargo xtask bench sensor`.\n\n\
         | workload | one operation alone | watched | beside | `strace -f` | `strace -f --seccomp-bpf` |\n\
         |---|---|---|---|---|---|\n{}\n\n\
         Bounds for the medians: {} watched for the services, {} for open and close, {} for stat; {BESIDE} for everything \
         beside. {missed}\n",
        rows.join("\n"),
        workloads::SERVICE,
        workloads::OPEN,
        workloads::STAT
    )
}

/// One row of the table, and the bounds that it misses.
fn measure(ground: &Ground, workload: &Workload) -> Result<(String, Vec<String>)> {
    let (mut alone, mut inside, mut outside) = (Vec::new(), Vec::new(), Vec::new());
    let (mut strace, mut seccomp) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let mut modes = vec![Mode::Alone, Mode::Inside, Mode::Outside];
        modes.rotate_left(round % 3);
        if round < STRACE_ROUNDS && matches!(workload.kind, Kind::Batch { .. }) && has_strace() {
            modes.extend([Mode::Strace, Mode::StraceSeccomp]);
        }
        let mut costs = Vec::new();
        for mode in modes {
            costs.push((
                mode,
                ground.run(workload, mode).with_context(|| format!("{} failed", workload.name))?,
            ));
        }
        let of = |wanted: Mode| costs.iter().find(|(mode, _)| *mode == wanted).map(|(_, cost)| *cost);
        let base = of(Mode::Alone).context("nothing was measured")?;
        alone.push(base);
        inside.extend(of(Mode::Inside).map(|cost| cost / base));
        outside.extend(of(Mode::Outside).map(|cost| cost / base));
        strace.extend(of(Mode::Strace).map(|cost| cost / base));
        seccomp.extend(of(Mode::StraceSeccomp).map(|cost| cost / base));
        eprintln!("{}, round {}: {costs:.3?}", workload.name, round + 1);
    }
    let base = median(alone).context("nothing was measured")?;
    let ratio = |ratio: Option<Median>| {
        ratio.map_or_else(
            || "–".to_owned(),
            |Median { value, smallest, largest }| format!("**{value:.2}** ({smallest:.2}–{largest:.2})"),
        )
    };
    let (inside, outside) = (median(inside), median(outside));
    let bounds = [("watched", inside, workload.bound), ("beside", outside, Some(BESIDE))];
    let misses =
        bounds.into_iter().filter_map(|(what, ratio, bound)| missed(workload.name, what, ratio?, bound?));
    let misses = misses.collect();
    let row = format!(
        "| {} | {:.2} µs a {} | {} | {} | {} | {} |",
        workload.name,
        base.value,
        workload.unit,
        ratio(inside),
        ratio(outside),
        ratio(median(strace)),
        ratio(median(seccomp))
    );
    Ok((row, misses))
}

/// A bound that is missed, in the two digits that the table shows.
fn missed(workload: &str, what: &str, ratio: Median, bound: f64) -> Option<String> {
    let shown = (ratio.value * 100.0).round() / 100.0;
    (shown > bound).then(|| format!("{workload}, {what}: {shown:.2}, not {bound:.2}"))
}

fn has_strace() -> bool {
    Path::new("/usr/bin/strace").is_file()
}

/// A cgroup, an overlay mount with files, and the program that watches.
#[derive(Debug)]
struct Ground {
    dir: PathBuf,
    cgroup: PathBuf,
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
        let cgroup = Path::new(line.split(' ').nth(4).unwrap_or_default())
            .join(format!("careen-bench-{}", std::process::id()));
        fs::create_dir(&cgroup).with_context(|| format!("cannot make {}", cgroup.display()))?;
        let watch = workspace::target_dir()?.join("release/sensor-watch");
        let postgres = newest_postgres().unwrap_or_default();
        let this = Self { dir, cgroup, watch, postgres };
        let options = format!("lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work", this.dir.display());
        command::run(
            Command::new("mount")
                .args(["-t", "overlay", "-o", &options, "overlay"])
                .arg(this.dir.join("root")),
        )?;
        Ok(this)
    }

    /// Microseconds of processor time of one operation.
    fn run(&self, workload: &Workload, mode: Mode) -> Result<f64> {
        let watcher = match mode {
            Mode::Inside | Mode::Outside => Some(Watcher::start(self)?),
            _ => None,
        };
        let before = watcher.as_ref().map(Watcher::cpu_seconds).transpose()?;
        let (cpu, operations) = match workload.kind {
            Kind::Batch { script, operations } => {
                let (script, figures) = (self.traced(script, mode), self.dir.join("time"));
                command::run(
                    self.shell(&timed(&script, &figures), mode).stdout(Stdio::null()).stderr(Stdio::null()),
                )?;
                (read_cpu(&figures)?, f64::from(operations))
            }
            Kind::Server { prepare, server, ready, load } => {
                self.serve(mode, prepare, server, ready, load)?
            }
        };
        let mut seconds = cpu;
        if let (Some(watcher), Some(before)) = (watcher, before) {
            let own = watcher.cpu_seconds()? - before;
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

    /// Processor time of a server under a load, and how many operations that were.
    fn serve(&self, mode: Mode, prepare: &str, server: &str, ready: &str, load: &str) -> Result<(f64, f64)> {
        let (port, figures) = (free_port()?, self.dir.join("time"));
        let quiet = |script: &str, mode: Mode| {
            let mut shell = self.shell(script, mode);
            shell.env("port", port.to_string()).stdin(Stdio::null()).stderr(Stdio::null());
            shell
        };
        command::run(&mut quiet(prepare, Mode::Outside))?;
        let child = quiet(&timed(server, &figures), mode).stdout(Stdio::null()).spawn().context("no bash")?;
        let mut server = Server(child);
        let started = Instant::now();
        while !quiet(ready, Mode::Outside).stdout(Stdio::null()).status().is_ok_and(|status| status.success())
        {
            if started.elapsed() > START_TIMEOUT || server.0.try_wait()?.is_some() {
                bail!("the server does not answer");
            }
            thread::sleep(Duration::from_millis(50));
        }
        let printed = command::output(&mut quiet(load, Mode::Outside))?;
        let count = printed.lines().last().and_then(|line| line.trim().parse().ok());
        let operations = count.with_context(|| format!("the load printed {printed:?}"))?;
        server.stop()?;
        Ok((read_cpu(&figures)?, operations))
    }

    /// A shell that is in the cgroup unless the mode is to be beside it.
    fn shell(&self, script: &str, mode: Mode) -> Command {
        let join = if mode == Mode::Outside { "" } else { "echo 0 > \"$cgroup/cgroup.procs\"; " };
        let mut shell = Command::new("bash");
        shell.args(["-euc", &format!("{join}{script}")]);
        shell
            .env("cgroup", &self.cgroup)
            .env("dir", self.dir.join("files"))
            .env("root", self.dir.join("root"));
        shell.env("pg", &self.postgres).current_dir("/");
        shell
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = fs::write(self.cgroup.join("cgroup.kill"), "1");
        let _ = Command::new("umount").arg("-l").arg(self.dir.join("root")).status();
        thread::sleep(Duration::from_millis(200));
        let _ = fs::remove_dir(&self.cgroup);
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A script whose processor time, that of all it started included, is written to a file.
fn timed(script: &str, figures: &Path) -> String {
    let quoted = script.replace('\'', r"'\''");
    format!("exec /usr/bin/time --quiet --format '%U %S' --output '{}' bash -c '{quoted}'", figures.display())
}

fn read_cpu(figures: &Path) -> Result<f64> {
    let text = fs::read_to_string(figures).with_context(|| format!("cannot read {}", figures.display()))?;
    let seconds: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [user, system] = seconds[..] else { bail!("time printed {text:?}") };
    Ok(user + system)
}

fn newest_postgres() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|entry| entry.path().join("bin"));
    versions.max()
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no port is free")?;
    Ok(listener.local_addr().context("a listener has no address")?.port())
}

/// A server beneath `time`; its own end is asked for, so that `time` tells.
struct Server(Child);

impl Server {
    fn stop(&mut self) -> Result<()> {
        let children = format!("/proc/{0}/task/{0}/children", self.0.id());
        let pids = fs::read_to_string(children).context("the server has ended")?;
        for pid in pids.split_whitespace().filter_map(|pid| rustix::process::Pid::from_raw(pid.parse().ok()?))
        {
            rustix::process::kill_process(pid, rustix::process::Signal::INT)
                .context("cannot stop the server")?;
        }
        self.0.wait().context("cannot wait for the server")?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.0.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = self.stop();
        }
    }
}

/// The running sensor.
struct Watcher(Child);

impl Watcher {
    fn start(ground: &Ground) -> Result<Self> {
        let mut command = Command::new(&ground.watch);
        command.arg(&ground.cgroup).arg(ground.dir.join("root")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut this = Self(command.spawn().context("cannot start the sensor")?);
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

    fn cpu_seconds(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).context("the sensor is gone")?;
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
        let (user, system) = ticks(11).zip(ticks(12)).context("its account is not understood")?;
        Ok((user + system) / 100.0)
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
    fn a_script_keeps_its_quotes_when_it_is_timed() {
        if !Path::new("/usr/bin/time").is_file() {
            println!("SKIP no /usr/bin/time");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let (figures, out) = (dir.path().join("time"), dir.path().join("out"));
        let script = timed(&format!("printf '%s' \"it's\" > '{}'", out.display()), &figures);
        assert!(Command::new("bash").args(["-euc", &script]).status().unwrap().success());
        assert_eq!(fs::read_to_string(&out).unwrap(), "it's");
        assert!(read_cpu(&figures).unwrap() < 5.0);
    }
}
