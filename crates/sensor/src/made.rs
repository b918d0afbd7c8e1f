//! What the container made of links, names and mounts, and the ways of paths that lead through it.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;

use image::ImagePath;

use crate::text::follows;
use crate::walk::{End, Found, Ground, MAX_LINKS, Walk, push_components};
use crate::wire::{Chain, Event, Op};

/// Links, and places that show others, that are kept.
const MAX_MADE: usize = 1 << 20;
/// Ways that one path may go, and links and sources that one place may have.
const MAX_WAYS: usize = 256;
/// Places that may show at one place, one through another. More than a few are seen only where many file systems came and
/// went that had the same number.
pub(crate) const MAX_SHOWN: usize = 256;
/// Places that are looked at in all: some tens of seconds.
const MAX_LOOKS: usize = 1 << 23;

/// What was made, by the paths at which it was seen from the root of the image.
#[derive(Debug, Default)]
pub(crate) struct Made {
    /// Targets of links.
    pub(crate) links: BTreeMap<ImagePath, BTreeSet<Box<[u8]>>>,
    /// What shows at a place, by where else it is seen.
    pub(crate) shown: BTreeMap<ImagePath, BTreeSet<ImagePath>>,
    /// Links and places that show others, counted.
    count: usize,
    /// Whether something was left out because there was too much of it.
    is_cut: Cell<bool>,
    looks: Cell<usize>,
}

impl PartialEq for Made {
    fn eq(&self, other: &Self) -> bool {
        (&self.links, &self.shown) == (&other.links, &other.shown)
    }
}

/// The begin of paths in file systems that are none of the image's, which no name in an image has.
const ELSEWHERE: u8 = 1;

/// The root of another file system, as a path that is in no image.
pub(crate) fn elsewhere(device: u32) -> ImagePath {
    ImagePath::from_absolute(format!("{}{device}", char::from(ELSEWHERE)).as_bytes()).unwrap_or_default()
}

/// A place of another file system, as a path that is in no image.
pub(crate) fn place_elsewhere(chain: &Chain) -> Option<ImagePath> {
    elsewhere(chain.dev).join(&chain.path).ok().filter(|_| !chain.detached)
}

/// Whether a path is none of the image's because it begins in another file system.
pub(crate) fn is_elsewhere(path: &ImagePath) -> bool {
    path.as_bytes().first() == Some(&ELSEWHERE)
}

impl Made {
    pub(crate) fn is_empty(&self) -> bool {
        self.links.is_empty() && self.shown.is_empty()
    }

