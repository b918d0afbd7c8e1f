//! Another program, timed: how long it took, on the clock and on processors, and what memory it held at most.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::codecs::Cost;
use crate::command;

/// One run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) cost: Cost,
    pub(crate) peak_mb: f64,
}

/// Runs this program with these arguments, which `with` gives it; what it prints on stdout is dropped. Notes are kept
/// in `dir`.
pub(crate) fn run(program: &Path, dir: &Path, with: impl FnOnce(&mut Command)) -> Result<Run> {
    let figures = dir.join("time");
    let mut command = Command::new("/usr/bin/time");
    command.args(["--format", "%U %S %M", "--output"]).arg(&figures).arg(program);
    with(&mut command);
    command.stdout(Stdio::null());
    let started = Instant::now();
    command::run(&mut command)?;
    let wall = started.elapsed();
    let text = fs::read_to_string(&figures).with_context(|| format!("cannot read {}", figures.display()))?;
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [user, system, peak_kib] = numbers[..] else { bail!("time printed {text:?}") };
    Ok(Run {
        cost: Cost { wall, cpu: Duration::from_secs_f64(user + system) },
        peak_mb: peak_kib * 1024.0 / 1e6,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_timed_and_a_failure_is_told() {
        if !Path::new("/usr/bin/time").is_file() {
            println!("SKIP no /usr/bin/time");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let shell = |script: &str| {
            run(Path::new("/bin/sh"), dir.path(), |sh| {
                sh.args(["-c", script]);
            })
        };
        let slept = shell("sleep 0.05").unwrap();
        assert!(slept.cost.wall >= Duration::from_millis(50));
        assert!(slept.cost.cpu < slept.cost.wall);
        assert!(slept.peak_mb > 0.1 && slept.peak_mb < 100.0);
        assert!(shell("exit 3").is_err());
    }
}
