//! A page of figures that several commands write, a section each.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

const TITLE: &str = "# Performance\n";

/// Writes a section into `docs/performance.md`: in place of its older text, or after all others.
pub(crate) fn write_section(page: &Path, name: &str, text: &str) -> Result<()> {
    let old = match fs::read_to_string(page) {
        Ok(old) => old,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => TITLE.to_owned(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", page.display())),
    };
    fs::write(page, with_section(&old, name, text))
        .with_context(|| format!("cannot write {}", page.display()))
}

fn with_section(old: &str, name: &str, text: &str) -> String {
    let heading = format!("## {name}\n");
    let section = format!("{heading}\n{}\n", text.trim());
    let (before, rest) = match old.split_once(&format!("\n{heading}")) {
        Some((before, rest)) => (before, rest.split_once("\n## ").map(|(_, after)| format!("\n## {after}"))),
        None => (old, None),
    };
    format!("{}\n\n{section}{}", before.trim_end(), rest.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_replaces_its_older_self_and_nothing_else() {
        let one = with_section(TITLE, "One", "first\n");
        assert_eq!(one, "# Performance\n\n## One\n\nfirst\n");
        let two = with_section(&one, "Two", "second");
        assert_eq!(two, "# Performance\n\n## One\n\nfirst\n\n## Two\n\nsecond\n");
        assert_eq!(with_section(&two, "One", "new"), "# Performance\n\n## One\n\nnew\n\n## Two\n\nsecond\n");
        assert_eq!(with_section(&two, "Two", "2"), "# Performance\n\n## One\n\nfirst\n\n## Two\n\n2\n");
    }
}
