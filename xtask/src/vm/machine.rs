//! One run of the virtual machine, from its start to what it leaves.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::kernel::Kernel;
use crate::interrupt::GLANCE;
use crate::{command, interrupt};

const MEMORY: &str = "2048M";
const PROCESSORS: &str = "2";
/// All that the emulator knows but what makes it slower and is nothing to the sensor: a fifth level of page tables, and
/// the guard on the kernel's access to memory of users, which breaks up what was translated.
const PROCESSOR: &str = "max,la57=off,smap=off";
/// Speculation is not emulated, nor are clocks of two processors apart.
const BOOT: &str = "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable";

/// A machine that can be started.
#[derive(Debug)]
pub(crate) struct Machine<'a> {
    pub(crate) kernel: &'a Kernel,
    pub(crate) initial: PathBuf,
    pub(crate) disk: &'a Path,
}

/// What a run left.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Seconds until the first part began, of the host's clock.
    pub(crate) boot_seconds: f64,
    /// By name of the part.
    pub(crate) ended: BTreeMap<String, Ended>,
    /// Its files.
    pub(crate) dir: PathBuf,
}

/// How a part ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    /// How long it took, in the machine.
    pub(crate) seconds: f64,
    /// How many of the machine's processors it kept busy.
    pub(crate) busy: f64,
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
    /// If it does not end in time, leaves nothing, or the user interrupts; its console stands in `console.log` in `dir`.
    pub(crate) fn run(&self, parts: &str, more: &str, limit: Duration, dir: &Path) -> Result<Outcome> {
        if dir.exists() {
            fs::remove_dir_all(dir).with_context(|| format!("cannot clear {}", dir.display()))?;
        }
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let result = dir.join("result.tar");
        let mut log = String::new();
        let attended =
            attend(&mut self.emulator(parts, more, &result), parts, limit, &interrupt::check, &mut log);
        fs::write(dir.join("console.log"), &log)?;
        let (status, boot_seconds) = attended?;
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
        emulator.args(["-accel", "tcg,thread=multi", "-cpu", PROCESSOR, "-smp", PROCESSORS, "-m", MEMORY]);
        emulator.args([
            "-nodefaults",
            "-no-user-config",
            "-no-reboot",
            "-display",
            "none",
            "-serial",
            "stdio",
        ]);
        emulator.arg("-kernel").arg(&self.kernel.image).arg("-initrd").arg(&self.initial);
        emulator.arg("-append").arg(format!("{BOOT} vm.parts={parts} {more}"));
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

/// Starts the emulator and listens to its console until it ends: how, and the seconds until it was up.
fn attend(
    emulator: &mut Command,
    name: &str,
    limit: Duration,
    check: &dyn Fn() -> Result<()>,
    log: &mut String,
) -> Result<(ExitStatus, f64)> {
    let start = Instant::now();
    let mut guard = Guard(emulator.spawn().context("cannot start the emulator")?);
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
    let mut boot_seconds = 0.0;
    loop {
        check()?;
        match lines.recv_timeout(GLANCE) {
            Ok(line) => {
                *log += &line;
                log.push('\n');
                if let Some(told) = line.strip_prefix("vm: ") {
                    let seconds = start.elapsed().as_secs_f64();
                    eprintln!("{seconds:6.1} s  {name}: {told}");
                    if boot_seconds == 0.0 && told.contains("is up") {
                        boot_seconds = seconds;
                    }
                }
            }
            Err(RecvTimeoutError::Disconnected) => return Ok((guard.0.wait()?, boot_seconds)),
            Err(RecvTimeoutError::Timeout) if start.elapsed() < limit => {}
            Err(RecvTimeoutError::Timeout) => {
                bail!("the virtual machine did not end within {} s\n{}", limit.as_secs(), tail(log));
            }
        }
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

/// Lines such as `vm: end torture 0 12.50 20.00 48.75 60.00`: name, exit code, and twice, before and after, the seconds
/// since the start and those that processors had nothing to do, as in `/proc/uptime`.
fn read_ended(text: &str) -> BTreeMap<String, Ended> {
    let read = |line: &str| {
        let mut words = line.strip_prefix("vm: end ")?.split(' ');
        let (name, code) = (words.next()?, words.next()?.parse().ok()?);
        let numbers: Vec<f64> = words.map_while(|word| word.parse().ok()).collect();
        let [begin, idle_before, end, idle_after] = numbers[..] else { return None };
        let seconds = end - begin;
        let processors: f64 = PROCESSORS.parse().ok()?;
        let busy = processors - (idle_after - idle_before) / seconds.max(0.01);
        Some((name.to_owned(), Ended { code, seconds, busy: busy.max(0.0) }))
    };
    text.lines().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_is_read_with_its_time() {
        let lines =
            "vm: end torture 0 12.50 20.00 48.75 38.125\nvm: end doctor 137 1.00 1.00 2.00 1.00\nother\n";
        let ended = read_ended(lines);
        assert_eq!(ended["torture"], Ended { code: 0, seconds: 36.25, busy: 1.5 });
        assert_eq!(ended["doctor"], Ended { code: 137, seconds: 1.0, busy: 2.0 });
        assert_eq!(ended.len(), 2);
    }

    /// An emulator that gives its number and then hangs.
    fn hanging() -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", "echo \"vm: $$ is up\"; exec sleep 1000"]).stdout(Stdio::piped());
        command
    }

    fn process_in(log: &str) -> PathBuf {
        let number = log.strip_prefix("vm: ").unwrap().split(' ').next().unwrap();
        Path::new("/proc").join(number)
    }

    #[test]
    fn an_interrupt_ends_the_machine_at_once() {
        let (start, mut log) = (Instant::now(), String::new());
        let interrupted = || match start.elapsed() > Duration::from_millis(400) {
            true => Err(interrupt::Interrupted.into()),
            false => Ok(()),
        };
        let limit = Duration::from_secs(100);
        let error = attend(&mut hanging(), "test", limit, &interrupted, &mut log).unwrap_err();
        assert!(error.is::<interrupt::Interrupted>(), "{error:#}");
        assert!(start.elapsed() < Duration::from_secs(10));
        assert!(!process_in(&log).exists());
    }

    #[test]
    fn a_machine_that_does_not_end_is_ended_when_its_time_is_over() {
        let mut log = String::new();
        let limit = Duration::from_millis(400);
        let error = attend(&mut hanging(), "test", limit, &|| Ok(()), &mut log).unwrap_err();
        assert!(error.to_string().contains("did not end within"), "{error:#}");
        assert!(!process_in(&log).exists());
    }
}
