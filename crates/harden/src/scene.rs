//! What the rules look at: the image, its packages, the profile, the policy, and the settings that they share.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use image::{ContainerConfig, Image, ImagePath, Node, NodeKind, ResolutionEnd, Tree};
use packages::PackageDatabase;
use profile::{AccessKind, Profile};

use crate::draft::Draft;
use crate::rules::erlang::Modules;
use crate::rules::node::Manifests;
use crate::rules::php::Autoloaders;
use crate::rules::{perl, python, ruby, runtime_directory};
use crate::{PlanError, Policy, Rule};

/// What a container gets as `PATH` where the image sets none.
pub(crate) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Most bytes of a settings file that a rule reads.
const MAX_SETTINGS_BYTES: u64 = 1 << 20;

/// The inputs of a plan.
pub(crate) struct Scene<'a> {
    pub(crate) image: &'a Image,
    pub(crate) packages: &'a PackageDatabase,
    pub(crate) profile: &'a Profile,
    pub(crate) policy: &'a Policy,
    /// The image's environment; of a name that occurs twice the last value, as in runc.
    pub(crate) environment: BTreeMap<&'a str, &'a str>,
    /// Manifests of Node.js packages, each read once.
    pub(crate) manifests: Manifests,
    /// Modules of Erlang, found once.
    pub(crate) modules: Modules,
    /// Composer's autoloaders, each read once.
    pub(crate) autoloaders: Autoloaders,
    python: OnceCell<python::Environment>,
    perl: OnceCell<perl::Library>,
    ruby: OnceCell<ruby::Library>,
    runtime_directories: OnceCell<Vec<ImagePath>>,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(
        image: &'a Image,
        packages: &'a PackageDatabase,
        profile: &'a Profile,
        policy: &'a Policy,
    ) -> Self {
        let environment = image.config().config.env.iter().filter_map(|line| line.split_once('=')).collect();
        Self {
            image,
            packages,
            profile,
            policy,
            environment,
            manifests: Manifests::default(),
            modules: Modules::default(),
            autoloaders: Autoloaders::default(),
            python: OnceCell::new(),
            perl: OnceCell::new(),
            ruby: OnceCell::new(),
            runtime_directories: OnceCell::new(),
        }
    }

    /// Where the Pythons of the image look for modules.
    pub(crate) fn python(&self) -> &python::Environment {
        self.python.get_or_init(|| python::Environment::new(self))
    }

    /// Where the Perl of the image looks for modules.
    pub(crate) fn perl(&self) -> &perl::Library {
        self.perl.get_or_init(|| perl::Library::new(self))
    }

    /// Where the Ruby of the image looks for features.
    pub(crate) fn ruby(&self) -> &ruby::Library {
        self.ruby.get_or_init(|| ruby::Library::new(self))
    }

    /// Directories that matter although nothing in them is kept, whatever else is.
    pub(crate) fn runtime_directories(&self) -> &[ImagePath] {
        self.runtime_directories.get_or_init(|| runtime_directory::directories(self))
    }

    pub(crate) fn tree(&self) -> &'a Tree {
        self.image.tree()
    }

    pub(crate) fn settings(&self) -> &'a ContainerConfig {
        &self.image.config().config
    }

    /// The path that an absolute text names, when the tree has a node at exactly that path.
    pub(crate) fn at(&self, absolute: &str) -> Option<ImagePath> {
        let path = ImagePath::from_absolute(absolute.as_bytes()).ok()?;
        self.tree().get(&path).is_some().then_some(path)
    }

    /// Where an absolute path leads, links followed.
    pub(crate) fn find(&self, absolute: &[u8]) -> Option<ImagePath> {
        match self.tree().resolve(&ImagePath::root(), absolute, true).end {
            ResolutionEnd::Found(end) => Some(end),
            _ => None,
        }
    }

    pub(crate) fn is_directory(&self, path: &ImagePath) -> bool {
        self.tree().get(path).is_some_and(|node| node.kind == NodeKind::Directory)
    }

    /// The size of a regular file.
    pub(crate) fn file_size(&self, path: &ImagePath) -> Option<u64> {
        self.tree().get(path).and_then(file_size)
    }

    /// Whether this is a regular file that someone may execute.
    pub(crate) fn is_executable(&self, path: &ImagePath) -> bool {
        self.tree().get(path).is_some_and(|node| file_size(node).is_some() && node.metadata.mode & 0o111 != 0)
    }

    /// A settings file's text, lossy; empty for what is no regular file or too large to be settings.
    pub(crate) fn text(&self, path: &ImagePath) -> Result<String, PlanError> {
        match self.file_size(path) {
            Some(size) if size <= MAX_SETTINGS_BYTES => {
                Ok(String::from_utf8_lossy(&self.image.read_file(path, MAX_SETTINGS_BYTES)?).into_owned())
            }
            _ => Ok(String::new()),
        }
    }

    /// Whether the content of a kept path matters: it was read, mapped or run, people want it, or a rule
    /// other than [`Rule::Observed`] and [`Rule::Carried`] keeps it for this image's own sake. A program that was only
    /// looked at (`stat`, `access`) does nothing of its own, nor does a script in a package database.
    pub(crate) fn is_in_use(&self, draft: &Draft<'_>, path: &ImagePath) -> bool {
        let Some(reason) = draft.reason(path) else { return false };
        let idle = [Rule::Observed, Rule::Carried, Rule::Preset, Rule::SharedLayer, Rule::PackageDatabase];
        !idle.contains(&reason.rule)
            || draft.is_wanted(path)
            || self.profile.usage(path).is_some_and(|usage| {
                usage
                    .kinds()
                    .any(|kind| matches!(kind, AccessKind::Exec | AccessKind::MapExec | AccessKind::OpenRead))
            })
    }

    /// The directories of the image's `PATH`.
    pub(crate) fn search_path(&self) -> impl Iterator<Item = &'a str> {
        let path = self.environment.get("PATH").copied().unwrap_or(DEFAULT_PATH);
        path.split(':').filter(|directory| directory.starts_with('/'))
    }

    /// The directory that the image's processes start in, as written.
    pub(crate) fn working_directory(&self) -> ImagePath {
        let settings = self.settings();
        self.find(format!("/{}", settings.working_dir).as_bytes()).unwrap_or_default()
    }

    /// Finds a program as runc and a shell do: a name with a slash from the working directory, another one along
    /// `PATH`, where the first executable file wins. Gives the path as named.
    pub(crate) fn program(&self, name: &[u8]) -> Option<Vec<u8>> {
        if name.is_empty() {
            return None;
        }
        if name.contains(&b'/') {
            let path = match name.first() {
                Some(b'/') => name.to_vec(),
                _ => [&self.working_directory().to_absolute()[..], b"/", name].concat(),
            };
            return self.find(&path).is_some_and(|end| self.file_size(&end).is_some()).then_some(path);
        }
        self.search_path()
            .map(|directory| [directory.as_bytes(), b"/", name].concat())
            .find(|path| self.find(path).is_some_and(|end| self.is_executable(&end)))
    }
}

fn file_size(node: &Node) -> Option<u64> {
    match node.kind {
        NodeKind::File { size_bytes, .. } => Some(size_bytes),
        _ => None,
    }
}
