//! The directory of one running container, and the sweeping up of those whose owners were killed.
//!
//! `data_dir/run/ID` holds the writable layer, the runtime's state, the log, and `cgroup.json`, which tells a later
//! Careen what else to undo. As long as the engine or the supervisor lives, one of them holds a shared lock on `lock`
//! in it; a directory that can be locked exclusively is nobody's. Mounts need no sweeping: they are in the
//! supervisor's own mount namespace and vanish with the processes.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use tracing::{info, warn};

use crate::EngineError;
use crate::cgroup::{ContainerCgroup, Hierarchy};

const CGROUP_FILE: &str = "cgroup.json";

/// Says that a run directory is in use.
#[derive(Debug)]
pub(crate) struct RunLock {
    _file: File,
}

impl RunLock {
    /// As one of its users.
    pub(crate) fn share(run_dir: &Path) -> io::Result<Self> {
        let file = open_lock(&run_dir.join("lock"))?;
        flock(&file, FlockOperation::LockShared)?;
        Ok(Self { _file: file })
    }

    /// `None` if it has users.
    fn try_own(run_dir: &Path) -> io::Result<Option<Self>> {
        let file = open_lock(&run_dir.join("lock"))?;
        for _ in 0..10 {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(Self { _file: file })),
                // A user that was killed a moment ago may not have let go yet.
                Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(Duration::from_millis(10)),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }
}

fn open_lock(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(path)
}

/// Held while directories appear in `run` or are swept out of it.
fn lock_run(data_dir: &Path) -> io::Result<File> {
    fs::create_dir_all(data_dir.join("run"))?;
    let file = open_lock(&data_dir.join("run.lock"))?;
    flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}

/// Makes the directory of a new container and gives it its id: 12 random hex digits.
pub(crate) fn create(
    data_dir: &Path,
    hierarchy: Option<&Hierarchy>,
) -> Result<(PathBuf, ContainerCgroup, String, RunLock), EngineError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| EngineError::DataDir { path, source }
    };
    let _guard = lock_run(data_dir).map_err(failed(data_dir))?;
    let id = random_id().map_err(failed(Path::new("/dev/urandom")))?;
    let run_dir = data_dir.join("run").join(&id);
    let cgroup = hierarchy.map_or_else(|| ContainerCgroup::absent(&id), |hierarchy| hierarchy.container(&id));
    let make = || {
        fs::create_dir(&run_dir)?;
        fs::write(run_dir.join(CGROUP_FILE), serde_json::to_vec(&cgroup)?)?;
        RunLock::share(&run_dir)
    };
    let lock = make().map_err(failed(&run_dir))?;
    Ok((run_dir, cgroup, id, lock))
}

/// A directory for a trial, beside those of containers: should we be killed now, it is swept up like one of them.
pub(crate) fn with_scratch<T>(data_dir: &Path, trial: impl FnOnce(&Path) -> T) -> io::Result<T> {
    let _guard = lock_run(data_dir)?;
    let scratch = tempfile::Builder::new().prefix("probe-").tempdir_in(data_dir.join("run"))?;
    Ok(trial(scratch.path()))
}

/// A directory to keep for a while, swept up like that of a container once its lock is free.
pub(crate) fn reserve(data_dir: &Path, prefix: &str) -> io::Result<(tempfile::TempDir, RunLock)> {
    let _guard = lock_run(data_dir)?;
    let dir = tempfile::Builder::new().prefix(prefix).tempdir_in(data_dir.join("run"))?;
    let lock = RunLock::share(dir.path())?;
    Ok((dir, lock))
}

fn random_id() -> io::Result<String> {
    let mut bytes = [0; 6];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Undoes what is left of a container whose processes are ours alone to kill. Files last: they tell the next start of
/// cgroups that cannot be removed now.
pub(crate) fn remove(run_dir: &Path, cgroup: &ContainerCgroup) -> io::Result<()> {
    cgroup.remove()?;
    match fs::remove_dir_all(run_dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Kills and removes the containers that killed Careens left behind.
pub(crate) fn sweep(data_dir: &Path) -> io::Result<()> {
    let _guard = lock_run(data_dir)?;
    for entry in fs::read_dir(data_dir.join("run"))? {
        let run_dir = entry?.path();
        let Some(_lock) = RunLock::try_own(&run_dir)? else { continue };
        match left_cgroup(&run_dir) {
            Some(cgroup) => match remove(&run_dir, &cgroup) {
                Ok(()) => info!(run_dir = %run_dir.display(), "removed a container that a killed run left"),
                Err(error) => {
                    warn!(run_dir = %run_dir.display(), %error, "cannot remove what a killed run left");
                }
            },
            None => drop(fs::remove_dir_all(&run_dir)),
        }
    }
    Ok(())
}

/// What the directory says about cgroups, if it speaks of this very container.
fn left_cgroup(run_dir: &Path) -> Option<ContainerCgroup> {
    let cgroup: ContainerCgroup = serde_json::from_slice(&fs::read(run_dir.join(CGROUP_FILE)).ok()?).ok()?;
    let id = run_dir.file_name()?.to_str()?;
    (cgroup.id() == id && id.len() == 12 && id.bytes().all(|b| b.is_ascii_hexdigit())).then_some(cgroup)
}
