//! The last step before the workload: find the program and execute it, as Docker does.
//!
//! libcontainer's own executor wants the world's execute bit, searches `PATH` for paths with a slash, and hands
//! scripts without `#!` to a shell. Ours does not.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use libcontainer::oci_spec::runtime::Spec;
use libcontainer::workload::{Executor, ExecutorError, ExecutorValidationError};
use rustix::fs::Access;

use crate::protocol::Failure;
use crate::watched::Harness;

/// Before the JSON of a [`Failure`] in the text that libcontainer carries out of the container.
const MARK: &str = "careen-failure:";

#[derive(Clone, Debug)]
pub(crate) struct DirectExecutor {
    /// What it puts on itself before it executes the program.
    pub(crate) harness: Harness,
}

impl Executor for DirectExecutor {
    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        let process = spec.process().as_ref().ok_or(ExecutorError::InvalidArg)?;
        let args = process.args().as_deref().unwrap_or_default();
        let env = process.env().as_deref().unwrap_or_default();
        let program = find(args, env).map_err(|failure| ExecutorError::Other(format!("{failure:?}")))?;
        let strings = |texts: &[String]| {
            texts.iter().map(|text| CString::new(text.as_bytes())).collect::<Result<Vec<_>, _>>()
        };
        let path = CString::new(program.as_os_str().as_bytes()).map_err(|_| ExecutorError::InvalidArg)?;
        let (argv, envp) = (strings(args), strings(env));
        let (Ok(argv), Ok(envp)) = (argv, envp) else { return Err(ExecutorError::InvalidArg) };
        die_with_supervisor();
        // There is nobody left to tell but who reads the container's output and exit code.
        let message = match self.harness.put_on() {
            Ok(()) => {
                sys::restore_default_signals();
                let error = sys::execve(&path, &argv, &envp);
                format!("cannot execute {}: {error}\n", program.display())
            }
            Err(error) => format!("cannot put a filter on system calls: {error}\n"),
        };
        let _nobody = rustix::io::write(std::io::stderr(), message.as_bytes());
        std::process::exit(126)
    }

    /// Runs in the container, as its user, in its directory.
    fn validate(&self, spec: &Spec) -> Result<(), ExecutorValidationError> {
        let refused = |text: String| ExecutorValidationError::ArgValidationError(text);
        // From here on the process waits to be started. It shares the supervisor's lock until then, so a later Careen
        // would take it for supervised.
        die_with_supervisor();
        let process = spec.process().as_ref().ok_or_else(|| refused("no process".into()))?;
        let found =
            find(process.args().as_deref().unwrap_or_default(), process.env().as_deref().unwrap_or_default());
        match found {
            Ok(_) => Ok(()),
            Err(failure) => {
                Err(refused(format!("{MARK}{}", serde_json::to_string(&failure).unwrap_or_default())))
            }
        }
    }
}

/// Should the supervisor be killed, the kernel takes the container with it.
fn die_with_supervisor() {
    let kill = rustix::process::Signal::KILL;
    let _if_possible = rustix::process::set_parent_process_death_signal(Some(kill));
}

/// The failure that our executor reported from within the container, if this chain of messages has one.
pub(crate) fn reported(causes: &[String]) -> Option<Failure> {
    let json = causes.iter().find_map(|cause| cause.split_once(MARK)).map(|(_, json)| json)?;
    serde_json::Deserializer::from_str(json).into_iter().next()?.ok()
}

fn find(args: &[String], env: &[String]) -> Result<PathBuf, Failure> {
    let program = args.first().ok_or(Failure::NoCommand)?;
    let not_found = |tried: &[PathBuf]| {
        let at = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        let tried = tried.iter().map(|path| at.join(path)).collect();
        Failure::ProgramNotFound { program: program.clone(), tried }
    };
    let not_executable =
        |reason: &str| Failure::ProgramNotExecutable { program: program.clone(), reason: reason.to_owned() };
    let problem = |path: &Path| -> Option<&'static str> {
        if path.is_dir() {
            Some("is a directory")
        } else if !path.is_file() {
            Some("is not a regular file")
        } else {
            rustix::fs::access(path, Access::EXEC_OK).is_err().then_some("the user may not execute it")
        }
    };
    if program.is_empty() {
        return Err(not_found(&[]));
    }
    if program.contains('/') {
        let path = PathBuf::from(program);
        if std::fs::metadata(&path).is_err_and(|error| error.kind() != std::io::ErrorKind::PermissionDenied) {
            return Err(not_found(&[path]));
        }
        return problem(&path).map_or(Ok(path), |reason| Err(not_executable(reason)));
    }
    let search = env.iter().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or_default();
    let mut reason = None;
    let mut tried = Vec::new();
    for dir in search.split(':') {
        let path = Path::new(if dir.is_empty() { "." } else { dir }).join(program);
        if std::fs::metadata(&path).is_err() {
            tried.push(path);
            continue;
        }
        match problem(&path) {
            None => return Ok(path),
            Some(problem) => reason = reason.or(Some(problem)),
        }
    }
    Err(reason.map_or_else(|| not_found(&tried), not_executable))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn programs_are_found_as_execvp_finds_them() {
        let dir = tempfile::tempdir().unwrap();
        let make = |name: &str, mode: u32| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        };
        make("a/tool", 0o644);
        make("b/tool", 0o750);
        make("a/data", 0o644);
        let path = |name: &str| dir.path().join(name);
        let env = [format!("PATH={}:{}", path("a").display(), path("b").display())];
        let find = |program: &str| find(&[program.to_owned()], &env);
        assert_eq!(find("tool"), Ok(path("b/tool")), "the first that can be executed");
        assert!(matches!(find("data"), Err(Failure::ProgramNotExecutable { .. })));
        let tried = vec![path("a/nothing"), path("b/nothing")];
        assert_eq!(find("nothing"), Err(Failure::ProgramNotFound { program: "nothing".into(), tried }));
        assert!(matches!(find(""), Err(Failure::ProgramNotFound { .. })));
        assert!(matches!(find(path("a").to_str().unwrap()), Err(Failure::ProgramNotExecutable { .. })));
        let tried = vec![PathBuf::from("/no/such/file")];
        assert_eq!(
            find("/no/such/file"),
            Err(Failure::ProgramNotFound { program: "/no/such/file".into(), tried })
        );
    }

    #[test]
    fn failures_survive_the_way_out_of_the_container() {
        let failure = Failure::ProgramNotFound { program: "a\"b: c".into(), tried: vec!["/bin/x".into()] };
        let text = format!(
            "exec process failed with error {MARK}{}; more",
            serde_json::to_string(&failure).unwrap()
        );
        assert_eq!(reported(&["outer".into(), text]), Some(failure));
        assert_eq!(reported(&["other".into()]), None);
    }
}
