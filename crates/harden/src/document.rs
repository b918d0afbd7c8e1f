//! The ledger on disk: JSON, compressed with zstd.

use std::io::{self, Read, Write};

use crate::Ledger;
use crate::ledger::FORMAT_VERSION;

/// Most bytes of JSON that we read: some ten times the ledger of an image of a million files.
pub const MAX_BYTES: u64 = 2 << 30;
/// Fast, and within a few per cent of the size of higher levels.
const COMPRESSION_LEVEL: i32 = 9;

/// Why a ledger could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadLedgerError {
    /// The stream does not decompress.
    #[error("cannot decompress the ledger")]
    Decompress {
        /// Why.
        source: io::Error,
    },
    /// It is larger than [`MAX_BYTES`].
    #[error("the ledger has more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// It is not the JSON of a ledger.
    #[error("cannot read the ledger's JSON")]
    Json {
        /// Why.
        source: serde_json::Error,
    },
    /// It is of a format that this build does not know.
    #[error("the ledger has format version {found}, this program knows {FORMAT_VERSION}")]
    Version {
        /// Its version.
        found: u64,
    },
}

impl ReadLedgerError {
    /// What the user can try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Version { .. } => Some("use the version of careen that wrote it".to_owned()),
            Self::Decompress { .. } | Self::Json { .. } => {
                Some("check that this is a ledger that careen wrote, and that it was copied whole".to_owned())
            }
            Self::TooLarge { .. } => None,
        }
    }
}

impl Ledger {
    /// Writes the document. Equal ledgers give equal bytes.
    ///
    /// # Errors
    /// What the writer reports.
    pub fn write(&self, writer: impl Write) -> io::Result<()> {
        let mut encoder = zstd::Encoder::new(writer, COMPRESSION_LEVEL)?;
        serde_json::to_writer(&mut encoder, self)?;
        encoder.finish()?.flush()
    }

    /// Reads a document that [`Ledger::write`] wrote. It may be hostile: at most [`MAX_BYTES`] are decompressed.
    ///
    /// # Errors
    /// [`ReadLedgerError`].
    pub fn read(reader: impl Read) -> Result<Self, ReadLedgerError> {
        Self::read_within(reader, MAX_BYTES)
    }

    fn read_within(reader: impl Read, limit: u64) -> Result<Self, ReadLedgerError> {
        let decoder = zstd::Decoder::new(reader).map_err(|source| ReadLedgerError::Decompress { source })?;
        let mut bytes = Vec::new();
        let length = decoder
            .take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| ReadLedgerError::Decompress { source })?;
        if length as u64 > limit {
            return Err(ReadLedgerError::TooLarge { limit });
        }
        #[derive(serde::Deserialize)]
        struct Version {
            format_version: u64,
        }
        let json = |source| ReadLedgerError::Json { source };
        let version: Version = serde_json::from_slice(&bytes).map_err(json)?;
        if version.format_version != u64::from(FORMAT_VERSION) {
            return Err(ReadLedgerError::Version { found: version.format_version });
        }
        serde_json::from_slice(&bytes).map_err(json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn what_is_written_is_read_and_equal_ledgers_are_equal_bytes() {
        let ledger = fixture::ledger();
        let (mut first, mut second) = (Vec::new(), Vec::new());
        ledger.write(&mut first).unwrap();
        ledger.clone().write(&mut second).unwrap();
        assert_eq!(first, second);
        assert_eq!(Ledger::read(&first[..]).unwrap(), ledger);
    }

    #[test]
    fn hostile_documents_are_errors() {
        let compress = |text: &str| zstd::encode_all(text.as_bytes(), 1).unwrap();
        assert!(matches!(Ledger::read(&b"{}"[..]), Err(ReadLedgerError::Decompress { .. })));
        assert!(matches!(Ledger::read(&compress("{}")[..]), Err(ReadLedgerError::Json { .. })));
        let future = compress(r#"{"format_version":2}"#);
        assert!(matches!(Ledger::read(&future[..]), Err(ReadLedgerError::Version { found: 2 })));
        let mut whole = Vec::new();
        fixture::ledger().write(&mut whole).unwrap();
        assert!(matches!(Ledger::read(&whole[..whole.len() / 2]), Err(ReadLedgerError::Decompress { .. })));
    }

    #[test]
    fn the_size_limit_holds_at_the_bound_and_one_past_it() {
        let ledger = fixture::ledger();
        let length = serde_json::to_vec(&ledger).unwrap().len() as u64;
        let mut bytes = Vec::new();
        ledger.write(&mut bytes).unwrap();
        assert_eq!(Ledger::read_within(&bytes[..], length).unwrap(), ledger);
        assert!(matches!(Ledger::read_within(&bytes[..], length - 1), Err(ReadLedgerError::TooLarge { .. })));
    }
}
