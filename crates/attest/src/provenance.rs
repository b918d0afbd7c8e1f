//! Where a hardened image comes from, as SLSA provenance.
//!
//! Source: SLSA 1.0, "Provenance", `https://slsa.dev/provenance/v1`.

use serde_json::json;

use crate::hardening::Facts;
use crate::statement::{Resource, Statement};

/// The type of the predicate.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";
/// How the image was built: the parameters are those of [`statement`].
pub const BUILD_TYPE: &str = "urn:careen:build:harden:v1";

/// The provenance of the hardened image: original, policy and profile in, image out. `builder` names who ran it.
pub fn statement(facts: &Facts, builder: &str) -> Statement {
    let profile = Resource::new("profile", facts.profile_digest);
    let ledger = Resource::new("ledger", facts.ledger_digest);
    let purl = |resource: &Resource| {
        let last = resource.name.rsplit('/').next().unwrap_or(&resource.name);
        let name: String = last.split([':', '@']).next().unwrap_or(last).to_ascii_lowercase();
        format!("pkg:oci/{name}@sha256:{}", resource.digest.sha256)
    };
    let started = facts.profile.runs.iter().map(|run| run.started_at.as_str()).min();
    let mut metadata = json!({});
    if let Some(started) = started {
        metadata["startedOn"] = json!(started);
    }
    let predicate = json!({
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "image": facts.original.name,
                "platform": facts.platform,
                "policy": facts.policy,
                "coverage": facts.profile.runs.iter().map(|run| &run.coverage).collect::<Vec<_>>(),
            },
            "internalParameters": {},
            "resolvedDependencies": [
                facts.original.with_uri(&purl(&facts.original)),
                profile,
            ],
        },
        "runDetails": {
            "builder": {"id": builder, "version": {"careen": facts.careen_version}},
            "metadata": metadata,
            "byproducts": [ledger],
        },
    });
    Statement::new(facts.hardened.clone(), PREDICATE_TYPE, predicate)
}
