//! What a call makes of links, names and mounts, told before it does.

use super::ask::{ABSOLUTE, AT_FDCWD, Makes, Question, Shape};
use crate::making::Kind;
use crate::wire::{Chain, Op};

const MS_REMOUNT: u64 = 32;
const MS_BIND: u64 = 4096;
const MS_MOVE: u64 = 8192;
/// MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED.
const PROPAGATION: u64 = 15 << 17;
const RENAME_EXCHANGE: u64 = 2;

/// A path of a call: its text and where that begins.
struct Named {
    text: Vec<u8>,
    dirfd: i32,
}

impl Question<'_> {
    /// Tells what a call makes that will succeed, as far as its paths decide.
    pub(super) fn made(&mut self, shape: &Shape) {
        let named = |this: &mut Self, text: Option<usize>, dirfd: Option<usize>| {
            let dirfd = dirfd.map_or(AT_FDCWD, |index| this.number(index));
            Named { text: text.and_then(|index| this.text(index)).unwrap_or_default(), dirfd }
        };
        let (kind, from, to) = match shape.makes {
            Makes::Nothing => return,
            Makes::Link => (Kind::Link, named(self, Some(0), None), named(self, shape.path, shape.dirfd)),
            Makes::Mount if shape.second_dirfd.is_none() => {
                let Some((kind, from)) = self.mount() else { return };
                (kind, from, named(self, shape.second, None))
            }
            makes => {
                let kind = match makes {
                    Makes::Root => Kind::Root,
                    Makes::Mount => Kind::Mount,
                    _ => Kind::Name,
                };
                (kind, named(self, shape.path, shape.dirfd), named(self, shape.second, shape.second_dirfd))
            }
        };
        self.tell_made(kind, &from, &to);
        let flags = shape.flags.map_or(0, |index| self.argument(index));
        if kind == Kind::Name && shape.op == Op::Remove && flags & RENAME_EXCHANGE != 0 {
            self.tell_made(kind, &to, &from);
        }
    }

    /// What mount(2) shows at its target, if it is something that was there already, or an overlay.
    fn mount(&mut self) -> Option<(Kind, Named)> {
        let flags = self.argument(3);
        if flags & (MS_REMOUNT | PROPAGATION) != 0 {
            return None;
        }
        let (kind, index) = match flags & (MS_BIND | MS_MOVE) {
            0 if self.text(2)? != b"overlay" => return None,
            0 => (Kind::Overlay, 4),
            _ => (Kind::Mount, 0),
        };
        Some((kind, Named { text: self.text(index)?, dirfd: AT_FDCWD }))
    }

    fn tell_made(&mut self, kind: Kind, from: &Named, to: &Named) {
        let mut bits = 0;
        let base = match &*to.text {
            b"" => self.place(to.dirfd),
            text => self.base(text, to.dirfd, &mut bits).and_then(|(_, place)| place),
        };
        let mut shown = &from.text[..];
        let mut object = None;
        if kind == Kind::Mount
            && let Some((base, _)) =
                self.base(&from.text, from.dirfd, &mut 0).filter(|_| !from.text.is_empty())
            && let Ok(found) = self.find(&base, &from.text, false, true)
        {
            // Where it leads is known better than what it says.
            object = self.atlas.chain(&self.task, &found);
            shown = b"";
        } else if kind != Kind::Link && !shown.starts_with(b"/") {
            object = self.place(from.dirfd);
        }
        if kind == Kind::Mount
            && shown.is_empty()
            && let Some(root) = object.as_ref().filter(|root| root.path.is_empty())
        {
            // Perhaps one whose settings this process gave.
            let (root, how) = (Some(root.clone()), self.setting());
            self.push(Op::Use, 0, 0, how, None, root, None);
        }
        let text = [shown, b"\0", &to.text].concat();
        self.push(Op::Made, bits & ABSOLUTE, 0, kind as u32, Some(text.into()), object, base);
    }

    /// The place of a descriptor, or of the working directory.
    fn place(&mut self, dirfd: i32) -> Option<Chain> {
        let fd = match dirfd {
            AT_FDCWD => self.task.open_link("cwd"),
            number => self.task.descriptor(number),
        };
        self.atlas.chain(&self.task, &fd.ok()?)
    }
}
