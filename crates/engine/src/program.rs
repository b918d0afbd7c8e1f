//! Starting helper processes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use crate::options::Helper;
use crate::protocol::Channel;
use crate::{EngineError, helper};

/// The helper's program, as a copy in memory that nobody can change.
///
/// A process in a container can get hold of the program that started it, through `/proc/self/exe`. Were that the file
/// on the host's disk, root in the container could overwrite it (CVE-2019-5736, found in runc).
#[derive(Debug)]
pub(crate) struct HelperProgram {
    helper: Helper,
    copy: Arc<File>,
}

/// The copies of this process, by the path of the program. Each stays as it was first read, so that all engines of a
/// process speak with helpers of one build, whatever happens to the file.
static COPIES: Mutex<BTreeMap<PathBuf, Arc<File>>> = Mutex::new(BTreeMap::new());

impl HelperProgram {
    pub(crate) fn load(helper: &Helper) -> Result<Self, EngineError> {
        let program = &helper.program;
        let failed = |source| EngineError::StartHelper { program: program.clone(), source };
        let mut copies = COPIES.lock().unwrap_or_else(PoisonError::into_inner);
        let copy = match copies.get(program) {
            Some(copy) => Arc::clone(copy),
            None => {
                let copy = Arc::new(sealed_copy(program).map_err(failed)?);
                copies.insert(program.clone(), Arc::clone(&copy));
                copy
            }
        };
        Ok(Self { helper: helper.clone(), copy })
    }

    /// The supervisor of a container. What it says beside the protocol goes to `last_words`.
    pub(crate) fn supervisor(&self, last_words: &Path) -> Result<(Child, Channel), EngineError> {
        let words = File::create(last_words)
            .map_err(|source| EngineError::DataDir { path: last_words.to_owned(), source })?;
        self.spawn(helper::SUPERVISE, Stdio::null(), words.into(), false)
    }

    /// A helper that runs one command, whose output goes to pipes.
    pub(crate) fn command(&self, kind: &str) -> Result<(Child, Channel), EngineError> {
        self.spawn(kind, Stdio::piped(), Stdio::piped(), kind == helper::HOST)
    }

    fn spawn(
        &self,
        kind: &str,
        stdout: Stdio,
        stderr: Stdio,
        keep_env: bool,
    ) -> Result<(Child, Channel), EngineError> {
        let spawn = || -> io::Result<(Child, Channel)> {
            let (ours, theirs) = UnixStream::pair()?;
            // In the child the number still names this file when it executes it; then the descriptor closes.
            let mut command = Command::new(format!("/proc/self/fd/{}", self.copy.as_raw_fd()));
            command.args(&self.helper.leading_args).arg(kind);
            command.stdin(OwnedFd::from(theirs)).stdout(stdout).stderr(stderr);
            if !keep_env {
                command.env_clear();
            }
            Ok((command.spawn()?, Channel::new(ours)))
        };
        spawn().map_err(|source| EngineError::StartHelper { program: self.helper.program.clone(), source })
    }
}

fn sealed_copy(program: &Path) -> io::Result<File> {
    let mut source = File::open(program)?;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = match memfd_create("careen", flags | MemfdFlags::EXEC) {
        // Kernels before 6.3 do not know MFD_EXEC, and need none.
        Err(rustix::io::Errno::INVAL) => memfd_create("careen", flags)?,
        other => other?,
    };
    let mut copy = File::from(memory);
    io::copy(&mut source, &mut copy)?;
    seal(&copy)?;
    Ok(copy)
}

/// Seals against every change. The kernel says EBUSY while a page that was just written is still referenced elsewhere
/// (memfd_wait_for_pins), which passes.
fn seal(copy: &File) -> io::Result<()> {
    const TRIES: u32 = 100;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    let mut tries = 0;
    loop {
        match fcntl_add_seals(copy, seals) {
            Err(rustix::io::Errno::BUSY) if tries < TRIES => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            result => return Ok(result?),
        }
    }
}
