//! Holding findings against what documents say.

use std::collections::BTreeMap;

use image::Digest;
use packages::PackageDatabase;
use packages::purl::Purl;
use serde::{Deserialize, Serialize};

use super::names::repository;
use super::{Document, Justification, Product, Statement, Status};
use crate::matching::Finding;

/// The image whose findings these are.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    /// Names of the image: its reference, its repository.
    pub names: Vec<String>,
    /// Digests that it goes by: those of its manifest and its config.
    pub digests: Vec<Digest>,
}

/// What a document says of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// Whether it touches the image.
    pub status: Status,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<Justification>,
    /// What that rests on, or what to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Who says it.
    pub author: String,
    /// In which document.
    pub document: String,
}

/// What the documents say of each finding, in the order of the findings; none where they say nothing.
///
/// Where several statements speak of a finding, the latest holds; of one time, the last. A product is the image, by
/// digest or name, or a package; with subcomponents these must match the finding's package too.
pub fn apply(
    findings: &[Finding],
    packages: &PackageDatabase,
    documents: &[Document],
    subject: &Subject,
) -> Vec<Option<Judgement>> {
    let mut by_name: BTreeMap<&str, Vec<(String, &Document, &Statement)>> = BTreeMap::new();
    for document in documents {
        for statement in &document.statements {
            let names = statement.aliases.iter().chain([&statement.vulnerability]);
            let time =
                if statement.timestamp.is_empty() { &document.timestamp } else { &statement.timestamp };
            for name in names {
                by_name.entry(name).or_default().push((moment(time), document, statement));
            }
        }
    }
    for said in by_name.values_mut() {
        said.sort_by(|one, other| one.0.cmp(&other.0));
    }
    findings
        .iter()
        .map(|finding| {
            let names = finding.aliases.iter().chain([&finding.vulnerability]);
            let said = names.filter_map(|name| by_name.get(name.as_str())).flatten();
            let matching = said.filter(|(_, _, statement)| concerns(statement, finding, packages, subject));
            // The last of several with one time: `max_by` takes that.
            let (_, document, statement) = matching.max_by(|one, other| one.0.cmp(&other.0))?;
            let text = if statement.impact.is_empty() { &statement.action } else { &statement.impact };
            Some(Judgement {
                status: statement.status,
                justification: statement.justification,
                text: text.clone(),
                author: document.author.clone(),
                document: document.id.clone(),
            })
        })
        .collect()
}

/// A time that sorts as text: in UTC, to the second.
fn moment(time: &str) -> String {
    // Zones other than UTC are rare, and off by hours at most: statements a day apart stay in order.
    time.get(..19).unwrap_or(time).to_owned()
}

fn concerns(statement: &Statement, finding: &Finding, packages: &PackageDatabase, subject: &Subject) -> bool {
    statement.products.iter().any(|product| {
        let inner = |name: &String| is_package(name, &finding.purl, finding);
        if product.subcomponents.is_empty() {
            product.names.iter().any(|name| is_image(name, subject) || inner(name))
        } else {
            let outer =
                product.names.iter().any(|name| is_image(name, subject)) || holds(product, finding, packages);
            outer && product.subcomponents.iter().any(inner)
        }
    })
}

/// Whether a package that a product names came with the finding's: both lie in one file, as modules of a program do.
fn holds(product: &Product, finding: &Finding, packages: &PackageDatabase) -> bool {
    packages.packages.iter().any(|package| {
        package.origin.place().0 == &finding.found_in.file
            && product.names.iter().any(|name| is_package(name, &package.purl, finding))
    })
}

/// Whether a name is that of the image: `pkg:oci/NAME@DIGEST?repository_url=…`, `NAME@DIGEST`, or a name of it.
fn is_image(name: &str, subject: &Subject) -> bool {
    let has = |digest: &str| subject.digests.iter().any(|known| known.to_string() == digest);
    let Some(purl) = Purl::parse(name) else {
        let named = |known: &String| known == name || repository(known) == name;
        return match name.rsplit_once('@') {
            Some((_, digest)) => has(digest),
            None => has(name) || subject.names.iter().any(named),
        };
    };
    if purl.kind != "oci" && purl.kind != "docker" {
        return false;
    }
    if !purl.version.is_empty() {
        return has(&purl.version);
    }
    // Without a digest all images of that repository are meant.
    subject.names.iter().any(|known| {
        let repository = repository(known);
        let last = repository.rsplit('/').next().unwrap_or(repository);
        let url = purl.qualifier("repository_url").map(|url| url.trim_end_matches('/'));
        let tag = known.strip_prefix(repository).and_then(|rest| rest.strip_prefix(':'));
        last.eq_ignore_ascii_case(&purl.name)
            && url.is_none_or(|url| {
                url == repository
                    || url.rsplit_once('/').is_none_or(|(_, name)| name != last)
                        && repository == format!("{url}/{last}")
            })
            && purl.qualifier("tag").is_none_or(|wanted| tag == Some(wanted))
    })
}

/// Whether a name is that of a package: the same type and name; the version and each qualifier if it has them.
fn is_package(name: &str, purl: &str, finding: &Finding) -> bool {
    let (Some(wanted), Some(ours)) = (Purl::parse(name), Purl::parse(purl)) else { return name == purl };
    let same_name = wanted.kind == ours.kind && wanted.namespace == ours.namespace && {
        wanted.name == ours.name
            // Distributions publish theirs by source.
            || wanted.qualifier("arch") == Some("source")
                && finding.evidence.iter().any(|evidence| evidence.package == wanted.name)
    };
    let is_source = wanted.qualifier("arch") == Some("source");
    let version = is_source.then(|| finding.evidence.iter().map(|evidence| evidence.version.as_str()));
    // Some write the epoch of a version as a qualifier.
    let wanted_version = match wanted.qualifier("epoch") {
        Some(epoch) if !wanted.version.contains(':') => format!("{epoch}:{}", wanted.version),
        _ => wanted.version.clone(),
    };
    let same_version = wanted.version.is_empty()
        || wanted_version == ours.version
        || version.is_some_and(|mut versions| versions.any(|version| version == wanted_version));
    let same_qualifiers = wanted.qualifiers.iter().all(|(key, value)| match ours.qualifier(key) {
        _ if key == "arch" && value == "source" => true,
        _ if key == "epoch" => true,
        Some(ours) if key == "distro" => ours.starts_with(value.as_str()) || value.starts_with(ours),
        Some(ours) => ours == value,
        None => false,
    });
    same_name && same_version && same_qualifiers
}
