//! Which calls the kernel asks us about.

use sys::seccomp::{AARCH64, Fate, I386, Instruction, X86_64, program};

use super::ask::Shape;
use crate::syscalls::{self, TABLE_LENGTH};
use crate::wire::Op;

/// The same number everywhere.
const IO_URING_SETUP: u32 = 425;
const ENOSYS: u16 = 38;

/// The filter: calls that use paths are asked about, io_uring does not exist, since what goes through its rings passes
/// no filter, and all else goes through.
pub fn filter() -> Vec<Instruction> {
    let native = fates(&syscalls::native());
    if cfg!(target_arch = "aarch64") {
        return program(&[(AARCH64, &native)]);
    }
    program(&[(X86_64, &native), (I386, &fates(&syscalls::compat()))])
}

fn fates(table: &[u64; TABLE_LENGTH]) -> Vec<(u32, Fate)> {
    let mut fates = vec![(IO_URING_SETUP, Fate::Errno(ENOSYS))];
    for (number, word) in table.iter().enumerate() {
        let Some(shape) = Shape::of(*word) else { continue };
        let fate = match shape.op {
            // By handle: there is no path to read, and a user namespace has no right to it.
            Op::Open if shape.path.is_none() => continue,
            Op::Map => Fate::AskIfMappingFile,
            Op::Send => Fate::AskUnlessNull(4),
            _ => Fate::Ask,
        };
        fates.push((u32::try_from(number).unwrap_or(u32::MAX), fate));
    }
    fates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_fits_into_what_the_kernel_takes() {
        assert!(filter().len() < 4096, "{}", filter().len());
    }

    #[test]
    fn each_call_has_one_fate() {
        for table in [syscalls::native(), syscalls::compat()] {
            let mut numbers: Vec<_> = fates(&table).into_iter().map(|(number, _)| number).collect();
            let count = numbers.len();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), count);
        }
    }
}
