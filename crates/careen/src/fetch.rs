//! Files from the network: resumed, not fetched again if unchanged, within limits.
//!
//! Proxies are taken from the usual variables (`HTTPS_PROXY`, `NO_PROXY`, …).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ureq::tls::{RootCerts, TlsConfig};

const CONNECT: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_secs(60);
/// For a whole body: an hour for a gigabyte is a slow line, and not one that hangs.
const BODY: Duration = Duration::from_secs(3600);
const CHUNK_BYTES: usize = 64 << 10;

/// Why a file was not fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// No connection, no TLS, no answer, or the line broke.
    #[error("the connection failed")]
    Connection(#[source] Box<ureq::Error>),
    /// The server said something else than the file.
    #[error("the server answered with status {0}")]
    Status(u16),
    /// The file is larger than what is read.
    #[error("the file is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// The line broke, or the disk is full.
    #[error("cannot store what the server sends at {path}")]
    Store {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

/// What a fetch did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fetched {
    /// The file is new, or new again.
    New,
    /// The server has the same file as before.
    Unchanged,
}

/// A client with its limits.
pub(crate) struct Client<'a> {
    agent: ureq::Agent,
    limit: u64,
    interrupt: &'a AtomicBool,
    on_bytes: &'a dyn Fn(u64),
}

impl<'a> Client<'a> {
    /// One that reads files up to `limit` bytes, until `interrupt` is set. `trusted` are authorities instead of the usual
    /// ones.
    pub(crate) fn new(
        limit: u64,
        trusted: Option<RootCerts>,
        interrupt: &'a AtomicBool,
        on_bytes: &'a dyn Fn(u64),
    ) -> Self {
        let mut tls = TlsConfig::builder();
        if let Some(trusted) = trusted {
            tls = tls.root_certs(trusted);
        }
        let config = ureq::Agent::config_builder()
            .tls_config(tls.build())
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .timeout_recv_body(Some(BODY))
            .http_status_as_error(false)
            .user_agent(concat!("careen/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.into(), limit, interrupt, on_bytes }
    }

    /// Fetches a file to `path`. Beside it lie its entity tag and, after a broken connection, the part that came.
    pub(crate) fn file(&self, url: &str, path: &Path) -> Result<Fetched, FetchError> {
        let store = |source| FetchError::Store { path: path.to_owned(), source };
        let (tag_path, part_path, part_tag_path) =
            (beside(path, "etag"), beside(path, "part"), beside(path, "part-etag"));
        let tag = path.is_file().then(|| fs::read_to_string(&tag_path).ok()).flatten();
        let part_tag = fs::read_to_string(&part_tag_path).ok();
        let part_bytes = match &part_tag {
            Some(_) => fs::metadata(&part_path).map_or(0, |metadata| metadata.len()),
            None => 0,
        };
        let mut request = self.agent.get(url);
        if let (Some(part_tag), 1..) = (&part_tag, part_bytes) {
            request = request.header("Range", format!("bytes={part_bytes}-")).header("If-Range", part_tag);
        } else if let Some(tag) = &tag {
            request = request.header("If-None-Match", tag);
        }
        let mut answer = request.call().map_err(|error| FetchError::Connection(Box::new(error)))?;
        let from = match answer.status().as_u16() {
            200 => 0,
            206 if part_bytes > 0 => part_bytes,
            304 => return Ok(Fetched::Unchanged),
            416 => {
                // The part is no part of what is there now: begin anew, once.
                let _ = fs::remove_file(&part_path);
                let _ = fs::remove_file(&part_tag_path);
                return if part_bytes > 0 { self.file(url, path) } else { Err(FetchError::Status(416)) };
            }
            status => return Err(FetchError::Status(status)),
        };
        let header = |name: &str| answer.headers().get(name)?.to_str().ok().map(str::to_owned);
        // A weak tag promises no equal bytes, which resuming needs.
        let new_tag = header("etag").filter(|tag| !tag.starts_with("W/"));
        match &new_tag {
            Some(tag) => fs::write(&part_tag_path, tag).map_err(store)?,
            None => drop(fs::remove_file(&part_tag_path)),
        }
        let mut part = OpenOptions::new()
            .create(true)
            .write(true)
            .append(from > 0)
            .truncate(from == 0)
            .open(&part_path)
            .map_err(store)?;
        self.copy(answer.body_mut().as_reader(), &mut part, from).map_err(|error| match error {
            CopyError::Io(source) => store(source),
            CopyError::Other(error) => error,
        })?;
        part.sync_all().map_err(store)?;
        let _ = fs::remove_file(&tag_path);
        fs::rename(&part_path, path).map_err(store)?;
        let _ = fs::remove_file(&part_tag_path);
        if let Some(tag) = new_tag {
            fs::write(&tag_path, tag).map_err(store)?;
        }
        Ok(Fetched::New)
    }

    /// Fetches a small file into memory.
    pub(crate) fn bytes(&self, url: &str, limit: u64) -> Result<Vec<u8>, FetchError> {
        let mut answer =
            self.agent.get(url).call().map_err(|error| FetchError::Connection(Box::new(error)))?;
        match answer.status().as_u16() {
            200 => {}
            status => return Err(FetchError::Status(status)),
        }
        let mut bytes = Vec::new();
        let read = answer.body_mut().as_reader().take(limit.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|source| FetchError::Store { path: url.into(), source })?;
        if bytes.len() as u64 > limit {
            return Err(FetchError::TooLarge { limit });
        }
        Ok(bytes)
    }

    fn copy(&self, mut from: impl Read, to: &mut File, already: u64) -> Result<(), CopyError> {
        let mut total = already;
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            if self.interrupt.load(Ordering::Relaxed) {
                return Err(CopyError::Other(FetchError::Interrupted));
            }
            let count = from.read(&mut buffer).map_err(CopyError::Io)?;
            if count == 0 {
                return Ok(());
            }
            total += count as u64;
            if total > self.limit {
                return Err(CopyError::Other(FetchError::TooLarge { limit: self.limit }));
            }
            to.write_all(&buffer[..count]).map_err(CopyError::Io)?;
            (self.on_bytes)(count as u64);
        }
    }
}

enum CopyError {
    Io(io::Error),
    Other(FetchError),
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(end);
    path.with_file_name(name)
}
