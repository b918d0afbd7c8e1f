//! From events to observations: which paths of the image a use touched, and how.

use std::borrow::Borrow;
use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use image::path::escape;
use image::{ImagePath, NodeKind, Tree};
use profile::{AccessKind, Process};

use crate::bound::View;
use crate::follow::Trace;
use crate::made::{Made, is_elsewhere};
use crate::magic::magic;
use crate::making::SETTING;
use crate::origin::Origins;
use crate::rootfs::Rootfs;
use crate::running::Running;
use crate::wire::{Chain, Event, Op, Program};

const ENOENT: i32 = 2;
const O_ACCMODE: u32 = 3;
const O_WRONLY: u32 = 1;
const O_RDWR: u32 = 2;
pub(crate) const O_CREAT: u32 = 0o100;
pub(crate) const O_EXCL: u32 = 0o200;
const O_TRUNC: u32 = 0o1000;
const O_PATH: u32 = 0o10_000_000;

/// A use of a path of the image: path, kind, errno.
pub(crate) type Use = (ImagePath, AccessKind, i32);

/// Reads events on one image.
#[derive(Debug)]
pub(crate) struct Observer<'a> {
    pub(crate) tree: &'a Tree,
    pub(crate) rootfs: &'a Rootfs,
    pub(crate) running: Running<'a>,
    pub(crate) origins: Origins<'a>,
    /// What processes saw elsewhere than where it lies.
    pub(crate) views: BTreeSet<View>,
    /// What the container made of links, names and mounts.
    pub(crate) made: Made,
    /// Directories of the image that processes were in or had open, where that is asked.
    pub(crate) places: OnceCell<BTreeSet<ImagePath>>,
    /// Roots of processes, where that is asked.
    pub(crate) roots: OnceCell<BTreeSet<ImagePath>>,
    /// Names of programs that were asked for.
    pub(crate) processes: RefCell<HashMap<Program, Arc<Process>>>,
}

impl<'a> Observer<'a> {
    pub(crate) fn new(tree: &'a Tree, rootfs: &'a Rootfs) -> Self {
        Self {
            tree,
            rootfs,
            running: Running::new(rootfs),
            origins: Origins::new(tree),
            views: BTreeSet::new(),
            made: Made::default(),
            places: OnceCell::new(),
            roots: OnceCell::new(),
            processes: RefCell::default(),
        }
    }

    /// Looks for the places that paths through `/proc` and those of a relative `chdir` may begin at, if there are such
    /// paths among these events.
    pub(crate) fn look_for_places<'e>(&self, events: impl Iterator<Item = &'e Event> + Clone) {
        let means_a_place = |event: &Event| {
            event.flags.moved() && !event.flags.absolute() || event.text.as_deref().and_then(magic).is_some()
        };
        if !events.clone().any(means_a_place) {
            return;
        }
        let roots = events.clone().filter_map(|event| self.place(&event.root));
        let _first = self.roots.set(roots.filter(|root| !root.is_root()).collect());
        let is_directory =
            |path: &ImagePath| self.tree.get(path).is_some_and(|node| node.kind == NodeKind::Directory);
        let places = events.flat_map(|event| [self.place(&event.base), self.place(&event.object)]).flatten();
        let _first = self.places.set(places.filter(is_directory).collect());
    }

    /// The image path of a chain that lies in the container's root file system, whether or not the image has it, or in
    /// a file system of which it is known where the container saw it.
    pub(crate) fn image_path(&self, chain: &Chain) -> Option<ImagePath> {
        if chain.detached || !self.rootfs.is(chain.dev) {
            return self.made.place_of(chain);
        }
        ImagePath::from_absolute(&chain.path).ok()
    }

    /// The same of a chain that may not be known.
    pub(crate) fn place<C: Borrow<Chain>>(&self, chain: &Option<C>) -> Option<ImagePath> {
        chain.as_ref().and_then(|chain| self.image_path(chain.borrow()))
    }

    /// Names a program as it is known in the image, or as the kernel names it.
    pub(crate) fn process(&self, program: &Program) -> Arc<Process> {
        if let Some(process) = self.processes.borrow().get(program) {
            return Arc::clone(process);
        }
        let process = Arc::new(name(program));
        self.processes.borrow_mut().insert(program.clone(), Arc::clone(&process));
        process
    }

    /// What of the container's own doings was too much to be followed, in words.
    pub(crate) fn not_followed(&self) -> Option<String> {
        let what =
            "lookups through links and mounts of the container's own beyond the first hundred thousands";
        self.made.is_cut().then(|| what.to_owned())
    }

    /// What a hook told: only of what the image has, for the base knows what is made and what is missing.
    pub(crate) fn told(&self, event: &Event) -> Vec<Use> {
        let path = event.object.as_ref().and_then(|chain| self.image_path(chain));
        let Some((path, node)) = path.and_then(|path| self.tree.get(&path).map(|node| (path, node))) else {
            return Vec::new();
        };
        kinds(event, &node.kind).into_iter().map(|kind| (path.clone(), kind, 0)).collect()
    }

    /// All uses of the image that one event of the base tells of.
    pub(crate) fn uses(&self, event: &Event) -> Vec<Use> {
        let mut uses = Vec::new();
        if event.op == Op::Made {
            return uses; // the call that made it is an event of its own
        }
        let object = event.object.as_ref().and_then(|chain| self.image_path(chain));
        if let Some(path) = &object {
            self.succeeded(event, path, &mut uses);
            if self.tree.get(path).is_none() {
                let shown = self.made.at(path).into_iter().filter(|shown| self.tree.get(shown).is_some());
                shown.for_each(|shown| self.succeeded(event, &shown, &mut uses));
            }
        }
        if event.op == Op::Use && event.how & SETTING != 0 {
            self.settings(event, &mut uses);
        } else if let Some(text) = &event.text {
            self.text(event, text, object.as_ref(), &mut uses);
        }
        uses.retain(|(path, ..)| !is_elsewhere(path));
        uses
    }

    /// What a lookup met of the image in the running container.
    pub(crate) fn traced(&self, event: &Event, trace: &Trace) -> Vec<Use> {
        let mut uses = Vec::new();
        for link in trace.links.iter().filter_map(|link| self.image_path(link)) {
            if self.tree.get(&link).is_some() {
                uses.push((link, AccessKind::Readlink, 0));
            }
        }
        if let Some(end) = trace.end.as_ref().and_then(|end| self.image_path(end)) {
            match event.errno {
                0 => self.succeeded(event, &end, &mut uses),
                // It failed for what it found there, such as a file that is no socket.
                errno if errno != ENOENT && self.tree.get(&end).is_some() => {
                    self.succeeded(event, &end, &mut uses);
                }
                errno => uses.push((end, AccessKind::Missing, errno)),
            }
        }
        uses
    }

    /// Paths that the kernel side named itself. Others of [`Observer::uses`] were found by following links, `..` and
    /// interpreters on the image.
    pub(crate) fn named(&self, event: &Event) -> impl Iterator<Item = ImagePath> {
        let text =
            event.text.as_deref().filter(|_| !event.flags.moved() && event.op != Op::Made).and_then(|text| {
                if text.split(|&b| b == b'/').any(|name| name == b"..") {
                    return None;
                }
                let start = if event.flags.absolute() {
                    self.place(&event.root).unwrap_or_default()
                } else {
                    self.place(&event.base)?
                };
                ImagePath::from_absolute(&[b"/", start.as_bytes(), b"/", text].concat()).ok()
            });
        self.place(&event.object).into_iter().chain(text)
    }

    /// A use that ended at a path of the image, or, for an object, perhaps beside it.
    pub(crate) fn succeeded(&self, event: &Event, path: &ImagePath, uses: &mut Vec<Use>) {
        match self.tree.get(path) {
            Some(node) => {
                for kind in kinds(event, &node.kind) {
                    uses.push((path.clone(), kind, 0));
                }
            }
            None => self.made(event, path, uses),
        }
    }

    /// A use of something that only the running container has: making or changing it uses the directory.
    pub(crate) fn made(&self, event: &Event, path: &ImagePath, uses: &mut Vec<Use>) {
        if writes(event) {
            self.nearest_directory(path, uses);
        }
    }

    pub(crate) fn nearest_directory(&self, path: &ImagePath, uses: &mut Vec<Use>) {
        let is_directory = |p: &ImagePath| self.tree.get(p).is_some_and(|n| n.kind == NodeKind::Directory);
        if let Some(directory) = path.ancestors().find(is_directory).filter(|_| !is_elsewhere(path)) {
            uses.push((directory, AccessKind::OpenWrite, 0));
        }
    }
}

