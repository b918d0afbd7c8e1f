//! What live processes hold open or mapped, asked of the kernel directly: a check on the record from another side.

use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use aya::Ebpf;
use aya::maps::Array;
use aya::programs::Iter;

use crate::SensorError;
use crate::sensor::program;
use crate::wire::{Chain, Event, Program};

/// Program and iterator.
pub(crate) const ITERATORS: [(&str, &str); 2] =
    [("on_held_open", "task_file"), ("on_held_mapped", "task_vma")];

/// A file that a process holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Held {
    pub(crate) file: Chain,
    pub(crate) program: Arc<Program>,
}

/// Files held by the processes in a cgroup and beneath it.
pub(crate) fn take(ebpf: &mut Ebpf, cgroup: &Path) -> Result<BTreeSet<Held>, SensorError> {
    list_only(ebpf, cgroup).map_err(|source| SensorError::Snapshot { source })?;
    let mut held = BTreeSet::new();
    for (name, _) in ITERATORS {
        let bytes = read_iterator(ebpf, name).map_err(|source| SensorError::Snapshot { source })?;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (event, _, length) =
                Event::parse(rest).map_err(|source| SensorError::SnapshotRecord { source })?;
            rest = &rest[length..];
            if let Some(file) = event.object {
                held.insert(Held { file, program: event.program });
            }
        }
    }
    Ok(held)
}

fn read_iterator(ebpf: &mut Ebpf, name: &str) -> io::Result<Vec<u8>> {
    let program = program::<Iter>(ebpf, name).map_err(io::Error::other)?;
    let link = program.attach().map_err(io::Error::other)?;
    let link = program.take_link(link).map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    link.into_file().map_err(io::Error::other)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Tells the kernel side whose tasks to list: a cgroup's ID is the inode number of its directory.
fn list_only(ebpf: &mut Ebpf, cgroup: &Path) -> io::Result<()> {
    let id = std::fs::metadata(cgroup)?.ino();
    let map = ebpf.map_mut("listed").ok_or(io::ErrorKind::NotFound)?;
    Array::<_, u64>::try_from(map).and_then(|mut array| array.set(0, id, 0)).map_err(io::Error::other)
}
