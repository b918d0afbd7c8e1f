//! Plain scripts as coverage: one step.

use std::collections::BTreeMap;
use std::path::Path;

use profile::Compare;

use crate::LoadCoverageError;
use crate::coverage::{
    Action, Condition, ContainerSettings, Coverage, DEFAULT_WAIT_TIMEOUT, Origin, Pattern, Step,
    StopSettings, Wait,
};
use std::time::Duration;

/// Longest shell script: it is one argument of the shell, and the kernel takes 128 KiB (`MAX_ARG_STRLEN`) with its NUL.
const MAX_SHELL_BYTES: usize = (128 << 10) - 1;
/// How long a script may take.
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// Shells that know `-e` and `-c`.
const SHELLS: &[&str] = &["sh", "ash", "bash", "dash", "ksh", "mksh", "zsh"];
/// Commands by which a list of redis commands is known.
const REDIS_COMMANDS: &[&str] = &[
    "ACL",
    "APPEND",
    "AUTH",
    "BGREWRITEAOF",
    "BGSAVE",
    "BLPOP",
    "BRPOP",
    "CLIENT",
    "CLUSTER",
    "COMMAND",
    "CONFIG",
    "COPY",
    "DBSIZE",
    "DEBUG",
    "DECR",
    "DECRBY",
    "DEL",
    "DISCARD",
    "DUMP",
    "ECHO",
    "EVAL",
    "EXEC",
    "EXISTS",
    "EXPIRE",
    "FLUSHALL",
    "FLUSHDB",
    "FUNCTION",
    "GEOADD",
    "GEOPOS",
    "GEOSEARCH",
    "GET",
    "GETDEL",
    "GETEX",
    "GETRANGE",
    "GETSET",
    "HDEL",
    "HELLO",
    "HEXISTS",
    "HGET",
    "HGETALL",
    "HINCRBY",
    "HKEYS",
    "HLEN",
    "HMGET",
    "HMSET",
    "HSET",
    "HVALS",
    "INCR",
    "INCRBY",
    "INCRBYFLOAT",
    "INFO",
    "KEYS",
    "LASTSAVE",
    "LATENCY",
    "LINDEX",
    "LLEN",
    "LMOVE",
    "LPOP",
    "LPUSH",
    "LRANGE",
    "LREM",
    "LSET",
    "LTRIM",
    "MEMORY",
    "MGET",
    "MODULE",
    "MSET",
    "MSETNX",
    "MULTI",
    "OBJECT",
    "PERSIST",
    "PEXPIRE",
    "PFADD",
    "PFCOUNT",
    "PING",
    "PSETEX",
    "PTTL",
    "PUBLISH",
    "PUBSUB",
    "RANDOMKEY",
    "RENAME",
    "RESTORE",
    "ROLE",
    "RPOP",
    "RPUSH",
    "SADD",
    "SAVE",
    "SCAN",
    "SCARD",
    "SCRIPT",
    "SDIFF",
    "SELECT",
    "SET",
    "SETEX",
    "SETNX",
    "SETRANGE",
    "SINTER",
    "SISMEMBER",
    "SLOWLOG",
    "SMEMBERS",
    "SMOVE",
    "SORT",
    "SPOP",
    "SREM",
    "STRLEN",
    "SUNION",
    "SWAPDB",
    "TIME",
    "TOUCH",
    "TTL",
    "TYPE",
    "UNLINK",
    "UNWATCH",
    "WAIT",
    "WATCH",
    "XACK",
    "XADD",
    "XDEL",
    "XGROUP",
    "XINFO",
    "XLEN",
    "XRANGE",
    "XREAD",
    "XREADGROUP",
    "XTRIM",
    "ZADD",
    "ZCARD",
    "ZCOUNT",
    "ZINCRBY",
    "ZRANGE",
    "ZRANGEBYSCORE",
    "ZRANK",
    "ZREM",
    "ZSCORE",
];

/// A shell script, run by the interpreter that its first line names (else `sh`) with `-e`, so that the first command
/// that fails ends it.
///
/// The script is given with `-c`, not on standard input: there, a command that reads its own input would swallow
/// the rest of the script, and the run would pass without having covered it.
pub(crate) fn shell(text: &str, path: &Path) -> Result<Coverage, LoadCoverageError> {
    let error = |problem: String| LoadCoverageError::Script { path: path.into(), problem };
    if text.len() > MAX_SHELL_BYTES {
        return Err(error(format!(
            "it is longer than the {MAX_SHELL_BYTES} bytes that fit into an argument"
        )));
    }
    if text.contains('\0') {
        return Err(error("it has a NUL character".to_owned()));
    }
    let mut args = interpreter(text).map_err(error)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    args.extend(["-e".to_owned(), "-c".to_owned(), text.to_owned(), name]);
    Ok(one_step(path, args, None, None, Vec::new()))
}

