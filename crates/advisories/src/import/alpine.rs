//! Alpine's secdb: for each package of a branch, which version fixes what. One file a branch and repository.
//!
//! A version `0` lists CVEs that never hit the package. What is not fixed is not listed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::kind::ALPINE;
use super::sink::Sink;
use crate::{Advisory, Affected, Range};

#[derive(Deserialize)]
struct Branch {
    distroversion: String,
    packages: Vec<Value>,
}

#[derive(Deserialize)]
struct Entry {
    pkg: Package,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    #[serde(default)]
    secfixes: BTreeMap<String, Option<Vec<String>>>,
}

/// Reads one branch.
pub(super) fn read(text: &str, sink: &mut Sink<'_>) {
    let branch: Branch = match serde_json::from_str(text) {
        Ok(branch) => branch,
        Err(error) => return sink.broken(&ALPINE, &error.to_string()),
    };
    let ecosystem = match branch.distroversion.as_str() {
        "edge" | "edge-main" => "Alpine:edge".to_owned(),
        version => format!("Alpine:v{}", version.trim_start_matches('v')),
    };
    for entry in branch.packages {
        let package = match serde_json::from_value::<Entry>(entry) {
            Ok(entry) => entry.pkg,
            Err(error) => {
                sink.broken(&ALPINE, &error.to_string());
                continue;
            }
        };
        sink.read(&ALPINE, None);
        for (version, names) in package.secfixes {
            // `CVE-2024-1 CVE-2024-2 (+ XSA-123)`: names in one text, with others.
            let texts = names.iter().flatten().flat_map(|names| names.split_whitespace());
            let names = texts.filter(|name| {
                ["CVE-", "GHSA-", "XSA-", "ALPINE-"].iter().any(|start| name.starts_with(start))
            });
            for name in names.filter(|_| version != "0") {
                sink.builder.advisory(Advisory {
                    id: name.to_owned(),
                    source: ALPINE.name.into(),
                    affected: vec![Affected {
                        ecosystem: ecosystem.clone(),
                        package: package.name.clone(),
                        ranges: vec![Range { fixed: Some(version.clone()), ..Range::default() }],
                        ..Affected::default()
                    }],
                    ..Advisory::default()
                });
            }
        }
    }
}
