//! What live processes hold open or mapped, asked of the kernel directly: a check on the record from another side.

use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use aya::Ebpf;
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
    pub(crate) program: Program,
}

/// Files held by the processes in a cgroup and beneath it.
pub(crate) fn take(ebpf: &mut Ebpf, cgroup: &Path) -> Result<BTreeSet<Held>, SensorError> {
    let cgroups = ids_of(cgroup);
    let mut held = BTreeSet::new();
    for (name, _) in ITERATORS {
        let bytes = read_iterator(ebpf, name).map_err(|source| SensorError::Snapshot { source })?;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (event, id, length) =
                Event::parse(rest).map_err(|source| SensorError::SnapshotRecord { source })?;
            rest = &rest[length..];
            if let Some(file) = event.object.filter(|_| cgroups.contains(&id)) {
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

/// IDs of a cgroup and those beneath it: the inode numbers of their directories. What vanishes meanwhile is left out.
fn ids_of(cgroup: &Path) -> BTreeSet<u64> {
    let mut ids = BTreeSet::new();
    let mut todo = vec![cgroup.to_owned()];
    while let Some(directory) = todo.pop() {
        if let Ok(metadata) = std::fs::metadata(&directory) {
            ids.insert(metadata.ino());
        }
        let entries = std::fs::read_dir(&directory).into_iter().flatten().flatten();
        todo.extend(entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()));
    }
    ids
}
