//! What stays in an image, and why: [`Ledger`] is a decision with a reason for every path of it.
//!
//! This crate runs nothing and writes no image; it turns an image, its packages, a profile and a policy into a plan.
#![forbid(unsafe_code)]

pub mod ledger;
pub mod metrics;
pub mod policy;
pub mod rule;
pub mod verify;

pub use ledger::{Decision, Evidence, Ledger, LedgerEntry, PathKind, Total};
pub use metrics::{Metrics, MetricsError, metrics};
pub use policy::Policy;
pub use rule::Rule;
pub use verify::outputs::OutputDifference;
pub use verify::{
    MissingLookup, StepVerification, Verification, VerificationFailure, VerificationVerdict, verify,
};
