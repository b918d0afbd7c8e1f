//! What the container made of links, names and mounts, as its own calls tell.
//!
//! A link or a mount may be made, used and taken away again before anybody looks, or in a mount namespace that ends with
//! its one process. But the call that made it was seen, with what it shows: so a path that leads through it can be
//! followed without it. When it was there, and for whom, is not asked: a path counts for each way that it may have gone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use image::ImagePath;

use crate::magic::{Magic, magic};
use crate::observe::{Observer, Use};
use crate::text::follows;
use crate::walk::{End, Found, Ground, MAX_LINKS, Walk, push_components};
use crate::wire::{Chain, Event, Op};

/// Links, names and mounts that are kept of each kind. Beyond, what leads through them is as the image has it.
const MAX_MADE: usize = 1 << 17;
/// Ways that one path may go.
const MAX_WAYS: usize = 64;
/// Places that may show at one place, one through another.
const MAX_SHOWN: usize = 16;
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

/// What was made, by the paths at which it was seen from the root of the image.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Made {
    /// Targets of links.
    links: BTreeMap<ImagePath, BTreeSet<Box<[u8]>>>,
    /// What shows at a place, by where else it is seen.
    shown: BTreeMap<ImagePath, BTreeSet<ImagePath>>,
    /// Where overlays are seen.
    overlays: BTreeSet<ImagePath>,
    /// Directories that are settings of a file system, by how its settings are marked.
    settings: BTreeMap<u32, BTreeSet<ImagePath>>,
    /// File systems that were set up, by the same.
    set_up: BTreeMap<u32, BTreeSet<u32>>,
}

/// The begin of paths in file systems that are none of the image's, which no name in an image has.
const ELSEWHERE: u8 = 1;

/// The root of another file system, as a path that is in no image.
fn elsewhere(device: u32) -> ImagePath {
    ImagePath::from_absolute(format!("{}{device}", char::from(ELSEWHERE)).as_bytes()).unwrap_or_default()
}

/// Whether a path is none of the image's because it begins in another file system.
pub(crate) fn is_elsewhere(path: &ImagePath) -> bool {
    path.as_bytes().first() == Some(&ELSEWHERE)
}

impl Made {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Where of the image a place of another file system shows.
    pub(crate) fn place_of(&self, chain: &Chain) -> Option<ImagePath> {
        if self.is_empty() {
            return None;
        }
        self.at(&place_elsewhere(chain)?).into_iter().find(|place| !is_elsewhere(place))
    }

    /// This path, and what else may show there.
    pub(crate) fn at(&self, path: &ImagePath) -> Vec<ImagePath> {
        let mut places = vec![path.clone()];
        let mut next = 0;
        while next < places.len() && !self.shown.is_empty() {
            let place = places[next].clone();
            next += 1;
            for point in std::iter::once(place.clone()).chain(place.ancestors()) {
                let rest = &place.as_bytes()[point.as_bytes().len()..];
                for shown in self.shown.get(&point).into_iter().flatten() {
                    let Ok(shown) = shown.join(rest) else { continue };
                    if places.len() < MAX_SHOWN && !places.contains(&shown) {
                        places.push(shown);
                    }
                }
            }
        }
        places
    }

    /// The ways of a path that lead through something made.
    pub(crate) fn ways(
        &self,
        ground: Ground<'_>,
        root: &ImagePath,
        base: &ImagePath,
        text: &[u8],
        follow_last: bool,
    ) -> Vec<Walk> {
        if self.is_empty() {
            return Vec::new();
        }
        let ways = self.all_ways(ground, root, base, text, follow_last);
        ways.into_iter().filter(|way| way.is_through).map(|way| way.walk).collect()
    }

