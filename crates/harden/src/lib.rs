//! What stays in an image, and why: [`Ledger`] is a decision with a reason for every path of it.
//!
//! Start at [`plan()`]. This crate runs nothing and writes no image: it turns an image, its packages, a profile and a
//! policy into a [`Plan`], and judges with [`verify()`] whether the hardened image still does what it did.
#![forbid(unsafe_code)]

pub mod breakdown;
pub mod carry;
pub mod diff;
pub mod document;
mod draft;
mod elf;
pub mod evaluation;
pub mod explain;
#[cfg(test)]
mod fixture;
pub mod heal;
pub mod ledger;
pub mod left;
pub mod metrics;
pub mod plan;
pub mod policy;
pub mod rule;
mod rules;
mod scene;
mod shell;
pub mod together;
pub mod verify;

pub use breakdown::{Breakdown, DirectoryShare, PackageShare, RuleShare};
pub use carry::{
    CarriedPath, CarryError, CarryReason, CarryReport, DropReason, DroppedPath, NewPath, carry, fit,
    surroundings,
};
pub use diff::{FieldChange, ImageDiff, LayerDiff, PackageDiff, PathDiff, SettingChange, Side, diff};
pub use document::ReadLedgerError;
pub use evaluation::{Evaluation, PolicyFigures, StepEvaluation, Trial, TrialVerdict, judge};
pub use explain::{Explanation, Link, explain};
pub use heal::{HealCause, HealedPath, heal};
pub use ledger::{Decision, Evidence, Ledger, LedgerEntry, PathKind, Total};
pub use left::{LeftOver, PackageCount, PackageLeft, PackagesLeft, packages_left};
pub use metrics::{Metrics, MetricsError, metrics};
pub use plan::{Plan, PlanError, plan};
pub use policy::{
    Generalize, Kit, LoadPolicyError, PackageDb, Policy, PolicyFile, PolicyProblem, Preset, RuleKind,
    RuleUse, rule_uses,
};
pub use rule::Rule;
pub use together::{Subject, plan_together};
pub use verify::outputs::OutputDifference;
pub use verify::{
    MissingLookup, StepVerification, Verification, VerificationFailure, VerificationVerdict, missing_lookups,
    verify,
};
