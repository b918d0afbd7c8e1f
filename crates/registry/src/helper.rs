//! Credential helpers: programs that keep log-ins where files should not.
//!
//! Source: docker-credential-helpers, "Development".

use std::io::{self, Read as _, Write as _};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::logins::{Login, LoginsError, Secret};

/// Helpers ask a keyring, or a service on the web.
const PATIENCE: Duration = Duration::from_secs(30);
const MAX_BYTES: u64 = 64 << 10;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Asks `docker-credential-NAME` for the log-in of a host; none if it has none.
pub(crate) fn ask(name: &str, host: &str) -> Result<Option<Login>, LoginsError> {
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if name.is_empty() || !name.bytes().all(is_name) {
        return Err(LoginsError::HelperName(name.chars().take(100).collect()));
    }
    let failed = |source| LoginsError::Helper { name: name.to_owned(), source };
    let (success, output) = run(&format!("docker-credential-{name}"), host).map_err(failed)?;
    if !success {
        let said = String::from_utf8_lossy(&output);
        // The only failure that says that all is well.
        return if said.contains("credentials not found") {
            Ok(None)
        } else {
            Err(failed(io::Error::other(crate::error::tame(&said))))
        };
    }
    let answer: Answer = serde_json::from_slice(&output)
        .map_err(|_| failed(io::Error::new(io::ErrorKind::InvalidData, "its answer is no log-in")))?;
    Ok(Some(if answer.username == "<token>" {
        Login::Identity(Secret::new(answer.secret))
    } else {
        Login::Password { user: answer.username, password: Secret::new(answer.secret) }
    }))
}

fn run(program: &str, host: &str) -> io::Result<(bool, Vec<u8>)> {
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that reads nothing answers nevertheless.
        let _ = writeln!(stdin, "{host}");
    }
    let stdout = child.stdout.take();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stdout.map(|stdout| stdout.take(MAX_BYTES).read_to_end(&mut bytes));
        read.transpose().map(|_| bytes)
    });
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it did not answer in 30 seconds"));
        }
        thread::sleep(Duration::from_millis(10));
    };
    let output = reader.join().map_err(|_| io::Error::other("reading its answer failed"))??;
    Ok((status.success(), output))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_helper_is_no_path() {
        for name in ["", "../evil", "a/b", "a b", "$(x)"] {
            assert!(matches!(ask(name, "h"), Err(LoginsError::HelperName(_))), "{name}");
        }
        let missing = ask("careen-nowhere", "h").unwrap_err();
        assert!(missing.hint().is_some_and(|hint| hint.contains("docker-credential-careen-nowhere")));
    }
}
