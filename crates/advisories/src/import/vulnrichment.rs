//! What CISA adds to CVEs (vulnrichment): scores, weaknesses, decision points. As CVE records of version 5, and in a
//! reduced form of one line a CVE.

use serde::Deserialize;
use serde_json::Value;

use super::json_values;
use super::kind::{CVE_RECORDS, VULNRICHMENT};
use super::sink::Sink;
use crate::database::{Rating, Ssvc};
use crate::{Advisory, Severity};

#[derive(Deserialize)]
struct Reduced {
    cve: String,
    /// Who, vector, score.
    #[serde(default)]
    cvss: Vec<(String, Option<String>, Option<f64>)>,
    #[serde(default)]
    cwe: Vec<String>,
    ssvc: Option<Decision>,
    #[serde(default)]
    kev: Option<String>,
}

#[derive(Deserialize)]
struct Decision {
    #[serde(rename = "Exploitation", default)]
    exploitation: String,
    #[serde(rename = "Automatable", default)]
    automatable: String,
    #[serde(rename = "Technical Impact", default)]
    technical_impact: String,
}

/// Reads the reduced form.
pub(super) fn reduced(text: &str, sink: &mut Sink<'_>) {
    json_values(text, &mut |value| {
        let record = value.and_then(|value| serde_json::from_value(value).map_err(|error| error.to_string()));
        let record: Reduced = match record {
            Ok(record) => record,
            Err(problem) => return sink.broken(&VULNRICHMENT, &problem),
        };
        sink.read(&VULNRICHMENT, record.kev.as_deref());
        let vectors = record.cvss.into_iter().filter_map(|(by, vector, _)| Some((by, vector?)));
        for (by, vector) in vectors {
            sink.builder.cvss(&record.cve, Rating { by, severity: Severity::Cvss(vector) });
        }
        for weakness in record.cwe {
            sink.builder.weakness(&record.cve, weakness);
        }
        if let Some(decision) = record.ssvc {
            sink.builder.ssvc(&record.cve, decision.into());
        }
    });
}

impl From<Decision> for Ssvc {
    fn from(decision: Decision) -> Self {
        Self {
            exploitation: decision.exploitation,
            automatable: decision.automatable,
            technical_impact: decision.technical_impact,
        }
    }
}

/// Reads a CVE record of version 5. Its products are named freely, so nothing is matched by them.
pub(super) fn record(text: &str, sink: &mut Sink<'_>) {
    json_values(text, &mut |value| match value {
        Ok(value) => one(&value, sink),
        Err(problem) => sink.broken(&CVE_RECORDS, &problem),
    });
}

fn one(record: &Value, sink: &mut Sink<'_>) {
    let metadata = &record["cveMetadata"];
    let Some(cve) = metadata["cveId"].as_str().filter(|cve| crate::database::is_cve(cve)) else {
        return sink.broken(&CVE_RECORDS, "a record without a CVE");
    };
    let date = metadata["dateUpdated"].as_str().or_else(|| metadata["datePublished"].as_str());
    sink.read(&CVE_RECORDS, date);
    let is_rejected = metadata["state"] == "REJECTED";
    let cna = &record["containers"]["cna"];
    let description = cna["descriptions"].as_array().into_iter().flatten();
    let mut english =
        description.filter(|text| text["lang"].as_str().is_some_and(|lang| lang.starts_with("en")));
    let summary = cna["title"].as_str().or_else(|| english.next()?["value"].as_str()).unwrap_or_default();
    sink.builder.advisory(Advisory {
        id: cve.to_owned(),
        source: CVE_RECORDS.name.into(),
        summary: super::osv::first_line(summary),
        published: metadata["datePublished"].as_str().map(str::to_owned),
        withdrawn: is_rejected.then(|| date.unwrap_or("rejected").to_owned()),
        references: strings(&cna["references"], "url"),
        ..Advisory::default()
    });
    let adp = record["containers"]["adp"].as_array().into_iter().flatten();
    for container in std::iter::once(cna).chain(adp) {
        let by = container["providerMetadata"]["shortName"].as_str().unwrap_or("CVE");
        for metric in container["metrics"].as_array().into_iter().flatten() {
            let versions = ["cvssV4_0", "cvssV3_1", "cvssV3_0", "cvssV2_0"];
            for vector in versions.iter().filter_map(|version| metric[version]["vectorString"].as_str()) {
                let severity = Severity::Cvss(vector.to_owned());
                sink.builder.cvss(cve, Rating { by: by.to_owned(), severity });
            }
            if metric["other"]["type"] == "ssvc" {
                ssvc(cve, &metric["other"]["content"], sink);
            }
        }
        for kind in container["problemTypes"].as_array().into_iter().flatten() {
            for weakness in strings(&kind["descriptions"], "cweId") {
                sink.builder.weakness(cve, weakness);
            }
        }
    }
}

fn ssvc(cve: &str, content: &Value, sink: &mut Sink<'_>) {
    let options = content["options"].as_array().into_iter().flatten();
    let mut decision = Ssvc::default();
    for (key, value) in options.filter_map(Value::as_object).flatten() {
        let value = value.as_str().unwrap_or_default().to_owned();
        match key.as_str() {
            "Exploitation" => decision.exploitation = value,
            "Automatable" => decision.automatable = value,
            "Technical Impact" => decision.technical_impact = value,
            _ => {}
        }
    }
    sink.builder.ssvc(cve, decision);
}

/// A field of each object in an array.
pub(super) fn strings(array: &Value, field: &str) -> Vec<String> {
    array
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| item[field].as_str())
        .map(str::to_owned)
        .collect()
}
