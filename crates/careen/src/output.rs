//! Results on standard output: text for people, JSON for programs.

use std::io::{self, Write as _};

pub(crate) use report::{bytes_text, count_text, counted};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;

use crate::cli::{DestinationArgs, OutputFormat};
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{artifacts, context};

/// Refuses what cannot be written before any work is done.
pub(crate) fn check(to: &DestinationArgs) -> Result<(), Failure> {
    to.output_file.as_deref().map_or(Ok(()), |file| context::refuse_existing(file, to.force))
}

/// Writes a result where it is wanted.
pub(crate) fn write(to: &DestinationArgs, bytes: &[u8]) -> Result<(), Failure> {
    match &to.output_file {
        None => write_stdout(bytes),
        Some(file) => artifacts::write_whole(file, bytes).map_err(|source| {
            Failure::caused_by(ExitCode::Output, format!("cannot write {}", file.display()), source)
        }),
    }
}

/// Prints a result in the format that was asked for. A reader that went away (`| head`) is no failure.
pub(crate) fn print<T: Serialize>(
    format: OutputFormat,
    value: &T,
    text: impl FnOnce(&T) -> String,
) -> Result<(), Failure> {
    let mut out = match format {
        OutputFormat::Text => text(value),
        OutputFormat::Json => serde_json::to_string_pretty(value).map_err(|source| {
            Failure::caused_by(ExitCode::Failure, "cannot print the result as JSON", source)
        })?,
    };
    if !out.ends_with('\n') && !out.is_empty() {
        out.push('\n');
    }
    write_stdout(out.as_bytes())
}

/// Writes bytes to standard output.
pub(crate) fn write_stdout(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::caused_by(ExitCode::Output, "cannot write to standard output", error))
        }
        _ => Ok(()),
    }
}

/// Whether nobody reads standard output any more: the other end of its pipe is closed, as after `| head`.
pub(crate) fn is_unread() -> bool {
    let stdout = io::stdout();
    let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&at_once)).is_ok() && fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

/// Rows as an aligned table: the first column to the left, the others to the right.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .chain(header.get(column).map(|cell| cell.chars().count()))
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<_> = (0..header.len()).map(width).collect();
    let line = |cells: &[String]| {
        let mut text = String::from(" ");
        for (column, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            let padding = " ".repeat(width - cell.chars().count().min(*width));
            text += &if column == 0 { format!(" {cell}{padding}") } else { format!("  {padding}{cell}") };
        }
        text.trim_end().to_owned() + "\n"
    };
    let mut out = line(&header.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>());
    rows.iter().for_each(|row| out += &line(row));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_align_to_the_right() {
        let rows = [vec!["files".into(), "3,490".into(), "170".into()]];
        assert_eq!(
            table(&["", "before", "after"], &rows),
            "         before  after\n  files   3,490    170\n"
        );
    }
}
