//! Known uses of files that prove that the sensor sees the cgroup.
//!
//! At start and at stop a helper, which is this program run again, moves itself into a child of the watched cgroup,
//! executes itself once more there, and looks up files that exist nowhere. Each use must be in the record. Their
//! names carry a word made for this recording, so nothing that the workload does can stand in for them.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::sensor::Helper;
use crate::wire::{Event, Op};

/// Uses that one run of the helper makes, beside its own execution: the operation and the name it looks up.
const LOOKUPS: [(Op, &str); 4] =
    [(Op::Open, "open"), (Op::Stat, "stat"), (Op::Readlink, "readlink"), (Op::Exec, "exec")];

/// Set in the helper once it has joined the cgroup.
const JOINED: &str = "CAREEN_SENSOR_CANARY_JOINED";

/// Entry of the re-executed helper, with the arguments that follow [`Helper::args`]: a cgroup directory and a word.
/// Returns the exit code.
pub fn canary_main(args: &[OsString]) -> i32 {
    let [cgroup, word] = args else { return 2 };
    let outcome = if std::env::var_os(JOINED).is_some() { look_up(word) } else { join(cgroup, word) };
    match outcome {
        Ok(()) => 0,
        Err(error) => error.raw_os_error().unwrap_or(1),
    }
}

/// Joins the cgroup and executes this program again, under a path that no other process uses.
fn join(cgroup: &OsStr, word: &OsStr) -> io::Result<()> {
    std::fs::write(Path::new(cgroup).join("cgroup.procs"), "0")?;
    let exe = format!("/proc/{}/exe", std::process::id());
    Err(Command::new(exe).arg0(word).args(std::env::args_os().skip(1)).env(JOINED, "1").exec())
}

fn look_up(word: &OsStr) -> io::Result<()> {
    for (op, name) in LOOKUPS {
        let path = canary_path(word, name);
        let found = match op {
            Op::Open => std::fs::File::open(&path).is_ok(),
            Op::Stat => std::fs::metadata(&path).is_ok(),
            Op::Readlink => std::fs::read_link(&path).is_ok(),
            _ => Command::new(&path).spawn().is_ok(),
        };
        if found {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
    }
    Ok(())
}

fn canary_path(word: &OsStr, name: &str) -> PathBuf {
    Path::new("/").join(word).join(name)
}

/// The canaries of one recording.
#[derive(Debug)]
pub(crate) struct Canaries {
    helper: Helper,
    cgroup: PathBuf,
    word: String,
    /// The words of the runs so far.
    runs: Vec<OsString>,
    /// Runs that could not be made: nothing shows that the sensor still saw the cgroup then.
    failed: u64,
}

impl Canaries {
    pub(crate) fn new(helper: Helper, cgroup: &Path) -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let word = format!("careen-canary-{}-{}-{}", std::process::id(), now.tv_sec, now.tv_nsec);
        Self { helper, cgroup: cgroup.to_owned(), word, runs: Vec::new(), failed: 0 }
    }

    /// What the names of all its uses begin with.
    pub(crate) fn word(&self) -> &str {
        &self.word
    }

    /// Lets the helper make its uses in a child of the cgroup.
    ///
    /// A child, for a cgroup that gives controllers to its children takes no processes itself.
    pub(crate) fn run(&mut self, when: &str) -> io::Result<()> {
        let word = OsString::from(format!("{}-{when}", self.word));
        let child = self.cgroup.join(&word);
        std::fs::create_dir(&child)?;
        let status = Command::new(&self.helper.program)
            .args(&self.helper.args)
            .args([child.as_os_str(), &word])
            .current_dir("/")
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let removed = std::fs::remove_dir(&child);
        let status = status?;
        if !status.success() {
            return Err(match status.code() {
                Some(errno) if errno > 2 => io::Error::from_raw_os_error(errno),
                _ => io::Error::other(format!("the helper ended with {status}")),
            });
        }
        removed?;
        self.runs.push(word);
        Ok(())
    }

    /// Counts a run that could not be made as one that was not seen.
    pub(crate) fn miss(&mut self) {
        self.failed += 1;
    }

    /// How many uses the runs so far have made, or should have.
    pub(crate) fn expected(&self) -> u64 {
        (self.runs.len() as u64 + self.failed) * (LOOKUPS.len() as u64 + 1)
    }

    /// Which canary an event is, if it is one.
    pub(crate) fn recognise(&self, event: &Event) -> Option<(usize, usize)> {
        let run = self.runs.iter().position(|word| {
            *event.program.argv0 == *word.as_bytes()
                || event.text.as_ref().is_some_and(|text| contains(text, word.as_bytes()))
        })?;
        let text = event.text.as_deref()?;
        for (index, (op, name)) in LOOKUPS.iter().enumerate() {
            if event.op == *op && *text == *canary_path(&self.runs[run], name).as_os_str().as_bytes() {
                return Some((run, index));
            }
        }
        (event.op == Op::Exec && event.object.is_some()).then_some((run, LOOKUPS.len()))
    }
}

/// Whether an event is of a canary whose word this is the beginning of.
pub(crate) fn is_of_canary(event: &Event, word: &[u8]) -> bool {
    event.program.argv0.starts_with(word) || event.text.as_ref().is_some_and(|text| contains(text, word))
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
