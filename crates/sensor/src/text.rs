//! What the text of a path tells: the links on its way, what `..` left, and its end.

use image::ImagePath;
use profile::AccessKind;

use crate::made::{Last, is_elsewhere};
use crate::magic::{Magic, magic, of_other};
use crate::observe::{O_CREAT, O_EXCL, Observer, Use};
use crate::walk::{End, Ground, Walk};
use crate::wire::{Event, Op};

const ENOENT: i32 = 2;
const ELOOP: i32 = 40;
/// Interpreters of interpreters that the kernel follows.
const MAX_INTERPRETERS: usize = 5;
/// Directories that a path through `/proc` is tried from.
const MAX_PLACES: usize = 8192;

/// What cannot be told from the text of a path, when nobody but the base watched.
pub(crate) const NOT_SEEN: [&str; 3] = [
    "lookups other than opening through links and mounts that others than the container made, in a volume or from outside, \
     and took away a moment (20 ms) later",
    "lookups other than opening through a link of the container's own into /proc, or that fail or make something through \
     /proc of another process",
    "a path that the call itself or another thread overwrote before the call ended",
];

/// Where a text is looked up from.
pub(crate) struct Begin {
    pub(crate) root: ImagePath,
    pub(crate) base: ImagePath,
}

impl Observer<'_> {
    /// Adds what the text of an event tells; `object` is where it led, if the kernel side knows that.
    pub(crate) fn text(&self, event: &Event, text: &[u8], object: Option<&ImagePath>, uses: &mut Vec<Use>) {
        let is_of_other = event.flags.absolute() && of_other(text);
        let (mut text, mut within) = (text, None);
        while let Some(through) = magic(text).filter(|_| event.flags.absolute()) {
            match through {
                Magic::Root(rest) => text = rest,
                Magic::Directory(rest) => {
                    within = Some(rest);
                    break;
                }
            }
        }
        if event.flags.moved() {
            // Where it is seen to have gone is not where that lies.
            let is_elsewhere = object.is_none_or(|object| self.tree.get(object).is_none());
            for walk in self.ways(event, within.unwrap_or(text), object) {
                passed(&walk, uses);
                if let End::InImage(path) = &walk.end
                    && is_elsewhere
                {
                    self.succeeded(event, path, uses);
                }
            }
            return;
        }
        if within.is_none() && event.flags.absolute() && event.errno != ENOENT {
            // A descriptor of its own, by its name in /proc.
            let own = self.place(&event.base).filter(|own| object != Some(own));
            own.iter().for_each(|own| self.succeeded(event, own, uses));
        }
        for mut begin in self.begins(event) {
            let own = within.filter(|_| event.base.is_some());
            if let (Some(rest), None) = (within, own) {
                self.within_places(event, &mut begin, rest, object, uses);
                continue;
            }
            if own.is_some() {
                let Some(base) = event.base.as_ref().and_then(|base| self.seen_at(base)) else { continue };
                begin.base = base;
            }
            for walk in self.walks(event, &begin, own.unwrap_or(text)) {
                self.walked(event, &begin, walk, object, uses);
            }
        }
        if is_of_other && within.is_none() {
            self.within_roots(event, text, object, uses);
        }
    }

    /// A path through the root of another process: each root counts that one had, if the path leads to something of the
    /// image there.
    fn within_roots(&self, event: &Event, text: &[u8], object: Option<&ImagePath>, uses: &mut Vec<Use>) {
        if event.errno == ENOENT {
            return;
        }
        for root in self.roots.get().into_iter().flatten().take(MAX_PLACES) {
            if !self.origins.may_try() {
                return;
            }
            let begin = Begin { root: root.clone(), base: root.clone() };
            for walk in self.walks(event, &begin, text) {
                if matches!(walk.end, End::InImage(_)) && object.is_none_or(|object| walk.ends_at(object)) {
                    self.walked(event, &begin, walk, object, uses);
                }
            }
        }
    }

    /// The same for a path through `/proc`, from a directory that is not known: each directory counts in which a
    /// process was, or that it had open, and from which the path leads to something of the image.
    fn within_places(
        &self,
        event: &Event,
        begin: &mut Begin,
        text: &[u8],
        object: Option<&ImagePath>,
        uses: &mut Vec<Use>,
    ) {
        if event.errno == ENOENT {
            return; // what it failed at would be as many paths as there are directories
        }
        for place in self.places.get().into_iter().flatten().take(MAX_PLACES) {
            if !self.origins.may_try() {
                return;
            }
            begin.base.clone_from(place);
            for walk in self.walks(event, begin, text) {
                if matches!(walk.end, End::InImage(_)) && object.is_none_or(|object| walk.ends_at(object)) {
                    self.walked(event, begin, walk, object, uses);
                }
            }
        }
    }

    /// Adds what one of the ways tells that a lookup may have gone.
    fn walked(
        &self,
        event: &Event,
        begin: &Begin,
        walk: Walk,
        object: Option<&ImagePath>,
        uses: &mut Vec<Use>,
    ) {
        passed(&walk, uses);
        if event.errno == ELOOP && follows(event) {
            return; // a link was refused: where it leads was not looked at
        }
        if let End::InImage(script) = &walk.end
            && event.op == Op::Exec
            && (event.object.is_some() || event.errno == ENOENT)
        {
            self.interpreters(event, begin, script, uses);
        }
        self.ended(event, walk.end, object, uses);
    }

    /// The ways that a lookup may have gone. Which of them it went is not known: links that the container made may be
    /// older or younger than the lookup.
    fn walks(&self, event: &Event, begin: &Begin, text: &[u8]) -> Vec<Walk> {
        let walk = |ground: Ground<'_>| ground.walk(&begin.root, &begin.base, text, follows(event));
        let made = || {
            let ground = Ground::running(self.tree, &self.running);
            self.made.ways(ground, &begin.root, &begin.base, text, Last::of(event))
        };
        if event.errno != 0 {
            let grounds = [Ground::image(self.tree)].into_iter().chain(self.grounds().skip(1));
            return grounds.map(walk).chain(made()).collect();
        }
        let ground = Ground::both(self.tree, &self.running);
        let first = walk(ground);
        if self.place(&event.object).is_some_and(|object| first.ends_at(&object)) {
            return vec![first];
        }
        let mut made = made();
        if let Some(object) = self.place(&event.object)
            && made.iter().any(|walk| walk.ends_at(&object))
        {
            made.retain(|walk| walk.ends_at(&object));
            return made;
        }
        let mut walks: Vec<_> = self.grounds().skip(1).map(walk).chain(made).collect();
        // The second path of pivot_root is known only afterwards, when the root is another one.
        if event.op == Op::Use && event.flags.absolute() && matches!(first.end, End::Missing(..)) {
            let top = ImagePath::root();
            walks.push(ground.walk(&top, &top, text, follows(event)));
        }
        walks.push(first);
        walks
    }

    /// Where the text of an event may begin.
    pub(crate) fn begins(&self, event: &Event) -> Vec<Begin> {
        let mut begins: Vec<Begin> = Vec::new();
        let known = event.root.as_ref().and_then(|root| self.seen_at(root));
        // A root outside the image is a sandbox put together from mounts; its paths mostly mirror the image's.
        let mirrored = known.as_ref().is_none_or(is_elsewhere);
        for root in known.into_iter().chain(mirrored.then(ImagePath::root)) {
            let base = match &event.base {
                _ if event.flags.absolute() => root.clone(),
                Some(base) if let Some(base) = self.seen_at(base) => base,
                _ => continue,
            };
            let root = if event.flags.in_root() { base.clone() } else { root };
            if begins.iter().all(|begin| begin.root != root) {
                begins.push(Begin { root, base });
            }
        }
        begins
    }

    /// The ways on which a text may have led to the object, where the process, or its root, is since then.
    fn ways(&self, event: &Event, text: &[u8], object: Option<&ImagePath>) -> Vec<Walk> {
        let absolute = text.starts_with(b"/");
        let mut root = self.place(&event.root).unwrap_or_default();
        // After chdir the root is the one from before, unless it is just there; after chroot the working directory is.
        let is_certain = absolute && event.root.as_deref() != event.object.as_ref();
        let base = match self.place(&event.base) {
            _ if is_certain => Some(root.clone()),
            _ if absolute => Some(ImagePath::root()),
            base => base.filter(|base| Some(base) != object),
        };
        if base.is_some() && !is_certain {
            root = ImagePath::root();
        }
        let mut walks = Vec::new();
        for ground in base.iter().flat_map(|_| self.grounds()) {
            let walk = ground.walk(&root, base.as_ref().unwrap_or(&root), text, true);
            if object.is_some_and(|object| walk.ends_at(object)) {
                return vec![walk];
            }
            walks.push(walk);
        }
        let ground = Ground::running(self.tree, &self.running);
        for walk in base.iter().flat_map(|base| self.made.ways(ground, &root, base, text, Last::Followed)) {
            if object.is_some_and(|object| walk.ends_at(object)) {
                return vec![walk];
            }
            walks.push(walk);
        }
        let Some(object) = object.filter(|_| !is_certain) else { return walks };
        let ways = self.origins.ways(Ground::both(self.tree, &self.running), &root, text, object);
        if absolute || !ways.is_empty() {
            return ways;
        }
        // A link that the container made begins in no directory that the image knows it in.
        let places = self.places.get().into_iter().flatten().take(MAX_PLACES);
        let tried = places.take_while(|_| self.origins.may_try());
        tried
            .flat_map(|place| {
                let walks = self.grounds().map(|ground| ground.walk(&root, place, text, true));
                walks.chain(self.made.ways(ground, &root, place, text, Last::Followed)).collect::<Vec<_>>()
            })
            .filter(|walk| walk.ends_at(object))
            .collect()
    }

    /// On what a lookup that succeeded may have gone: the image, the running container, and what was mounted in it.
    fn grounds(&self) -> impl Iterator<Item = Ground<'_>> {
        let running = Ground::running(self.tree, &self.running);
        let views = self.views.iter().map(move |view| running.seen_in(view));
        [Ground::both(self.tree, &self.running), running].into_iter().chain(views)
    }

    /// Adds the use of what a walk ended at, unless that is the object, which stands there already.
    ///
    /// Where they differ, both count: another thread may have put another file in the place of the descriptor before
    /// the kernel side looked, or have renamed what was opened.
    fn ended(&self, event: &Event, end: End, object: Option<&ImagePath>, uses: &mut Vec<Use>) {
        let creates = match event.op {
            Op::Create | Op::Bind => true,
            Op::Open => event.how & O_CREAT != 0,
            _ => false, // `how` has other bits there
        };
        match end {
            End::InImage(path) if object == Some(&path) => {}
            End::InImage(path) => self.succeeded(event, &path, uses),
            // It is there now; when it was looked up it was not.
            End::Made(path) if event.errno == ENOENT => uses.push((path, AccessKind::Missing, ENOENT)),
            End::Made(_) if event.errno != 0 => {}
            End::Made(path) => self.made(event, &path, uses),
            End::NotADirectory(path) => uses.push((path, AccessKind::Stat, 0)),
            End::Missing(path, last) => {
                let failed = event.errno != 0 || event.flags.pending() && !(creates && last);
                if !failed {
                    self.made(event, &path, uses);
                } else if creates && last && event.errno != ENOENT {
                    // It was to be made and that failed, but not because it was missing.
                    self.nearest_directory(&path, uses);
                } else {
                    let errno = if event.errno == 0 { ENOENT } else { event.errno };
                    uses.push((path, AccessKind::Missing, errno));
                }
            }
            End::Nowhere => {}
        }
    }

    /// The interpreters of a script, one after the other: the kernel side names only the last one.
    fn interpreters(&self, event: &Event, begin: &Begin, script: &ImagePath, uses: &mut Vec<Use>) {
        let mut script = script.clone();
        for _ in 0..MAX_INTERPRETERS {
            let Some(beginning) = self.rootfs.beginning(&script) else { return };
            let Some(name) = interpreter(&beginning) else { return };
            let walk = Ground::image(self.tree).walk(&begin.root, &begin.base, name, true);
            passed(&walk, uses);
            match walk.end {
                End::InImage(path) => {
                    self.succeeded(event, &path, uses);
                    script = path;
                }
                End::Missing(path, _) if event.errno == ENOENT => {
                    uses.push((path, AccessKind::Missing, ENOENT));
                    return;
                }
                _ => return,
            }
        }
    }
}

