//! What the container made of links, names and mounts, as its own calls tell.
//!
//! A link or a mount may be made, used and taken away again before anybody looks, or in a mount namespace that ends with
//! its one process. But the call that made it was seen, with what it shows: so a path that leads through it can be
//! followed without it. When it was there, and for whom, is not asked: a path counts for each way that it may have gone.

use std::collections::{BTreeMap, BTreeSet};

use image::ImagePath;

use crate::made::{Last, MAX_SHOWN, Made, elsewhere, is_elsewhere, place_elsewhere};
use crate::magic::{Magic, magic};
use crate::observe::{Observer, Use};
use crate::text::Begin;
use crate::walk::Ground;
use crate::wire::{Chain, Event, Op};

/// What was made may lie in, or show, what was made before.
const MAX_ROUNDS: usize = 4;

/// Marks a setting of a file system in [`Event::how`] of [`Op::Use`].
pub(crate) const SETTING: u32 = 1;

/// What [`Op::Made`] tells of. The numbers are those of `enum made` in `bpf/wire.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Kind {
    /// A symbolic link with this target.
    Link = 1,
    /// A new name, by rename or link.
    Name,
    /// A mount of something that was there already.
    Mount,
    /// An overlay with these options.
    Overlay,
    /// Another root, and where the one of before is.
    Root,
}

impl Kind {
    fn of(event: &Event) -> Option<Self> {
        (event.op == Op::Made).then_some(())?;
        [Self::Link, Self::Name, Self::Mount, Self::Overlay, Self::Root]
            .into_iter()
            .find(|kind| *kind as u32 == event.how)
    }
}

/// Reads what was made out of events.
pub(crate) fn find<'e>(observer: &mut Observer<'_>, events: &(impl Iterator<Item = &'e Event> + Clone)) {
    if !events.clone().any(|event| event.op == Op::Made) {
        return;
    }
    for _ in 0..MAX_ROUNDS {
        let mut reading = Reading { observer, made: Made::default(), overlays: BTreeSet::new() };
        let file_systems = reading.file_systems(events.clone());
        for event in events.clone().filter(|event| event.op == Op::Made) {
            if reading.made.is_full() {
                reading.made.cut();
                break;
            }
            reading.note(event, &file_systems.entered);
        }
        for (how, devices) in &file_systems.set_up {
            let directories = file_systems.settings.get(how).into_iter().flatten();
            directories
                .for_each(|at| devices.iter().for_each(|device| reading.made.show(&elsewhere(*device), at)));
        }
        reading.find_overlays(events.clone());
        let made = reading.made;
        if made == observer.made {
            return;
        }
        observer.made = made;
    }
}

/// What events tell of file systems that the container set up.
#[derive(Debug, Default)]
struct FileSystems {
    /// Directories that are settings of one, by how its settings are marked.
    settings: BTreeMap<u32, BTreeSet<ImagePath>>,
    /// Devices of those that were set up, by the same.
    set_up: BTreeMap<u32, BTreeSet<u32>>,
    /// Directories of other file systems that processes went to.
    entered: BTreeSet<ImagePath>,
}

/// One round of reading, with what the round before found.
struct Reading<'r, 'o> {
    observer: &'r Observer<'o>,
    made: Made,
    /// Where overlays are seen.
    overlays: BTreeSet<ImagePath>,
}

impl Reading<'_, '_> {
    /// Where a path is seen when it has been followed to its end, under each name that place has.
    fn seen(&self, root: &ImagePath, base: &ImagePath, text: &[u8], last: Last) -> BTreeSet<ImagePath> {
        let ground = Ground::running(self.observer.tree, &self.observer.running);
        let ways = self.observer.made.all_ways(ground, root, base, text, last);
        ways.into_iter().flat_map(|way| way.places).collect()
    }

