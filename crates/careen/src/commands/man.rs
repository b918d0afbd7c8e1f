//! `careen completions` and `careen man`.

use std::path::Path;

use clap::CommandFactory as _;

use crate::artifacts::write_whole;
use crate::cli::Cli;
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::output;

/// Prints a completion script.
pub(crate) fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "careen", &mut script);
    output::write_stdout(&script)
}

/// Writes one manual page a command: `careen.1`, `careen-harden.1`, ….
pub(crate) fn pages(dir: &Path) -> Result<(), Failure> {
    let mut root = Cli::command();
    root.build();
    write_pages(dir, &root, "careen")
}

fn write_pages(dir: &Path, command: &clap::Command, name: &str) -> Result<(), Failure> {
    let failed = |source| {
        Failure::caused_by(ExitCode::Output, format!("cannot write {name}.1 to {}", dir.display()), source)
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).title(name.to_uppercase()).render(&mut page).map_err(failed)?;
    write_whole(&dir.join(format!("{name}.1")), &page).map_err(failed)?;
    command
        .get_subcommands()
        .filter(|command| !command.is_hide_set() && command.get_name() != "help")
        .try_for_each(|child| write_pages(dir, child, &format!("{name}-{}", child.get_name())))
}
