//! Who a process runs as: Docker's reading of `USER` over the image's own `/etc/passwd` and `/etc/group`.

use std::io;

use image::{Image, ImagePath, ResolutionEnd};

use crate::Standing;
use crate::inside::{Inside, MAX_TEXT_BYTES};
use crate::protocol::Failure;

/// A resolved user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Supplementary groups, ascending. The primary group is always among them, as Docker has it since CVE-2022-36109:
    /// otherwise a process could leave its group and gain what is denied to it.
    pub(crate) groups: Vec<u32>,
    pub(crate) home: String,
}

impl User {
    /// The user that this one can be where we stand. Where there is one user only everybody is that one.
    pub(crate) fn standing(self, standing: Standing) -> Self {
        match standing {
            Standing::OneUser => Self { uid: 0, gid: 0, groups: Vec::new(), ..self },
            _ => self,
        }
    }
}

/// Looks `user` up in a container: `NAME`, `UID`, `NAME:GROUP`, `UID:GID`, or empty for root.
pub(crate) fn look_up(inside: &Inside, user: &str) -> Result<User, Failure> {
    let read = |path: &'static str| -> Result<String, Failure> {
        let text = inside.read_text(path).map_err(|error: io::Error| Failure::Step {
            step: format!("read {path} of"),
            causes: vec![error.to_string()],
        })?;
        Ok(text.unwrap_or_default())
    };
    resolve(user, &read("/etc/passwd")?, &read("/etc/group")?)
        .ok_or_else(|| Failure::UnknownUser { user: user.to_owned() })
}

/// Whether this user is known in an image, as far as its files can be read.
pub(crate) fn check_in(image: &Image, user: &str) -> Result<(), Failure> {
    let read = |path: &str| -> Option<String> {
        match image.tree().resolve(&ImagePath::root(), path.as_bytes(), true).end {
            ResolutionEnd::Found(found) => {
                let bytes = image.read_file(&found, MAX_TEXT_BYTES).ok()?;
                Some(String::from_utf8_lossy(&bytes).into_owned())
            }
            _ => Some(String::new()),
        }
    };
    let (Some(passwd), Some(group)) = (read("/etc/passwd"), read("/etc/group")) else { return Ok(()) };
    match resolve(user, &passwd, &group) {
        Some(_) => Ok(()),
        None => Err(Failure::UnknownUser { user: user.to_owned() }),
    }
}

/// As Docker does: a name or number is first looked for in the file; an unknown number stands for itself, with group
/// 0 and home `/`; an unknown name is an error (`None`). With an explicit group there are no others.
fn resolve(user: &str, passwd: &str, group: &str) -> Option<User> {
    let (name, explicit_group) = match user.split_once(':') {
        Some((name, group)) => (name, Some(group).filter(|group| !group.is_empty())),
        None => (user, None),
    };
    let name = if name.is_empty() { "0" } else { name };
    let number = parse_id(name);
    let entry = passwd
        .lines()
        .filter_map(PasswdEntry::parse)
        .find(|entry| entry.name == name || number == Some(entry.uid));
    let (uid, gid, home, login) = match (entry, number) {
        (Some(entry), _) => (entry.uid, entry.gid, entry.home, Some(entry.name)),
        (None, Some(uid)) => (uid, 0, "/", None),
        (None, None) => return None,
    };
    let home = if home.is_empty() { "/" } else { home }.to_owned();
    if let Some(wanted) = explicit_group {
        let number = parse_id(wanted);
        let mut entries = group.lines().filter_map(GroupEntry::parse);
        let found =
            entries.find(|entry| entry.name == wanted || number == Some(entry.gid)).map(|entry| entry.gid);
        let gid = found.or(number)?;
        return Some(User { uid, gid, groups: vec![gid], home });
    }
    let is_member = |entry: &GroupEntry<'_>| {
        login.is_some_and(|login| entry.members.split(',').any(|m| m.trim() == login))
    };
    let mut groups: Vec<u32> =
        group.lines().filter_map(GroupEntry::parse).filter(is_member).map(|e| e.gid).collect();
    groups.push(gid);
    groups.sort_unstable();
    groups.dedup();
    Some(User { uid, gid, groups, home })
}

/// Numbers as Docker takes them: 0 to 2³¹−1.
fn parse_id(text: &str) -> Option<u32> {
    text.parse::<u32>().ok().filter(|id| i32::try_from(*id).is_ok() && !text.starts_with('+'))
}

struct PasswdEntry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

impl<'a> PasswdEntry<'a> {
    /// Source: `passwd(5)`. Lines that do not parse are passed over, as libc does.
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.trim().split(':');
        let (name, _password) = (fields.next()?, fields.next()?);
        let (uid, gid) = (parse_id(fields.next()?)?, parse_id(fields.next()?)?);
        Some(Self { name, uid, gid, home: fields.nth(1).unwrap_or_default() })
    }
}

struct GroupEntry<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

impl<'a> GroupEntry<'a> {
    /// Source: `group(5)`.
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.trim().split(':');
        let (name, _password) = (fields.next()?, fields.next()?);
        Some(Self { name, gid: parse_id(fields.next()?)?, members: fields.next().unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\n# comment\nbroken:x:one:2::\n\
        redis:x:999:1000:redis:/var/lib/redis:/bin/false\n1234:x:55:56::/numeric:\nhomeless:x:7:7::\n";
    const GROUP: &str = "root:x:0:\nredis:x:1000:\ntls:x:110:redis,www\nlog:x:4:www,redis\n77:x:78:\n";

    #[test]
    fn users_resolve_as_docker_resolves_them() {
        let user = |uid, gid, groups: &[u32], home: &str| {
            Some(User { uid, gid, groups: groups.to_vec(), home: home.to_owned() })
        };
        for (text, expected) in [
            ("", user(0, 0, &[0], "/root")),
            ("root", user(0, 0, &[0], "/root")),
            ("redis", user(999, 1000, &[4, 110, 1000], "/var/lib/redis")),
            ("999", user(999, 1000, &[4, 110, 1000], "/var/lib/redis")),
            ("redis:tls", user(999, 110, &[110], "/var/lib/redis")),
            ("redis:5000", user(999, 5000, &[5000], "/var/lib/redis")),
            ("redis:77", user(999, 78, &[78], "/var/lib/redis")),
            ("redis:", user(999, 1000, &[4, 110, 1000], "/var/lib/redis")),
            ("12345", user(12345, 0, &[0], "/")),
            ("12345:54321", user(12345, 54321, &[54321], "/")),
            ("1234", user(55, 56, &[56], "/numeric")),
            ("homeless", user(7, 7, &[7], "/")),
            (":tls", user(0, 110, &[110], "/root")),
            ("nobody", None),
            ("redis:nogroup", None),
            ("2147483648", None),
            ("-1", None),
            ("broken", None),
        ] {
            assert_eq!(resolve(text, PASSWD, GROUP), expected, "{text:?}");
        }
        assert_eq!(resolve("0", "", ""), user(0, 0, &[0], "/"), "an image without files has root still");
    }
}