    fn file_systems<'e>(&self, events: impl Iterator<Item = &'e Event>) -> FileSystems {
        let mut found = FileSystems::default();
        for event in events {
            let object = event.object.as_ref().and_then(|chain| Some((chain, self.observer.seen_at(chain)?)));
            match (event.op, object) {
                (Op::Use, object) if event.how & SETTING != 0 => {
                    let settings = found.settings.entry(event.how).or_default();
                    settings.extend(self.settings(event));
                    match object {
                        // It is set up.
                        Some((chain, root)) if root == elsewhere(chain.dev) => {
                            found.set_up.entry(event.how).or_default().insert(chain.dev);
                        }
                        object => settings.extend(object.map(|(_, directory)| directory)),
                    }
                }
                (Op::Use | Op::Enter, Some((_, place)))
                    if (event.op == Op::Enter || event.flags.moved()) && is_elsewhere(&place) =>
                {
                    found.entered.insert(place);
                }
                _ => {}
            }
        }
        found
    }

    /// The directories that a setting of a file system names.
    fn settings(&self, event: &Event) -> BTreeSet<ImagePath> {
        let text = event.text.as_deref().unwrap_or_default();
        let begins = self.observer.begins(event);
        let seen = |text: Vec<u8>| {
            let seen = |begin: &Begin| self.seen(&begin.root, &begin.base, &text, Last::Followed);
            begins.iter().flat_map(seen).collect::<Vec<_>>()
        };
        settings(text).into_iter().flat_map(seen).collect()
    }

    fn note(&mut self, event: &Event, entered: &BTreeSet<ImagePath>) {
        let (Some(kind), Some(text)) = (Kind::of(event), event.text.as_deref()) else { return };
        let Some(nul) = text.iter().position(|&byte| byte == 0) else { return };
        let (from, to) = (&text[..nul], &text[nul + 1..]);
        let start = event.object.as_ref().map(|chain| self.observer.seen_at(chain));
        for begin in self.observer.begins(event) {
            // The path of another root was looked up from the root of before.
            let root = if kind == Kind::Root { ImagePath::root() } else { begin.root };
            let here = match own_begin(event.base.as_deref(), to) {
                Some((chain, rest)) => {
                    let base = self.observer.seen_at(chain);
                    base.map(|base| self.seen(&root, &base, rest, Last::Itself)).unwrap_or_default()
                }
                None => self.seen(&root, &begin.base, to, Last::Itself),
            };
            if kind == Kind::Link {
                here.into_iter().for_each(|here| self.made.link(here, from));
                continue;
            }
            let start = match &start {
                None => &root,
                Some(Some(start)) => start,
                Some(None) => continue, // it begins where nobody knows
            };
            let shown = match kind {
                Kind::Overlay => {
                    self.overlays.extend(here.iter().cloned());
                    let directories = overlay_directories(from).into_iter();
                    directories.flat_map(|text| self.seen(&root, start, &text, Last::Followed)).collect()
                }
                Kind::Root => {
                    self.note_root(event.root.as_deref(), from, start, entered);
                    BTreeSet::from([ImagePath::root()])
                }
                Kind::Mount => {
                    let from = own_begin(event.object.as_ref(), from).map_or(from, |(_, rest)| rest);
                    self.seen(&root, start, from, Last::Followed)
                }
                Kind::Name | Kind::Link => {
                    let mut shown = self.seen(&root, start, from, Last::Itself);
                    // A file that the container wrote, as many are under a name that they do not keep, leads nowhere.
                    shown.retain(|place| self.leads_on(place));
                    shown
                }
            };
            here.iter().for_each(|here| shown.iter().for_each(|shown| self.made.show(here, shown)));
        }
    }

    /// Whether a place is one of the image, or one at or beneath which something was made that leads elsewhere.
    fn leads_on(&self, place: &ImagePath) -> bool {
        self.observer.tree.get(place).is_some()
            || self.observer.made.leads_on(place)
            || self.made.leads_on(place)
    }

    /// Where the root directory is seen that a process has since this call.
    fn note_root(
        &mut self,
        root: Option<&Chain>,
        from: &[u8],
        start: &ImagePath,
        entered: &BTreeSet<ImagePath>,
    ) {
        let Some(root) = root.filter(|root| !root.detached && !self.observer.rootfs.is(root.dev)) else {
            return;
        };
        let device = elsewhere(root.dev);
        if from == b"." {
            // It was somewhere that a process had gone to before.
            let entered = entered.iter().filter(|place| place.is_within(&device)).take(MAX_SHOWN);
            entered.for_each(|place| self.made.show(&device, place));
            return;
        }
        let seen = self.seen(&ImagePath::root(), start, from, Last::Followed);
        for place in seen.iter().filter(|place| !is_elsewhere(place)) {
            let point = place.as_bytes().strip_suffix(&*root.path).map(ImagePath::from_absolute);
            if let Some(Ok(point)) = point {
                self.made.show(&device, &point);
            }
        }
    }

    /// Finds the devices of overlays: whoever opened something in one, or went there, named it.
    fn find_overlays<'e>(&mut self, events: impl Iterator<Item = &'e Event>) {
        if self.overlays.is_empty() {
            return;
        }
        for event in events.filter(|event| event.op != Op::Made) {
            let object = event.object.as_ref().filter(|chain| !chain.detached);
            let Some(object) = object.filter(|chain| !self.observer.rootfs.is(chain.dev)) else { continue };
            let Some(text) = event.text.as_deref() else { continue };
            for begin in self.observer.begins(event) {
                // Who went there may have it as root since then.
                let root = if event.flags.moved() { &ImagePath::root() } else { &begin.root };
                for seen in self.seen(root, &begin.base, text, Last::of(event)) {
                    let point = seen.as_bytes().strip_suffix(&*object.path).map(ImagePath::from_absolute);
                    if let Some(Ok(point)) = point
                        && self.overlays.contains(&point)
                    {
                        let layers = self.made.shown.get(&point).cloned().unwrap_or_default();
                        layers.iter().for_each(|layer| self.made.show(&elsewhere(object.dev), layer));
                    }
                }
            }
        }
    }
}

