//! From a stored blob to its uncompressed bytes, hashed on the way.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use sha2::{Digest as _, Sha256};

use crate::blob::Blob;
use crate::image::AGAIN;
use crate::limits::{Limit, Limits};
use crate::skip::{Skipper, Unread};
use crate::{Compression, Digest};

/// Bytes handed from the inflating to the hashing thread at once.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks under way between the two.
const CHUNKS: usize = 8;

/// Why a blob cannot be uncompressed.
#[derive(Debug, thiserror::Error)]
pub enum InflateError {
    /// Its bytes cannot be read.
    #[error("cannot read its bytes")]
    Read(#[source] io::Error),
    /// It starts like nothing that a layer can be.
    #[error("neither a tar nor gzip nor zstd: it starts with {0}")]
    UnknownCompression(String),
    /// The compressed stream ends too early.
    #[error("{format} stream ended early, at byte {at}")]
    Truncated {
        /// `gzip` or `zstd`.
        format: Compression,
        /// How many stored bytes there were.
        at: u64,
    },
    /// The compressed stream is broken.
    #[error("broken {format} stream, near byte {at}")]
    Broken {
        /// `gzip` or `zstd`.
        format: Compression,
        /// How many stored bytes had been read.
        at: u64,
        /// What the decoder says.
        source: io::Error,
    },
    /// More bytes than [`crate::Limits`] allow.
    #[error("it asks for {0}")]
    Limit(Limit),
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// The uncompressed bytes cannot be stored.
    #[error("cannot write uncompressed bytes to a file in {}", dir.display())]
    Scratch {
        /// The scratch directory.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl InflateError {
    /// What to try next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Truncated { .. } | Self::Broken { .. } => Some(AGAIN.to_owned()),
            Self::UnknownCompression(_) => {
                Some("compress layers with gzip or zstd, or not at all".to_owned())
            }
            Self::Scratch { .. } => {
                Some("layers are uncompressed there: is there room, may we write?".to_owned())
            }
            Self::Read(_) | Self::Limit(_) | Self::Interrupted => None,
        }
    }
}

/// What bounds, and who hears of, the inflating of an image's blobs.
pub(crate) struct Inflater<'a> {
    pub(crate) limits: &'a Limits,
    /// Uncompressed bytes of the image so far, for [`Limits::total_bytes`].
    pub(crate) total: &'a AtomicU64,
    pub(crate) scratch_dir: &'a Path,
    pub(crate) on_bytes: Option<&'a (dyn Fn(u64) + Sync)>,
    pub(crate) interrupt: Option<&'a AtomicBool>,
    pub(crate) unread: Option<Unread>,
}

/// A blob that was read to its end.
pub(crate) struct Inflated {
    pub(crate) compression: Compression,
    /// Digest of the bytes as stored; none where reading stopped before their end.
    pub(crate) digest: Option<Digest>,
    /// The uncompressed bytes, or why there are none.
    pub(crate) content: Result<(Blob, Digest), InflateError>,
    /// What of them was not stored, in order: zeros stand there.
    pub(crate) holes: Vec<Range<u64>>,
}

/// Tells the compression by the first bytes. Anything that is neither gzip nor zstd must look like a tar.
pub(crate) fn detect(blob: &Blob) -> Result<Compression, InflateError> {
    let mut head = [0; 512];
    let mut length = 0;
    while length < head.len() {
        match blob.read_at(length as u64, &mut head[length..]).map_err(InflateError::Read)? {
            0 => break,
            read => length += read,
        }
    }
    match head {
        [0x1f, 0x8b, ..] => Ok(Compression::Gzip),
        // A frame, or a skippable frame before it.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Compression::Zstd),
        _ if length == 0 || (length == 512 && (head == [0; 512] || crate::tar::is_header(&head))) => {
            Ok(Compression::None)
        }
        _ => {
            let start: Vec<_> = head[..length.min(6)].iter().map(|byte| format!("{byte:02x}")).collect();
            Err(InflateError::UnknownCompression(start.join(" ")))
        }
    }
}

