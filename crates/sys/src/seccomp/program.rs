//! Writing filters: which calls of which architecture meet which fate.
//!
//! Source: `seccomp(2)`, `linux/filter.h`, `linux/seccomp.h`.

use super::Instruction;

/// `AUDIT_ARCH_X86_64`.
pub const X86_64: u32 = 0xc000_003e;
/// `AUDIT_ARCH_I386`.
pub const I386: u32 = 0x4000_0003;
/// `AUDIT_ARCH_AARCH64`.
pub const AARCH64: u32 = 0xc000_00b7;

/// Calls of the x32 way of calling carry this bit.
const X32_BIT: u32 = 0x4000_0000;
const MAP_ANONYMOUS: u32 = 0x20;

const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_NOT_LESS: u16 = 0x35;
const JUMP_IF_ANY: u16 = 0x45;
const JUMP: u16 = 0x05;
const RETURN: u16 = 0x06;

const NUMBER: u32 = 0;
const ARCH: u32 = 4;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The listener is asked.
    Ask,
    /// It is not carried out and fails with this errno; with 0 it seems to have succeeded.
    Errno(u16),
    /// The listener is asked, unless this pointer argument is null.
    AskUnlessNull(u8),
    /// As mmap: the listener is asked if a file is mapped.
    AskIfMappingFile,
}

impl Fate {
    fn instructions(self) -> Vec<Instruction> {
        let ask = (RETURN, 0, 0, 0x7fc0_0000);
        let allow = (RETURN, 0, 0, 0x7fff_0000);
        let low = |index: u8| (LOAD, 0, 0, 16 + 8 * u32::from(index));
        let high = |index: u8| (LOAD, 0, 0, 20 + 8 * u32::from(index));
        match self {
            Self::Ask => vec![ask],
            Self::Errno(errno) => vec![(RETURN, 0, 0, 0x0005_0000 | u32::from(errno))],
            Self::AskUnlessNull(index) => {
                vec![low(index), (JUMP_IF_EQUAL, 0, 2, 0), high(index), (JUMP_IF_EQUAL, 1, 0, 0), ask, allow]
            }
            Self::AskIfMappingFile => vec![
                low(3),
                (JUMP_IF_ANY, 3, 0, MAP_ANONYMOUS),
                low(4),
                (JUMP_IF_EQUAL, 1, 0, u32::MAX),
                ask,
                allow,
            ],
        }
    }
}

/// The filter under which calls have these fates and all others of these architectures go through. Calls of any other
/// architecture, and of x32, do not exist.
pub fn program(tables: &[(u32, &[(u32, Fate)])]) -> Vec<Instruction> {
    const ENOSYS: u16 = 38;
    let nothing = Fate::Errno(ENOSYS).instructions();
    let mut out = vec![(LOAD, 0, 0, ARCH)];
    for (arch, calls) in tables {
        let mut block: Vec<Instruction> = vec![(LOAD, 0, 0, NUMBER)];
        if *arch == X86_64 {
            block.push((JUMP_IF_NOT_LESS, 0, 1, X32_BIT));
            block.extend(&nothing);
        }
        for (number, fate) in *calls {
            let fate = fate.instructions();
            // Each is a handful of instructions.
            let skip = u8::try_from(fate.len()).unwrap_or(u8::MAX);
            block.push((JUMP_IF_EQUAL, 0, skip, *number));
            block.extend(fate);
        }
        block.push((RETURN, 0, 0, 0x7fff_0000));
        let length = u32::try_from(block.len()).unwrap_or(u32::MAX);
        out.extend([(JUMP_IF_EQUAL, 1, 0, *arch), (JUMP, 0, 0, length)]);
        out.extend(block);
    }
    out.extend(nothing);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would do, as it interprets such programs.
    fn run(program: &[Instruction], arch: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let mut data = [0u32; 16];
        data[0] = number;
        data[1] = arch;
        for (index, argument) in arguments.iter().enumerate() {
            data[4 + 2 * index] = *argument as u32;
            data[5 + 2 * index] = (*argument >> 32) as u32;
        }
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let (code, jt, jf, k) = program[at];
            at += 1;
            let mut jump = |condition: bool| at += usize::from(if condition { jt } else { jf });
            match code {
                LOAD => accumulator = data[k as usize / 4],
                JUMP_IF_EQUAL => jump(accumulator == k),
                JUMP_IF_NOT_LESS => jump(accumulator >= k),
                JUMP_IF_ANY => jump(accumulator & k != 0),
                JUMP => at += k as usize,
                _ => return k,
            }
        }
    }

    #[test]
    fn each_call_meets_its_fate_and_foreign_ones_do_not_exist() {
        let native = [
            (2, Fate::Ask),
            (9, Fate::AskIfMappingFile),
            (44, Fate::AskUnlessNull(4)),
            (425, Fate::Errno(38)),
        ];
        let filter = program(&[(X86_64, &native), (I386, &[(5, Fate::Ask)])]);
        let (ask, allow, nothing) = (0x7fc0_0000, 0x7fff_0000, 0x0005_0026);
        let none = [0; 6];
        for (arch, number, arguments, expected) in [
            (X86_64, 2, none, ask),
            (X86_64, 3, none, allow),
            (X86_64, 5, none, allow),
            (X86_64, 425, none, nothing),
            (X86_64, 2 | X32_BIT, none, nothing),
            (X86_64, 9, [0, 0, 0, 2, 3, 0], ask),
            (X86_64, 9, [0, 0, 0, 0x22, 3, 0], allow),
            (X86_64, 9, [0, 0, 0, 2, u64::MAX, 0], allow),
            (X86_64, 44, none, allow),
            (X86_64, 44, [0, 0, 0, 0, 8, 0], ask),
            (X86_64, 44, [0, 0, 0, 0, 1 << 32, 0], ask),
            (I386, 5, none, ask),
            (I386, 2, none, allow),
            (AARCH64, 2, none, nothing),
        ] {
            assert_eq!(run(&filter, arch, number, arguments), expected, "{arch:x} {number} {arguments:?}");
        }
    }
}
