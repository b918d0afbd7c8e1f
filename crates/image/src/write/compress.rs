//! Compressing a layer on several threads to the same bytes whatever their number.
//!
//! The layer is cut into chunks of a fixed size, each compressed on its own: a gzip member or a zstd frame. Members
//! and frames may be concatenated (RFC 1952, 2.2; RFC 8878, 3), so writing them in order is the blob. Why not one
//! member: `docs/adr/0003-gzip-members.md`.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use super::WriteError;
use crate::Compression;

/// How rewritten layers are compressed. Layers that nothing is removed from keep their blob, however compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputCompression {
    /// gzip of this libdeflate level, 1 to 12.
    Gzip {
        /// 6 is the default; 12 is some fifty times slower and a few percent smaller.
        level: u8,
    },
    /// zstd of this level, 1 to 19. The image then gets OCI media types, since Docker's have none for zstd.
    Zstd {
        /// 3 is zstd's own default.
        level: u8,
    },
    /// Plain tar.
    None,
}

impl Default for OutputCompression {
    fn default() -> Self {
        Self::Gzip { level: 6 }
    }
}

impl OutputCompression {
    /// What a blob of this setting is.
    pub(crate) fn format(self) -> Compression {
        match self {
            Self::Gzip { .. } => Compression::Gzip,
            Self::Zstd { .. } => Compression::Zstd,
            Self::None => Compression::None,
        }
    }

    /// Uncompressed bytes of one chunk. Part of the output's bytes: another value makes other digests.
    pub(crate) fn chunk_bytes(self) -> usize {
        match self {
            // Deflate looks back 32 KiB, so that a megabyte loses nothing that can be measured.
            Self::Gzip { .. } | Self::None => 1 << 20,
            // zstd's window at level 3 is 2 MiB.
            Self::Zstd { .. } => 4 << 20,
        }
    }

    fn compressor(self) -> io::Result<Compressor> {
        Ok(match self {
            Self::Gzip { level } => {
                let level = libdeflater::CompressionLvl::new(i32::from(level.clamp(1, 12)));
                let level = level.expect("libdeflate has levels 1 to 12");
                Compressor::Gzip(Box::new(libdeflater::Compressor::new(level)))
            }
            Self::Zstd { level } => {
                Compressor::Zstd(zstd::bulk::Compressor::new(i32::from(level.clamp(1, 19)))?)
            }
            Self::None => Compressor::None,
        })
    }
}

enum Compressor {
    Gzip(Box<libdeflater::Compressor>),
    Zstd(zstd::bulk::Compressor<'static>),
    None,
}

impl Compressor {
    fn compress(&mut self, chunk: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            // The header that libdeflate writes has no name, time 0 and "unknown" as operating system.
            Self::Gzip(compressor) => {
                let mut out = vec![0; compressor.gzip_compress_bound(chunk.len())];
                let length = compressor
                    .gzip_compress(&chunk, &mut out)
                    .expect("the buffer has the length of the bound");
                out.truncate(length);
                Ok(out)
            }
            Self::Zstd(compressor) => compressor.compress(&chunk),
            Self::None => Ok(chunk),
        }
    }
}

/// A chunk and where its compressed form is awaited.
type Job = (Vec<u8>, SyncSender<io::Result<Vec<u8>>>);

/// Compresses what `fill` gives, chunk by chunk, and hands it to `write` in order.
///
/// `fill` appends the next [`OutputCompression::chunk_bytes`] to its empty buffer, or nothing at the end; it runs on a
/// thread of its own, `write` on the caller's. At most four chunks for each thread are in memory.
///
/// # Errors
/// The first error of `fill` or `write`; all threads have ended then.
pub(crate) fn compress(
    compression: OutputCompression,
    threads: NonZeroUsize,
    mut fill: impl FnMut(&mut Vec<u8>) -> Result<(), WriteError> + Send,
    mut write: impl FnMut(&[u8]) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    let (job_sender, job_receiver) = mpsc::sync_channel::<Job>(threads.get());
    let job_receiver = Mutex::new(job_receiver);
    let (order_sender, order_receiver) = mpsc::sync_channel::<Receiver<_>>(threads.get());
    thread::scope(|scope| {
        for _ in 0..threads.get() {
            scope.spawn(|| work(compression, &job_receiver));
        }
        let producer = scope.spawn(move || -> Result<(), WriteError> {
            loop {
                let mut chunk = Vec::with_capacity(compression.chunk_bytes());
                fill(&mut chunk)?;
                if chunk.is_empty() {
                    return Ok(());
                }
                let (done_sender, done_receiver) = mpsc::sync_channel(1);
                // Both fail only once the writing side has given up; its error is the one to report.
                if order_sender.send(done_receiver).is_err() || job_sender.send((chunk, done_sender)).is_err()
                {
                    return Ok(());
                }
            }
        });
        let written = order_receiver.into_iter().try_for_each(|done| {
            let lost = || io::Error::other("a compressing thread ended early");
            let compressed = done.recv().map_err(|_| lost()).flatten();
            write(&compressed.map_err(|source| WriteError::Compress { source })?)
        });
        let produced = producer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        written.and(produced)
    })
}

