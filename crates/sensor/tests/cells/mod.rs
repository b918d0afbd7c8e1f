//! What the matrix program does, what is lost of it, and the page that says so.
//!
//! The lists of what is lost lie in `matrix`, `docs/sensor-matrix.md` is made of them. With `CAREEN_UPDATE_DOCS` set
//! a run writes the list of its backend, and the page.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use profile::AccessKind;
use sensor::Record;

use crate::fixture::path;

const BACKENDS: [&str; 2] = ["ebpf-base", "seccomp-notify"];
const WIDTH: usize = 120;

/// What the program says of itself.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) things: Vec<Thing>,
    /// Name and description.
    pub(crate) ways: Vec<(String, String)>,
    operations: Vec<(String, String)>,
    pub(crate) cells: Vec<Cell>,
}

/// Something that the image must have.
#[derive(Debug)]
pub(crate) struct Thing {
    pub(crate) kind: String,
    pub(crate) path: String,
    pub(crate) target: String,
}

#[derive(Debug)]
pub(crate) struct Cell {
    /// The way and the operation.
    name: (String, String),
    /// Paths with the kinds of use of which one must be in the record.
    expected: Vec<(String, Vec<String>)>,
}

pub(crate) fn is_update() -> bool {
    std::env::var_os("CAREEN_UPDATE_DOCS").is_some()
}

impl Plan {
    /// Reads what the program lists.
    pub(crate) fn read(list: &[u8]) -> Self {
        let mut plan = Self::default();
        for line in std::str::from_utf8(list).unwrap().lines() {
            let fields: Vec<_> = line.split('\t').map(str::to_owned).collect();
            match &*fields {
                [what, kind, path, target] if what == "make" => {
                    let (kind, path, target) = (kind.clone(), path.clone(), target.clone());
                    plan.things.push(Thing { kind, path, target });
                }
                [what, name, text] if what == "way" => plan.ways.push((name.clone(), text.clone())),
                [what, name, text] if what == "operation" => {
                    plan.operations.push((name.clone(), text.clone()));
                }
                [what, way, operation, expected @ ..] if what == "cell" => plan.cells.push(Cell {
                    name: (way.clone(), operation.clone()),
                    expected: expected.iter().map(|text| expectation(text)).collect(),
                }),
                _ => panic!("{line}"),
            }
        }
        assert!(!plan.cells.is_empty());
        for (name, _) in plan.ways.iter().chain(&plan.operations) {
            let occurs = |cell: &Cell| cell.name.0 == *name || cell.name.1 == *name;
            assert!(plan.cells.iter().any(occurs), "{name} is in no cell");
        }
        plan
    }

    /// In the order in which the program does them.
    pub(crate) fn cells_of(&self, ways: &[&str]) -> Vec<&Cell> {
        self.cells.iter().filter(|cell| ways.contains(&&*cell.name.0)).collect()
    }
}

/// Compares cells with what the program printed: each once, and done. Returns the lines of those that were skipped.
pub(crate) fn check(cells: &[&Cell], output: &str) -> Vec<String> {
    let (mut skipped, mut wrong) = (Vec::new(), Vec::new());
    let mut lines = output.lines();
    for cell in cells {
        let line = lines.next().unwrap_or_default();
        let words: Vec<_> = line.splitn(4, ' ').collect();
        let [way, operation, _, result] = *words else { panic!("{:?} is not done: {line}", cell.name) };
        assert_eq!((way, operation), (&*cell.name.0, &*cell.name.1));
        if result.starts_with("skipped ") {
            skipped.push(line.to_owned());
        } else if result != "ok" && !result.starts_with("found ") {
            wrong.push(line);
        }
    }
    assert_eq!(lines.next(), None);
    assert!(wrong.is_empty(), "{} went otherwise than they should:\n{}", wrong.len(), wrong.join("\n"));
    skipped
}

fn expectation(text: &str) -> (String, Vec<String>) {
    let (path, kinds) = text.split_once('=').unwrap();
    (path.to_owned(), kinds.split(',').map(str::to_owned).collect())
}

/// The cells of which something is not in a record that should be.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    /// With what is there instead.
    cells: BTreeMap<(String, String), String>,
}

impl Lost {
    /// Looks what a record lacks, but for cells whose line is among the skipped.
    pub(crate) fn add(&mut self, cells: &[&Cell], record: &Record, skipped: &[String]) {
        let mut recorded: BTreeMap<_, BTreeSet<&str>> = BTreeMap::new();
        for use_ in &record.observations {
            recorded.entry(use_.path.clone()).or_default().insert(use_.kind.name());
        }
        let missing = AccessKind::Missing.name();
        for cell in cells {
            let (way, operation) = &cell.name;
            if skipped.iter().any(|line| line.starts_with(&format!("{way} {operation} "))) {
                continue;
            }
            for (of, kinds) in &cell.expected {
                let found = recorded.get(&path(of.as_bytes())).cloned().unwrap_or_default();
                let fits = |kind: &String| match kind.as_str() {
                    "*" => found.iter().any(|&found| found != missing),
                    kind => found.contains(kind),
                };
                if !kinds.iter().any(fits) {
                    let text = format!("{of} is recorded as {found:?}, not as {kinds:?}");
                    self.cells.insert(cell.name.clone(), text);
                }
            }
        }
    }

