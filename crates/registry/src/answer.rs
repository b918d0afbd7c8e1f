//! What a registry answers, read within limits.

use std::io::{self, Read};

use image::Digest;
use serde::Deserialize;

use crate::RegistryError;
use crate::error::tame;

/// Most bytes of a message about an error.
const MAX_MESSAGE_BYTES: u64 = 64 << 10;

/// An answer whose status is known, and whose body is still to be read.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Where it came from, after all redirects.
    pub(crate) url: String,
    response: ureq::http::Response<ureq::Body>,
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<OneError>,
}

#[derive(Deserialize)]
struct OneError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Answer {
    pub(crate) fn new(url: String, response: ureq::http::Response<ureq::Body>) -> Self {
        Self { status: response.status().as_u16(), url, response }
    }

    /// A header, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// All headers of a name that are text.
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        self.response.headers().get_all(name).iter().filter_map(|value| value.to_str().ok()).collect()
    }

    /// The media type without its parameters.
    pub(crate) fn media_type(&self) -> String {
        let full = self.header("content-type").unwrap_or_default();
        full.split(';').next().unwrap_or_default().trim().to_owned()
    }

    /// What the registry says its digest is, if it is one of ours.
    pub(crate) fn digest(&self) -> Option<Digest> {
        self.header("docker-content-digest")?.parse().ok()
    }

    /// The body as it comes.
    pub(crate) fn reader(self) -> impl Read {
        self.response.into_body().into_reader()
    }

    /// The whole body.
    pub(crate) fn bytes(self, host: &str, what: &str, limit: u64) -> Result<Vec<u8>, RegistryError> {
        let mut bytes = Vec::new();
        let read = self.reader().take(limit.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|source: io::Error| RegistryError::Read {
            host: host.to_owned(),
            what: what.to_owned(),
            source,
        })?;
        if bytes.len() as u64 > limit {
            return Err(RegistryError::TooLarge { what: what.to_owned(), limit });
        }
        Ok(bytes)
    }

    /// What the registry says of an error, in one line; empty if it says nothing.
    pub(crate) fn message(self) -> String {
        let mut bytes = Vec::new();
        let _ = self.reader().take(MAX_MESSAGE_BYTES).read_to_end(&mut bytes);
        let Ok(Errors { errors }) = serde_json::from_slice(&bytes) else { return String::new() };
        let Some(first) = errors.first() else { return String::new() };
        tame(if first.message.is_empty() { &first.code } else { &first.message })
    }
}
