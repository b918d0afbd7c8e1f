//! What the terminal can do.

use std::env;

use scan::Look;

/// How a table looks here. `NO_COLOR` is honoured (<https://no-color.org>), and so is `COLUMNS`.
pub(super) fn look(on_terminal: bool, rows: usize) -> Look {
    if !on_terminal {
        return Look { width: None, colour: false, links: false, rows };
    }
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let terminal = env::var("TERM").unwrap_or_default();
    let is_capable = !matches!(terminal.as_str(), "" | "dumb");
    let columns = env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    let columns = columns.or_else(|| {
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
        Some(usize::from(size.ws_col))
    });
    Look {
        width: columns.filter(|columns| *columns > 0),
        colour: is_capable && !is_set("NO_COLOR"),
        // The console of Linux prints what it does not know.
        links: is_capable && terminal != "linux",
        rows,
    }
}
