//! The table of `docs/sensor.md`: which object of the torture program which backend sees.
//!
//! Each run leaves its column as `BACKEND.json` in the directory `sensor-table` of the target directory, or in that of
//! `CAREEN_SENSOR_TABLE`. The columns of the page are kept beside this file. A run compares its own with the one there,
//! and the page with what comes of all; with `CAREEN_UPDATE_DOCS` set it takes in the columns that lie in the target
//! directory, and writes the page anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sensor::Record;

use crate::fixture::{kinds, path};
use crate::objects::{GROUPS, Object};

const BEGIN: &str = "<!-- generated from here: CAREEN_UPDATE_DOCS=1 cargo nextest run --release -p careen-sensor every_way -->\n";
const END: &str = "<!-- to here -->\n";
/// The backends in the order of the columns.
const BACKENDS: [&str; 4] = ["ebpf-base", "ebpf-lsm", "ebpf-fentry", "seccomp-notify"];

/// What one backend makes of each object: `seen`, `resolved`, or why not.
type Column = BTreeMap<String, String>;

/// Leaves this run's column, and compares it and the page with those of the repository.
pub(crate) fn check(record: &Record) {
    let column = column(record);
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fresh = std::env::var_os("CAREEN_SENSOR_TABLE")
        .map_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("../sensor-table"), PathBuf::from);
    let mut text = serde_json::to_string_pretty(&column).unwrap();
    text.push('\n');
    fs::create_dir_all(&fresh).unwrap();
    fs::write(fresh.join(format!("{}.json", record.backend)), &text).unwrap();
    let (kept, page) = (manifest.join("tests/table"), manifest.join("../../docs/sensor.md"));
    if !page.exists() {
        return; // not where it was built
    }
    if std::env::var_os("CAREEN_UPDATE_DOCS").is_some() {
        for name in BACKENDS.map(|backend| format!("{backend}.json")) {
            if fresh.join(&name).exists() {
                fs::copy(fresh.join(&name), kept.join(&name)).unwrap();
            }
        }
    }
    let known = fs::read_to_string(kept.join(format!("{}.json", record.backend))).unwrap_or_default();
    assert_eq!(known, text, "the table is stale: run with CAREEN_UPDATE_DOCS=1");
    let old = fs::read_to_string(&page).unwrap();
    let (before, rest) = old.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let new = format!("{before}{BEGIN}\n{}\n{END}{after}", render(&columns(&kept)));
    if std::env::var_os("CAREEN_UPDATE_DOCS").is_some() {
        fs::write(&page, new).unwrap();
    } else {
        assert_eq!(old, new, "docs/sensor.md is stale: run with CAREEN_UPDATE_DOCS=1");
    }
}

fn column(record: &Record) -> Column {
    let state = |object: &Object| {
        let of = [b"t/", object.path].concat();
        let mut found = kinds(record, &of);
        found.sort();
        if found != object.kinds {
            return why_not(record.backend, object).to_owned();
        }
        if record.named.contains(&path(&of)) { "seen" } else { "resolved" }.to_owned()
    };
    let used = crate::objects::objects().filter(|object| !object.kinds.is_empty());
    used.map(|object| (object.path.escape_ascii().to_string(), state(object))).collect()
}

/// Where a link does not lead any more; who sees the text alone cannot tell.
pub(crate) const ELSEWHERE: &[u8] = b"f_swapold";

/// Whether the object is used through io_uring.
pub(crate) fn through_rings(object: &Object) -> bool {
    object.path.windows(5).any(|part| part == b"uring") || object.path == b"f_sqpoll"
}

fn why_not(backend: &str, object: &Object) -> &'static str {
    match backend {
        "seccomp-notify" if through_rings(object) => {
            "there is no io_uring: the filter answers ENOSYS, so nothing can be used through it"
        }
        "seccomp-notify" if object.path == ELSEWHERE => "it is known that the link led elsewhere by then",
        _ => "not seen",
    }
}

/// The columns that are kept, in order.
fn columns(kept: &Path) -> Vec<(&'static str, Column)> {
    let read = |backend: &'static str| {
        let text = fs::read(kept.join(format!("{backend}.json"))).ok()?;
        Some((backend, serde_json::from_slice(&text).unwrap()))
    };
    BACKENDS.into_iter().filter_map(read).collect()
}

fn render(columns: &[(&str, Column)]) -> String {
    let mut out = String::new();
    let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (backend, column) in columns {
        let count = |state: &str| column.values().filter(|known| *known == state).count();
        let (seen, resolved) = (count("seen"), count("resolved"));
        out += &format!(
            "- `{backend}`: of {} objects {} are recorded as what they are, {seen} named by the kernel side, {resolved} \
             by resolution in user space.\n",
            column.len(),
            seen + resolved
        );
    }
    for (group, objects) in GROUPS {
        out += &format!("\n### {group}\n\n| object | what is done with it | recorded as |");
        columns.iter().for_each(|(backend, _)| out += &format!(" {backend} |"));
        out += &format!("\n|---|---|---|{}\n", "---|".repeat(columns.len()));
        for object in objects.iter().filter(|object| !object.kinds.is_empty()) {
            let name = object.path.escape_ascii().to_string();
            let shown = name.replace('`', "\\x60");
            out += &format!("| `{shown}` | {} | {} |", object.what, object.kinds.join(", "));
            for (backend, column) in columns {
                let state = column.get(&name).map_or("not run", String::as_str);
                let known = matches!(state, "seen" | "resolved" | "not run");
                if !known {
                    reasons.entry(backend).or_default().push(format!("`{shown}`: {state}"));
                }
                out += &format!(" {} |", if known { state } else { "**no**" });
            }
            out += "\n";
        }
    }
    for (backend, reasons) in reasons {
        out += &format!("\nNot seen by `{backend}`:\n\n");
        reasons.iter().for_each(|reason| out += &format!("- {reason}\n"));
    }
    out
}
