//! A filter for user namespaces that have one user: what changes owners seems to succeed.

use super::{AARCH64, Fate, I386, Instruction, X86_64, program};

/// fchown.
const BY_DESCRIPTOR: [(u32, &[u32]); 3] = [(X86_64, &[93]), (I386, &[95, 207]), (AARCH64, &[55])];

/// chown and its like, with a path.
const BY_PATH: [(u32, &[u32]); 3] =
    [(X86_64, &[92, 94, 260]), (I386, &[16, 182, 198, 212, 298]), (AARCH64, &[54])];

/// Whether a call changes the owner of what a path leads to.
pub fn changes_owner(architecture: u32, number: i32) -> bool {
    let Ok(number) = u32::try_from(number) else { return false };
    BY_PATH.iter().any(|(known, numbers)| *known == architecture && numbers.contains(&number))
}

/// The filter. Without `paths` calls that change the owner of a path go through, for whoever watches them to answer.
pub fn pretended_owners(paths: bool) -> Vec<Instruction> {
    let architectures = if cfg!(target_arch = "aarch64") { 2..3 } else { 0..2 };
    let tables: Vec<_> = architectures
        .map(|index| {
            let by_path = if paths { BY_PATH[index].1 } else { &[] };
            let numbers = BY_DESCRIPTOR[index].1.iter().chain(by_path);
            (BY_PATH[index].0, numbers.map(|number| (*number, Fate::Errno(0))).collect::<Vec<_>>())
        })
        .collect();
    let tables: Vec<_> = tables.iter().map(|(architecture, calls)| (*architecture, &**calls)).collect();
    program(&tables)
}
