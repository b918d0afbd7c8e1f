//! One hardening: the rounds of plan, image and verification until the result does what the original did.

use harden::{Decision, Plan, Policy, Rule, Verification};
use image::{Image, ImagePath, ImageTarget, OutputCompression, WriteOptions, Written};
use packages::PackageDatabase;
use profile::Profile;

use crate::commands::record::Recorder;
use crate::context::Context;
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{hints, output, target, verdict};

/// How often a verification may find something missing that is then kept.
pub(crate) const HEALING_ROUNDS: u32 = 3;

/// One hardening: plan, write, verify, and once more with what the verification found missing.
pub(crate) struct Job<'a> {
    pub(crate) context: &'a Context,
    pub(crate) original: &'a Image,
    pub(crate) packages: &'a PackageDatabase,
    pub(crate) profile: &'a Profile,
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
}

impl Job<'_> {
    /// Rounds until the result passes; refuses one that healing cannot help.
    pub(crate) fn harden(&self, mut policy: Policy) -> Result<Attempt, Failure> {
        let mut round = 0;
        loop {
            let attempt = self.attempt(&policy)?;
            let Some((verification, _)) = &attempt.verified else { return Ok(attempt) };
            if verdict::passed(verification) {
                return Ok(attempt);
            }
            let missing = missed(&attempt.plan, verification);
            if missing.is_empty() || round == HEALING_ROUNDS {
                return Err(failed_verification(verification));
            }
            round += 1;
            self.context.progress.stage(format!("heal: {} paths were missed", missing.len()), None);
            policy.heal.extend(missing);
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
        progress.done(&format!("{} of {} paths stay", output::count_text(kept), output::count_text(all)));

        let (written, unchanged) = self.write(&plan)?;
        let platform = Some(self.original.platform().clone());
        let hardened = self.context.open_source(&target::as_source(&self.staged), platform)?;
        let verified = self
            .recorder
            .map(|recorder| recorder.verify(&hardened, &self.reference, &plan.ledger, self.profile))
            .transpose()?;
        Ok(Attempt { plan, written, unchanged, hardened, verified })
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

/// The paths that healing can keep: removed ones that the workload looked for in vain.
pub(crate) fn missed(plan: &Plan, verification: &Verification) -> Vec<ImagePath> {
    let lookups = verification.missing_lookups.iter();
    lookups
        .flat_map(|lookup| [lookup.removed.clone(), lookup.path.clone()])
        .filter(|path| {
            // What the user wants removed is not for us to keep.
            let entry = plan.ledger.entries.get(path);
            entry.is_some_and(|e| e.decision == Decision::Remove && e.rule != Rule::PolicyRemove)
        })
        .collect()
}

/// Refuses a result that healing cannot help.
pub(crate) fn failed_verification(verification: &Verification) -> Failure {
    let tried =
        format!("the hardened image does not do what the original did\n{}", verdict::text(verification));
    Failure::new(ExitCode::Verification, tried).hint(
        "nothing was written; keep what is missing with --keep, or see what differs in the coverage"
            .to_owned(),
    )
}
