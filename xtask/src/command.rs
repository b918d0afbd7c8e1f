//! Other programs, run so that a failure says which one, how it was called and what it printed last.

use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

use crate::interrupt;

/// How many lines of a log a failure shows.
const TAIL_LINES: usize = 40;

/// Runs a program on our own terminal, without input.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = status_of(command.stdin(Stdio::null()))?;
    if !status.success() {
        bail!("{} failed: {status}", shown(command));
    }
    Ok(())
}

/// How a program ends, unless the user wants us to end.
fn status_of(command: &mut Command) -> Result<ExitStatus> {
    let start = command.spawn().and_then(|mut child| interrupt::wait(&mut child));
    let status = start.with_context(|| format!("cannot start {}", shown(command)))?;
    interrupt::check()?;
    Ok(status)
}

/// Runs a program whose output only matters if it fails; it is appended to `log`.
pub(crate) fn run_logged(command: &mut Command, log: &Path) -> Result<()> {
    let open = || {
        File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot write {}", log.display()))
    };
    let status = status_of(command.stdin(Stdio::null()).stdout(open()?).stderr(open()?))?;
    if !status.success() {
        let text = String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
        bail!("{} failed: {status}\n{}", shown(command), tail.join("\n"));
    }
    Ok(())
}

/// What a program prints on stdout, which must be UTF-8.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {}", shown(command)))?;
    if !output.status.success() {
        bail!(
            "{} failed: {}\n{}",
            shown(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("{} printed something else than text", shown(command)))
}

/// The folder on the `PATH` that holds this program, if any does.
pub(crate) fn is_installed(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    let mut text = words.join(" ");
    if text.len() > 200 {
        text.truncate((0..=200).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0));
        text.push('…');
    }
    format!("`{text}`")
}
