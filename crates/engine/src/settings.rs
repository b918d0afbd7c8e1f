//! What a process in the container is given: arguments, environment, user, directory, capabilities. Docker's rules
//! for putting the image's config and the caller's options together.

use serde_json::{Value, json};

use crate::inside::clean;
use crate::options::RunOptions;
use crate::protocol::Failure;
use crate::unpacked::Defaults;
use crate::users::User;

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Entrypoint and command. A replaced entrypoint drops the image's command; a replaced command alone keeps the
/// image's entrypoint.
pub(crate) fn args(defaults: &Defaults, options: &RunOptions) -> Result<Vec<String>, Failure> {
    let own_cmd = if options.entrypoint.is_some() { &[][..] } else { &defaults.cmd };
    let entrypoint = options.entrypoint.as_deref().unwrap_or(&defaults.entrypoint);
    // Docker reads an entrypoint of one empty text as none.
    let entrypoint = if entrypoint.len() == 1 && entrypoint[0].is_empty() { &[] } else { entrypoint };
    let cmd = options.cmd.as_deref().unwrap_or(own_cmd);
    let args = [entrypoint, cmd].concat();
    if args.is_empty() { Err(Failure::NoCommand) } else { Ok(args) }
}

/// `NAME=value` of the container, without `HOME`, which depends on the user of each process.
pub(crate) fn environment(defaults: &Defaults, options: &RunOptions, hostname: &str) -> Vec<String> {
    let mut env = vec![format!("PATH={DEFAULT_PATH}"), format!("HOSTNAME={hostname}")];
    for entry in &defaults.env {
        set(&mut env, entry.clone());
    }
    for (name, value) in &options.env {
        set(&mut env, format!("{name}={value}"));
    }
    env
}

/// Adds entries and, unless there is one, `HOME`.
pub(crate) fn extend(mut env: Vec<String>, extra: &[(String, String)], home: &str) -> Vec<String> {
    for (name, value) in extra {
        set(&mut env, format!("{name}={value}"));
    }
    if !env.iter().any(|entry| entry.starts_with("HOME=") && entry != "HOME=") {
        set(&mut env, format!("HOME={home}"));
    }
    env
}

/// Replaces the entry of the same name, in its place, or adds one. An entry without `=` is dropped: there is no
/// environment of ours that it could be taken from.
fn set(env: &mut Vec<String>, entry: String) {
    let Some((name, _)) = entry.split_once('=') else { return };
    let same = |other: &String| other.split_once('=').is_some_and(|(other, _)| other == name);
    match env.iter().position(same) {
        Some(index) => env[index] = entry,
        None => env.push(entry),
    }
}

/// Where it starts.
pub(crate) fn working_dir(defaults: &Defaults, options: &RunOptions) -> String {
    clean(options.working_dir.as_deref().unwrap_or(&defaults.working_dir))
}

/// `process` of the runtime's configuration.
///
/// As Docker does, a user other than root gets the capabilities in the bounding set alone. A process that will put
/// filters on itself has more until then ([`crate::watched::Harness`]).
/// Source: OCI runtime-spec 1.2, `config.md`, "process".
pub(crate) fn process(
    args: &[String],
    env: &[String],
    working_dir: &str,
    user: &User,
    capabilities: &[String],
    no_new_privileges: bool,
    harnessed: bool,
) -> Value {
    let effective = if user.uid == 0 { capabilities } else { &[] };
    let (bounding, effective) = match harnessed {
        true => (with_needed(capabilities), with_needed(effective)),
        false => (capabilities.to_vec(), effective.to_vec()),
    };
    let nofile = nofile_limit();
    json!({
        "terminal": false,
        "user": { "uid": user.uid, "gid": user.gid, "additionalGids": user.groups, "umask": 0o022 },
        "args": args,
        "env": env,
        "cwd": working_dir,
        "capabilities": {
            "bounding": bounding, "effective": effective, "permitted": effective, "inheritable": [], "ambient": [],
        },
        "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": nofile, "soft": nofile }],
        "noNewPrivileges": no_new_privileges,
    })
}

