//! Where the Pythons of an image look for modules.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::rc::Rc;

use image::{ImagePath, NodeKind};

use super::codec::Aliases;
use super::distribution::Distributions;
use super::pattern;
use crate::PlanError;
use crate::scene::Scene;

/// Directories of one image that Python searches.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    installations: Vec<Installation>,
    venvs: Vec<Venv>,
    /// What programs of the image itself have in their path: directories of scripts, `PYTHONPATH`, the working
    /// directory.
    roots: Vec<ImagePath>,
    /// Endings of extension modules, such as `.cpython-311-x86_64-linux-gnu.so`, longest first.
    pub(super) suffixes: Vec<String>,
    aliases: OnceCell<Aliases>,
    /// Packages of which the profile shows a module in use, worked out once.
    used_packages: OnceCell<Vec<ImagePath>>,
    /// What stands before the first dot of the names in a directory, for those that were looked into.
    stems: RefCell<BTreeMap<ImagePath, HashSet<Vec<u8>>>>,
    distributions: RefCell<BTreeMap<ImagePath, Rc<Distributions>>>,
}

/// A standard library and what belongs to it.
#[derive(Debug)]
pub(super) struct Installation {
    pub(super) stdlib: ImagePath,
    /// Such as `311`.
    pub(super) tag: String,
    /// Where third-party modules lie, those that `.pth` files name included.
    pub(super) sites: Vec<ImagePath>,
    pub(super) is_used: bool,
}

/// A virtual environment: a directory with a `pyvenv.cfg`.
#[derive(Debug)]
struct Venv {
    directory: ImagePath,
    sites: Vec<ImagePath>,
    sees_system: bool,
    is_used: bool,
}

/// Longest `.pth` file.
const MAX_PTH_LINES: usize = 1000;

impl Environment {
    /// Looks over the image once.
    pub(crate) fn new(scene: &Scene<'_>) -> Self {
        let mut found = Found::default();
        for (path, node) in scene.tree().iter() {
            found.add(path, &node.kind);
        }
        if found.stdlibs.is_empty() && found.sites.is_empty() {
            return Self::default();
        }
        let mut venvs: Vec<Venv> =
            found.venvs.iter().map(|file| Venv::new(scene, file, &found.sites)).collect();
        let mut installations: Vec<Installation> = found
            .stdlibs
            .iter()
            .map(|(stdlib, tag)| Installation::new(scene, stdlib, tag, &found.sites))
            .collect();
        let mut roots = roots(scene);
        for path in used_modules(scene) {
            let venv = venvs.iter_mut().find(|venv| path.is_within(&venv.directory));
            let installation = installations.iter_mut().find(|one| one.holds(&path));
            match (venv, installation) {
                (Some(venv), _) if venv.sites.iter().any(|site| path.is_within(site)) => venv.is_used = true,
                (_, Some(installation)) => installation.is_used = true,
                _ => {
                    let root = root_of(scene, &path);
                    if !roots.contains(&root) {
                        roots.push(root);
                    }
                }
            }
        }
        if !installations.iter().any(|one| one.is_used) {
            installations.clear();
        }
        Self { installations, venvs, roots, suffixes: found.suffixes(), ..Self::default() }
    }

    /// The directories that a module imported by `from` is looked up in, in order.
    pub(super) fn search_path(&self, scene: &Scene<'_>, from: &ImagePath) -> Vec<ImagePath> {
        let venv = self.venvs.iter().find(|venv| venv.sites.iter().any(|site| from.is_within(site)));
        let mut path = Vec::new();
        let mut add = |directory: &ImagePath| {
            if !path.contains(directory) {
                path.push(directory.clone());
            }
        };
        let own = self.installations.iter().find(|one| one.holds(from));
        if own.is_none() {
            add(&root_of(scene, from));
        }
        self.roots.iter().for_each(&mut add);
        let used = || {
            self.installations.iter().filter(|one| own.map_or(one.is_used, |own| own.stdlib == one.stdlib))
        };
        for installation in used() {
            add(&installation.stdlib);
            installation.stdlib.join(b"lib-dynload").iter().for_each(&mut add);
        }
        let venvs: Vec<&Venv> = match (venv, own) {
            (Some(venv), _) => vec![venv],
            (None, _) => self.venvs.iter().filter(|venv| venv.is_used).collect(),
        };
        venvs.iter().flat_map(|venv| &venv.sites).for_each(&mut add);
        if venv.is_none_or(|venv| venv.sees_system) {
            used().flat_map(|one| &one.sites).for_each(&mut add);
        }
        path
    }