/// Whether a link at the end of an event's text was followed.
pub(crate) fn follows(event: &Event) -> bool {
    let exclusive = event.op == Op::Open && event.how & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL;
    !event.flags.nofollow() && !exclusive
}

/// Adds the links that a walk followed and the directories that it left.
fn passed(walk: &Walk, uses: &mut Vec<Use>) {
    uses.extend(walk.links.iter().map(|link| (link.clone(), AccessKind::Readlink, 0)));
    uses.extend(walk.left.iter().map(|directory| (directory.clone(), AccessKind::Stat, 0)));
}

/// The interpreter that a script names in its first line.
fn interpreter(beginning: &[u8]) -> Option<&[u8]> {
    let line = beginning.strip_prefix(b"#!")?.split(|&b| b == b'\n').next()?;
    line.split(|&b| b == b' ' || b == b'\t' || b == 0).find(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use image::{Image, OpenOptions};

    use super::*;
    use crate::rootfs::Rootfs;
    use crate::wire::{Chain, Flags, Program};

    const DEVICE: u32 = 7;
    const ABSOLUTE: u8 = 4;
    const PENDING: u8 = 8;
    const MOVED: u8 = 64;

    fn chain(path: &str) -> Option<Chain> {
        Some(Chain {
            path: path.trim_start_matches('/').as_bytes().into(),
            dev: DEVICE,
            detached: false,
            mounted: false,
        })
    }

    fn event(op: Op, text: &str) -> Event {
        let absolute = text.starts_with('/');
        Event {
            op,
            flags: Flags::new(if absolute { ABSOLUTE } else { 0 }),
            errno: 0,
            how: 0,
            text: Some(text.as_bytes().into()),
            object: None,
            base: if absolute { None } else { chain("/").map(Arc::new) },
            root: chain("/").map(Arc::new),
            program: Arc::new(Program { id: (0, 0), exe: None, argv0: b"x".as_slice().into() }),
        }
    }

    /// What an event tells of an image with these words; `PATH KIND` each, with the errno of what is missing.
    fn uses(words: &str, rootfs: &Rootfs, event: &Event) -> Vec<String> {
        let layout = testkit::image(&[words]);
        let image = Image::open(&layout.source().parse().unwrap(), &OpenOptions::new()).unwrap();
        let uses = Observer::new(image.tree(), rootfs).uses(event);
        told(&uses)
    }

    fn told(uses: &[Use]) -> Vec<String> {
        let mut told: Vec<_> = uses
            .iter()
            .map(|(path, kind, errno)| match errno {
                0 => format!("{} {}", path.to_text(), kind.name()),
                _ => format!("{} {} {errno}", path.to_text(), kind.name()),
            })
            .collect();
        told.sort();
        told.dedup();
        told
    }

    fn gone() -> Rootfs {
        Rootfs::gone([DEVICE].into_iter())
    }

    #[test]
    fn a_process_that_moved_used_the_links_on_its_way() {
        let words = "t/sub/f t/link->sub u/t->/t jail/etc/f jail/l->/etc jail/sub/f l_jail->/jail/sub/..";
        // The root and the working directory are those of afterwards.
        for (text, object, root, base, expected) in [
            ("sub", "/t/sub", "/", "/t/sub", &["/t/sub open-read"][..]),
            ("link", "/t/sub", "/", "/t/sub", &["/t/link readlink", "/t/sub open-read"]),
            ("..", "/t", "/", "/t", &["/t open-read"]),
            (
                "../../u/t/link/",
                "/t/sub",
                "/",
                "/t/sub",
                &["/t/link readlink", "/t/sub open-read", "/u/t readlink"],
            ),
            ("/t/link", "/t/sub", "/", "", &["/t/link readlink", "/t/sub open-read"]),
            ("/l", "/jail/etc", "/jail", "", &["/jail/etc open-read", "/jail/l readlink"]),
            // chroot
            ("/l_jail", "/jail", "/jail", "", &["/jail open-read", "/jail/sub stat", "/l_jail readlink"]),
            ("l_jail", "/jail", "/jail", "/", &["/jail open-read", "/jail/sub stat", "/l_jail readlink"]),
            ("../link", "/t/sub", "/t/sub", "/t/sub", &["/t/link readlink", "/t/sub open-read"]),
            // chroot within a chroot
            ("/l", "/jail/etc", "/jail/etc", "", &["/jail/etc open-read", "/jail/l readlink"]),
        ] {
            let mut event = event(Op::Use, text);
            event.flags = Flags::new(event.flags.bits() | MOVED);
            event.object = chain(object);
            event.root = chain(root).map(Arc::new);
            event.base = if base.is_empty() { None } else { chain(base).map(Arc::new) };
            assert_eq!(uses(words, &gone(), &event), expected, "{text} to {object}");
        }
    }

    #[test]
    fn a_process_that_moved_through_a_link_made_meanwhile_used_the_links_behind_it() {
        let words = "opt/v1/ opt/v2/ opt/now->v1 opt/to->v2 tmp/";
        let dir = running(&[("tmp/cur", "/opt/to"), ("opt/now", "to")], &["opt/v2", "tmp"]);
        let rootfs = Rootfs::directory(dir.path(), DEVICE);
        let mut entered = event(Op::Enter, "");
        (entered.text, entered.object) = (None, chain("/tmp"));
        for (text, base, expected) in [
            ("cur", chain("/opt/v2"), &["/opt/to readlink", "/opt/v2 open-read"][..]),
            ("/tmp/cur", None, &["/opt/to readlink", "/opt/v2 open-read"]),
            ("/opt/now", None, &["/opt/now readlink", "/opt/to readlink", "/opt/v2 open-read"]),
            ("/proc/self/root/opt/to", None, &["/opt/to readlink", "/opt/v2 open-read"]),
            ("/proc/self/cwd/to", None, &["/opt/to readlink", "/opt/v2 open-read"]),
        ] {
            let mut event = event(Op::Use, text);
            event.flags = Flags::new(event.flags.bits() | MOVED);
            (event.object, event.base) = (chain("/opt/v2"), base.map(Arc::new));
            let layout = testkit::image(&[words]);
            let image = Image::open(&layout.source().parse().unwrap(), &OpenOptions::new()).unwrap();
            let observer = Observer::new(image.tree(), &rootfs);
            observer.look_for_places([&event, &entered].into_iter());
            assert_eq!(told(&observer.uses(&event)), expected, "{text}");
        }
    }

    /// A running container with these links and directories.
    fn running(links: &[(&str, &str)], directories: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for directory in directories {
            std::fs::create_dir_all(dir.path().join(directory)).unwrap();
        }
        for (link, target) in links {
            std::os::unix::fs::symlink(target, dir.path().join(link)).unwrap();
        }
        dir
    }

    #[test]
    fn what_is_missing_behind_a_link_made_meanwhile_has_its_path_in_the_image() {
        let words = "opt/app/there opt/v1/f opt/v2/g opt/now->v1 tmp/";
        let links = [("tmp/cur", "/opt/app"), ("tmp/gone", "../opt/app/gone"), ("opt/now", "v2")];
        let dir = running(&links, &["opt/app", "opt/v1", "opt/v2", "tmp/made"]);
        let rootfs = Rootfs::directory(dir.path(), DEVICE);
        const EACCES: i32 = 13;
        for (op, text, errno, expected) in [
            (Op::Open, "/tmp/cur/other", ENOENT, &["/opt/app/other missing 2", "/tmp/cur missing 2"][..]),
            (Op::Stat, "tmp/cur/a/b", ENOENT, &["/opt/app/a missing 2", "/tmp/cur missing 2"]),
            (Op::Exec, "/tmp/gone", ENOENT, &["/opt/app/gone missing 2", "/tmp stat", "/tmp/gone missing 2"]),
            (
                Op::Open,
                "/opt/now/other",
                ENOENT,
                &["/opt/now readlink", "/opt/v1/other missing 2", "/opt/v2/other missing 2"],
            ),
            (Op::Access, "/tmp/cur/there", EACCES, &["/opt/app/there access", "/tmp/cur missing 13"]),
            (Op::Stat, "/tmp/made/x", ENOENT, &["/tmp/made missing 2", "/tmp/made/x missing 2"]),
            (Op::Stat, "/tmp/made", ENOENT, &["/tmp/made missing 2"]),
            (Op::Stat, "/opt/app/none", ENOENT, &["/opt/app/none missing 2"]),
        ] {
            let mut event = event(op, text);
            event.errno = errno;
            assert_eq!(uses(words, &rootfs, &event), expected, "{text}");
        }
    }

    #[test]
    fn a_lookup_behind_a_link_that_was_changed_has_both_ends() {
        let words = "opt/v1/f opt/v2/f opt/v2/g opt/now->v1 opt/file opt/was->v2";
        let dir = running(&[("opt/now", "v2"), ("opt/file", "/opt/made")], &["opt/v2", "opt/made"]);
        for name in ["f", "g"] {
            std::fs::write(dir.path().join("opt/v2").join(name), "").unwrap();
        }
        let rootfs = Rootfs::directory(dir.path(), DEVICE);
        let both = &["/opt/now readlink", "/opt/v1/f stat", "/opt/v2/f stat"];
        for (text, rootfs, expected) in [
            ("/opt/now/f", &rootfs, &both[..]),
            ("opt/./now//f", &rootfs, both),
            ("/opt/now/f", &gone(), &["/opt/now readlink", "/opt/v1/f stat"]),
            ("/opt/now/g", &rootfs, &["/opt/now readlink", "/opt/v2/g stat"]),
            ("/opt/file", &rootfs, &["/opt/file stat"]),
            // It is not there any more.
            ("/opt/was/f", &rootfs, &["/opt/v2/f stat", "/opt/was readlink"]),
        ] {
            assert_eq!(uses(words, rootfs, &event(Op::Stat, text)), expected, "{text}");
        }
        let mut submitted = event(Op::Open, "/opt/now/g");
        submitted.flags = Flags::new(ABSOLUTE | PENDING);
        let expected = ["/opt/now readlink", "/opt/v1/g missing 2", "/opt/v2/g open-read"];
        assert_eq!(uses(words, &rootfs, &submitted), expected, "whether it failed is not known");
    }

    #[test]
    fn a_setting_of_a_file_system_makes_nothing_whatever_its_mark() {
        const EACCES: i32 = 13;
        for mark in [0, O_CREAT, u32::MAX << 1] {
            let mut event = event(Op::Use, "/a/none");
            (event.how, event.errno) = (crate::making::SETTING | mark, EACCES);
            assert_eq!(uses("a/file", &gone(), &event), ["/a/none missing 13"], "{mark}");
        }
    }

    #[test]
    fn an_object_that_is_not_where_the_text_leads_does_not_hide_what_is_there() {
        let words = "a/file a/other a/link->file";
        for (text, object, expected) in [
            ("/a/file", "/a/file", &["/a/file open-read"][..]),
            ("/a/file", "/a/other", &["/a/file open-read", "/a/other open-read"]),
            ("/a/link", "/a/other", &["/a/file open-read", "/a/link readlink", "/a/other open-read"]),
            ("/a/file", "/a/made", &["/a/file open-read"]),
            ("/a/made", "/a/other", &["/a/other open-read"]),
        ] {
            let mut event = event(Op::Open, text);
            event.object = chain(object);
            assert_eq!(uses(words, &gone(), &event), expected, "{text} at {object}");
        }
    }

    #[test]
    fn a_lookup_through_proc_begins_where_the_process_was() {
        let words = "a/f a/l->f b/f jail/a/f";
        let mut entered = event(Op::Enter, "");
        (entered.text, entered.object) = (None, chain("/a"));
        for (text, root, expected) in [
            ("/proc/self/root/a/l", "/", &["/a/f stat", "/a/l readlink"][..]),
            ("/proc/self/root/a/f", "/jail", &["/jail/a/f stat"]),
            ("/proc/self/cwd/l", "/", &["/a/f stat", "/a/l readlink"]),
            ("/proc/self/fd/3/../b/f", "/", &["/a stat", "/b/f stat"]),
            ("/proc/7/root/proc/thread-self/cwd/none", "/", &[]),
        ] {
            let mut event = event(Op::Stat, text);
            event.root = chain(root).map(Arc::new);
            let layout = testkit::image(&[words]);
            let image = Image::open(&layout.source().parse().unwrap(), &OpenOptions::new()).unwrap();
            let rootfs = gone();
            let observer = Observer::new(image.tree(), &rootfs);
            observer.look_for_places([&event, &entered].into_iter());
            assert_eq!(told(&observer.uses(&event)), expected, "{text}");
        }
    }

    #[test]
    fn the_interpreter_is_the_first_word_of_the_first_line() {
        for (text, expected) in [
            ("#!/bin/sh -e\nx", Some("/bin/sh")),
            ("#! \t/usr/bin/env python3", Some("/usr/bin/env")),
            ("#!\n/bin/sh", None),
            ("#!", None),
            ("x#!/bin/sh", None),
        ] {
            assert_eq!(interpreter(text.as_bytes()), expected.map(str::as_bytes), "{text:?}");
        }
    }
}