    /// Whether ways may be missing because there were too many.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut.get()
    }

    pub(crate) fn cut(&self) {
        if !self.is_cut.replace(true) {
            tracing::debug!("more was made of links and mounts than is followed");
        }
    }

    /// Whether there is no room for more.
    pub(crate) fn is_full(&self) -> bool {
        self.count >= MAX_MADE
    }

    /// A link with this target.
    pub(crate) fn link(&mut self, at: ImagePath, target: &[u8]) {
        let added = if self.is_full() { None } else { add(&mut self.links, at, target.into()) };
        self.note(added);
    }

    /// At a place shows what is at another.
    pub(crate) fn show(&mut self, at: &ImagePath, shown: &ImagePath) {
        if at != shown {
            let added = if self.is_full() { None } else { add(&mut self.shown, at.clone(), shown.clone()) };
            self.note(added);
        }
    }

    fn note(&mut self, added: Option<bool>) {
        match added {
            Some(is_new) => self.count += usize::from(is_new),
            None => self.cut(),
        }
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
        let mut places = Places::new(path);
        self.spread(&mut places, 0);
        places.list
    }

    /// The places of a name in a directory that is at these, without what shows just there if `bare`.
    fn named(&self, directory: &[ImagePath], name: &[u8], bare: bool) -> Option<Vec<ImagePath>> {
        let (first, others) = directory.split_first()?;
        let mut places = Places::new(&first.join(name).ok()?);
        others.iter().for_each(|place| places.add(self, place.join(name).ok()));
        let known = places.list.len();
        if !bare && !self.shown.is_empty() {
            // What shows at the directories above is among them already.
            for index in 0..known {
                for shown in self.shown.get(&places.list[index]).into_iter().flatten() {
                    places.add(self, Some(shown.clone()));
                }
            }
            self.spread(&mut places, known);
        }
        Some(places.list)
    }

    /// Adds what shows at these places, from the one with this index on.
    fn spread(&self, places: &mut Places, mut next: usize) {
        while let Some(place) = places.list.get(next).filter(|_| !self.shown.is_empty()).cloned() {
            next += 1;
            for point in std::iter::once(place.clone()).chain(place.ancestors()) {
                let rest = &place.as_bytes()[point.as_bytes().len()..];
                for shown in self.shown.get(&point).into_iter().flatten() {
                    places.add(self, shown.join(rest).ok());
                }
            }
        }
    }

    /// Whether something was made beneath a place.
    fn has_beneath(&self, place: &ImagePath) -> bool {
        fn first_beneath<V>(map: &BTreeMap<ImagePath, V>, place: &ImagePath) -> bool {
            let mut after = map.range((Bound::Excluded(place), Bound::Unbounded));
            after.next().is_some_and(|(path, _)| path.is_within(place))
        }
        first_beneath(&self.links, place) || first_beneath(&self.shown, place)
    }

    /// Whether something was made at a place, or beneath it.
    pub(crate) fn leads_on(&self, place: &ImagePath) -> bool {
        self.links.contains_key(place) || self.shown.contains_key(place) || self.has_beneath(place)
    }

    /// The ways of a path that lead through something made.
    pub(crate) fn ways(
        &self,
        ground: Ground<'_>,
        root: &ImagePath,
        base: &ImagePath,
        text: &[u8],
        last: Last,
    ) -> Vec<Walk> {
        if self.is_empty() {
            return Vec::new();
        }
        let ways = self.all_ways(ground, root, base, text, last);
        ways.into_iter().filter(|way| way.is_through).map(|way| way.walk).collect()
    }

    /// All ways of a path.
    pub(crate) fn all_ways(
        &self,
        ground: Ground<'_>,
        root: &ImagePath,
        base: &ImagePath,
        text: &[u8],
        last: Last,
    ) -> Vec<Gone> {
        let begin = if text.starts_with(b"/") { root } else { base };
        let mut todo = VecDeque::new();
        push_components(&mut todo, text);
        let mut open = vec![Way {
            at: begin.clone(),
            places: self.at(begin),
            todo,
            walk: Walk { links: Vec::new(), left: Vec::new(), end: End::Nowhere },
            links: 0,
            ghost: None,
            is_through: false,
        }];
        let mut ended = Vec::new();
        while let Some(way) = open.pop() {
            if ended.len() >= MAX_WAYS || self.looks.get() >= MAX_LOOKS {
                self.cut();
                break;
            }
            let fork = Fork { made: self, ground, root, last };
            let _nowhere = fork.go(way, &mut open, &mut ended);
        }
        ended
    }
}

/// Adds a value to those of a key, and tells whether it is a new one; nothing if there are too many.
fn add<V: Ord>(map: &mut BTreeMap<ImagePath, BTreeSet<V>>, key: ImagePath, value: V) -> Option<bool> {
    let values = map.entry(key).or_default();
    let has_room = values.len() < MAX_WAYS || values.contains(&value);
    has_room.then(|| values.insert(value))
}

/// Different places, in the order in which they were found.
struct Places {
    list: Vec<ImagePath>,
    known: BTreeSet<ImagePath>,
}

impl Places {
    fn new(first: &ImagePath) -> Self {
        Self { list: vec![first.clone()], known: BTreeSet::from([first.clone()]) }
    }

    fn add(&mut self, made: &Made, place: Option<ImagePath>) {
        let Some(place) = place.filter(|place| !self.known.contains(place)) else { return };
        if self.list.len() >= MAX_SHOWN {
            made.cut();
            return;
        }
        self.known.insert(place.clone());
        self.list.push(place);
    }
}

/// What is asked of the last name of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    /// What it leads to if it is a link.
    Followed,
    /// What is there.
    Itself,
    /// The name in its directory, which is made or removed.
    Entry,
}

impl Last {
    /// What an event asks.
    pub(crate) fn of(event: &Event) -> Self {
        match event.op {
            Op::Create | Op::Remove | Op::Bind => Self::Entry,
            _ if follows(event) => Self::Followed,
            _ => Self::Itself,
        }
    }
}