    /// The installations that the workload used.
    pub(super) fn used(&self) -> impl Iterator<Item = &Installation> {
        self.installations.iter().filter(|one| one.is_used)
    }

    /// The directory of third-party modules that holds this path, the innermost one.
    pub(super) fn site_of(&self, path: &ImagePath) -> Option<&ImagePath> {
        let sites = self.installations.iter().flat_map(|one| &one.sites);
        let sites = sites.chain(self.venvs.iter().flat_map(|venv| &venv.sites));
        sites.filter(|site| path.is_within(site) && path != *site).max_by_key(|site| site.as_bytes().len())
    }

    /// Whether a directory has anything of this name, with whatever ending.
    pub(super) fn may_hold(&self, scene: &Scene<'_>, directory: &ImagePath, name: &str) -> bool {
        if let Some(stems) = self.stems.borrow().get(directory) {
            return stems.contains(name.as_bytes());
        }
        let names = scene.tree().children(directory).map(|(path, _)| path.name());
        let stems: HashSet<Vec<u8>> =
            names.filter_map(|name| name.split(|&byte| byte == b'.').next()).map(<[u8]>::to_vec).collect();
        let found = stems.contains(name.as_bytes());
        self.stems.borrow_mut().insert(directory.clone(), stems);
        found
    }

    /// The distributions of a directory of third-party modules, read once.
    pub(super) fn distributions(
        &self,
        scene: &Scene<'_>,
        site: &ImagePath,
    ) -> Result<Rc<Distributions>, PlanError> {
        if let Some(found) = self.distributions.borrow().get(site) {
            return Ok(Rc::clone(found));
        }
        let read = Rc::new(Distributions::read(scene, site)?);
        self.distributions.borrow_mut().insert(site.clone(), Rc::clone(&read));
        Ok(read)
    }

    /// Whether a package is there to test the standard library, or to develop with: nothing that runs needs it.
    pub(super) fn is_for_tests(&self, package: &ImagePath) -> bool {
        matches!(package.name(), b"test" | b"idlelib" | b"turtledemo")
            && self.installations.iter().any(|one| package.parent().as_ref() == Some(&one.stdlib))
    }

    /// Other names of character sets.
    pub(super) fn aliases(&self, scene: &Scene<'_>) -> &Aliases {
        self.aliases.get_or_init(|| Aliases::read(scene, self))
    }

    /// The packages of which the profile shows a module in use, those of the standard library too.
    pub(super) fn used_packages(&self, scene: &Scene<'_>) -> &[ImagePath] {
        self.used_packages.get_or_init(|| pattern::used_packages(scene))
    }

    /// The standard library that holds this path outside its directories of third-party modules.
    pub(super) fn stdlib_of(&self, path: &ImagePath) -> Option<&ImagePath> {
        let one = self.installations.iter().find(|one| path.is_within(&one.stdlib))?;
        self.site_of(path).is_none().then_some(&one.stdlib)
    }
}

impl Installation {
    fn new(scene: &Scene<'_>, stdlib: &ImagePath, tag: &str, all: &BTreeSet<ImagePath>) -> Self {
        let version = String::from_utf8_lossy(stdlib.name()).into_owned();
        let prefix = stdlib.parent().and_then(|lib| lib.parent()).unwrap_or_default();
        let mut sites = Vec::new();
        let own = [
            format!("lib/{version}"),
            "lib/python3".into(),
            format!("lib64/{version}"),
            format!("local/lib/{version}"),
        ];
        for (directory, leaf) in own.iter().flat_map(|lib| [(lib, "dist-packages"), (lib, "site-packages")]) {
            let site = join(&prefix, &format!("{directory}/{leaf}"));
            sites.extend(site.filter(|site| all.contains(site)));
        }
        let user = format!("/.local/lib/{version}/site-packages");
        sites.extend(all.iter().filter(|site| site.to_absolute().ends_with(user.as_bytes())).cloned());
        with_pth(scene, &mut sites);
        Self { stdlib: stdlib.clone(), tag: tag.to_owned(), sites, is_used: false }
    }

    fn holds(&self, path: &ImagePath) -> bool {
        path.is_within(&self.stdlib) || self.sites.iter().any(|site| path.is_within(site))
    }
}

impl Venv {
    fn new(scene: &Scene<'_>, file: &ImagePath, all: &BTreeSet<ImagePath>) -> Self {
        let directory = file.parent().unwrap_or_default();
        let text = scene.text(file).unwrap_or_default();
        let sees_system = text.lines().filter_map(|line| line.split_once('=')).any(|(key, value)| {
            key.trim() == "include-system-site-packages" && value.trim().eq_ignore_ascii_case("true")
        });
        let mut sites: Vec<ImagePath> =
            all.iter().filter(|site| site.is_within(&directory)).cloned().collect();
        with_pth(scene, &mut sites);
        Self { directory, sites, sees_system, is_used: false }
    }
}

