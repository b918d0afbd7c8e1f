//! Attestations: what was done to an image, said so that others can check who says it.
//!
//! [`statement`] has the in-toto statement, [`hardening`] and [`provenance`] what careen says in one, [`envelope`] the
//! signed form, [`key`] the keys, [`attach`] the place beside an image in an OCI layout.
#![forbid(unsafe_code)]

pub mod attach;
mod encrypted;
pub mod envelope;
pub mod hardening;
pub mod key;
pub mod provenance;
pub mod statement;

pub use attach::{AttachError, Attachment, attach};
pub use envelope::{Envelope, VerifyError};
pub use hardening::Facts;
pub use key::{KeyError, PrivateKey, PublicKey};
pub use statement::Statement;
