//! The record of one use, as the kernel side writes it (`bpf/wire.h`).
//!
//! A fixed head in native byte order, then a payload of six parts in fixed order: the path's text, and the chains of
//! names of the opened object, of the directory that a relative text starts at, of the process's root, and of its
//! executable, and its argv\[0\]. A chain is the names from a dentry up to the root of its file system, innermost
//! first, each ended by NUL. On overlayfs it ends at the overlay's own root, which is the root of the image, whatever
//! chroot, pivot_root or bind mounts the process made; on other file systems it goes on through their mount points.
//!
//! | offset | size | what |
//! |-------:|-----:|------|
//! | 0 | 2 | version, 1 |
//! | 2 | 1 | operation, [`Op`] |
//! | 3 | 1 | flags, [`Flags`] |
//! | 4 | 4 | result: 0 or a negative errno |
//! | 8 | 8 | CLOCK_MONOTONIC, ns |
//! | 16 | 4 | process ID |
//! | 20 | 4 | open flags; of a process, its user; of what was made, its kind |
//! | 24 | 8 | inode of the executable |
//! | 32 | 4 | device of the executable |
//! | 36 | 4 | mode of the object; of a process, its parent |
//! | 40 | 48 | six parts: length (2), status (1), crossed mounts (1), device (4) |
//! | 88 | 16 | command name |
//! | 104 | … | payload |

use std::sync::Arc;

use crate::processes::ProcessRecord;

/// Version of the layout.
pub const WIRE_VERSION: u16 = 1;
pub(crate) const HEAD_BYTES: usize = 104;

/// What was done with a path. The numbers are those of `enum op` in `bpf/wire.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "bpf/wire.h says what each one means")]
pub enum Op {
    Open = 1,
    Stat,
    Access,
    Readlink,
    Xattr,
    Watch,
    Connect,
    Send,
    SendMessage,
    SendMessages,
    Bind,
    SocketCall,
    Use,
    Change,
    Create,
    Remove,
    Link,
    Exec,
    Interpreter,
    Loader,
    Map,
    OldMap,
    FsConfig,
    Bpf,
    ReadDirectory,
    Enter,
    Held,
    Forked,
    Started,
    Exited,
    Made,
}

impl Op {
    const ALL: [Self; 31] = [
        Self::Open,
        Self::Stat,
        Self::Access,
        Self::Readlink,
        Self::Xattr,
        Self::Watch,
        Self::Connect,
        Self::Send,
        Self::SendMessage,
        Self::SendMessages,
        Self::Bind,
        Self::SocketCall,
        Self::Use,
        Self::Change,
        Self::Create,
        Self::Remove,
        Self::Link,
        Self::Exec,
        Self::Interpreter,
        Self::Loader,
        Self::Map,
        Self::OldMap,
        Self::FsConfig,
        Self::Bpf,
        Self::ReadDirectory,
        Self::Enter,
        Self::Held,
        Self::Forked,
        Self::Started,
        Self::Exited,
        Self::Made,
    ];

    /// Whether it tells of a process, not of a path.
    pub(crate) fn is_of_process(self) -> bool {
        matches!(self, Self::Forked | Self::Started | Self::Exited)
    }

    pub(crate) fn from_wire(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte).checked_sub(1)?).copied()
    }
}

/// Bits of `enum flag` in `bpf/wire.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flags(u8);

impl Flags {
    /// From the bits of the header.
    pub(crate) fn new(bits: u8) -> Self {
        Self(bits)
    }
    /// The bits of the header.
    pub(crate) fn bits(self) -> u8 {
        self.0
    }
    /// A link at the end of the path is meant itself.
    pub fn nofollow(self) -> bool {
        self.0 & 1 != 0
    }
    /// The base is the root (`RESOLVE_IN_ROOT`).
    pub fn in_root(self) -> bool {
        self.0 & 2 != 0
    }
    /// The text starts at the process's root.
    pub fn absolute(self) -> bool {
        self.0 & 4 != 0
    }
    /// The result is not known.
    pub fn pending(self) -> bool {
        self.0 & 8 != 0
    }
    /// Mapped executable.
    pub fn exec(self) -> bool {
        self.0 & 16 != 0
    }
    /// Told by a hook within the kernel: an object, on which the kernel was about to act.
    pub fn hook(self) -> bool {
        self.0 & 32 != 0
    }
    /// The process is in the object since then, or has it as its root. Base and root are those of afterwards: from where
    /// the text was looked up is not known.
    pub fn moved(self) -> bool {
        self.0 & 64 != 0
    }
}