/// A way that is being gone.
#[derive(Debug, Clone)]
struct Way {
    /// Where it is seen to be.
    at: ImagePath,
    /// That, and what else shows there.
    places: Vec<ImagePath>,
    todo: VecDeque<Vec<u8>>,
    walk: Walk,
    links: usize,
    /// The first place since the last link that neither image nor container has, where it may be as well, and whether it
    /// was the last: made meanwhile, or missing.
    ghost: Option<(Vec<ImagePath>, bool)>,
    is_through: bool,
}

/// A way that has been gone.
pub(crate) struct Gone {
    pub(crate) walk: Walk,
    /// Where it was seen to end, and what else shows there.
    pub(crate) places: Vec<ImagePath>,
    /// Whether it led through something made.
    is_through: bool,
}

/// Where ways part.
struct Fork<'a> {
    made: &'a Made,
    ground: Ground<'a>,
    root: &'a ImagePath,
    last: Last,
}

impl Fork<'_> {
    /// Goes on to the end or to where ways part. Nothing if there can be no such path.
    fn go(&self, mut way: Way, open: &mut Vec<Way>, ended: &mut Vec<Gone>) -> Option<()> {
        while let Some(name) = way.todo.pop_front() {
            match &*name {
                b"." => continue,
                b".." => {
                    self.leave(&mut way);
                    continue;
                }
                _ => {}
            }
            let next = way.at.join(&name).ok()?;
            let is_last = way.todo.is_empty();
            let mut places = self.made.named(&way.places, &name, is_last && self.last == Last::Entry)?;
            self.made.looks.set(self.made.looks.get() + places.len());
            let found: Vec<_> =
                places.iter().filter_map(|place| Some((place.clone(), self.ground.look(place)?))).collect();
            let mut targets: Vec<(ImagePath, Vec<u8>, bool)> = Vec::new();
            for place in &places {
                let made = self.made.links.get(place).into_iter().flatten();
                targets.extend(made.map(|target| (place.clone(), target.to_vec(), true)));
            }
            let is_unknown = targets.is_empty() && found.is_empty();
            let mut goes_on = is_unknown;
            let mut is_there = BTreeSet::new();
            for (place, found) in found {
                match found {
                    Found::Symlink(target) => targets.push((place.clone(), target, place != next)),
                    Found::Directory => goes_on = true,
                    Found::Other => goes_on |= is_last,
                }
                is_there.insert(place);
            }
            if is_unknown && way.ghost.is_none() {
                way.is_through |= places.iter().any(|place| *place != next);
                way.ghost = Some((places.clone(), is_last));
            }
            if !targets.is_empty() && (!is_last || self.last == Last::Followed) {
                for (place, target, is_made) in targets {
                    open.extend(self.beyond(&way, &place, &target, is_made));
                }
                if !goes_on {
                    return Some(());
                }
            } else if !goes_on && targets.is_empty() {
                let walk = Walk { end: End::NotADirectory(next), ..way.walk };
                ended.push(Gone { walk, places, is_through: way.is_through });
                return Some(());
            }
            if !is_last && !is_unknown {
                // From where there is nothing it does not go on.
                places.retain(|place| is_there.contains(place) || self.made.has_beneath(place));
            }
            (way.at, way.places) = (next, places);
        }
        self.end(way, ended);
        Some(())
    }

    /// Goes up.
    fn leave(&self, way: &mut Way) {
        if way.at == *self.root {
            return;
        }
        way.walk.left.extend(way.places.iter().filter(|place| self.ground.has(place)).cloned());
        way.at = way.at.parent().unwrap_or_default();
        way.places = self.made.at(&way.at);
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
            way.places = self.made.at(&way.at);
        }
        push_components(&mut way.todo, target);
        Some(way)
    }

    fn end(&self, way: Way, ended: &mut Vec<Gone>) {
        let Way { at, places, walk, ghost, is_through, .. } = way;
        let mut push = |end, is_through| {
            ended.push(Gone { walk: Walk { end, ..walk.clone() }, places: places.clone(), is_through });
        };
        if let Some((missing, is_last)) = ghost {
            missing.into_iter().for_each(|place| push(End::Missing(place, is_last), is_through));
            return;
        }
        let is_in_image = places.iter().any(|place| self.ground.has(place));
        for place in places.iter().filter(|place| !is_in_image || self.ground.has(place)) {
            let is_through = is_through || *place != at;
            let place = place.clone();
            push(if is_in_image { End::InImage(place) } else { End::Made(place) }, is_through);
        }
    }
}