fn name(program: &Program) -> Process {
    let exe = match &program.exe {
        Some(chain) if chain.detached => escape(&chain.path),
        Some(chain) => escape(&[b"/", &*chain.path].concat()),
        None => escape(&program.argv0),
    };
    Process { exe, argv0: escape(&program.argv0) }
}

fn writes(event: &Event) -> bool {
    match event.op {
        Op::Open => {
            event.how & O_ACCMODE != 0 && event.how & O_PATH == 0 || event.how & (O_CREAT | O_TRUNC) != 0
        }
        Op::Change | Op::Create | Op::Remove | Op::Bind => true,
        _ => false,
    }
}

/// How an operation used something that exists.
fn kinds(event: &Event, node: &NodeKind) -> Vec<AccessKind> {
    let is_link = matches!(node, NodeKind::Symlink { .. });
    let one = match event.op {
        Op::Open if event.how & O_PATH != 0 => AccessKind::OpenRead,
        // O_NOFOLLOW on a link fails with ELOOP because it is one.
        Op::Open if is_link => AccessKind::Readlink,
        Op::Open => {
            let (read, write) = match event.how & O_ACCMODE {
                O_WRONLY => (false, true),
                O_RDWR => (true, true),
                _ => (true, event.how & O_TRUNC != 0),
            };
            let mut kinds = Vec::new();
            if read {
                kinds.push(AccessKind::OpenRead);
            }
            if write || !read {
                kinds.push(AccessKind::OpenWrite);
            }
            return kinds;
        }
        Op::Stat => AccessKind::Stat,
        Op::Access => AccessKind::Access,
        // On what is no link it asks just that.
        Op::Readlink if is_link => AccessKind::Readlink,
        Op::Readlink => AccessKind::Stat,
        Op::Xattr => AccessKind::Xattr,
        Op::Watch => AccessKind::Watch,
        Op::Connect | Op::Send | Op::SendMessage | Op::SendMessages | Op::SocketCall => AccessKind::Connect,
        Op::Use | Op::Enter | Op::Link | Op::Held | Op::FsConfig | Op::Bpf => AccessKind::OpenRead,
        // mkdir -p and the like ask whether it is there.
        Op::Create | Op::Bind if event.errno != 0 => AccessKind::Stat,
        Op::Change | Op::Create | Op::Remove | Op::Bind => AccessKind::OpenWrite,
        Op::Exec | Op::Interpreter => AccessKind::Exec,
        Op::Loader => AccessKind::MapExec,
        Op::Map if event.flags.exec() => AccessKind::MapExec,
        Op::Map | Op::OldMap => AccessKind::OpenRead,
        Op::ReadDirectory => AccessKind::Readdir,
        // Not of a path; the consumer has taken them out.
        Op::Forked | Op::Started | Op::Exited | Op::Made => return Vec::new(),
    };
    vec![one]
}
