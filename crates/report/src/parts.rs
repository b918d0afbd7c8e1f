//! What a page is made of.

use harden::Ledger;
use profile::Profile;

use crate::{Findings, Hardening};

/// The documents of one hardening. Without the optional ones the page lacks what only they know.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// The result document.
    pub result: &'a Hardening,
    /// The decision about each path.
    pub ledger: &'a Ledger,
    /// What the original used: from it come the new files of each step.
    pub profile: Option<&'a Profile>,
    /// What a scan found in the original.
    pub findings: Option<&'a Findings>,
}
