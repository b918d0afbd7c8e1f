//! One hardening: the rounds of plan, image and verification until the result does what the original did.

use std::collections::BTreeMap;

use harden::{HealedPath, Ledger, Plan, Policy, Rule, Verification};
use image::{Image, ImageTarget, OutputCompression, WriteOptions, Written};
use packages::PackageDatabase;
use profile::Profile;

use crate::commands::record::Recorder;
use crate::context::Context;
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{hints, output, target, verdict};

/// One hardening: plan, write, verify, and once more with what the verification found missing.
pub(crate) struct Job<'a> {
    pub(crate) context: &'a Context,
    pub(crate) original: &'a Image,
    pub(crate) packages: &'a PackageDatabase,
    /// Decides what stays.
    pub(crate) profile: &'a Profile,
    /// What the result is held against: that, and runs of the coverage that it lacks.
    pub(crate) compared: &'a Profile,
    /// Verifies, where that is wanted.
    pub(crate) recorder: Option<&'a Recorder<'a>>,
    /// Where the image is written.
    pub(crate) staged: ImageTarget,
    /// What the user calls the output.
    pub(crate) reference: String,
    /// How layers that change are compressed.
    pub(crate) compression: OutputCompression,
    /// Whether there is to be one layer.
    pub(crate) squash: bool,
    /// How often a verification may find something missing that is then kept.
    pub(crate) heal_rounds: u32,
}

/// What one round made.
pub(crate) struct Attempt {
    pub(crate) plan: Plan,
    pub(crate) written: Written,
    /// Whether it would not have shrunk, so that the result is the original.
    pub(crate) unchanged: bool,
    pub(crate) hardened: Image,
    /// What the verification found, and what it recorded.
    pub(crate) verified: Option<(Verification, Profile)>,
    /// What earlier verifications found missing and this one has, by path.
    pub(crate) healed: Vec<HealedPath>,
}

impl Job<'_> {
    /// Rounds until the result passes; refuses one that healing cannot help.
    pub(crate) fn harden(&self, mut policy: Policy) -> Result<Attempt, Failure> {
        let mut healed: Vec<HealedPath> = Vec::new();
        let mut round = 0;
        loop {
            round += 1;
            let mut attempt = self.attempt(&policy)?;
            let Some((verification, profile)) = &attempt.verified else { return Ok(attempt) };
            if verdict::passed(verification) {
                healed.sort_by(|one, other| one.path.cmp(&other.path));
                attempt.healed = healed;
                return Ok(attempt);
            }
            let more = match round <= self.heal_rounds {
                true => harden::heal(&attempt.plan.ledger, verification, self.compared, profile, round),
                false => BTreeMap::new(),
            };
            if more.is_empty() {
                return Err(failed_verification(
                    &attempt.plan.ledger,
                    verification,
                    &healed,
                    self.heal_rounds,
                ));
            }
            let paths = output::counted(more.len() as u64, "more path", "more paths");
            self.context.progress.stage(format!("heal: keep {paths}"), None);
            policy.heal.extend(more.keys().cloned());
            healed.extend(more.into_values());
        }
    }

    fn attempt(&self, policy: &Policy) -> Result<Attempt, Failure> {
        let progress = &self.context.progress;
        progress.stage("plan", None);
        let plan = harden::plan(self.original, self.packages, self.profile, policy).map_err(|error| {
            let hint = error.hint();
            let tried = format!("cannot plan the hardening of {}", self.original.source());
            hints::plain(ExitCode::Profile, tried, error).hint(hint)
        })?;
        let (kept, all) = (plan.edits.keep.len() as u64, self.original.tree().len() as u64);
        progress.done(&stay(kept, all));

        let (written, unchanged) = self.write(&plan)?;
        let platform = Some(self.original.platform().clone());
        let hardened = self.context.open_source(&target::as_source(&self.staged), platform)?;
        let verified = self
            .recorder
            .map(|recorder| recorder.verify(&hardened, &self.reference, &plan.ledger, self.compared))
            .transpose()?;
        Ok(Attempt { plan, written, unchanged, hardened, verified, healed: Vec::new() })
    }

    /// Writes the image; where that would not shrink it, the original with all its layers untouched.
    fn write(&self, plan: &Plan) -> Result<(Written, bool), Failure> {
        let progress = &self.context.progress;
        let failed = |error: image::WriteError| {
            let hint = error.hint();
            let code = match error {
                image::WriteError::Interrupted => ExitCode::Interrupted,
                _ => ExitCode::Output,
            };
            hints::plain(code, format!("cannot write {}", self.reference), error).hint(hint)
        };
        progress.stage("write", None);
        let on_bytes = |bytes| progress.add_bytes(bytes);
        let options = WriteOptions {
            compression: self.compression,
            squash: self.squash,
            overwrite: true,
            on_bytes: Some(&on_bytes),
            interrupt: Some(&self.context.interrupt),
            ..WriteOptions::default()
        };
        let write = |options| image::write(self.original, &plan.edits, &self.staged, options).map_err(failed);
        let mut written = write(&options)?;
        if self.squash && !shrinks(self.original, &written) {
            written = write(&WriteOptions { squash: false, ..options.clone() })?;
        }
        if shrinks(self.original, &written) || self.compression == OutputCompression::None {
            progress.done(&output::bytes_text(written.compressed_bytes));
            return Ok((written, false));
        }
        let written = image::copy(self.original, &self.staged, &options).map_err(failed)?;
        progress.done("would not shrink: all layers stay as they are");
        Ok((written, true))
    }
}

/// Whether what was written is smaller than the original, documents included.
pub(crate) fn shrinks(original: &Image, written: &Written) -> bool {
    let documents = original.manifest_bytes().len() + original.config_bytes().len();
    written.compressed_bytes + written.document_bytes < original.compressed_bytes() + documents as u64
}

/// Refuses a result that healing cannot help.
pub(crate) fn failed_verification(
    ledger: &Ledger,
    verification: &Verification,
    healed: &[HealedPath],
    allowed: u32,
) -> Failure {
    let rounds = healed.iter().map(|path| path.round).max().unwrap_or(0);
    let mut tried =
        format!("the hardened image does not do what the original did\n{}", verdict::text(verification));
    if !healed.is_empty() {
        let rounds = output::counted(rounds.into(), "round", "rounds");
        tried += &format!("  healing kept {} more in {rounds}, which was not enough:\n", healed.len());
        tried += &verdict::healed_text(healed);
    }
    let spent = rounds == allowed && !verification.missing_lookups.is_empty();
    let unwanted = verification.missing_lookups.iter().find(|lookup| {
        ledger.entries.get(&lookup.removed).is_some_and(|entry| entry.rule == Rule::PolicyRemove)
    });
    if let Some(lookup) = unwanted {
        let hint = format!("nothing was written; the policy removes {}, which is needed", lookup.removed);
        return Failure::new(ExitCode::Verification, tried).hint(hint);
    }
    let hint = match (spent, allowed) {
        (true, 0) => "nothing was written; keep what is missing with --keep, or let --heal-rounds keep it",
        (true, _) => {
            "nothing was written; allow more with --heal-rounds, or keep what is missing with --keep"
        }
        (false, _) => {
            "nothing was written; keep what is missing with --keep, or see what differs in the coverage"
        }
    };
    Failure::new(ExitCode::Verification, tried).hint(hint.to_owned())
}

/// How many paths a plan keeps.
pub(crate) fn stay(kept: u64, all: u64) -> String {
    format!("{} of {}", output::count_text(kept), output::counted(all, "path stays", "paths stay"))
}