impl Observer<'_> {
    /// Where a place is seen, of the image or not.
    pub(crate) fn seen_at(&self, chain: &Chain) -> Option<ImagePath> {
        if self.rootfs.is(chain.dev) { self.image_path(chain) } else { place_elsewhere(chain) }
    }

    /// Uses of the paths in a setting of a file system.
    pub(crate) fn settings(&self, event: &Event, uses: &mut Vec<Use>) {
        for text in settings(event.text.as_deref().unwrap_or_default()) {
            let mut event = event.clone();
            if event.flags.absolute() && !text.starts_with(b"/") {
                continue; // from a directory that the call did not tell
            }
            event.text = Some(text.into());
            self.text(&event, event.text.as_deref().unwrap_or_default(), None, uses);
        }
    }
}

/// Where a text begins that goes through a descriptor, or the working directory, of the process's own in `/proc`, and
/// what comes after that.
fn own_begin<'e>(begin: Option<&'e Chain>, text: &'e [u8]) -> Option<(&'e Chain, &'e [u8])> {
    let chain = begin.filter(|_| text.starts_with(b"/"))?;
    match magic(text) {
        Some(Magic::Directory(rest)) => Some((chain, rest)),
        Some(Magic::Root(_)) => None,
        None => Some((chain, b"")),
    }
}

/// The directories that the options of an overlay name.
///
/// Source: the kernel's `Documentation/filesystems/overlayfs.rst`.
fn overlay_directories(options: &[u8]) -> Vec<Vec<u8>> {
    let mut directories = Vec::new();
    for option in split(options, b',') {
        let Some(equals) = option.iter().position(|&byte| byte == b'=') else { continue };
        if matches!(&option[..equals], b"lowerdir" | b"lowerdir+" | b"datadir+" | b"upperdir") {
            directories.extend(settings(&option[equals + 1..]));
        }
    }
    directories
}

/// The paths in a setting, which may be several.
pub(crate) fn settings(value: &[u8]) -> Vec<Vec<u8>> {
    let unescaped = |part: Vec<u8>| {
        let mut bytes = part.into_iter();
        let mut plain = Vec::new();
        while let Some(byte) = bytes.next() {
            plain.push(if byte == b'\\' { bytes.next().unwrap_or(byte) } else { byte });
        }
        plain
    };
    split(value, b':').into_iter().map(unescaped).filter(|part| !part.is_empty()).collect()
}

