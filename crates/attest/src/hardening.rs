//! What a hardening did, as a predicate. Documented in `docs/formats/attestation.md`.

use harden::{Policy, Verification, VerificationVerdict};
use image::Digest;
use profile::Profile;
use serde_json::{Value, json};

use crate::statement::{Resource, Statement};

/// The type of the predicate.
pub const PREDICATE_TYPE: &str = "urn:careen:attestation:hardening:v1";

/// All that is attested of a hardening.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The image that came in.
    pub original: Resource,
    /// The image that went out.
    pub hardened: Resource,
    /// Image ID of the original.
    pub original_id: Digest,
    /// Image ID of the result.
    pub hardened_id: Digest,
    /// The platform of both.
    pub platform: String,
    /// What decided.
    pub policy: Policy,
    /// The profile that the plan was made of.
    pub profile: Profile,
    /// Digest of the profile as a document.
    pub profile_digest: Digest,
    /// Digest of the ledger as a document, uncompressed.
    pub ledger_digest: Digest,
    /// How many paths were kept, and how many removed.
    pub paths: (u64, u64),
    /// What running the coverage on the result showed; none where it was not run or is not known.
    pub verification: Option<Verification>,
    /// The version of Careen that made the result.
    pub careen_version: String,
}

/// The statement of what was done to the image, by which policy, on which evidence, with which outcome.
pub fn statement(facts: &Facts) -> Statement {
    let Facts { original, hardened, .. } = facts;
    let runs: Vec<Value> = facts
        .profile
        .runs
        .iter()
        .map(|run| {
            json!({
                "coverage": run.coverage,
                "startedAt": run.started_at,
                "sensor": run.sensor.backend,
                "kernel": run.sensor.kernel,
                "steps": run.steps.len(),
                "complete": run.verdict().is_complete(),
            })
        })
        .collect();
    let predicate = json!({
        "formatVersion": 1,
        "careenVersion": facts.careen_version,
        "platform": facts.platform,
        "input": {"image": original, "imageId": facts.original_id.to_string()},
        "output": {"image": hardened, "imageId": facts.hardened_id.to_string()},
        "policy": facts.policy,
        "profile": {"digest": {"sha256": facts.profile_digest.hex()}, "runs": runs},
        "ledger": {
            "digest": {"sha256": facts.ledger_digest.hex()},
            "pathsKept": facts.paths.0,
            "pathsRemoved": facts.paths.1,
        },
        "verification": facts.verification.as_ref().map(verification),
    });
    Statement::new(hardened.clone(), PREDICATE_TYPE, predicate)
}

/// The outcome, without the outputs of programs: these may hold what is nobody's business.
fn verification(verification: &Verification) -> Value {
    let steps: Vec<Value> = verification
        .steps
        .iter()
        .map(|step| json!({"coverage": step.coverage, "step": step.name, "passed": step.passed}))
        .collect();
    json!({
        "passed": verification.verdict == VerificationVerdict::Passed,
        "verdict": verification.verdict,
        "steps": steps,
        "missingLookups": verification.missing_lookups.len(),
    })
}
