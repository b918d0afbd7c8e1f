//! One run of the virtual machine, from its start to what it leaves.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::kernel::Kernel;
use crate::command;

const MEMORY: &str = "2048M";
const PROCESSORS: &str = "2";

/// A machine that can be started.
#[derive(Debug)]
pub(crate) struct Machine<'a> {
    pub(crate) kernel: &'a Kernel,
    pub(crate) initial: &'a Path,
    pub(crate) disk: &'a Path,
}

/// What a run left.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Seconds until the first part began, of the host's clock.
    pub(crate) boot_seconds: f64,
    /// By name of the part: its exit code, and how many seconds it took in the machine.
    pub(crate) ended: BTreeMap<String, (i32, f64)>,
    /// Its files.
    pub(crate) dir: PathBuf,
}

/// Kills the emulator when whatever waits for it gives up.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Machine<'_> {
    /// Runs the parts of this name, with more on the kernel's command line, and waits until the machine is off.
    ///
    /// # Errors
    /// If it does not end in time, or leaves nothing; its console stands in `console.log` in `dir`.
    pub(crate) fn run(&self, parts: &str, more: &str, limit: Duration, dir: &Path) -> Result<Outcome> {
        if dir.exists() {
            fs::remove_dir_all(dir).with_context(|| format!("cannot clear {}", dir.display()))?;
        }
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let result = dir.join("result.tar");
        let start = Instant::now();
        let mut guard =
            Guard(self.emulator(parts, more, &result).spawn().context("cannot start the emulator")?);
        let console = guard.0.stdout.take().context("the emulator has no output")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(console);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                if sender.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                    return;
                }
                line.clear();
            }
        });
        let (mut log, mut boot_seconds) = (String::new(), 0.0);
        loop {
            let left = limit.saturating_sub(start.elapsed());
            match lines.recv_timeout(left) {
                Ok(line) => {
                    log += &line;
                    log.push('\n');
                    if let Some(told) = line.strip_prefix("vm: ") {
                        eprintln!("{:6.1} s  {told}", start.elapsed().as_secs_f64());
                        if boot_seconds == 0.0 && told.contains("is up") {
                            boot_seconds = start.elapsed().as_secs_f64();
                        }
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    fs::write(dir.join("console.log"), &log)?;
                    bail!("the virtual machine did not end within {} s\n{}", limit.as_secs(), tail(&log));
                }
            }
        }
        let status = guard.0.wait()?;
        fs::write(dir.join("console.log"), &log)?;
        let mut unpack = Command::new("tar");
        unpack.arg("-xf").arg(&result).arg("-C").arg(dir);
        if !status.success() || command::run(&mut unpack).is_err() {
            bail!("the virtual machine left nothing ({status})\n{}", tail(&log));
        }
        let ended = fs::read_to_string(dir.join("ended")).unwrap_or_default();
        Ok(Outcome { boot_seconds, ended: read_ended(&ended), dir: dir.to_owned() })
    }

    fn emulator(&self, parts: &str, more: &str, result: &Path) -> Command {
        // Everything goes with us, however we end.
        let mut emulator = Command::new("nice");
        emulator.args(["-n", "10", "setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64"]);
        emulator.args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", PROCESSORS, "-m", MEMORY]);
        emulator.args([
            "-nodefaults",
            "-no-user-config",
            "-no-reboot",
            "-display",
            "none",
            "-serial",
            "stdio",
        ]);
        emulator.arg("-kernel").arg(&self.kernel.image).arg("-initrd").arg(self.initial);
        emulator.arg("-append").arg(format!("console=ttyS0 quiet panic=-1 vm.parts={parts} {more}"));
        emulator.arg("-drive").arg(format!("file={},format=raw,if=virtio,snapshot=on", self.disk.display()));
        emulator.args([
            "-device",
            "virtio-serial-pci",
            "-device",
            "virtserialport,chardev=result,name=result",
        ]);
        emulator.arg("-chardev").arg(format!("file,id=result,path={}", result.display()));
        emulator.stdin(Stdio::null()).stdout(Stdio::piped());
        emulator
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

/// Lines such as `vm: end torture 0 12.50 48.75`: name, exit code, begin and end.
fn read_ended(text: &str) -> BTreeMap<String, (i32, f64)> {
    let read = |line: &str| {
        let mut words = line.strip_prefix("vm: end ")?.split(' ');
        let (name, code) = (words.next()?, words.next()?.parse().ok()?);
        let (begin, end): (f64, f64) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some((name.to_owned(), (code, end - begin)))
    };
    text.lines().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_is_read_with_its_time() {
        let ended = read_ended("vm: end torture 0 12.50 48.75\nvm: end doctor 137 1.00 2.00\nother\n");
        assert_eq!(ended["torture"], (0, 36.25));
        assert_eq!(ended["doctor"], (137, 1.0));
        assert_eq!(ended.len(), 2);
    }
}
