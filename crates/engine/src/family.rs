//! Processes by descent, for where there are no cgroups to tell them by.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long killed processes may take to be gone.
const DEATH: Duration = Duration::from_secs(5);

/// Kills a process, its descendants and those of its session, again until there is none left. Who left both is not
/// found; in a container it goes when the container goes.
pub(crate) fn kill(process: Pid) {
    let deadline = Instant::now() + DEATH;
    let root = process.as_raw_nonzero().get();
    while Instant::now() < deadline {
        let family = members(root, &living());
        for member in family.iter().filter_map(|member| Pid::from_raw(*member)) {
            let _gone = kill_process(member, Signal::KILL);
        }
        // The process itself stays until it is reaped.
        if family.iter().all(|member| *member == root) {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// All processes in the PID namespace of this one, ascending.
pub(crate) fn in_namespace_of(process: u32) -> Vec<u32> {
    let namespace = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let Some(wanted) = namespace(process) else { return Vec::new() };
    let all = living().into_keys().filter_map(|pid| u32::try_from(pid).ok());
    all.filter(|pid| namespace(*pid).is_some_and(|found| found == wanted)).collect()
}

/// Parent and session of each process that has not ended.
fn living() -> BTreeMap<i32, (i32, i32)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let stat = |pid: i32| {
        let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
        Some((pid, parse(&String::from_utf8_lossy(&text))?))
    };
    pids.filter_map(stat).collect()
}

/// Source: `proc_pid_stat(5)`: the name in parentheses may hold anything.
fn parse(stat: &str) -> Option<(i32, i32)> {
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some((parent, session))
}

fn members(root: i32, living: &BTreeMap<i32, (i32, i32)>) -> Vec<i32> {
    let descends = |pid: i32| {
        let mut at = pid;
        for _ in 0..living.len() {
            match living.get(&at) {
                _ if at == root => return true,
                Some((parent, _)) => at = *parent,
                None => return false,
            }
        }
        false
    };
    living
        .iter()
        .filter(|(pid, (_, session))| *session == root || descends(**pid))
        .map(|(pid, _)| *pid)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_descent_and_session() {
        let living = BTreeMap::from([
            (10, (1, 10)),
            (11, (10, 10)),
            (12, (11, 12)),
            (13, (1, 10)),
            (14, (1, 14)),
            (20, (21, 20)),
            (21, (20, 20)),
        ]);
        assert_eq!(members(10, &living), [10, 11, 12, 13]);
    }

    #[test]
    fn names_with_parentheses_do_not_confuse() {
        assert_eq!(parse("7 (a) S 9 (b) S 3 4 5 6"), Some((3, 5)));
        assert_eq!(parse("7 (gone) Z 3 4 5 6"), None);
        assert_eq!(parse("7"), None);
    }

    #[test]
    fn a_command_is_killed_with_what_it_started() {
        let mut child =
            std::process::Command::new("sh").args(["-c", "sleep 600 & sleep 601"]).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        while members(pid, &living()).len() < 3 {
            std::thread::sleep(Duration::from_millis(5));
        }
        kill(Pid::from_raw(pid).unwrap());
        assert!(!child.wait().unwrap().success());
        assert_eq!(members(pid, &living()), Vec::<i32>::new());
    }
}