/// A place in a file system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Chain {
    /// Names below the root of the file system, joined with slashes, outermost first.
    pub path: Box<[u8]>,
    /// The file system at whose root the chain ends, as the kernel numbers devices.
    pub dev: u32,
    /// Whether the chain ends at no root: a pipe, a memfd.
    pub detached: bool,
    /// Whether the place lies in another file system, mounted somewhere beneath the one where the chain ends.
    pub mounted: bool,
}

/// A program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Program {
    /// Device and inode of the executable.
    pub id: (u32, u64),
    /// Where it lies, if that could be read.
    pub exe: Option<Chain>,
    /// argv\[0\], or the command name.
    pub argv0: Box<[u8]>,
}

/// One use of a path. Equal events are the same use, whenever it happened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Event {
    /// What was done.
    pub op: Op,
    /// How.
    pub flags: Flags,
    /// 0 or the errno of the failure.
    pub errno: i32,
    /// Open flags of [`Op::Open`]; the kind of [`Op::Made`]; whether [`Op::Use`] is of a setting of a file system.
    pub how: u32,
    /// The path as text, where it was given as text. Of [`Op::Made`] what is shown, a NUL, and where.
    pub text: Option<Box<[u8]>>,
    /// What was opened, executed, mapped, listed, held.
    pub object: Option<Chain>,
    /// Where a relative text starts.
    pub base: Option<Arc<Chain>>,
    /// The root of the process.
    pub root: Option<Arc<Chain>>,
    /// Who.
    pub program: Arc<Program>,
}

/// Why bytes are not a record: the two sides of this crate disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record of {length} bytes from the kernel side is not understood")]
pub struct BadRecord {
    /// Its length.
    pub length: usize,
}

impl Event {
    /// Reads the record at the start of `bytes`: the event, its time, and how many bytes it took.
    ///
    /// # Errors
    /// [`BadRecord`] if it is cut short or not of this version.
    pub fn parse(bytes: &[u8]) -> Result<(Self, u64, usize), BadRecord> {
        parse(bytes).ok_or(BadRecord { length: bytes.len() })
    }

    /// What the head of a record that was parsed says of the process.
    pub(crate) fn process(bytes: &[u8]) -> ProcessRecord {
        let at = |at: usize| {
            let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
            u32::from_ne_bytes(four.unwrap_or_default())
        };
        ProcessRecord { pid: at(16), user: at(20), parent: at(36) }
    }

    /// Bytes that this event takes in memory, roughly.
    pub fn footprint(&self) -> usize {
        let chain = |c: Option<&Chain>| c.map_or(0, |c| c.path.len());
        256 + self.text.as_ref().map_or(0, |t| t.len())
            + chain(self.object.as_ref())
            + chain(self.base.as_deref())
            + chain(self.root.as_deref())
            + chain(self.program.exe.as_ref())
            + self.program.argv0.len()
    }
}

fn parse(bytes: &[u8]) -> Option<(Event, u64, usize)> {
    let head = bytes.get(..HEAD_BYTES)?;
    let u16_at = |at: usize| u16::from_ne_bytes([head[at], head[at + 1]]);
    let u32_at = |at: usize| u32::from_ne_bytes(std::array::from_fn(|i| head[at + i]));
    let u64_at = |at: usize| u64::from_ne_bytes(std::array::from_fn(|i| head[at + i]));
    if u16_at(0) != WIRE_VERSION {
        return None;
    }
    let mut offset = HEAD_BYTES;
    let mut parts = [None, None, None, None, None, None];
    for (index, slot) in parts.iter_mut().enumerate() {
        let at = 40 + index * 8;
        let payload = bytes.get(offset..offset + usize::from(u16_at(at)))?;
        offset += payload.len();
        *slot = Some(Part { payload, status: head[at + 2], crossed: head[at + 3] != 0, dev: u32_at(at + 4) });
    }
    let [text, object, base, root, exe, argv0] = parts;
    let comm = &head[88..104];
    let argv0 = match argv0.and_then(Part::text) {
        Some(argv0) if !argv0.is_empty() => argv0,
        _ => comm.split(|&b| b == 0).next().unwrap_or_default().into(),
    };
    let event = Event {
        op: Op::from_wire(head[2])?,
        flags: Flags(head[3]),
        errno: i32::from_ne_bytes(u32_at(4).to_ne_bytes()).checked_neg()?,
        how: u32_at(20),
        text: text.and_then(Part::text),
        object: object.and_then(Part::chain),
        base: base.and_then(Part::chain).map(Arc::new),
        root: root.and_then(Part::chain).map(Arc::new),
        program: Arc::new(Program { id: (u32_at(32), u64_at(24)), exe: exe.and_then(Part::chain), argv0 }),
    };
    Some((event, u64_at(8), offset))
}