impl Inflater<'_> {
    /// Reads the whole blob once: its digest, and its uncompressed bytes in a file without a name, or in place where
    /// they are stored plain.
    pub(crate) fn run(&self, blob: &Blob) -> Result<Inflated, InflateError> {
        let compression = detect(blob)?;
        let mut stored = Stored { blob, at: 0, hasher: Sha256::new(), on_bytes: self.on_bytes };
        let content = match compression {
            Compression::None => self.plain(blob, &mut stored),
            Compression::Gzip => {
                let input = BufReader::with_capacity(CHUNK_BYTES, &mut stored);
                self.inflate(flate2::bufread::MultiGzDecoder::new(input))
            }
            Compression::Zstd => {
                let input = BufReader::with_capacity(CHUNK_BYTES, &mut stored);
                zstd::stream::read::Decoder::with_buffer(input)
                    .map_err(Stop::Decode)
                    .and_then(|decoder| self.inflate(decoder))
            }
        };
        let at = stored.at;
        let content = content.map_err(|stop| match stop {
            Stop::Other(error) => error,
            Stop::Decode(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                InflateError::Truncated { format: compression, at }
            }
            Stop::Decode(error) if error.raw_os_error().is_some() => InflateError::Read(error),
            Stop::Decode(source) => InflateError::Broken { format: compression, at, source },
        });
        // What is left is read even after an error: a wrong digest explains a broken stream. Not after a limit.
        let stopped_early = matches!(
            content,
            Err(InflateError::Limit(_) | InflateError::Scratch { .. } | InflateError::Interrupted)
        );
        if !stopped_early {
            self.drain(&mut stored)?;
        }
        let digest = Digest::from_hasher(stored.hasher);
        let mut holes = Vec::new();
        let content = content.map(|scratch| match scratch {
            Some((stored, bytes)) => {
                holes = stored.holes;
                (Blob::part_of(stored.file.into(), 0, bytes), stored.digest)
            }
            None => (blob.clone(), digest),
        });
        Ok(Inflated { compression, digest: (!stopped_early).then_some(digest), content, holes })
    }

    fn plain(&self, blob: &Blob, stored: &mut Stored<'_>) -> Result<Content, Stop> {
        self.charge(blob.size_bytes(), blob.size_bytes())?;
        self.drain(stored).map_err(Stop::Other)?;
        Ok(None)
    }

    /// Reads what is left, for its digest.
    fn drain(&self, stored: &mut Stored<'_>) -> Result<(), InflateError> {
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            self.check_interrupt()?;
            if stored.read(&mut buffer).map_err(InflateError::Read)? == 0 {
                return Ok(());
            }
        }
    }

    fn check_interrupt(&self) -> Result<(), InflateError> {
        match self.interrupt {
            Some(interrupt) if interrupt.load(Ordering::Relaxed) => Err(InflateError::Interrupted),
            _ => Ok(()),
        }
    }

    /// Counts new uncompressed bytes against both limits.
    fn charge(&self, new: u64, layer: u64) -> Result<(), Stop> {
        let limit = if layer > self.limits.layer_bytes {
            Limit::LayerBytes(self.limits.layer_bytes)
        } else if self.total.fetch_add(new, Ordering::Relaxed).saturating_add(new) > self.limits.total_bytes {
            Limit::TotalBytes(self.limits.total_bytes)
        } else {
            return Ok(());
        };
        Err(Stop::Other(InflateError::Limit(limit)))
    }

    /// Inflates on this thread, hashes and writes on another.
    fn inflate(&self, mut decoder: impl Read) -> Result<Content, Stop> {
        let scratch =
            |source| Stop::Other(InflateError::Scratch { dir: self.scratch_dir.to_owned(), source });
        let file = tempfile::tempfile_in(self.scratch_dir).map_err(scratch)?;
        let (full, chunks) = sync_channel::<Vec<u8>>(CHUNKS);
        let (give_back, empty) = sync_channel::<Vec<u8>>(CHUNKS);
        std::thread::scope(|scope| {
            let skipper = Skipper::new(self.unread);
            let sink = scope.spawn(move || store(file, skipper, chunks, &give_back));
            let bytes = self.pump(&mut decoder, &full, &empty);
            // Tells the sink that this was all.
            drop(full);
            let stored = sink.join().expect("storing chunks has no way to panic");
            let stored = stored.map_err(scratch)?;
            Ok(Some((stored, bytes?)))
        })
    }

    /// Sends uncompressed chunks until the end or until nobody takes them; gives their length.
    fn pump(
        &self,
        decoder: &mut impl Read,
        full: &SyncSender<Vec<u8>>,
        empty: &Receiver<Vec<u8>>,
    ) -> Result<u64, Stop> {
        let mut bytes = 0_u64;
        loop {
            self.check_interrupt().map_err(Stop::Other)?;
            let mut chunk = empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(CHUNK_BYTES));
            chunk.resize(CHUNK_BYTES, 0);
            let mut length = 0;
            while length < chunk.len() {
                match decoder.read(&mut chunk[length..]) {
                    Ok(0) => break,
                    Ok(read) => length += read,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(Stop::Decode(error)),
                }
            }
            if length == 0 {
                return Ok(bytes);
            }
            bytes += length as u64;
            self.charge(length as u64, bytes)?;
            chunk.truncate(length);
            if full.send(chunk).is_err() {
                return Ok(bytes);
            }
        }
    }
}

/// Uncompressed bytes and their length; none where they lie in the blob itself.
type Content = Option<(Scratch, u64)>;

/// Uncompressed bytes in a file of their own.
struct Scratch {
    file: File,
    digest: Digest,
    holes: Vec<Range<u64>>,
}

enum Stop {
    Decode(io::Error),
    Other(InflateError),
}

fn store(
    file: File,
    mut skipper: Skipper,
    chunks: Receiver<Vec<u8>>,
    give_back: &SyncSender<Vec<u8>>,
) -> io::Result<Scratch> {
    let mut hasher = Sha256::new();
    for chunk in chunks {
        hasher.update(&chunk);
        skipper.write(&file, &chunk)?;
        // Full means that there are enough already.
        let _ = give_back.try_send(chunk);
    }
    let holes = skipper.finish(&file)?;
    Ok(Scratch { file, digest: Digest::from_hasher(hasher), holes })
}

/// The stored bytes, hashed and counted as they are read.
struct Stored<'a> {
    blob: &'a Blob,
    at: u64,
    hasher: Sha256,
    on_bytes: Option<&'a (dyn Fn(u64) + Sync)>,
}

impl Read for Stored<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.blob.read_at(self.at, buffer)?;
        self.hasher.update(&buffer[..read]);
        self.at += read as u64;
        if let (Some(on_bytes), 1..) = (self.on_bytes, read) {
            on_bytes(read as u64);
        }
        Ok(read)
    }
}
