//! `statoverride`: owners and modes that dpkg gives files instead of those in their package.
//!
//! Source: `dpkg-statoverride(1)`. A line is `user group mode path`; a user or group is a name, or `#` and a number.
//! dpkg refuses to work at all where a name is unknown.

use std::collections::BTreeSet;

use image::{Image, ImagePath};

use crate::lines;
use crate::read::{self, ReadPackagesError};

const MAX_ACCOUNTS_BYTES: u64 = 16 << 20;

/// The lines whose path is still there.
pub(super) fn filter(bytes: &[u8], has: &mut dyn FnMut(&[u8]) -> bool) -> Vec<u8> {
    lines::only(bytes, |line| line.splitn(4, |&byte| byte == b' ').nth(3).is_some_and(&mut *has))
}

/// The names of the users and groups that a hardened image knows.
pub(super) struct Users {
    users: BTreeSet<Vec<u8>>,
    groups: BTreeSet<Vec<u8>>,
}

impl Users {
    pub(super) fn of(image: &Image, kept: &BTreeSet<ImagePath>) -> Result<Self, ReadPackagesError> {
        let names = |file: &[u8]| -> Result<BTreeSet<Vec<u8>>, ReadPackagesError> {
            let found = ImagePath::from_absolute(file).ok().and_then(|path| read::regular(image, &path));
            let Some(found) = found.filter(|found| kept.contains(found)) else { return Ok(BTreeSet::new()) };
            let bytes = read::file(image, &found, MAX_ACCOUNTS_BYTES)?;
            let name = |line: &[u8]| line.split(|&byte| byte == b':').next().unwrap_or_default().to_vec();
            Ok(lines::contents(&bytes).map(name).collect())
        };
        Ok(Self { users: names(b"/etc/passwd")?, groups: names(b"/etc/group")? })
    }

    /// Whether the user and the group of this line are known.
    pub(super) fn know(&self, line: &[u8]) -> bool {
        let mut words = line.split(|&byte| byte == b' ');
        let mut known = |names: &BTreeSet<Vec<u8>>| {
            words.next().is_some_and(|word| word.starts_with(b"#") || names.contains(word))
        };
        known(&self.users) && known(&self.groups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_files_or_accounts_that_are_gone_go() {
        let text =
            b"root postdrop 2755 /usr/sbin/postqueue\nroot ssl 710 /etc/a b\n#0 #7 755 /gone\nbroken\n";
        let mut has = |path: &[u8]| path != b"/gone";
        let left = filter(text, &mut has);
        assert_eq!(left, b"root postdrop 2755 /usr/sbin/postqueue\nroot ssl 710 /etc/a b\n");
        let users = Users {
            users: BTreeSet::from([b"root".to_vec()]),
            groups: BTreeSet::from([b"postdrop".to_vec()]),
        };
        let known: Vec<_> = lines::contents(text).map(|line| users.know(line)).collect();
        assert_eq!(known, [true, false, true, false]);
    }
}
