//! Reading documents of anybody's.

use serde_json::Value;

use super::{Document, csaf, cyclonedx, openvex};

/// Most bytes of a document: the longest published ones have a few megabytes.
const MAX_BYTES: usize = 64 << 20;
/// Most statements.
const MAX_STATEMENTS: usize = 1_000_000;

/// Why some bytes are no document about exploitability.
#[derive(Debug, thiserror::Error)]
pub enum ReadVexError {
    /// More than allowed.
    #[error("it has more than {limit} {what}")]
    TooLarge {
        /// Bytes or statements.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// It is no JSON.
    #[error("it is no JSON")]
    Json(#[source] serde_json::Error),
    /// It is JSON, and none of the formats.
    #[error("it is neither OpenVEX nor CSAF nor CycloneDX")]
    Unknown,
}

impl ReadVexError {
    /// What the user can try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::TooLarge { .. } => None,
            _ => Some("OpenVEX, CSAF VEX and CycloneDX are read, in JSON".to_owned()),
        }
    }
}

/// Reads OpenVEX 0.0.1 to 0.2.0, CSAF 2.0 and CycloneDX 1.4 on, also as the predicate of an in-toto statement.
///
/// Lenient: statements that cannot be understood are counted in [`Document::skipped`] and left out, so that a document
/// never settles more than what is understood of it.
///
/// # Errors
/// [`ReadVexError`] for bytes that are none of these.
pub fn read(bytes: &[u8]) -> Result<Document, ReadVexError> {
    if bytes.len() > MAX_BYTES {
        return Err(ReadVexError::TooLarge { what: "bytes", limit: MAX_BYTES });
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let value: Value = serde_json::from_slice(bytes).map_err(ReadVexError::Json)?;
    let is_statement =
        value["_type"].as_str().is_some_and(|kind| kind.starts_with("https://in-toto.io/Statement"));
    let document = if is_statement { &value["predicate"] } else { &value };
    let context = document["@context"].as_str();
    let read = if context.is_some_and(|context| context.contains("openvex.dev")) {
        openvex::read(document)
    } else if document["document"]["csaf_version"].is_string() {
        csaf::read(document)
    } else if document["bomFormat"] == "CycloneDX" {
        cyclonedx::read(document)
    } else {
        return Err(ReadVexError::Unknown);
    };
    if read.statements.len() > MAX_STATEMENTS {
        return Err(ReadVexError::TooLarge { what: "statements", limit: MAX_STATEMENTS });
    }
    Ok(read)
}
