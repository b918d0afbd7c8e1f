//! The uncompressed bytes of a rewritten layer: runs of original layers, and the few blocks that change.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;

use super::filter::{Action, LayerPlan, Position};
use super::header::{BLOCK, EntryHeader, global_headers};
use super::{WriteError, archive::padding};
use crate::{Entry, Image, Layer};

/// Two empty blocks end a tar.
const END: &[u8] = &[0; 2 * BLOCK];

/// A run of bytes of the new layer.
#[derive(Debug, Clone)]
pub(crate) enum Piece<'a> {
    /// As this original layer has them.
    Original { layer: usize, range: Range<u64> },
    /// Ours.
    Bytes(Cow<'a, [u8]>),
}

/// Lists what the new layer consists of, in order.
pub(crate) fn pieces<'e>(
    image: &Image,
    layer: usize,
    plan: &LayerPlan<'e>,
) -> Result<Vec<Piece<'e>>, WriteError> {
    let mut out = Pieces::default();
    let entries = &image.layers()[layer].entries;
    for (path, metadata) in &plan.directories {
        out.bytes(EntryHeader::directory(path, metadata).to_blocks());
    }
    let mut end = 0;
    for (nth, (entry, action)) in entries.iter().zip(&plan.actions).enumerate() {
        let before = end..entry.header_bytes.start;
        if !before.is_empty() {
            out.bytes(global_headers(&read(&image.layers()[layer], before)?));
        }
        end = stored_end(entry);
        // One block has no room for a global header beside the entry's own.
        if *action != Action::Copy && has_extensions(entry) {
            out.bytes(global_headers(&read(&image.layers()[layer], entry.header_bytes.clone())?));
        }
        out.entry(image, (layer, nth), action, false)?;
    }
    Ok(out.end())
}

/// Whether there is more than the header itself.
fn has_extensions(entry: &Entry) -> bool {
    entry.header_bytes.end - entry.header_bytes.start > BLOCK as u64
}

/// Where the next entry can start: contents are padded to whole blocks, if need be beyond the end of the layer.
fn stored_end(entry: &Entry) -> u64 {
    entry.content_bytes.end.max(entry.header_bytes.end).next_multiple_of(BLOCK as u64)
}

fn read(layer: &Layer, range: Range<u64>) -> Result<Vec<u8>, WriteError> {
    let mut reader = PieceReader::new(std::slice::from_ref(layer), vec![Piece::Original { layer: 0, range }]);
    let mut out = Vec::new();
    reader.fill(&mut out, usize::MAX)?;
    Ok(out)
}

/// The pieces of a layer so far.
#[derive(Default)]
pub(super) struct Pieces<'e> {
    list: Vec<Piece<'e>>,
}

impl<'e> Pieces<'e> {
    /// Adds what an action makes of an entry. `alone` leaves out global PAX headers, which concern the neighbours that
    /// the entry had in its own layer.
    pub(super) fn entry(
        &mut self,
        image: &Image,
        (layer, nth): Position,
        action: &Action<'e>,
        alone: bool,
    ) -> Result<(), WriteError> {
        let layers = image.layers();
        let entry = &layers[layer].entries[nth];
        let failed = |source| WriteError::Header { path: entry.path.clone(), source };
        let (from, source) = match action {
            Action::Promote { from } | Action::Replace { from, .. } => {
                (from.0, &layers[from.0].entries[from.1])
            }
            Action::Copy | Action::Drop | Action::Relink { .. } => (layer, entry),
        };
        let header = || -> Result<EntryHeader, WriteError> {
            let blocks = read(&layers[from], source.header_bytes.clone())?;
            Ok(EntryHeader::parse(&blocks).map_err(failed)?.without_globals())
        };
        match action {
            Action::Drop => {}
            Action::Copy if alone && has_extensions(entry) => {
                self.bytes(header()?.to_blocks());
                self.original(layer, entry.header_bytes.end..stored_end(entry));
            }
            Action::Copy => self.original(layer, entry.header_bytes.start..stored_end(entry)),
            Action::Relink { to } => {
                let mut header = header()?;
                header.set_link(to);
                self.bytes(header.to_blocks());
            }
            Action::Promote { .. } => {
                let mut header = header()?;
                if source.path != entry.path {
                    header.set_name(&entry.path);
                }
                self.bytes(header.to_blocks());
                self.original(from, source.header_bytes.end..stored_end(source));
            }
            Action::Replace { content, .. } => {
                let mut header = header()?;
                if source.path != entry.path {
                    header.set_name(&entry.path);
                }
                header.set_content(&entry.path, content.len() as u64);
                self.bytes(header.to_blocks());
                self.list.push(Piece::Bytes(Cow::Borrowed(*content)));
                self.bytes(padding(content.len() as u64));
            }
        }
        Ok(())
    }

    pub(super) fn bytes(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.list.push(Piece::Bytes(bytes.into()));
        }
    }

    /// All pieces, and the end of a tar.
    pub(super) fn end(mut self) -> Vec<Piece<'e>> {
        self.list.push(Piece::Bytes(Cow::Borrowed(END)));
        self.list
    }

    /// Neighbouring runs become one.
    fn original(&mut self, layer: usize, range: Range<u64>) {
        match self.list.last_mut() {
            Some(Piece::Original { layer: last, range: before })
                if *last == layer && before.end == range.start =>
            {
                before.end = range.end;
            }
            _ if range.is_empty() => {}
            _ => self.list.push(Piece::Original { layer, range }),
        }
    }
}

/// Reads pieces one after the other.
pub(crate) struct PieceReader<'a> {
    layers: &'a [Layer],
    rest: VecDeque<Piece<'a>>,
}

impl<'a> PieceReader<'a> {
    /// A reader from the start.
    pub(crate) fn new(layers: &'a [Layer], pieces: Vec<Piece<'a>>) -> Self {
        Self { layers, rest: pieces.into() }
    }

    /// Appends up to `wanted` bytes; fewer only at the end.
    pub(crate) fn fill(&mut self, out: &mut Vec<u8>, wanted: usize) -> Result<(), WriteError> {
        let mut left = wanted;
        while left > 0 {
            let Some(piece) = self.rest.front_mut() else { break };
            let (taken, is_done) = match piece {
                Piece::Bytes(bytes) => {
                    let taken = bytes.len().min(left);
                    out.extend_from_slice(&bytes[..taken]);
                    match bytes {
                        Cow::Borrowed(bytes) => *bytes = &bytes[taken..],
                        Cow::Owned(bytes) => drop(bytes.drain(..taken)),
                    }
                    (taken, bytes.is_empty())
                }
                Piece::Original { layer, range } => {
                    let taken =
                        usize::try_from(range.end - range.start).map_or(left, |length| length.min(left));
                    read_padded(&self.layers[*layer], range.start, taken, out)?;
                    range.start += taken as u64;
                    (taken, range.is_empty())
                }
            };
            left -= taken;
            if is_done {
                self.rest.pop_front();
            }
        }
        Ok(())
    }
}

/// Reads from a layer; zeros are what a layer may lack that ends without the padding of its last entry.
fn read_padded(layer: &Layer, offset: u64, length: usize, out: &mut Vec<u8>) -> Result<(), WriteError> {
    let start = out.len();
    out.resize(start + length, 0);
    let mut done = 0;
    while done < length {
        let read = match layer.read_at(offset + done as u64, &mut out[start + done..]) {
            Ok(0) if length - done < BLOCK => break,
            Ok(0) => Err(std::io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            other => other,
        };
        done += read.map_err(|source| WriteError::ReadLayer { digest: layer.descriptor.digest, source })?;
    }
    Ok(())
}
