//! Our own JSON: what the standards spread over conventions, in plain words. See `docs/formats/sbom.md`.

use serde_json::{Value, json};

use crate::bill::{Bill, Component};
use crate::licence::Term;
use crate::write::{Document, Part, compact};

/// The version of the format.
const FORMAT_VERSION: u32 = 1;

pub(crate) fn document<'b>(bill: &'b Bill<'b>) -> Document<'b> {
    let image = bill.image;
    let layer = |layer: &image::Layer| json!({"digest": layer.descriptor.digest, "diff_id": layer.diff_id});
    let layers: Value = image.layers().iter().map(layer).collect();
    Document(vec![
        ("format_version", Part::Value(json!(FORMAT_VERSION))),
        ("created", Part::Value(json!(bill.created))),
        ("careen", Part::Value(json!(bill.tool_version))),
        (
            "image",
            Part::Value(json!({
                "name": bill.name,
                "purl": bill.purl,
                "manifest_digest": image.manifest_digest(),
                "image_id": image.image_id(),
                "platform": image.platform(),
                "layers": layers,
            })),
        ),
        ("os", Part::Value(json!(bill.os))),
        ("packages", Part::list(bill.components.iter().map(|one| component(bill, one)))),
        ("problems", Part::Value(json!(bill.problems))),
    ])
}

fn component(bill: &Bill<'_>, component: &Component<'_>) -> Value {
    let package = component.package;
    let licences: Value = component
        .licence
        .terms
        .iter()
        .map(|term| match term {
            Term::Expression(text) => json!({"spdx": text}),
            Term::Named(name) => json!({"name": name}),
        })
        .collect();
    let evidence: Value =
        component.evidence.iter().map(|(file, layer)| json!({"file": file, "layer": layer})).collect();
    let needs: Vec<&str> = component.needs.iter().map(|at| bill.components[*at].reference.as_str()).collect();
    let lost = component.lost.map(|lost| json!({"kept": lost.kept, "removed": lost.removed}));
    compact(json!({
        "id": component.reference,
        "ecosystem": package.ecosystem,
        "name": package.name,
        "version": package.version,
        "architecture": package.architecture,
        "source": {"name": package.source_name, "version": package.source_version},
        "purl": package.purl,
        "cpes": component.cpes,
        "maintainer": package.maintainer,
        "licences": licences,
        "evidence": evidence,
        "partial": lost,
        "needs": needs,
        "file_list": package.file_list,
        "files": if bill.files { json!(package.files) } else { Value::Null },
    }))
}
