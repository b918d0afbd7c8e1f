//! The kernel side as it is compiled, made ready for the running kernel.
//!
//! The loader relocates maps, constants and offsets of members, but no calls of kernel functions. The one that we call,
//! `bpf_rdonly_cast` (Linux 6.2), gives a pointer the kernel's type, after which its members are read by plain
//! instructions. In the compiled programs [`CALL`] stands for it; here the function's number in the running kernel takes
//! the place of ours, or, where there is none, a move that leaves the pointer as it is: `can_cast` is false then, and
//! the programs read members one by one.

use aya::maps::MapError;
use aya::{Btf, Ebpf, EbpfError, EbpfLoader};
use aya_obj::btf::BtfKind;

use crate::error::blockers;
use crate::hooks::Strength;
use crate::{LoadError, SensorOptions, syscalls};

/// The programs, compiled by this crate's build script: the base, and the base with hooks.
static BASE: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sensor.bpf.o"));
static FENTRY: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/fentry.bpf.o"));
static LSM: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/lsm.bpf.o"));

const CAST: &str = "bpf_rdonly_cast";
const INSTRUCTION: usize = 8;
/// `call`, of a kernel function, with a number that is none: `cast` in `bpf/sensor.bpf.c`.
const CALL: [u8; INSTRUCTION] = [0x85, 0x20, 0, 0, 0x01, 0xee, 0xa4, 0x0c];
/// `r0 = r1`.
const MOVE: [u8; INSTRUCTION] = [0xbf, 0x10, 0, 0, 0, 0, 0, 0];

/// The number of the function that casts in a kernel with these types, if it has one.
pub(crate) fn cast_function(btf: &Btf) -> Option<u32> {
    btf.id_by_type_name_kind(CAST, BtfKind::Func).ok()
}

/// Makes the maps of a backend and relocates its programs; `cast` is what [`cast_function`] told.
pub(crate) fn load_object(
    options: &SensorOptions,
    btf: &Btf,
    strength: Strength,
    cast: Option<u32>,
) -> Result<Ebpf, LoadError> {
    const PAGE: u32 = 4096;
    let ring_bytes = options.ring_bytes.clamp(PAGE, 1 << 30).next_power_of_two();
    let entries = options.dedup_entries.max(1);
    EbpfLoader::new()
        .btf(Some(btf))
        .map_max_entries("ring", ring_bytes)
        .map_max_entries("short_uses", entries)
        .map_max_entries("middle_uses", entries.div_ceil(2))
        .map_max_entries("long_uses", entries.div_ceil(64))
        .override_global("native_calls", &syscalls::native(), true)
        .override_global("compat_calls", &syscalls::compat(), true)
        .override_global("can_cast", &u8::from(cast.is_some()), true)
        .load(with_cast(compiled(strength), cast).as_flattened())
        .map_err(in_object)
}

fn compiled(strength: Strength) -> &'static [u8] {
    match strength {
        Strength::Base => BASE,
        Strength::Fentry => FENTRY,
        Strength::Lsm => LSM,
    }
}

/// An object with the call put in; as instructions, of which it is a whole number, since an object is aligned.
fn with_cast(object: &[u8], cast: Option<u32>) -> Vec<[u8; INSTRUCTION]> {
    let mut instruction = MOVE;
    if let Some(number) = cast {
        instruction = CALL;
        instruction[4..].copy_from_slice(&number.to_le_bytes());
    }
    let put_in = |chunk: &[u8]| {
        let mut bytes = [0; INSTRUCTION];
        bytes[..chunk.len()].copy_from_slice(chunk);
        if bytes == CALL { instruction } else { bytes }
    };
    object.chunks(INSTRUCTION).map(put_in).collect()
}

pub(crate) fn in_object(source: impl Into<EbpfError>) -> LoadError {
    LoadError::Object { source: Box::new(source.into()), blockers: blockers() }
}

/// Takes a map out of a loaded object.
pub(crate) fn take_map(ebpf: &mut Ebpf, name: &str) -> Result<aya::maps::Map, LoadError> {
    ebpf.take_map(name).ok_or_else(|| in_object(MapError::InvalidName { name: name.to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_of_the_kernel_function_gets_its_number_or_a_move() {
        for strength in [Strength::Base, Strength::Fentry, Strength::Lsm] {
            let object = compiled(strength);
            let count = |instructions: &[[u8; INSTRUCTION]], wanted: [u8; INSTRUCTION]| {
                instructions.iter().filter(|&&instruction| instruction == wanted).count()
            };
            let before = object.as_chunks().0;
            let calls = count(before, CALL);
            assert!(calls > 0, "{strength:?}");
            let numbered = with_cast(object, Some(0x0102_0304));
            assert_eq!(count(&numbered, [0x85, 0x20, 0, 0, 4, 3, 2, 1]), calls);
            let moved = with_cast(object, None);
            assert_eq!(count(&moved, MOVE), calls + count(before, MOVE));
            for changed in [numbered, moved] {
                assert_eq!(count(&changed, CALL), 0);
                let differ = changed.iter().zip(before).filter(|(changed, before)| changed != before);
                assert_eq!(differ.count(), calls);
                assert_eq!(changed.as_flattened().len(), object.len().next_multiple_of(INSTRUCTION));
            }
        }
    }
}
