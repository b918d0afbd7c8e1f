//! A filter for user namespaces that have one user: what changes users and owners seems to succeed.

use super::{AARCH64, Fate, I386, Instruction, X86_64, program};

/// setuid and its like, setgroups, and fchown.
const USERS: [(u32, &[u32]); 3] = [
    (X86_64, &[93, 105, 106, 113, 114, 116, 117, 119, 122, 123]),
    (I386, &[23, 46, 70, 71, 81, 95, 138, 139, 164, 170, 203, 204, 206, 207, 208, 210, 213, 214, 215, 216]),
    (AARCH64, &[55, 143, 144, 145, 146, 147, 149, 151, 152, 159]),
];

/// chown and its like, with a path.
const OWNERS: [(u32, &[u32]); 3] =
    [(X86_64, &[92, 94, 260]), (I386, &[16, 182, 198, 212, 298]), (AARCH64, &[54])];

/// The filter. Without `paths` calls that change the owner of a path go through, for whoever watches them to answer.
pub fn pretended_owners(paths: bool) -> Vec<Instruction> {
    let architectures = if cfg!(target_arch = "aarch64") { 2..3 } else { 0..2 };
    let tables: Vec<_> = architectures
        .map(|index| {
            let owners = if paths { OWNERS[index].1 } else { &[] };
            let calls = USERS[index].1.iter().chain(owners).map(|number| (*number, Fate::Errno(0)));
            (USERS[index].0, calls.collect::<Vec<_>>())
        })
        .collect();
    let tables: Vec<_> = tables.iter().map(|(architecture, calls)| (*architecture, &**calls)).collect();
    program(&tables)
}
