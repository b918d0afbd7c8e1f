//! The National Vulnerability Database, JSON of its API 2.0.

use serde_json::Value;

use super::kind::NVD;
use super::sink::Sink;
use super::vulnrichment::strings;
use crate::database::Rating;
use crate::{Advisory, Severity};

/// Reads a page of the API, or a feed.
pub(super) fn read(text: &str, sink: &mut Sink<'_>) {
    let page: Value = match serde_json::from_str(text) {
        Ok(page) => page,
        Err(error) => return sink.broken(&NVD, &error.to_string()),
    };
    for item in page["vulnerabilities"].as_array().into_iter().flatten() {
        one(&item["cve"], sink);
    }
}

fn one(record: &Value, sink: &mut Sink<'_>) {
    let Some(cve) = record["id"].as_str().filter(|cve| crate::database::is_cve(cve)) else {
        return sink.broken(&NVD, "an entry without a CVE");
    };
    sink.read(&NVD, record["lastModified"].as_str());
    let mut english =
        record["descriptions"].as_array().into_iter().flatten().filter(|text| text["lang"] == "en");
    let summary = english.next().and_then(|text| text["value"].as_str()).unwrap_or_default();
    let is_rejected = record["vulnStatus"] == "Rejected";
    sink.builder.advisory(Advisory {
        id: cve.to_owned(),
        source: NVD.name.into(),
        summary: super::osv::first_line(summary),
        published: record["published"].as_str().map(str::to_owned),
        withdrawn: is_rejected.then(|| record["lastModified"].as_str().unwrap_or("rejected").to_owned()),
        references: strings(&record["references"], "url"),
        affected: super::cpe::affected(&record["configurations"]),
        ..Advisory::default()
    });
    for metric in record["metrics"].as_object().into_iter().flat_map(serde_json::Map::values) {
        for score in metric.as_array().into_iter().flatten() {
            let by = match score["source"].as_str() {
                Some("nvd@nist.gov") | None => "NVD",
                Some(other) => other,
            };
            if let Some(vector) = score["cvssData"]["vectorString"].as_str() {
                let severity = Severity::Cvss(vector.to_owned());
                sink.builder.cvss(cve, Rating { by: by.to_owned(), severity });
            }
        }
    }
    for weakness in record["weaknesses"].as_array().into_iter().flatten() {
        let names = strings(&weakness["description"], "value");
        for name in names.into_iter().filter(|name| name.starts_with("CWE-")) {
            sink.builder.weakness(cve, name);
        }
    }
}