fn work(compression: OutputCompression, jobs: &Mutex<Receiver<Job>>) {
    let mut compressor = compression.compressor();
    loop {
        let job = jobs.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv();
        let Ok((chunk, done)) = job else { return };
        let compressed = match &mut compressor {
            Ok(compressor) => compressor.compress(chunk),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        };
        // The writing side may have given up.
        let _ = done.send(compressed);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    const SETTINGS: [OutputCompression; 3] =
        [OutputCompression::Gzip { level: 6 }, OutputCompression::Zstd { level: 3 }, OutputCompression::None];

    /// Text that compresses, of a length that is no multiple of a chunk.
    fn text() -> Vec<u8> {
        (0..900_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_string().into_bytes()).collect()
    }

    fn compressed(compression: OutputCompression, threads: usize, mut text: &[u8]) -> Vec<u8> {
        let fill = |chunk: &mut Vec<u8>| {
            let (head, tail) = text.split_at(text.len().min(compression.chunk_bytes()));
            chunk.extend_from_slice(head);
            text = tail;
            Ok(())
        };
        let mut out = Vec::new();
        let write = |bytes: &[u8]| {
            out.extend_from_slice(bytes);
            Ok(())
        };
        compress(compression, NonZeroUsize::new(threads).unwrap(), fill, write).unwrap();
        out
    }

    #[test]
    fn the_bytes_do_not_depend_on_the_number_of_threads() {
        let text = text();
        for compression in SETTINGS {
            let one = compressed(compression, 1, &text);
            for threads in [2, 3, 4, 16] {
                assert!(
                    compressed(compression, threads, &text) == one,
                    "{compression:?} on {threads} threads"
                );
            }
        }
    }

    #[test]
    fn what_was_compressed_comes_back() {
        for text in [text(), vec![7; 1 << 20], vec![7; (1 << 20) + 1]] {
            let mut out = Vec::new();
            let gzip = compressed(SETTINGS[0], 2, &text);
            flate2::read::MultiGzDecoder::new(&*gzip).read_to_end(&mut out).unwrap();
            assert!(out == text);
            assert!(zstd::stream::decode_all(&*compressed(SETTINGS[1], 2, &text)).unwrap() == text);
            assert!(compressed(SETTINGS[2], 2, &text) == text);
        }
    }

    #[test]
    fn gzip_members_name_no_file_time_or_system() {
        let gzip = compressed(SETTINGS[0], 2, b"x");
        assert_eq!(gzip[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    }

    #[test]
    fn the_first_error_ends_all_threads() {
        let endless = |chunk: &mut Vec<u8>| {
            chunk.extend_from_slice(&[0; 1000]);
            Ok(())
        };
        let threads = NonZeroUsize::new(3).unwrap();
        let full = |_: &[u8]| Err(WriteError::Compress { source: io::ErrorKind::StorageFull.into() });
        let error = compress(SETTINGS[0], threads, endless, full).unwrap_err();
        assert!(matches!(error, WriteError::Compress { .. }), "{error}");

        let mut chunks = 0;
        let failing = |chunk: &mut Vec<u8>| {
            chunks += 1;
            chunk.push(0);
            if chunks > 20 { Err(WriteError::Interrupted) } else { Ok(()) }
        };
        let error = compress(SETTINGS[0], threads, failing, |_| Ok(())).unwrap_err();
        assert!(matches!(error, WriteError::Interrupted), "{error}");
    }
}
