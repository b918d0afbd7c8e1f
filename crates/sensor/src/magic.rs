//! Paths through the magic links of `/proc`, which lead where no text says.

/// What such a path means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Magic<'a> {
    /// This path from the root of a process: nearly always the one that looked it up.
    Root(&'a [u8]),
    /// This path from a directory that a process was in or had open.
    Directory(&'a [u8]),
}

/// Takes the way through `/proc` off a path; `None` if it has none, or if nothing comes after it that is a path of its
/// own: what a descriptor means was seen when it was opened.
pub(crate) fn magic(text: &[u8]) -> Option<Magic<'_>> {
    let mut names = Names(text);
    if !text.starts_with(b"/") {
        return None;
    }
    match names.next()? {
        b"proc" => {
            match names.next()? {
                b"self" | b"thread-self" => {}
                process if is_number(process) => {}
                _ => return None,
            }
            let mut link = names.next()?;
            if link == b"task" {
                names.next().filter(|thread| is_number(thread))?;
                link = names.next()?;
            }
            match link {
                b"root" => return Some(Magic::Root(names.0)).filter(|_| !names.0.is_empty()),
                b"cwd" => {}
                b"fd" => drop(names.next().filter(|number| is_number(number))?),
                _ => return None,
            }
        }
        b"dev" if names.next()? == b"fd" => drop(names.next().filter(|number| is_number(number))?),
        _ => return None,
    }
    let begin = names.0.iter().position(|&byte| byte != b'/')?;
    Some(Magic::Directory(&names.0[begin..]))
}

/// Whether a path goes through the root of a process that it names by number.
pub(crate) fn of_other(text: &[u8]) -> bool {
    let mut names = Names(text);
    let begins = (names.next(), names.next());
    matches!(begins, (Some(b"proc"), Some(process)) if is_number(process))
        && matches!(magic(text), Some(Magic::Root(_)))
}

/// The names of a path, one after the other; what is left begins with a slash.
struct Names<'a>(&'a [u8]);

impl<'a> Iterator for Names<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let begin = self.0.iter().position(|&byte| byte != b'/')?;
            let rest = &self.0[begin..];
            let (name, rest) =
                rest.split_at(rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len()));
            self.0 = rest;
            if name != b"." {
                return Some(name);
            }
        }
    }
}

fn is_number(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_another_process_is_named_by_number() {
        for (text, expected) in [
            ("/proc/7/root/x", true),
            ("/proc/7/task/8/root/x", true),
            ("/proc/self/root/x", false),
            ("/proc/7/cwd/x", false),
            ("/proc/7/root", false),
            ("/x/7/root/x", false),
        ] {
            assert_eq!(of_other(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn what_comes_after_a_magic_link_is_told() {
        for (text, expected) in [
            ("/proc/self/root/etc/x", Some(Magic::Root(b"/etc/x"))),
            ("//proc/./thread-self/root/", Some(Magic::Root(b"/"))),
            ("/proc/12/task/13/root/proc/self/cwd/x", Some(Magic::Root(b"/proc/self/cwd/x"))),
            ("/proc/self/root", None),
            ("/proc/self/rooted/x", None),
            ("/proc/self/cwd/a/../b", Some(Magic::Directory(b"a/../b"))),
            ("/proc/self/cwd/", None),
            ("/proc/self/fd/7/x", Some(Magic::Directory(b"x"))),
            ("/dev/fd/7/x", Some(Magic::Directory(b"x"))),
            ("/proc/self/fd/7", None),
            ("/proc/self/fd/x/y", None),
            ("/proc/sys/root/x", None),
            ("proc/self/root/x", None),
            ("/proc", None),
            ("/", None),
        ] {
            assert_eq!(magic(text.as_bytes()), expected, "{text}");
        }
    }
}