#[cfg(test)]
mod tests {
    use image::{Image, OpenOptions};

    use super::*;
    use crate::rootfs::Rootfs;
    use crate::running::Running;

    fn path(path: &str) -> ImagePath {
        ImagePath::from_absolute(path.as_bytes()).unwrap()
    }

    /// Where the ways of these texts end that lead through what was made.
    fn ends(made: &Made, words: &str, text: &str, last: Last) -> Vec<String> {
        let layout = testkit::image(&[words]);
        let image = Image::open(&layout.source().parse().unwrap(), &OpenOptions::new()).unwrap();
        let rootfs = Rootfs::gone(std::iter::empty());
        let running = Running::new(&rootfs);
        let ground = Ground::running(image.tree(), &running);
        let root = ImagePath::root();
        let ways = made.ways(ground, &root, &root, text.as_bytes(), last);
        let mut ends: Vec<_> = ways.iter().map(|walk| format!("{:?}", walk.end)).collect();
        ends.sort();
        ends
    }

    #[test]
    fn paths_lead_through_links_and_mounts_that_are_gone() {
        let words = "opt/a/f opt/b/f opt/b/g opt/l->a/f mnt/f tmp/";
        let mut made = Made::default();
        made.link(path("tmp/l"), b"/opt/a");
        made.link(path("tmp/d/up"), b"../../opt/b");
        made.link(path("tmp/twice"), b"/opt/a");
        made.link(path("tmp/twice"), b"/opt/b");
        made.show(&path("mnt"), &path("opt/b"));
        made.show(&path("tmp/bind"), &path("mnt"));
        let in_image = |paths: &[&str]| -> Vec<String> {
            paths.iter().map(|at| format!("{:?}", End::InImage(path(at)))).collect()
        };
        for (text, last, expected) in [
            ("/tmp/l/f", Last::Followed, in_image(&["opt/a/f"])),
            ("/tmp/d/up/f", Last::Followed, in_image(&["opt/b/f"])),
            ("/tmp/twice/f", Last::Followed, in_image(&["opt/a/f", "opt/b/f"])),
            ("/tmp/twice/g", Last::Followed, {
                let mut ends = in_image(&["opt/b/g"]);
                ends.push(format!("{:?}", End::Missing(path("opt/a/g"), true)));
                ends
            }),
            ("/mnt/g", Last::Followed, in_image(&["opt/b/g"])),
            ("/tmp/bind/f", Last::Followed, in_image(&["mnt/f", "opt/b/f"])),
            ("/tmp/bind/../l/f", Last::Followed, in_image(&["opt/a/f"])),
            ("/tmp/bind", Last::Itself, in_image(&["mnt", "opt/b"])),
            // Who removes a mount point does not remove what shows there.
            ("/tmp/bind", Last::Entry, Vec::new()),
            ("/tmp/bind/new", Last::Entry, {
                let missing = |at| format!("{:?}", End::Missing(path(at), true));
                vec![missing("mnt/new"), missing("opt/b/new")]
            }),
            // Nothing made lies on the way.
            ("/opt/l", Last::Followed, Vec::new()),
            ("/tmp/l", Last::Itself, Vec::new()),
        ] {
            assert_eq!(ends(&made, words, text, last), expected, "{text} {last:?}");
        }
    }

    #[test]
    fn what_shows_itself_ends_and_too_much_is_told() {
        let mut made = Made::default();
        made.show(&path("a"), &path("b/c"));
        made.show(&path("b"), &path("a"));
        assert!(made.at(&path("a/x")).len() <= MAX_SHOWN);
        assert!(made.is_cut(), "a shows b/c, where a/c shows, and so on");
        let mut made = Made::default();
        made.show(&path("a"), &path("b"));
        made.show(&path("b"), &path("a"));
        assert_eq!(made.at(&path("a/x")), [path("a/x"), path("b/x")]);
        assert!(!made.is_cut());
        made.link(path("l"), b"m");
        made.link(path("m"), b"l");
        assert_eq!(ends(&made, "x", "/l", Last::Followed), Vec::<String>::new());
        for number in 0..=MAX_WAYS {
            made.link(path("many"), format!("{number}").as_bytes());
        }
        assert!(made.is_cut());
    }
}
