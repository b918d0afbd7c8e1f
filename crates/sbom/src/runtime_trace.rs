//! What ran, as the predicate `runtime-trace` of in-toto.
//!
//! Source: in-toto attestation framework, `spec/predicates/runtime-trace.md`, version 0.1.

use std::collections::BTreeSet;
use std::io;

use image::{Digest, Image, ImagePath};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::bill::Bill;
use crate::operations::RuntimeRecord;

/// The type of the predicate.
pub const PREDICATE_TYPE: &str = "https://in-toto.io/attestation/runtime-trace/v0.1";

/// A statement with the image as its subject: the processes that ran, and the files that they used with the digests
/// that these have in the image.
///
/// # Errors
/// A file of the image cannot be read.
pub fn runtime_trace(bill: &Bill<'_>, record: &RuntimeRecord) -> io::Result<Value> {
    let names: BTreeSet<&String> = record.files.values().flat_map(|file| &file.processes).collect();
    let processes: Vec<Value> = names
        .into_iter()
        .map(|name| {
            let used = || record.files.values().filter(|file| file.processes.contains(name));
            let first = used().min_by_key(|file| file.order);
            json!({
                "eventType": "process",
                "processBinary": name,
                "filesUsed": used().count(),
                "firstStep": first.map(|file| &file.step),
                "firstCoverage": first.map(|file| &file.coverage),
            })
        })
        .collect();
    let mut files = Vec::with_capacity(record.files.len());
    for (path, file) in &record.files {
        let Some(digest) = digest(bill.image, path)? else { continue };
        files.push(json!({
            "name": path.to_string(),
            "digest": {"sha256": digest.hex()},
            "annotations": {
                "code": file.is_code,
                "access": file.kinds,
                "processes": file.processes,
                "step": file.step,
                "coverage": file.coverage,
            },
        }));
    }
    let coverages: Vec<&str> = record.runs.iter().map(|run| run.coverage.as_str()).collect();
    let image = bill.image.manifest_digest();
    let mut predicate = json!({
        "monitor": {
            "type": format!("urn:careen:sensor:{}", record.runs.first().map_or("none", |run| &run.sensor)),
            "tracePolicy": {"complete": record.complete, "toolVersion": bill.tool_version},
        },
        "monitoredProcess": {
            "hostID": format!("urn:linux:{}", record.runs.first().map_or("unknown", |run| &run.kernel)),
            "type": "urn:careen:coverage:v1",
            "event": coverages.join(", "),
        },
        "monitorLog": {"process": processes, "network": [], "fileAccess": files},
    });
    if let Some(run) = record.runs.first() {
        predicate["metadata"] = json!({"buildStartedOn": run.started});
    }
    Ok(json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": bill.name, "digest": {"sha256": image.hex()}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    }))
}

/// The digest of a file's content; none for what is no regular file.
fn digest(image: &Image, path: &ImagePath) -> io::Result<Option<Digest>> {
    if !image.tree().get(path).is_some_and(|node| matches!(node.kind, image::NodeKind::File { .. })) {
        return Ok(None);
    }
    let mut reader = image.open_file(path).map_err(io::Error::other)?;
    let mut hasher = HashWriter(Sha256::new());
    io::copy(&mut reader, &mut hasher)?;
    Ok(Some(Digest::from_hasher(hasher.0)))
}

struct HashWriter(Sha256);

impl io::Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