/// With what the process needs until it has put filters on itself.
fn with_needed(capabilities: &[String]) -> Vec<String> {
    let needed = crate::watched::NEEDED.map(str::to_owned);
    let missing = needed.into_iter().filter(|needed| !capabilities.contains(needed));
    capabilities.iter().cloned().chain(missing).collect()
}

/// Docker's limit of open files, as far as our own hard limit goes.
fn nofile_limit() -> u64 {
    let ours = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    ours.map_or(1 << 20, |ours| ours.min(1 << 20))
}

/// A stop signal as image configs write it: `SIGQUIT`, `QUIT`, `3`, `SIGRTMIN+3`. Nothing, or nonsense, is SIGTERM.
pub(crate) fn stop_signal(text: &str) -> i32 {
    const NAMES: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
        "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
        "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];
    const TERM: i32 = 15;
    // The first two real-time signals are glibc's own.
    const RTMIN: i32 = 34;
    const RTMAX: i32 = 64;
    let text = text.trim().to_ascii_uppercase();
    if let Ok(number) = text.parse::<i32>() {
        return if (1..=RTMAX).contains(&number) { number } else { TERM };
    }
    let name = text.strip_prefix("SIG").unwrap_or(&text);
    let real_time = |rest: &str, base: i32| -> Option<i32> {
        let offset = if rest.is_empty() { 0 } else { rest.parse::<i32>().ok()? };
        base.checked_add(offset).filter(|number| (RTMIN..=RTMAX).contains(number))
    };
    let named = NAMES.iter().position(|known| *known == name).and_then(|index| i32::try_from(index + 1).ok());
    let named = named.or_else(|| real_time(name.strip_prefix("RTMIN")?, RTMIN));
    named.or_else(|| real_time(name.strip_prefix("RTMAX")?, RTMAX)).unwrap_or(TERM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entrypoint_and_command_combine_as_docker_combines_them() {
        let texts = |items: &[&str]| items.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        let defaults =
            Defaults { entrypoint: texts(&["entry"]), cmd: texts(&["a", "b"]), ..Defaults::default() };
        for (entrypoint, cmd, expected) in [
            (None, None, &["entry", "a", "b"][..]),
            (None, Some(texts(&["c"])), &["entry", "c"]),
            (Some(texts(&["other"])), None, &["other"]),
            (Some(texts(&["other"])), Some(texts(&["c"])), &["other", "c"]),
            (Some(texts(&[])), Some(texts(&["c"])), &["c"]),
            (Some(texts(&[""])), Some(texts(&["c"])), &["c"]),
            (None, Some(texts(&[])), &["entry"]),
        ] {
            let options = RunOptions { entrypoint, cmd, ..RunOptions::default() };
            assert_eq!(args(&defaults, &options), Ok(texts(expected)));
        }
        let nothing = RunOptions { entrypoint: Some(Vec::new()), ..RunOptions::default() };
        assert_eq!(args(&defaults, &nothing), Err(Failure::NoCommand));
    }

    #[test]
    fn later_environment_entries_replace_earlier_ones() {
        let defaults = Defaults {
            env: vec!["PATH=/x".into(), "A=1".into(), "A=2".into(), "bare".into()],
            ..Defaults::default()
        };
        let options = RunOptions { env: vec![("B".into(), "=".into())], ..RunOptions::default() };
        let env = environment(&defaults, &options, "host");
        assert_eq!(env, ["PATH=/x", "HOSTNAME=host", "A=2", "B=="]);
        let env = extend(env, &[("A".into(), "3".into())], "/root");
        assert_eq!(env, ["PATH=/x", "HOSTNAME=host", "A=3", "B==", "HOME=/root"]);
        assert_eq!(extend(vec!["HOME=/h".into()], &[], "/root"), ["HOME=/h"]);
    }

    #[test]
    fn stop_signals_are_read_in_all_their_spellings() {
        for (text, number) in [
            ("", 15),
            ("SIGQUIT", 3),
            ("quit", 3),
            ("SIGWINCH", 28),
            ("9", 9),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
            ("SIGRTMIN", 34),
            ("0", 15),
            ("65", 15),
            ("SIGNONSENSE", 15),
            ("SIGRTMIN+99", 15),
            ("SIGUSR1", 10),
        ] {
            assert_eq!(stop_signal(text), number, "{text}");
        }
    }
}
