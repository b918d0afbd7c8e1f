//! `cargo xtask bench sensor`: the same load on the same server with and without the sensor, in turn.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::median::{Median, median};
use crate::{apt, command, images, workspace};

const ROUNDS: usize = 9;
const REQUESTS: u32 = 200_000;
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// What one load on the server cost it.
#[derive(Debug, Clone, Copy)]
struct Load {
    requests_per_second: f64,
    /// Processor time of the server, in seconds; the kernel's part holds what the sensor does there.
    cpu_seconds: f64,
}

pub(crate) fn main() -> Result<()> {
    apt::ensure(&["redis-tools"])?;
    let careen = workspace::build_careen()?;
    let layouts = images::build(&["redis".to_owned()], false)?;
    let image = format!("oci:{}:latest", layouts.first().context("no image was built")?.display());
    let dir = workspace::root().join("target/bench/sensor");
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;

    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let (with, without) = if round % 2 == 0 {
            let with = watched(&careen, &image, &dir)?;
            (with, unwatched(&careen, &image, &dir)?)
        } else {
            let without = unwatched(&careen, &image, &dir)?;
            (watched(&careen, &image, &dir)?, without)
        };
        eprintln!(
            "round {}: {:.0} requests/s with, {:.0} without; processor {:.2} s and {:.2} s",
            round + 1,
            with.requests_per_second,
            without.requests_per_second,
            with.cpu_seconds,
            without.cpu_seconds
        );
        rounds.push((with, without));
    }
    for (what, of) in [
        ("throughput with the sensor", (|load| load.requests_per_second) as fn(&Load) -> f64),
        ("processor time with the sensor", |load| load.cpu_seconds),
    ] {
        let ratios = rounds.iter().map(|(with, without)| of(with) / of(without));
        let Median { value, smallest, largest } = median(ratios).context("no round was measured")?;
        println!("redis-benchmark, {what}: {value:.3} of without ({smallest:.3} to {largest:.3})");
    }
    Ok(())
}

/// The load as a step of a coverage, under the sensor.
fn watched(careen: &Path, image: &str, dir: &Path) -> Result<Load> {
    let (port, out) = (free_port()?, dir.join("watched.csv"));
    let (file, profile) = (dir.join("coverage.yaml"), dir.join("profile"));
    let coverage = format!(
        "version: 1\nname: bench\ncontainer:\n  network: host\n  cmd: [redis-server, --port, \"{port}\"]\n\
         wait_for:\n  - tcp: {port}\n    timeout: 30s\n\
         steps:\n  - name: load\n    host: {}\n    timeout: 300s\n",
        serde_json::to_string(&["sh", "-euc", &script(port, &out)?])?
    );
    fs::write(&file, coverage).with_context(|| format!("cannot write {}", file.display()))?;
    let mut record = Command::new(careen);
    record.args(["record", "--quiet", "--force", "--coverage"]).arg(&file).arg("-o").arg(&profile).arg(image);
    command::run(record.stdout(Stdio::null()))?;
    parse(&fs::read_to_string(&out).with_context(|| format!("cannot read {}", out.display()))?)
}

/// The load on a container that the same engine runs, without the sensor.
fn unwatched(careen: &Path, image: &str, dir: &Path) -> Result<Load> {
    let (port, out) = (free_port()?, dir.join("unwatched.csv"));
    let mut run = Command::new(careen);
    run.args([
        "run",
        "--quiet",
        "--network",
        "host",
        image,
        "--",
        "redis-server",
        "--port",
        &port.to_string(),
    ]);
    let server = run.stdin(Stdio::null()).stdout(Stdio::null()).spawn().context("cannot start careen")?;
    let mut server = Server { process: server };
    server.wait_until_ready(port)?;
    command::run(Command::new("sh").args(["-euc", &script(port, &out)?]))?;
    server.stop()?;
    parse(&fs::read_to_string(&out).with_context(|| format!("cannot read {}", out.display()))?)
}

/// The same commands for both: the load, then what it cost the server.
fn script(port: u16, out: &Path) -> Result<String> {
    let out = out.to_str().context("the workspace's path is not UTF-8")?;
    Ok(format!(
        "redis-benchmark -p {port} -n {REQUESTS} -c 20 -t set,get --csv > '{out}'; redis-cli -p {port} info cpu >> '{out}'"
    ))
}

/// Reads the benchmark's table and the server's account of its processor time.
fn parse(text: &str) -> Result<Load> {
    let (mut rates, mut cpu_seconds) = (Vec::new(), 0.0);
    for line in text.lines().map(str::trim) {
        let mut cells = line.split(',').map(|cell| cell.trim_matches('"'));
        if let (Some("SET" | "GET"), Some(rate)) = (cells.next(), cells.next()) {
            rates.push(rate.parse::<f64>().with_context(|| format!("{line:?} has no rate"))?);
        }
        if let Some(("used_cpu_sys" | "used_cpu_user", seconds)) = line.split_once(':') {
            cpu_seconds += seconds.parse::<f64>().with_context(|| format!("{line:?} has no time"))?;
        }
    }
    if rates.len() != 2 || cpu_seconds <= 0.0 {
        bail!("redis-benchmark printed something else:\n{text}");
    }
    // Both make the same number of requests, so the rate of all is the harmonic mean.
    let requests_per_second = 2.0 / rates.iter().map(|rate| 1.0 / rate).sum::<f64>();
    Ok(Load { requests_per_second, cpu_seconds })
}

/// A port of loopback that nobody listens on.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no port is free")?;
    Ok(listener.local_addr().context("a listener has no address")?.port())
}

/// `careen run` in the background; stopped when dropped.
#[derive(Debug)]
struct Server {
    process: Child,
}

impl Server {
    fn wait_until_ready(&mut self, port: u16) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < START_TIMEOUT {
            if let Some(status) = self.process.try_wait().context("cannot wait for careen")? {
                bail!("careen run ended early: {status}");
            }
            let ping = Command::new("redis-cli").args(["-p", &port.to_string(), "ping"]).output();
            if ping.is_ok_and(|output| output.stdout.starts_with(b"PONG")) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        bail!("the server does not answer after {} s", START_TIMEOUT.as_secs())
    }

    /// As Ctrl-C does it, so that careen can undo its mounts.
    fn stop(&mut self) -> Result<()> {
        if self.process.try_wait().context("cannot wait for careen")?.is_none() {
            let pid = rustix::process::Pid::from_child(&self.process);
            rustix::process::kill_process(pid, rustix::process::Signal::INT).context("cannot stop careen")?;
            self.process.wait().context("cannot wait for careen")?;
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_redis_are_read() {
        let text = "\"test\",\"rps\",\"avg_latency_ms\"\n\"SET\",\"100000.00\",\"0.1\"\n\"GET\",\"50000.00\",\"0.1\"\n\
             # CPU\r\nused_cpu_sys:1.25\r\nused_cpu_user:0.75\r\nused_cpu_sys_children:9.0\r\n";
        let load = parse(text).unwrap();
        assert!((load.requests_per_second - 66_666.67).abs() < 0.01, "{load:?}");
        assert!((load.cpu_seconds - 2.0).abs() < 1e-9, "{load:?}");
        assert!(parse("\"SET\",\"1.0\"\n").is_err());
    }
}
