//! The subordinate users and groups of a user.
//!
//! Source: `subuid(5)`.

use std::fs;

use rustix::process::geteuid;

/// First number and count of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ranges {
    pub(super) users: (u32, u32),
    pub(super) groups: (u32, u32),
}

impl Ranges {
    /// None if a file or a program is missing.
    pub(super) fn of_this_user() -> Option<Self> {
        let uid = geteuid().as_raw();
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let name = name_of(uid, &passwd).unwrap_or_default();
        let range = |file: &str| largest(&fs::read_to_string(file).ok()?, &name, uid);
        let ranges = Self { users: range("/etc/subuid")?, groups: range("/etc/subgid")? };
        (is_there("newuidmap") && is_there("newgidmap")).then_some(ranges)
    }
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

fn name_of(uid: u32, passwd: &str) -> Option<String> {
    let uid = uid.to_string();
    let line = passwd.lines().find(|line| line.split(':').nth(2) == Some(&uid))?;
    line.split(':').next().map(str::to_owned)
}

/// Lines are `name or number:first:count`.
fn largest(text: &str, name: &str, uid: u32) -> Option<(u32, u32)> {
    let uid = uid.to_string();
    let line = |line: &str| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        let (first, count): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let is_sound = count > 0 && first.checked_add(count).is_some();
        (is_sound && !owner.is_empty() && (owner == name || owner == uid)).then_some((first, count))
    };
    text.lines().filter_map(line).max_by_key(|(_, count)| *count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_range_of_the_user_is_taken() {
        let text = "other:1:9\nme:100000:10\n1000:200000:65536\nme:5:0\nme:4294967295:2\nnonsense\n:7:7\n";
        assert_eq!(largest(text, "me", 1000), Some((200_000, 65536)));
        assert_eq!(largest(text, "me", 7), Some((100_000, 10)));
        assert_eq!(largest(text, "", 7), None);
    }

    #[test]
    fn the_name_of_a_user_is_found_by_number() {
        let passwd = "root:x:0:0::/root:/bin/sh\nme:x:1000:100::/:/bin/sh\n";
        assert_eq!(name_of(1000, passwd).as_deref(), Some("me"));
        assert_eq!(name_of(100, passwd), None);
    }
}
