//! What the kernel side noted beyond uses of files, read at the end and put into words.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aya::maps::{Array, HashMap, MapError};
use aya::{Ebpf, Pod};
use image::path::escape;
use profile::{Activity, CapabilityUse, Endpoint, Started, Step};

use crate::names;
use crate::processes::{Node, Processes};
use crate::syscalls::TABLE_LENGTH;
use crate::wire::Program;

const CAP_SYS_ADMIN: u8 = 21;
/// In these the kernel asks for `CAP_SYS_ADMIN` only to tell how much memory may be promised.
const ACCOUNTING: [&str; 12] = [
    "brk", "clone", "clone3", "execve", "execveat", "fork", "mmap", "mmap2", "mprotect", "mremap", "munmap",
    "vfork",
];

/// In place of a number of capabilities.
const UNTOLD: u32 = u32::MAX;

/// `struct capability_key` in `bpf/activity.h`.
type CapabilityKey = [u8; 8];
/// `struct socket_key` in `bpf/wire.h`.
type SocketKey = [u8; 40];

/// What the kernel side noted, as it stands in its maps.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Noted {
    calls: Vec<u8>,
    capabilities: Option<Vec<CapabilityKey>>,
    sockets: Vec<SocketKey>,
}

impl Noted {
    /// Reads the maps; capabilities only where the kernel tells of them.
    pub(crate) fn read(ebpf: &Ebpf, has_capabilities: bool) -> Result<Self, MapError> {
        let missing = |name: &str| MapError::InvalidName { name: name.to_owned() };
        let calls = ebpf.map(".data.calls_used").ok_or_else(|| missing(".data.calls_used"))?;
        let calls: [u8; 2 * TABLE_LENGTH] = Array::try_from(calls)?.get(&0, 0)?;
        let capabilities = if has_capabilities { Some(keys(ebpf, "capabilities")?) } else { None };
        Ok(Self { calls: calls.to_vec(), capabilities, sockets: keys(ebpf, "sockets")? })
    }

    /// As a journal has it: the flags of the calls, a count of capabilities (the greatest number: the kernel does not
    /// tell) and their keys, and those of the sockets.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let capabilities = self.capabilities.as_deref().unwrap_or_default();
        let count = self.capabilities.as_ref().map_or(UNTOLD, |keys| u32::try_from(keys.len()).unwrap_or(0));
        let mut bytes = self.calls.clone();
        bytes.resize(2 * TABLE_LENGTH, 0);
        bytes.extend(count.to_le_bytes());
        bytes.extend(capabilities.as_flattened());
        bytes.extend(self.sockets.as_flattened());
        bytes
    }

    /// What [`Noted::to_bytes`] gave; `None` for anything else.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (calls, rest) = bytes.split_at_checked(2 * TABLE_LENGTH)?;
        let (count, rest) = rest.split_first_chunk()?;
        let count = u32::from_le_bytes(*count);
        let length = if count == UNTOLD { 0 } else { usize::try_from(count).ok()? };
        let (capabilities, rest) = rest.split_at_checked(length.checked_mul(size_of::<CapabilityKey>())?)?;
        let (capabilities, _) = capabilities.as_chunks();
        let (sockets, torn) = rest.as_chunks();
        torn.is_empty().then(|| Self {
            calls: calls.to_vec(),
            capabilities: (count != UNTOLD).then(|| capabilities.to_vec()),
            sockets: sockets.to_vec(),
        })
    }

    /// In words. `program` names one by device and inode.
    pub(crate) fn describe(&self, program: impl Fn((u32, u64)) -> String) -> Activity {
        let mut activity = Activity::default();
        for (index, _) in self.calls.iter().enumerate().filter(|(_, used)| **used != 0) {
            let (compat, number) = (index >= TABLE_LENGTH, index % TABLE_LENGTH);
            let names = activity.system_calls.entry(names::abi(compat).to_owned()).or_default();
            names.insert(names::call(compat, u32::try_from(number).unwrap_or(u32::MAX)));
        }
        activity.capabilities = self.capabilities.as_deref().map(describe_capabilities);
        for key in &self.sockets {
            let Some((listens, endpoint)) = describe_socket(key, &program) else { continue };
            let into = if listens { &mut activity.listening } else { &mut activity.connections };
            into.insert(endpoint);
        }
        activity
    }
}

fn keys<K: Pod>(ebpf: &Ebpf, name: &str) -> Result<Vec<K>, MapError> {
    let map = ebpf.map(name).ok_or_else(|| MapError::InvalidName { name: name.to_owned() })?;
    HashMap::<_, K, u8>::try_from(map)?.keys().collect()
}

fn describe_capabilities(keys: &[CapabilityKey]) -> BTreeMap<String, CapabilityUse> {
    let mut uses: BTreeMap<String, CapabilityUse> = BTreeMap::new();
    for [capability, denied, compat, _, call @ ..] in keys {
        // Outside of any call it is a page fault.
        let Ok(number) = u32::try_from(i32::from_ne_bytes(*call)) else { continue };
        let call = names::call(*compat != 0, number);
        if *capability == CAP_SYS_ADMIN && ACCOUNTING.contains(&&*call) {
            continue;
        }
        let used = uses.entry(names::capability(*capability)).or_default();
        if *denied == 0 {
            used.granted.insert(call)
        } else {
            used.denied.insert(call)
        };
    }
    uses
}