/// Adds the directories that the `.pth` files in these directories name. Source: the `site` module's documentation.
fn with_pth(scene: &Scene<'_>, sites: &mut Vec<ImagePath>) {
    for site in sites.clone() {
        let files = scene.tree().children(&site).map(|(path, _)| path);
        for file in files.filter(|path| path.name().ends_with(b".pth")) {
            let text = scene.text(file).unwrap_or_default();
            let lines = text.lines().map(str::trim_end).take(MAX_PTH_LINES);
            for line in lines
                .filter(|line| !line.is_empty() && !line.starts_with(['#']) && !line.starts_with("import"))
            {
                let named = [&site.to_absolute()[..], b"/", line.as_bytes()].concat();
                let found = scene.find(if line.starts_with('/') { line.as_bytes() } else { &named });
                sites.extend(found.filter(|found| !found.is_root() && !sites.contains(found)));
            }
        }
    }
}

/// What one pass over the tree finds.
#[derive(Default)]
struct Found {
    stdlibs: BTreeMap<ImagePath, String>,
    sites: BTreeSet<ImagePath>,
    venvs: BTreeSet<ImagePath>,
    suffixes: BTreeSet<String>,
}

impl Found {
    fn add(&mut self, path: &ImagePath, kind: &NodeKind) {
        let name = path.name();
        match kind {
            NodeKind::File { .. } if name == b"os.py" || name == b"os.pyc" => {
                let Some(parent) = path.parent() else { return };
                self.stdlibs.extend(version_tag(parent.name()).map(|tag| (parent, tag)));
            }
            NodeKind::File { .. } if name == b"pyvenv.cfg" => {
                self.venvs.insert(path.clone());
            }
            NodeKind::File { .. } if name.ends_with(b".so") => {
                let name = String::from_utf8_lossy(name);
                let suffix = name.find('.').map(|at| &name[at..]);
                if let Some(suffix) = suffix.filter(|suffix| suffix.starts_with(".cpython-3")) {
                    self.suffixes.insert(suffix.to_owned());
                }
            }
            NodeKind::Directory if name == b"site-packages" || name == b"dist-packages" => {
                self.sites.insert(path.clone());
            }
            _ => {}
        }
    }

    fn suffixes(&self) -> Vec<String> {
        self.suffixes.iter().cloned().chain([".abi3.so".to_owned(), ".so".to_owned()]).collect()
    }
}

/// `311` for `python3.11`.
fn version_tag(name: &[u8]) -> Option<String> {
    let version = std::str::from_utf8(name).ok()?.strip_prefix("python3.")?;
    let minor = version.trim_end_matches('t');
    let is_number = !minor.is_empty() && minor.len() <= 2 && minor.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| format!("3{version}"))
}

/// Python files of which the profile shows a use.
fn used_modules(scene: &Scene<'_>) -> impl Iterator<Item = ImagePath> {
    scene
        .profile
        .used()
        .map(|(path, _)| path.clone())
        .filter(|path| path.name().ends_with(b".py") || path.name().ends_with(b".pyc"))
}

fn roots(scene: &Scene<'_>) -> Vec<ImagePath> {
    let named = scene.environment.get("PYTHONPATH").copied().unwrap_or_default().split(':');
    let mut roots: Vec<ImagePath> =
        named.filter(|part| part.starts_with('/')).filter_map(|part| scene.find(part.as_bytes())).collect();
    let directory = scene.working_directory();
    if !directory.is_root() {
        roots.push(directory);
    }
    roots
}

/// The directory above the outermost package that this file is in.
pub(super) fn root_of(scene: &Scene<'_>, file: &ImagePath) -> ImagePath {
    let mut directory = file.parent().unwrap_or_default();
    if directory.name() == b"__pycache__" {
        directory = directory.parent().unwrap_or_default();
    }
    while !directory.is_root() && is_package(scene, &directory) {
        directory = directory.parent().unwrap_or_default();
    }
    directory
}

/// Whether a directory has an `__init__`.
pub(super) fn is_package(scene: &Scene<'_>, directory: &ImagePath) -> bool {
    [&b"__init__.py"[..], b"__init__.pyc"]
        .iter()
        .any(|name| directory.join(name).is_ok_and(|path| scene.file_size(&path).is_some()))
}

/// A path beneath a directory.
pub(super) fn join(directory: &ImagePath, relative: &str) -> Option<ImagePath> {
    directory.join(relative.as_bytes()).ok()
}