/// Splits where a separator stands that has no backslash before it.
fn split(text: &[u8], separator: u8) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    let mut is_escaped = false;
    for &byte in text {
        if byte == separator && !is_escaped {
            parts.push(Vec::new());
            continue;
        }
        is_escaped = byte == b'\\' && !is_escaped;
        if let Some(part) = parts.last_mut() {
            part.push(byte);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use image::{Image, OpenOptions};
    use profile::AccessKind;

    use super::*;
    use crate::rootfs::Rootfs;
    use crate::wire::{Flags, Program};

    const IMAGE: u32 = 7;
    const OTHER: u32 = 8;
    const MOVED: u8 = 64;
    const ABSOLUTE: u8 = 4;

    fn chain(dev: u32, path: &str) -> Chain {
        Chain { path: path.as_bytes().into(), dev, detached: false, mounted: false }
    }

    fn event(op: Op, how: u32, text: &str) -> Event {
        let to = text.rsplit('\0').next().unwrap_or_default();
        let absolute = to.starts_with('/');
        Event {
            op,
            flags: Flags::new(if absolute { ABSOLUTE } else { 0 }),
            errno: 0,
            how,
            text: (!text.is_empty()).then(|| text.as_bytes().into()),
            object: None,
            base: (!absolute).then(|| chain(IMAGE, "").into()),
            root: Some(chain(IMAGE, "").into()),
            program: Program { id: (0, 0), exe: None, argv0: b"x".as_slice().into() }.into(),
        }
    }

    fn made(kind: Kind, text: &str) -> Event {
        event(Op::Made, kind as u32, text)
    }

    /// What the last of these events tells, after all the others.
    fn told(events: &[Event]) -> Vec<String> {
        let layout = testkit::image(&["app/low/f app/other/f app/other/g new/ old/ merged/ usr/f"]);
        let image = Image::open(&layout.source().parse().unwrap(), &OpenOptions::new()).unwrap();
        let rootfs = Rootfs::gone([IMAGE].into_iter());
        let mut observer = Observer::new(image.tree(), &rootfs);
        find(&mut observer, &events.iter());
        let uses = observer.uses(events.last().unwrap());
        let uses = uses.iter().filter(|(_, kind, _)| *kind != AccessKind::Missing);
        let mut told: Vec<_> =
            uses.map(|(path, kind, _)| format!("{} {}", path.to_text(), kind.name())).collect();
        told.sort();
        told.dedup();
        told
    }

    #[test]
    fn lookups_in_overlays_of_the_container_are_of_their_layers() {
        let stat = event(Op::Stat, 0, "/merged/f");
        let mount = made(Kind::Overlay, "lowerdir=/app/low:app/other,upperdir=/up,workdir=/work\0/merged");
        let relative = Event { object: Some(chain(IMAGE, "")), ..mount };
        assert_eq!(told(&[relative.clone(), stat.clone()]), ["/app/low/f stat", "/app/other/f stat"]);
        assert_eq!(told(std::slice::from_ref(&stat)), Vec::<String>::new());

        // In one that was entered, paths are told from its root.
        let moved = Flags::new(ABSOLUTE | MOVED);
        let entered = Event { object: Some(chain(OTHER, "")), flags: moved, ..event(Op::Use, 0, "/merged") };
        let within = Event { root: Some(chain(OTHER, "").into()), ..event(Op::Stat, 0, "/g") };
        assert_eq!(told(&[relative, entered, within.clone()]), ["/app/other/g stat"]);

        // Its settings one by one, the same number for all of it.
        let how = SETTING | 42 << 1;
        let set = event(Op::Use, how, "/app/low:/app/other");
        let by_descriptor = Event { object: Some(chain(IMAGE, "app/other")), text: None, ..set.clone() };
        let created = Event { object: Some(chain(OTHER, "")), text: None, ..set.clone() };
        let attached = Event { object: Some(chain(OTHER, "")), ..made(Kind::Mount, "\0/merged") };
        let both = ["/app/low/f stat", "/app/other/f stat"];
        assert_eq!(told(&[attached.clone(), set.clone(), created.clone(), stat.clone()]), both);
        assert_eq!(
            told(&[attached.clone(), by_descriptor, created.clone(), stat.clone()]),
            ["/app/other/f stat"]
        );
        assert_eq!(told(&[attached, set, created, within]), ["/app/other/g stat"]);
    }

    #[test]
    fn a_root_that_was_put_together_shows_what_was_bound_into_it() {
        let in_other = |event: Event| Event { root: Some(chain(OTHER, "").into()), ..event };
        let here = |event: Event| Event { base: Some(chain(OTHER, "").into()), ..in_other(event) };
        let pivot = Event { object: Some(chain(OTHER, "")), ..here(made(Kind::Root, ".\0old")) };
        let bind = in_other(made(Kind::Mount, "/old/app/other\0/data"));
        let stat = in_other(event(Op::Stat, 0, "/data/g"));
        assert_eq!(told(&[pivot.clone(), bind.clone(), stat.clone()]), ["/app/other/g stat"]);
        assert_eq!(told(&[bind, stat]), Vec::<String>::new());
        // Paths that nobody put there mirror those of the image.
        assert_eq!(told(&[pivot, in_other(event(Op::Stat, 0, "/usr/f"))]), ["/usr/f stat"]);
    }

    #[test]
    fn a_mount_of_a_descriptor_shows_what_that_is() {
        let object = Some(chain(IMAGE, "app/other"));
        let bind = Event { object: object.clone(), ..made(Kind::Mount, "/proc/self/fd/7\0/new") };
        assert_eq!(told(&[bind, event(Op::Stat, 0, "/new/g")]), ["/app/other/g stat"]);
        let deeper =
            Event { object: Some(chain(IMAGE, "app")), ..made(Kind::Mount, "/proc/self/cwd/other\0/new") };
        assert_eq!(told(&[deeper, event(Op::Stat, 0, "/new/g")]), ["/app/other/g stat"]);
        let onto = Event {
            base: Some(chain(IMAGE, "new").into()),
            ..made(Kind::Mount, "/app/other\0/proc/self/fd/7")
        };
        assert_eq!(told(&[onto, event(Op::Stat, 0, "/new/g")]), ["/app/other/g stat"]);
    }

    #[test]
    fn new_names_matter_of_what_leads_on() {
        let link = made(Kind::Link, "/app/other\0/new/tmp");
        let renamed = made(Kind::Name, "/new/tmp\0/new/now");
        let moved = made(Kind::Name, "/new\0/old/dir");
        let stat = event(Op::Stat, 0, "/new/now/g");
        assert_eq!(told(&[renamed.clone(), link.clone(), stat]), ["/app/other/g stat"]);
        let stat = event(Op::Stat, 0, "/old/dir/now/g");
        assert_eq!(told(&[moved, renamed, link, stat]), ["/app/other/g stat"]);
        let layout = testkit::image(&["app/f data/"]);
        let image = Image::open(&layout.source().parse().unwrap(), &OpenOptions::new()).unwrap();
        let rootfs = Rootfs::gone([IMAGE].into_iter());
        let mut observer = Observer::new(image.tree(), &rootfs);
        let written = |n| made(Kind::Name, &format!("/data/temp-{n}\0/data/dump"));
        let events: Vec<_> = (0..1000).map(written).collect();
        find(&mut observer, &events.iter());
        assert!(observer.made.is_empty() && !observer.made.is_cut());
    }

    #[test]
    fn options_and_settings_are_taken_apart() {
        let directories = |options: &str| -> Vec<String> {
            let found = overlay_directories(options.as_bytes());
            found.into_iter().map(|at| String::from_utf8(at).unwrap()).collect()
        };
        assert_eq!(directories("ro,lowerdir=/a:/b\\:c,upperdir=/d\\,e,workdir=/w"), ["/a", "/b:c", "/d,e"]);
        assert_eq!(directories("lowerdir+=/x,lowerdir=,,=,userxattr"), ["/x"]);
        assert_eq!(settings(b"/a::/b"), [b"/a".to_vec(), b"/b".to_vec()]);
    }
}