/// One piece of the payload.
struct Part<'a> {
    payload: &'a [u8],
    status: u8,
    crossed: bool,
    dev: u32,
}

impl Part<'_> {
    const WHOLE: u8 = 1;
    const DETACHED: u8 = 2;

    fn text(self) -> Option<Box<[u8]>> {
        (self.status == Self::WHOLE).then(|| self.payload.strip_suffix(&[0]).unwrap_or(self.payload).into())
    }

    fn chain(self) -> Option<Chain> {
        if self.status != Self::WHOLE && self.status != Self::DETACHED {
            return None;
        }
        let mut path = Vec::with_capacity(self.payload.len());
        for name in self.payload.split(|&b| b == 0).rev().filter(|name| !name.is_empty()) {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name);
        }
        let detached = self.status == Self::DETACHED;
        Some(Chain { path: path.into(), dev: self.dev, detached, mounted: self.crossed })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A record with these parts: (status, device, bytes).
    pub(crate) fn record(op: Op, parts: [(u8, u32, &[u8]); 6]) -> Vec<u8> {
        let mut bytes = vec![0; HEAD_BYTES];
        bytes[..2].copy_from_slice(&WIRE_VERSION.to_ne_bytes());
        bytes[2] = op as u8;
        bytes[8..16].copy_from_slice(&77u64.to_ne_bytes());
        bytes[88..92].copy_from_slice(b"comm");
        for (index, (status, dev, payload)) in parts.iter().enumerate() {
            let at = 40 + index * 8;
            bytes[at..at + 2].copy_from_slice(&(payload.len() as u16).to_ne_bytes());
            bytes[at + 2] = *status;
            bytes[at + 4..at + 8].copy_from_slice(&dev.to_ne_bytes());
        }
        parts.iter().for_each(|part| bytes.extend_from_slice(part.2));
        bytes
    }

    #[test]
    fn a_chain_is_read_from_its_end() {
        let none = (0, 0, &b""[..]);
        let bytes = record(Op::Map, [none, (1, 7, b"c\nd\0b\0a\0"), none, none, none, none]);
        let (event, time, length) = Event::parse(&bytes).unwrap();
        let object = event.object.unwrap();
        assert_eq!((&*object.path, object.dev, time, length), (&b"a/b/c\nd"[..], 7, 77, bytes.len()));
        assert_eq!((&*event.program.argv0, event.text), (&b"comm"[..], None));
    }

    #[test]
    fn operations_have_the_numbers_of_the_header() {
        let header = include_str!("../bpf/wire.h");
        let list = header.split("enum op {").nth(1).unwrap().split("};").next().unwrap();
        let count = list.lines().filter(|line| line.trim_start().starts_with("OP_")).count();
        assert_eq!(count, Op::ALL.len() + 1);
        for (index, op) in Op::ALL.iter().enumerate() {
            assert_eq!(*op as usize, index + 1);
        }
    }

    #[test]
    fn cut_and_foreign_records_are_refused() {
        let none = (0, 0, &b""[..]);
        let bytes = record(Op::Stat, [(1, 0, b"/etc\0"), none, none, none, none, none]);
        for length in 0..bytes.len() {
            assert!(Event::parse(&bytes[..length]).is_err());
        }
        let mut foreign = bytes.clone();
        foreign[0] = 9;
        assert!(Event::parse(&foreign).is_err());
        let mut unknown = bytes;
        unknown[2] = 200;
        assert!(Event::parse(&unknown).is_err());
    }
}
