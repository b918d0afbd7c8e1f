//! As whom we run: as root of the host, or as the root of a user namespace, who can do less.

use std::fs;

use rustix::process::geteuid;
use serde::{Deserialize, Serialize};

/// As whom the engine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// As root of the host.
    Root,
    /// As root of a user namespace that has a range of users, by subordinate IDs.
    Users,
    /// As root of a user namespace that has no other user.
    OneUser,
    /// As an ordinary user: [`crate::rootless`] makes a namespace.
    Ordinary,
}

impl Standing {
    /// Looks at our user and at the map of our user namespace.
    pub fn of_this_process() -> Self {
        let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        read(geteuid().is_root(), &map)
    }

    /// Whether we are root in a user namespace.
    pub fn is_rootless(self) -> bool {
        matches!(self, Self::Users | Self::OneUser)
    }

    /// What an unpacked layer can keep.
    pub(crate) fn rights(self) -> image::Rights {
        if self.is_rootless() { image::Rights::OfUserNamespace } else { image::Rights::All }
    }

    /// The name of the store: what one of them unpacked has owners and marks that serve no other.
    pub(crate) fn store_name(self) -> &'static str {
        match self {
            Self::Root | Self::Ordinary => "store",
            Self::Users => "store-users",
            Self::OneUser => "store-one-user",
        }
    }
}

/// Each line of the map: first inside, first outside, how many.
fn read(is_root: bool, map: &str) -> Standing {
    let counts = map.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok());
    let users = counts.fold(0, u64::saturating_add);
    match (is_root, users) {
        (false, _) => Standing::Ordinary,
        (true, 1) => Standing::OneUser,
        (true, users) if users < u64::from(u32::MAX) && users > 0 => Standing::Users,
        (true, _) => Standing::Root,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_tells_which_root_we_are() {
        for (is_root, map, expected) in [
            (true, "         0          0 4294967295\n", Standing::Root),
            (true, "         0       1000          1\n", Standing::OneUser),
            (true, "         0       1000          1\n         1     100000      65536\n", Standing::Users),
            (false, "         0          0 4294967295\n", Standing::Ordinary),
        ] {
            assert_eq!(read(is_root, map), expected, "{map}");
        }
    }
}