    /// Compares with the list of the backend, and the page with the lists.
    pub(crate) fn compare(&self, plan: &Plan, backend: &str) {
        let list = list_of(backend);
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sensor-matrix.md");
        if is_update() {
            let lines: String =
                self.cells.keys().map(|(way, operation)| format!("{way} {operation}\n")).collect();
            fs::write(&list, lines).unwrap();
            fs::write(&page, render(plan)).unwrap();
        }
        let known = read(backend);
        for (way, operation) in known.iter().filter(|known| !self.cells.contains_key(known)) {
            eprintln!("{way} {operation} is in the list and was not lost");
        }
        let new = self.cells.iter().filter(|(cell, _)| !known.contains(*cell));
        let new: Vec<_> = new.map(|((way, operation), text)| format!("{way} {operation}: {text}")).collect();
        assert!(
            new.is_empty(),
            "{} are lost that are not in {}:\n{}",
            new.len(),
            list.display(),
            new.join("\n")
        );
        assert_eq!(
            fs::read_to_string(&page).unwrap_or_default(),
            render(plan),
            "docs/sensor-matrix.md is stale: run with CAREEN_UPDATE_DOCS=1"
        );
    }
}

fn list_of(backend: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/matrix/lost-{backend}.txt"))
}

/// The list of what a backend is known to lose.
fn read(backend: &str) -> BTreeSet<(String, String)> {
    let text = fs::read_to_string(list_of(backend)).unwrap_or_default();
    let cell =
        |line: &str| line.split_once(' ').map(|(way, operation)| (way.to_owned(), operation.to_owned()));
    text.lines().map(|line| cell(line).unwrap()).collect()
}

fn render(plan: &Plan) -> String {
    let lists = BACKENDS.map(|backend| (backend, read(backend)));
    let mut out = format!(
        "# Ways to name a path\n\n{}\n\n",
        wrap(&format!(
            "A program names a path in each of {} ways and does with it each of {} operations that fit, which makes {} \
             cells. Each has an object of its own, and what the way needed (a link, a mount, a process) is gone right \
             after the operation, with no time in between. The numbers say of how many cells the use is in the record, \
             as what it is; those that are not, or were not in one of several runs, are named below. The list is a \
             test: no cell may be lost that is not in it.",
            plan.ways.len(),
            plan.operations.len(),
            plan.cells.len()
        ))
    );
    out += "<!-- generated: CAREEN_UPDATE_DOCS=1 cargo nextest run --release -p careen-sensor --test matrix -->\n";
    out += "\n| way | the path | operations |";
    lists.iter().for_each(|(backend, _)| out += &format!(" {backend} |"));
    out += &format!("\n|---|---|---|{}\n", "---|".repeat(lists.len()));
    for (way, what) in &plan.ways {
        let count = plan.cells_of(&[way]).len();
        out += &format!("| `{way}` | {what} | {count} |");
        for (_, lost) in &lists {
            let lost = lost.iter().filter(|cell| cell.0 == *way).count();
            out += &if lost == 0 { " all |".to_owned() } else { format!(" **{}** |", count - lost) };
        }
        out += "\n";
    }
    out += "\n## Operations\n\n| operation | what is done |\n|---|---|\n";
    for (operation, what) in &plan.operations {
        out += &format!("| `{operation}` | {what} |\n");
    }
    for (backend, lost) in &lists {
        out += &format!("\n## Lost by {backend}\n\n");
        if lost.is_empty() {
            out += "None.\n";
        }
        for (way, _) in &plan.ways {
            let names: Vec<_> =
                lost.iter().filter(|cell| cell.0 == *way).map(|cell| format!("`{}`", cell.1)).collect();
            if names.len() == plan.cells_of(&[way]).len() {
                out += &format!("- `{way}`: all\n");
            } else if !names.is_empty() {
                out += &format!("{}\n", wrap(&format!("- `{way}`: {}", names.join(", "))));
            }
        }
    }
    out
}

/// Breaks a text into lines of the documents' width; those of an item of a list but the first are indented.
fn wrap(text: &str) -> String {
    let indent = if text.starts_with("- ") { "  " } else { "" };
    let (mut out, mut length) = (String::new(), 0);
    for word in text.split(' ') {
        if length > 0 && length + 1 + word.len() > WIDTH {
            out += "\n";
            out += indent;
            length = indent.len();
        } else if length > 0 {
            out += " ";
            length += 1;
        }
        out += word;
        length += word.len();
    }
    out
}