    /// All ways of a path.
    fn all_ways(
        &self,
        ground: Ground<'_>,
        root: &ImagePath,
        base: &ImagePath,
        text: &[u8],
        follow_last: bool,
    ) -> Vec<Gone> {
        let begin = if text.starts_with(b"/") { root } else { base };
        let mut todo = VecDeque::new();
        push_components(&mut todo, text);
        let mut open = vec![Way {
            at: begin.clone(),
            todo,
            walk: Walk { links: Vec::new(), left: Vec::new(), end: End::Nowhere },
            links: 0,
            ghost: None,
            is_through: false,
        }];
        let mut ended = Vec::new();
        while let Some(way) = open.pop() {
            if ended.len() >= MAX_WAYS {
                break;
            }
            let fork = Fork { made: self, ground, root, follow_last };
            fork.go(way, &mut open, &mut ended);
        }
        ended
    }
}

/// A place of another file system, as a path that is in no image.
pub(crate) fn place_elsewhere(chain: &Chain) -> Option<ImagePath> {
    elsewhere(chain.dev).join(&chain.path).ok().filter(|_| !chain.detached)
}

/// A way that is being gone.
#[derive(Debug, Clone)]
struct Way {
    at: ImagePath,
    todo: VecDeque<Vec<u8>>,
    walk: Walk,
    links: usize,
    /// The first place since the last link that neither image nor container has, where it may be as well, and whether it
    /// was the last: made meanwhile, or missing.
    ghost: Option<(Vec<ImagePath>, bool)>,
    is_through: bool,
}

/// A way that has been gone.
struct Gone {
    walk: Walk,
    /// Where it was seen to end.
    at: ImagePath,
    /// Whether it led through something made.
    is_through: bool,
}

/// Where ways part.
struct Fork<'a> {
    made: &'a Made,
    ground: Ground<'a>,
    root: &'a ImagePath,
    follow_last: bool,
}

impl Fork<'_> {
    /// Goes on to the end or to where ways part.
    fn go(&self, mut way: Way, open: &mut Vec<Way>, ended: &mut Vec<Gone>) {
        while let Some(name) = way.todo.pop_front() {
            match &*name {
                b"." => continue,
                b".." => {
                    if way.at != *self.root {
                        let left = self.made.at(&way.at).into_iter().filter(|place| self.ground.has(place));
                        way.walk.left.extend(left);
                        way.at = way.at.parent().unwrap_or_default();
                    }
                    continue;
                }
                _ => {}
            }
            let Ok(next) = way.at.join(&name) else { return };
            let is_last = way.todo.is_empty();
            let places = self.made.at(&next);
            let found: Vec<_> =
                places.iter().filter_map(|place| Some((place, self.ground.look(place)?))).collect();
            let mut targets: Vec<(&ImagePath, Vec<u8>, bool)> = Vec::new();
            for place in &places {
                let made = self.made.links.get(place).into_iter().flatten();
                targets.extend(made.map(|target| (place, target.to_vec(), true)));
            }
            let is_unknown = targets.is_empty() && found.is_empty();
            if is_unknown && way.ghost.is_none() {
                way.ghost = Some((places.clone(), is_last));
            }
            let mut goes_on = is_unknown;
            for (place, found) in found {
                match found {
                    Found::Symlink(target) => targets.push((place, target, *place != next)),
                    Found::Directory => goes_on = true,
                    Found::Other => goes_on |= is_last,
                }
            }
            if !targets.is_empty() && (!is_last || self.follow_last) {
                for (place, target, is_made) in targets {
                    open.extend(self.beyond(&way, place, &target, is_made));
                }
                if !goes_on {
                    return;
                }
            } else if !goes_on && targets.is_empty() {
                let walk = Walk { end: End::NotADirectory(next.clone()), ..way.walk };
                ended.push(Gone { walk, at: next, is_through: way.is_through });
                return;
            }
            way.at = next;
        }
        self.end(way, ended);
    }

    /// The same way behind a link.
    fn beyond(&self, way: &Way, place: &ImagePath, target: &[u8], is_made: bool) -> Option<Way> {
        let mut way = way.clone();
        way.links += 1;
        way.is_through |= is_made;
        way.ghost = None;
        if way.links > MAX_LINKS || target.is_empty() {
            return None;
        }
        if self.ground.has_link(place) {
            way.walk.links.push(place.clone());
        }
        if target.starts_with(b"/") {
            way.at = self.root.clone();
        }
        push_components(&mut way.todo, target);
        Some(way)
    }

    fn end(&self, way: Way, ended: &mut Vec<Gone>) {
        let Way { at, walk, ghost, is_through, .. } = way;
        let mut push = |end, is_through| {
            ended.push(Gone { walk: Walk { end, ..walk.clone() }, at: at.clone(), is_through });
        };
        if let Some((places, is_last)) = ghost {
            let is_through = is_through || places.len() > 1;
            places.into_iter().for_each(|place| push(End::Missing(place, is_last), is_through));
            return;
        }
        let mut places = self.made.at(&at);
        let is_in_image = places.iter().any(|place| self.ground.has(place));
        places.retain(|place| !is_in_image || self.ground.has(place));
        for place in places {
            let is_through = is_through || place != at;
            push(if is_in_image { End::InImage(place) } else { End::Made(place) }, is_through);
        }
    }
}

