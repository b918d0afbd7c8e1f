//! The bill of what ran: of all components of an image those that a workload used, with the files, processes and steps
//! that show it. CycloneDX 1.6, lifecycle "operations".
//!
//! Source: CycloneDX, "Operations Bill of Materials (OBOM)".

use std::collections::{BTreeMap, BTreeSet};

use image::{ImagePath, NodeKind};
use serde_json::{Value, json};

use crate::bill::{Bill, Component};
use crate::uuid;
use crate::write::compact;

/// What runs of an image used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuntimeRecord {
    /// Regular files that were executed, mapped, read or written; not those that were only looked up.
    pub files: BTreeMap<ImagePath, UsedFile>,
    /// The runs, in order.
    pub runs: Vec<RecordedRun>,
    /// Whether all of them were recorded without loss.
    pub complete: bool,
}

/// A file that was used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UsedFile {
    /// Whether it was executed, mapped executable, or read as code by an interpreter.
    pub is_code: bool,
    /// How it was used: `exec`, `map-exec`, `open-read`, ….
    pub kinds: BTreeSet<String>,
    /// Programs that used it, by path.
    pub processes: BTreeSet<String>,
    /// The coverage of the run in which it was first used.
    pub coverage: String,
    /// The step of that run, `start` for all before the first.
    pub step: String,
    /// The place of that step in all runs, from 0.
    pub order: u64,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordedRun {
    /// Name of its coverage.
    pub coverage: String,
    /// When it started, RFC 3339.
    pub started: String,
    /// What watched it.
    pub sensor: String,
    /// The kernel.
    pub kernel: String,
    /// Names of its steps.
    pub steps: Vec<String>,
}

/// The document: only components of which something was used, and used files that no package owns.
pub fn operations(bill: &Bill<'_>, record: &RuntimeRecord) -> Value {
    let mut owned: BTreeSet<&ImagePath> = BTreeSet::new();
    let mut owners: BTreeMap<String, &str> = BTreeMap::new();
    let mut components = Vec::new();
    let mut used: Vec<(&str, Vec<(&ImagePath, &UsedFile)>)> = Vec::new();
    for one in &bill.components {
        let files: Vec<_> =
            one.package.files.iter().filter_map(|path| record.files.get_key_value(path)).collect();
        if files.is_empty() {
            continue;
        }
        for (path, _) in &files {
            owned.insert(path);
            owners.entry(path.to_string()).or_insert(&one.reference);
        }
        components.push(package(one, &files));
        used.push((&one.reference, files));
    }
    let loose: Vec<(String, &ImagePath, &UsedFile)> = record
        .files
        .iter()
        .filter(|(path, _)| !owned.contains(path) && is_file(bill, path))
        .map(|(path, file)| (format!("file:{}", path.to_text()), path, file))
        .collect();
    for (reference, path, file) in &loose {
        owners.insert(path.to_string(), reference);
        components.push(loose_file(reference, path, file));
        used.push((reference, vec![(path, file)]));
    }
    let dependencies = dependencies(&bill.purl, &used, &owners);
    let said = json!([components, dependencies]).to_string();
    let digest = bill.image.manifest_digest().to_string();
    let serial = uuid::of(&["careen rbom", &digest, &bill.created, bill.tool_version, &said]);
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{serial}"),
        "version": 1,
        "metadata": metadata(bill, record),
        "components": components,
        "dependencies": dependencies,
    })
}

/// Whether a path is a regular file of the image.
fn is_file(bill: &Bill<'_>, path: &ImagePath) -> bool {
    bill.image.tree().get(path).is_some_and(|node| matches!(node.kind, NodeKind::File { .. }))
}

fn metadata(bill: &Bill<'_>, record: &RuntimeRecord) -> Value {
    let digest = bill.image.manifest_digest();
    let mut properties = vec![property("careen:complete", &record.complete.to_string())];
    for (number, run) in record.runs.iter().enumerate() {
        let mut add = |name: &str, value: &str| {
            properties.push(property(&format!("careen:run:{number}:{name}"), value));
        };
        add("coverage", &run.coverage);
        add("started", &run.started);
        add("sensor", &run.sensor);
        add("kernel", &run.kernel);
        run.steps.iter().for_each(|step| add("step", step));
    }
    json!({
        "timestamp": bill.created,
        "lifecycles": [{"phase": "operations"}],
        "tools": {"components": [{"type": "application", "name": "careen", "version": bill.tool_version}]},
        "component": {
            "bom-ref": bill.purl,
            "type": "container",
            "name": bill.name,
            "version": digest.to_string(),
            "hashes": [{"alg": "SHA-256", "content": digest.hex()}],
            "purl": bill.purl,
            "properties": properties,
        },
    })
}

fn property(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value})
}

fn package(component: &Component<'_>, files: &[(&ImagePath, &UsedFile)]) -> Value {
    let package = component.package;
    let mut value = compact(json!({
        "bom-ref": component.reference,
        "type": if package.ecosystem == packages::Ecosystem::Generic { "application" } else { "library" },
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
    }));
    evidence(&mut value, files);
    value
}

fn loose_file(reference: &str, path: &ImagePath, file: &UsedFile) -> Value {
    let mut value = json!({"bom-ref": reference, "type": "file", "name": path.to_string()});
    evidence(&mut value, &[(path, file)]);
    value
}

fn evidence(value: &mut Value, files: &[(&ImagePath, &UsedFile)]) {
    let occurrence = |(path, file): &(&ImagePath, &UsedFile)| {
        let kinds: Vec<&str> = file.kinds.iter().map(String::as_str).collect();
        let processes: Vec<&str> = file.processes.iter().map(String::as_str).collect();
        let context = format!(
            "{} by {}; first in step {} of coverage {}",
            kinds.join(", "),
            processes.join(", "),
            file.step,
            file.coverage
        );
        json!({"location": path.to_string(), "additionalContext": context})
    };
    let occurrences: Vec<Value> = files.iter().map(occurrence).collect();
    value["evidence"] = json!({"occurrences": occurrences});
    let is_code = files.iter().any(|(_, file)| file.is_code);
    let mut properties = vec![property("careen:heat", if is_code { "hot" } else { "warm" })];
    if let Some((_, first)) = files.iter().min_by_key(|(_, file)| file.order) {
        properties.push(property("careen:first-coverage", &first.coverage));
        properties.push(property("careen:first-step", &first.step));
    }
    let processes: BTreeSet<&String> = files.iter().flat_map(|(_, file)| &file.processes).collect();
    properties.extend(processes.into_iter().map(|process| property("careen:process", process)));
    value["properties"] = properties.into();
}

/// The image has all components; one whose program ran needs those whose files that program used.
fn dependencies(
    image: &str,
    used: &[(&str, Vec<(&ImagePath, &UsedFile)>)],
    owners: &BTreeMap<String, &str>,
) -> Vec<Value> {
    let mut needs: BTreeMap<&str, BTreeSet<&str>> =
        used.iter().map(|(one, _)| (*one, BTreeSet::new())).collect();
    for (reference, files) in used {
        for process in files.iter().flat_map(|(_, file)| &file.processes) {
            if let Some(owner) = owners.get(process.as_str()).filter(|owner| *owner != reference) {
                needs.entry(owner).or_default().insert(reference);
            }
        }
    }
    let top: BTreeSet<&str> = used.iter().map(|(reference, _)| *reference).collect();
    let entry = |from: &str, to: &BTreeSet<&str>| json!({"ref": from, "dependsOn": to});
    let mut out = vec![entry(image, &top)];
    out.extend(needs.iter().map(|(from, to)| entry(from, to)));
    out
}
