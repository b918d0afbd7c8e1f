//! What tells which distribution a module is of: `*.dist-info` and `*.egg-info`.

use std::collections::{BTreeMap, BTreeSet};

use image::{ImagePath, NodeKind};

use super::environment::{is_package, join};
use crate::PlanError;
use crate::scene::Scene;

/// Longest list of files that is read.
const MAX_RECORD_BYTES: u64 = 16 << 20;

/// What `importlib.metadata` reads of a distribution. Source: its documentation, and the packaging specifications.
const FILES: [&str; 11] = [
    "METADATA",
    "PKG-INFO",
    "RECORD",
    "INSTALLER",
    "WHEEL",
    "direct_url.json",
    "entry_points.txt",
    "installed-files.txt",
    "requires.txt",
    "SOURCES.txt",
    "top_level.txt",
];

/// The distributions of one directory of third-party modules, by the names at its top (`requests`, `yaml.py`) or one
/// below (`google/protobuf`).
#[derive(Debug, Default)]
pub(super) struct Distributions(BTreeMap<String, BTreeSet<ImagePath>>);

impl Distributions {
    /// Reads what each distribution says of itself.
    pub(super) fn read(scene: &Scene<'_>, site: &ImagePath) -> Result<Self, PlanError> {
        let mut all = Self::default();
        for (path, node) in scene.tree().children(site) {
            let name = String::from_utf8_lossy(path.name()).into_owned();
            let Some(stem) = name.strip_suffix(".dist-info").or_else(|| name.strip_suffix(".egg-info"))
            else {
                continue;
            };
            let mut names = BTreeSet::new();
            if node.kind == NodeKind::Directory {
                names = recorded(&record(scene, path)?);
                if names.is_empty() {
                    let text = match join(path, "top_level.txt") {
                        Some(file) => scene.text(&file)?,
                        None => String::new(),
                    };
                    names.extend(
                        text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()),
                    );
                }
            }
            if names.is_empty() {
                let project = stem.split('-').next().unwrap_or_default().to_ascii_lowercase();
                names.extend([project.replace('-', "_"), project]);
            }
            for name in names {
                all.0.entry(name).or_default().insert(path.clone());
            }
        }
        Ok(all)
    }

    /// The metadata of the distribution that a file in this directory belongs to: directories `*.dist-info` and
    /// `*.egg-info`, or a file `*.egg-info`.
    pub(super) fn of(&self, scene: &Scene<'_>, site: &ImagePath, file: &ImagePath) -> BTreeSet<ImagePath> {
        let parts: Vec<String> = file
            .components()
            .skip(site.components().count())
            .filter(|part| *part != b"__pycache__")
            .map(|part| String::from_utf8_lossy(part).into_owned())
            .collect();
        let Some(top) = parts.first() else { return BTreeSet::new() };
        let stem = top.split('.').next().unwrap_or_default();
        let is_namespace =
            join(site, top).is_some_and(|path| scene.is_directory(&path) && !is_package(scene, &path));
        if is_namespace
            && let Some(second) = parts.get(1)
            && let Some(found) =
                self.0.get(&format!("{top}/{}", second.split('.').next().unwrap_or_default()))
        {
            return found.clone();
        }
        self.0.get(stem).or_else(|| self.0.get(&stem.to_ascii_lowercase())).cloned().unwrap_or_default()
    }
}

/// The files of a distribution's metadata that programs read, as far as the image has them.
pub(super) fn metadata(scene: &Scene<'_>, directory: &ImagePath) -> BTreeSet<ImagePath> {
    if scene.file_size(directory).is_some() {
        return BTreeSet::from([directory.clone()]);
    }
    let files = FILES.iter().filter_map(|name| join(directory, name));
    files.filter(|path| scene.tree().get(path).is_some()).collect()
}

fn record(scene: &Scene<'_>, directory: &ImagePath) -> Result<String, PlanError> {
    let Some(file) = join(directory, "RECORD") else { return Ok(String::new()) };
    match scene.file_size(&file) {
        Some(size) if size <= MAX_RECORD_BYTES => {
            Ok(String::from_utf8_lossy(&scene.image.read_file(&file, MAX_RECORD_BYTES)?).into_owned())
        }
        _ => Ok(String::new()),
    }
}

/// The first names of the paths in a RECORD, and the first two.
fn recorded(record: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in record.lines() {
        let path = line.trim_start_matches('"').split([',', '"']).next().unwrap_or_default();
        let mut parts = path.split('/');
        let top = parts.next().unwrap_or_default();
        if top.is_empty()
            || top == ".."
            || top.ends_with(".dist-info")
            || top.ends_with(".libs")
            || top == "__pycache__"
        {
            continue;
        }
        let stem = |part: &str| part.split('.').next().unwrap_or_default().to_owned();
        names.insert(stem(top));
        names.extend(parts.next().map(|second| format!("{top}/{}", stem(second))));
    }
    names
}

/// The objects that other programs find through the entry points of a distribution, as `module:name`, those of its own
/// commands left out.
pub(super) fn plugins(entry_points: &str) -> Vec<String> {
    let mut group = "";
    let mut out = Vec::new();
    for line in entry_points.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[') {
            group = name.trim_end_matches(']');
        } else if let Some((_, object)) = line.split_once('=')
            && !matches!(group, "console_scripts" | "gui_scripts")
            && !line.starts_with(['#', ';'])
        {
            let object = object.split('[').next().unwrap_or_default().trim();
            out.extend(object.split(':').next().map(|module| module.trim().to_owned()));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_tells_the_names_at_the_top() {
        let record = "requests/__init__.py,sha256=x,1\nrequests/api.py,,\n\"odd,name.py\",,\n../../bin/x,,\n\
            requests-2.0.dist-info/METADATA,,\ngoogle/protobuf/any.py,,\n__pycache__/six.cpython-311.pyc,,\nsix.py,,\n";
        let expected =
            ["google", "google/protobuf", "odd", "requests", "requests/__init__", "requests/api", "six"];
        assert_eq!(Vec::from_iter(recorded(record)), expected);
    }

    #[test]
    fn entry_points_name_modules_for_others() {
        let text = "[console_scripts]\ngunicorn = gunicorn.app.wsgiapp:run\n\n[paste.server_runner]\n# c = d\n\
            main = gunicorn.app.pasterapp:serve [extra]\n";
        assert_eq!(plugins(text), ["gunicorn.app.pasterapp"]);
    }
}
