//! An event as the kernel side would have written it: for journals of what user space saw by itself.

use crate::wire::{Chain, Event, HEAD_BYTES, WIRE_VERSION};

const NONE: u8 = 0;
const WHOLE: u8 = 1;
const DETACHED: u8 = 2;

/// One piece of the payload: status, whether mounts lie between, device, bytes.
struct Part(u8, bool, u32, Vec<u8>);

impl Event {
    /// The record of this event at a time; none if it has more than a record can hold.
    pub(crate) fn to_record(&self, time: u64) -> Option<Vec<u8>> {
        let program = &self.program;
        let parts = [
            text(self.text.as_deref()),
            chain(self.object.as_ref()),
            chain(self.base.as_deref()),
            chain(self.root.as_deref()),
            chain(program.exe.as_ref()),
            text(Some(&program.argv0)),
        ];
        let mut bytes = vec![0; HEAD_BYTES];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, &WIRE_VERSION.to_ne_bytes());
        put(2, &[self.op as u8, self.flags.bits()]);
        put(4, &self.errno.checked_neg()?.to_ne_bytes());
        put(8, &time.to_ne_bytes());
        put(20, &self.how.to_ne_bytes());
        put(24, &program.id.1.to_ne_bytes());
        put(32, &program.id.0.to_ne_bytes());
        for (index, Part(status, crossed, dev, payload)) in parts.iter().enumerate() {
            let at = 40 + index * 8;
            put(at, &u16::try_from(payload.len()).ok()?.to_ne_bytes());
            put(at + 2, &[*status, u8::from(*crossed)]);
            put(at + 4, &dev.to_ne_bytes());
        }
        parts.iter().for_each(|part| bytes.extend_from_slice(&part.3));
        Some(bytes)
    }
}

fn text(text: Option<&[u8]>) -> Part {
    text.map_or(Part(NONE, false, 0, Vec::new()), |text| Part(WHOLE, false, 0, [text, &[0]].concat()))
}

fn chain(chain: Option<&Chain>) -> Part {
    let Some(chain) = chain else { return Part(NONE, false, 0, Vec::new()) };
    let mut names = Vec::with_capacity(chain.path.len() + 1);
    for name in chain.path.split(|&byte| byte == b'/').rev().filter(|name| !name.is_empty()) {
        names.extend_from_slice(name);
        names.push(0);
    }
    Part(if chain.detached { DETACHED } else { WHOLE }, chain.mounted, chain.dev, names)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::wire::{Flags, Op, Program};

    #[test]
    fn a_written_event_reads_as_itself() {
        let chain = |path: &[u8], detached, mounted| {
            Some(Chain { path: path.into(), dev: 0x0ab0_0001, detached, mounted })
        };
        let whole = Event {
            op: Op::Open,
            flags: Flags::new(5),
            errno: 2,
            how: 0o100_000,
            text: Some(b"../odd\n\xff".as_slice().into()),
            object: chain(b"usr/lib/a b", false, true),
            base: chain(b"", false, false).map(Arc::new),
            root: None,
            program: Arc::new(Program {
                id: (7, u64::MAX),
                exe: chain(b"memfd:x", true, false),
                argv0: (*b"sh").into(),
            }),
        };
        let bare = Event {
            text: None,
            object: None,
            base: None,
            program: Arc::new(Program { id: (0, 0), exe: None, argv0: Box::default() }),
            ..whole.clone()
        };
        for event in [whole.clone(), bare] {
            let bytes = event.to_record(99).unwrap();
            assert_eq!(Event::parse(&bytes).unwrap(), (event, 99, bytes.len()));
        }
        let long = Event { text: Some(vec![b'x'; 1 << 16].into()), ..whole };
        assert_eq!(long.to_record(99), None);
    }
}