/// The interpreter and its arguments from the first line: `#!/bin/sh -x`, `#!/usr/bin/env bash`.
fn interpreter(text: &str) -> Result<Vec<String>, String> {
    let Some(line) = text.strip_prefix("#!") else { return Ok(vec!["sh".to_owned()]) };
    let words: Vec<&str> = line.lines().next().unwrap_or_default().split_ascii_whitespace().collect();
    let mut names = words.iter().map(|word| word.rsplit('/').next().unwrap_or(word));
    let shell = names.find(|name| *name != "env" && !name.starts_with('-'));
    match shell {
        Some(name) if SHELLS.contains(&name) => Ok(words.into_iter().map(str::to_owned).collect()),
        Some(name) => Err(format!("{name} is not a shell; run it from a YAML coverage with exec and stdin")),
        None => Err("its first line names no shell".to_owned()),
    }
}

/// A list of redis commands, piped to `redis-cli`; an error reply fails the step. Blank lines and lines that begin
/// with `#` are left out.
pub(crate) fn redis(text: &str, path: &Path) -> Result<Coverage, LoadCoverageError> {
    let commands: String = redis_lines(text).flat_map(|line| [line, "\n"]).collect();
    if commands.is_empty() {
        let problem = "it has no commands".to_owned();
        return Err(LoadCoverageError::Script { path: path.into(), problem });
    }
    let args = ["redis-cli", "--no-raw"].map(str::to_owned).to_vec();
    let reject = Pattern::new(r"^\(error\)|^Could not connect").ok();
    let ping = Condition::Exec(["redis-cli", "PING"].map(str::to_owned).to_vec());
    let wait_for = vec![Wait { condition: ping, timeout: DEFAULT_WAIT_TIMEOUT }];
    Ok(one_step(path, args, Some(commands.into_bytes()), reject, wait_for))
}

/// Whether every line begins with the name of a redis command.
pub(crate) fn is_redis_commands(text: &str) -> bool {
    let first_word =
        |line: &str| line.split_ascii_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    let mut lines = redis_lines(text).peekable();
    lines.peek().is_some()
        && lines.all(|line| REDIS_COMMANDS.binary_search(&first_word(line).as_str()).is_ok())
}

fn redis_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn one_step(
    path: &Path,
    args: Vec<String>,
    stdin: Option<Vec<u8>>,
    reject: Option<Pattern>,
    wait_for: Vec<Wait>,
) -> Coverage {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let action = Action::Exec { args, stdin, env: BTreeMap::new(), user: None, working_dir: None };
    let step = Step {
        name: name.clone(),
        action,
        expect: None,
        reject,
        compare: Compare::Outcome,
        allow_failure: false,
        timeout: SCRIPT_TIMEOUT,
    };
    Coverage {
        name,
        origin: Origin::File(path.to_owned()),
        container: ContainerSettings::default(),
        wait_for,
        steps: vec![step],
        stop: StopSettings::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec(coverage: &Coverage) -> (&[String], Option<&[u8]>) {
        match &coverage.steps[0].action {
            Action::Exec { args, stdin, .. } => (args, stdin.as_deref()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_table_of_redis_commands_is_sorted() {
        assert!(REDIS_COMMANDS.is_sorted());
    }

    #[test]
    fn a_shell_script_is_run_by_its_own_shell_and_stops_at_the_first_failure() {
        for (text, expected) in [
            ("true\n", &["sh"][..]),
            ("#!/bin/sh\ntrue\n", &["/bin/sh"]),
            ("#! /bin/bash -x\ntrue\n", &["/bin/bash", "-x"]),
            ("#!/usr/bin/env -S bash -u\ntrue\n", &["/usr/bin/env", "-S", "bash", "-u"]),
        ] {
            let coverage = shell(text, Path::new("dir/smoke.sh")).unwrap();
            let (args, stdin) = exec(&coverage);
            assert_eq!(args, [expected, &["-e", "-c", text, "smoke.sh"]].concat(), "{text}");
            assert_eq!(stdin, None);
            assert_eq!(coverage.name, "smoke.sh");
        }
    }

    #[test]
    fn shell_script_limit_holds_at_the_bound_and_one_past_it() {
        let script = "#".repeat(MAX_SHELL_BYTES);
        assert!(shell(&script, Path::new("a.sh")).is_ok());
        assert!(shell(&(script + "#"), Path::new("a.sh")).is_err());
    }

    #[test]
    fn redis_commands_are_piped_without_comments() {
        let coverage = redis("# cache\n\nSET a b\n  GET a  \r\n", Path::new("a.redis")).unwrap();
        let (args, stdin) = exec(&coverage);
        assert_eq!(args, ["redis-cli", "--no-raw"]);
        assert_eq!(stdin.unwrap(), b"SET a b\nGET a\n");
        assert!(coverage.steps[0].reject.as_ref().unwrap().is_match("OK\n(error) ERR unknown command\n"));
        assert!(redis("# nothing\n", Path::new("a.redis")).is_err());
    }
}
