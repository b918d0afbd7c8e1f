//! A table for people.

use crate::bill::Bill;

const HEADER: [&str; 5] = ["PACKAGE", "VERSION", "TYPE", "LICENCE", "FILES"];
/// Wider cells are cut.
const MAX_CELL: usize = 48;

pub(crate) fn text(bill: &Bill<'_>) -> String {
    let mut rows: Vec<[String; 5]> = vec![HEADER.map(str::to_owned)];
    for component in &bill.components {
        let package = component.package;
        let licence = component.licence.expression(str::to_owned).unwrap_or_default();
        let files = match component.lost {
            Some(lost) => format!("{} of {}", lost.kept, lost.kept.saturating_add(lost.removed)),
            None => package.files.len().to_string(),
        };
        let kind = package.ecosystem.name().to_owned();
        rows.push([cut(&package.name), cut(&package.version), kind, cut(&licence), files]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEADER.len()).map(width).collect();
    let os = bill.os.map_or("no distribution", |os| os.pretty_name.as_deref().unwrap_or(&os.id));
    let mut out = format!("{} ({os}), {} packages\n\n", bill.name, bill.components.len());
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| {
            let padding = width.saturating_sub(cell.chars().count());
            format!("{cell}{}", " ".repeat(padding))
        });
        out += cells.collect::<Vec<_>>().join("  ").trim_end();
        out.push('\n');
    }
    out
}

fn cut(cell: &str) -> String {
    let plain: String = cell.chars().filter(|c| !c.is_control()).collect();
    match plain.char_indices().nth(MAX_CELL) {
        Some((end, _)) => format!("{}…", &plain[..end]),
        None => plain,
    }
}