fn describe_socket(key: &SocketKey, program: impl Fn((u32, u64)) -> String) -> Option<(bool, Endpoint)> {
    const AF_INET: u8 = 2;
    const LISTENS: u8 = 1;
    let u16_at = |at: usize| u16::from_ne_bytes([key[at], key[at + 1]]);
    let bytes: [u8; 16] = key[8..24].try_into().ok()?;
    let address = if key[1] == AF_INET {
        IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]))
    } else {
        IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()
    };
    let protocol = match u16_at(2) {
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        other => other.to_string(),
    };
    let id =
        (u32::from_ne_bytes(key[32..36].try_into().ok()?), u64::from_ne_bytes(key[24..32].try_into().ok()?));
    Some((key[0] == LISTENS, Endpoint { protocol, address, port: u16_at(4), program: program(id) }))
}

/// A program's file and arguments, and its place among the nodes.
type Named = (String, Vec<String>, usize);

/// The tree of programs in an order that does not depend on when they ran: each after its parent, siblings by name.
pub(crate) fn describe_processes(
    processes: &Processes,
    own: &BTreeSet<(u32, u64)>,
    name: impl Fn(&Program) -> String,
    step: impl Fn(u64) -> Step,
) -> Vec<Started> {
    let is_own = |node: &Node| node.program.as_ref().is_some_and(|program| own.contains(&program.id));
    let mut children: BTreeMap<Option<usize>, Vec<Named>> = BTreeMap::new();
    for (index, node) in processes.nodes.iter().enumerate().filter(|(_, node)| !is_own(node)) {
        let parent = node.parent.filter(|&parent| !is_own(&processes.nodes[parent]));
        let exe = node.program.as_deref().map(&name).unwrap_or_default();
        let argv = node.argv.split(|&byte| byte == 0).map(escape).collect();
        children.entry(parent).or_default().push((exe, argv, index));
    }
    children.values_mut().for_each(|list| list.sort());
    let mut started = Vec::new();
    let mut todo: Vec<(Option<u32>, Named)> =
        children.remove(&None).unwrap_or_default().into_iter().rev().map(|child| (None, child)).collect();
    while let Some((parent, (exe, argv, index))) = todo.pop() {
        let node = &processes.nodes[index];
        let number = u32::try_from(started.len()).ok();
        started.push(Started {
            parent,
            exe,
            argv,
            users: node.users.clone(),
            count: node.count,
            forks: node.forks,
            first_step: step(node.first_time),
        });
        let more = children.remove(&Some(index)).unwrap_or_default();
        todo.extend(more.into_iter().rev().map(|child| (number, child)));
    }
    started
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_read_from_their_keys() {
        let mut key: SocketKey = [0; 40];
        key[0] = 2;
        key[1] = 10;
        key[2..4].copy_from_slice(&17u16.to_ne_bytes());
        key[4..6].copy_from_slice(&53u16.to_ne_bytes());
        key[18..24].copy_from_slice(&[255, 255, 127, 0, 0, 1]);
        let (listens, endpoint) = describe_socket(&key, |_| "x".to_owned()).unwrap();
        assert_eq!((listens, endpoint.to_string().as_str()), (false, "udp 127.0.0.1:53"));
    }

    #[test]
    fn what_was_noted_reads_back_from_a_journal_and_nothing_else_does() {
        let calls = vec![1; 2 * TABLE_LENGTH];
        let whole =
            Noted { calls, capabilities: Some(vec![[1; 8], [2; 8]]), sockets: vec![[3; 40], [4; 40]] };
        let bytes = whole.to_bytes();
        for length in 0..bytes.len() {
            let read = Noted::from_bytes(&bytes[..length]);
            assert!(read.is_none_or(|read| read.sockets.len() < 2), "{length}");
        }
        let untold = Noted { capabilities: None, sockets: Vec::new(), calls: whole.calls.clone() };
        for noted in [whole, untold] {
            assert_eq!(Noted::from_bytes(&noted.to_bytes()), Some(noted));
        }
    }

    #[test]
    fn asking_how_much_memory_there_is_is_no_use_of_a_capability() {
        let key = |capability: u8, denied: u8, call: i32| {
            let [a, b, c, d] = call.to_ne_bytes();
            [capability, denied, 0, 0, a, b, c, d]
        };
        let (brk, chown) = if cfg!(target_arch = "aarch64") { (214, 54) } else { (12, 92) };
        let uses = describe_capabilities(&[key(21, 0, brk), key(21, 0, -1), key(0, 1, chown)]);
        let names: Vec<_> = uses.iter().map(|(name, used)| (name.as_str(), used.denied.len())).collect();
        assert_eq!(names, [("CAP_CHOWN", 1)]);
    }
}