/// Reads what was made out of events.
pub(crate) fn find<'e>(observer: &mut Observer<'_>, events: impl Iterator<Item = &'e Event> + Clone) {
    if !events.clone().any(|event| event.op == Op::Made) {
        return;
    }
    for _ in 0..MAX_ROUNDS {
        let mut made = Made::default();
        for event in events.clone() {
            match event.op {
                Op::Made => observer.note_made(event, &mut made),
                Op::Use if event.how & SETTING != 0 => observer.note_setting(event, &mut made),
                _ => {}
            }
        }
        made.settle();
        observer.note_overlays(events.clone(), &mut made);
        if made == observer.made {
            return;
        }
        observer.made = made;
    }
}

impl Made {
    /// File systems show the directories that are their settings.
    fn settle(&mut self) {
        for (how, devices) in &self.set_up {
            for device in devices {
                for directory in self.settings.get(how).into_iter().flatten() {
                    add(&mut self.shown, elsewhere(*device), directory.clone());
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

    /// Where a path is seen when it has been followed to its end, under each name that place has.
    fn seen(&self, root: &ImagePath, base: &ImagePath, text: &[u8], follow_last: bool) -> Vec<ImagePath> {
        let ground = Ground::running(self.tree, &self.running);
        let ways = self.made.all_ways(ground, root, base, text, follow_last);
        let seen: BTreeSet<_> = ways.into_iter().map(|way| way.at).collect();
        seen.iter().flat_map(|place| self.made.at(place)).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn note_made(&self, event: &Event, made: &mut Made) {
        let (Some(kind), Some(text)) = (Kind::of(event), event.text.as_deref()) else { return };
        let Some(nul) = text.iter().position(|&byte| byte == 0) else { return };
        let (from, to) = (&text[..nul], &text[nul + 1..]);
        let start = event.object.as_ref().map(|chain| self.seen_at(chain));
        for begin in self.begins(event) {
            let old_root = ImagePath::root();
            // The path of another root was looked up from the root of before.
            let root = if kind == Kind::Root { &old_root } else { &begin.root };
            let here = match own_begin(event, &event.base, to) {
                Some((chain, rest)) => {
                    let base = self.seen_at(chain);
                    base.map(|base| self.seen(root, &base, rest, false)).unwrap_or_default()
                }
                None => self.seen(root, &begin.base, to, false),
            };
            if kind == Kind::Link {
                here.into_iter().for_each(|here| add(&mut made.links, here, from.into()));
                continue;
            }
            let start = match &start {
                None => &begin.root,
                Some(Some(start)) => start,
                Some(None) => continue, // it begins in what nobody knows
            };
            let shown = match kind {
                Kind::Overlay => {
                    made.overlays.extend(here.iter().cloned());
                    let directories = overlay_directories(from);
                    directories.iter().flat_map(|text| self.seen(root, start, text, true)).collect()
                }
                Kind::Root => {
                    let seen = self.seen(root, start, from, true);
                    seen.iter().for_each(|seen| note_root(event.root.as_ref(), seen, made));
                    vec![old_root]
                }
                _ => {
                    let from = own_begin(event, &event.object, from).map_or(from, |(_, rest)| rest);
                    self.seen(root, start, from, kind == Kind::Mount)
                }
            };
            show(made, &here, shown);
        }
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

    fn note_setting(&self, event: &Event, made: &mut Made) {
        let object = event.object.as_ref().and_then(|chain| self.seen_at(chain));
        match (object, &event.object) {
            // It is set up.
            (Some(root), Some(chain)) if root == elsewhere(chain.dev) => {
                add(&mut made.set_up, event.how, chain.dev);
            }
            (object, _) => object.into_iter().for_each(|at| add(&mut made.settings, event.how, at)),
        }
        for begin in self.begins(event) {
            for text in settings(event.text.as_deref().unwrap_or_default()) {
                let seen = self.seen(&begin.root, &begin.base, &text, true);
                seen.into_iter().for_each(|seen| add(&mut made.settings, event.how, seen));
            }
        }
    }

    /// Finds the devices of overlays: whoever opened something in one, or went there, named it.
    fn note_overlays<'e>(&self, events: impl Iterator<Item = &'e Event>, made: &mut Made) {
        if made.overlays.is_empty() {
            return;
        }
        for event in events.filter(|event| event.op != Op::Made) {
            let Some(object) = event.object.as_ref() else { continue };
            if object.detached || self.rootfs.is(object.dev) {
                continue;
            }
            let Some(text) = event.text.as_deref() else { continue };
            for begin in self.begins(event) {
                // Who went there may have it as root since then.
                let root = if event.flags.moved() { &ImagePath::root() } else { &begin.root };
                let seen = self.seen(root, &begin.base, text, follows(event));
                for point in made.overlays.clone() {
                    if point.join(&object.path).is_ok_and(|place| seen.contains(&place)) {
                        add(&mut made.shown, elsewhere(object.dev), point);
                    }
                }
            }
        }
    }
}

/// Where a text begins that goes through a descriptor, or the working directory, of the process's own in `/proc`, and
/// what comes after that.
fn own_begin<'e>(event: &Event, begin: &'e Option<Chain>, text: &'e [u8]) -> Option<(&'e Chain, &'e [u8])> {
    let chain = begin.as_ref().filter(|_| event.op == Op::Made && text.starts_with(b"/"))?;
    match magic(text) {
        Some(Magic::Directory(rest)) => Some((chain, rest)),
        Some(Magic::Root(_)) => None,
        None => Some((chain, b"")),
    }
}

/// Notes that each of these places shows those.
fn show(made: &mut Made, here: &[ImagePath], shown: Vec<ImagePath>) {
    for here in here {
        for shown in shown.iter().filter(|shown| *shown != here) {
            add(&mut made.shown, here.clone(), shown.clone());
        }
    }
}

/// Where the root directory of a process is seen that it has since this call.
fn note_root(root: Option<&Chain>, seen: &ImagePath, made: &mut Made) {
    let Some(root) = root.filter(|root| !root.detached && !is_elsewhere(seen)) else { return };
    let Some(point) = seen.as_bytes().strip_suffix(&*root.path) else { return };
    if let Ok(point) = ImagePath::from_absolute(point) {
        add(&mut made.shown, elsewhere(root.dev), point);
    }
}

fn add<K: Ord, V: Ord>(map: &mut BTreeMap<K, BTreeSet<V>>, key: K, value: V) {
    if map.len() < MAX_MADE || map.contains_key(&key) {
        let values = map.entry(key).or_default();
        if values.len() < MAX_WAYS {
            values.insert(value);
        }
    }
}

/// The directories that the options of an overlay name.
///
/// Source: the kernel's `Documentation/filesystems/overlayfs.rst`.
fn overlay_directories(options: &[u8]) -> Vec<Vec<u8>> {
    let mut directories = Vec::new();
    for option in split(options, b',') {
        let Some(equals) = option.iter().position(|&byte| byte == b'=') else { continue };
        let (name, value) = (&option[..equals], &option[equals + 1..]);
        match name {
            b"lowerdir" | b"lowerdir+" | b"datadir+" => directories.extend(settings(value)),
            b"upperdir" => directories.extend(settings(value)),
            _ => {}
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
