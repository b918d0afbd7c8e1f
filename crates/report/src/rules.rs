//! What each rule decided, as rows of a table.

use harden::Ledger;

use crate::text::{bytes_text, count_text};

/// One rule.
pub(crate) struct RuleText {
    pub(crate) name: &'static str,
    pub(crate) files: String,
    pub(crate) directories: String,
    pub(crate) bytes: String,
    pub(crate) description: &'static str,
}

/// The rules that decided something, in their order.
pub(crate) fn rules(ledger: &Ledger) -> Vec<RuleText> {
    let row = |(rule, total): (harden::Rule, harden::Total)| RuleText {
        name: rule.name(),
        files: count_text(total.files),
        directories: count_text(total.directories),
        bytes: bytes_text(total.bytes),
        description: rule.describe(),
    };
    ledger.totals().into_iter().map(row).collect()
}
