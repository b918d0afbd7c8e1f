//! What a run did beyond using files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Step, bounded};

/// Most names of system calls of one ABI, and of capabilities, that a document may hold.
pub const MAX_NAMES: usize = 4096;
/// Most sockets of one sort in one run.
pub const MAX_SOCKETS: usize = 65_536;
/// Most programs that were started in one run, with the same arguments by the same parent counted once.
pub const MAX_STARTED: usize = 10_000;
/// Most arguments of one program.
pub const MAX_ARGUMENTS: usize = 4096;

/// What a run did beyond using files: system calls, capabilities, sockets, processes.
///
/// The account of the sensor does not cover it: [`Activity::cut`] says what is known to be missing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Activity {
    /// System calls that were made, by ABI (`x86_64`, `i386`, `aarch64`), by name; `call-N` for one without.
    #[serde(default, deserialize_with = "bounded::map::<_, _, _, MAX_NAMES>")]
    pub system_calls: BTreeMap<String, BTreeSet<String>>,
    /// Capabilities that the kernel asked for, such as `CAP_CHOWN`; absent where the kernel does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<BTreeMap<String, CapabilityUse>>,
    /// Where it listened: TCP sockets that listen, others that are bound.
    #[serde(default, deserialize_with = "bounded::set::<_, _, MAX_SOCKETS>")]
    pub listening: BTreeSet<Endpoint>,
    /// Where it connected or sent to, whether or not that succeeded.
    #[serde(default, deserialize_with = "bounded::set::<_, _, MAX_SOCKETS>")]
    pub connections: BTreeSet<Endpoint>,
    /// Programs that were started, each after its parent.
    #[serde(default, deserialize_with = "bounded::list::<_, _, MAX_STARTED>")]
    pub processes: Vec<Started>,
    /// What this lacks: `processes`, `sockets`, or `activity` where the kernel side had no room for something.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub cut: BTreeSet<String>,
}

/// In which system calls a capability was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CapabilityUse {
    /// Those that had it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub granted: BTreeSet<String>,
    /// Those that lacked it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub denied: BTreeSet<String>,
}

/// One end of a connection, or what is listened on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Endpoint {
    /// `tcp`, `udp`, or the number of another protocol.
    pub protocol: String,
    /// Ours for a listener, the other side's for a connection.
    pub address: IpAddr,
    /// The same; 0 where the protocol has none.
    pub port: u16,
    /// The program, as an image path where it is in the image.
    pub program: String,
}

/// A program that was started, with all processes that were started alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Who started it: an index of [`Activity::processes`] before this one; absent where that is outside the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<u32>,
    /// The program, as an image path where it is in the image.
    pub exe: String,
    /// Its arguments; cut after 2 KiB.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_ARGUMENTS>")]
    pub argv: Vec<String>,
    /// Numbers of the users that it ran as, at its start or at its end.
    pub users: BTreeSet<u32>,
    /// How often it was started.
    pub count: u64,
    /// How many processes it made that stayed the same program.
    #[serde(default)]
    pub forks: u64,
    /// The first step in which it was started.
    pub first_step: Step,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            IpAddr::V4(address) => write!(f, "{} {address}:{}", self.protocol, self.port),
            IpAddr::V6(address) => write!(f, "{} [{address}]:{}", self.protocol, self.port),
        }
    }
}

impl Activity {
    /// Whether each process comes after its parent.
    pub(crate) fn dangling_parent(&self) -> Option<(usize, u32)> {
        let mut parents = self.processes.iter().enumerate();
        parents.find_map(|(index, started)| {
            let parent = started.parent?;
            (usize::try_from(parent).ok()? >= index).then_some((index, parent))
        })
    }
}
