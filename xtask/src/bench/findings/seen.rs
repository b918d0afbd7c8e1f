//! What scanners print of an image, brought to the same form: packages of the distribution, and findings in them.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

/// A vulnerability, and the binary package that has it.
pub(super) type Finding = (String, String);

/// What one scanner says of one image.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Name and version.
    pub(super) packages: BTreeSet<(String, String)>,
    pub(super) findings: BTreeSet<Finding>,
}

/// The part of `careen scan --format json` that is needed here.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Report {
    pub(super) packages: Vec<ScannedPackage>,
    pub(super) findings: Vec<ScannedFinding>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ScannedPackage {
    pub(super) name: String,
    version: String,
    ecosystem: String,
    pub(super) heat: String,
    pub(super) findings: u64,
    #[serde(default)]
    pub(super) files_left: u64,
    #[serde(default)]
    pub(super) files_before: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct ScannedFinding {
    pub(super) vulnerability: String,
    pub(super) name: String,
    pub(super) purl: String,
    pub(super) heat: String,
    #[serde(default)]
    pub(super) weak: Option<String>,
    #[serde(default)]
    pub(super) fixed: Vec<String>,
    pub(super) state: String,
    pub(super) severity: String,
    pub(super) evidence: Vec<ScannedEvidence>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ScannedEvidence {
    /// The source package that the advisory speaks of.
    package: String,
}

impl ScannedFinding {
    /// The vulnerability and the binary package.
    pub(super) fn in_binary(&self) -> Finding {
        (self.vulnerability.clone(), self.name.clone())
    }

    /// The vulnerability and the source package, of which an image may have several binary packages.
    pub(super) fn in_source(&self) -> Finding {
        let source = self.evidence.first().map_or(&self.name, |evidence| &evidence.package);
        (self.vulnerability.clone(), source.clone())
    }

    pub(super) fn is_left(&self) -> bool {
        self.heat != "gone"
    }
}

impl Report {
    pub(super) fn seen(&self) -> Seen {
        let systems =
            self.packages.iter().filter(|package| package.ecosystem == "dpkg" && package.heat != "gone");
        Seen {
            packages: systems.map(|package| (package.name.clone(), package.version.clone())).collect(),
            findings: self.left(),
        }
    }

    /// The findings that are not gone.
    pub(super) fn left(&self) -> BTreeSet<Finding> {
        let left = self.findings.iter().filter(|found| found.is_left());
        left.map(ScannedFinding::in_binary).collect()
    }
}

/// Debian's packages in Syft's CycloneDX.
pub(super) fn syft_packages(document: &Value) -> BTreeSet<(String, String)> {
    let components = document["components"].as_array().into_iter().flatten();
    let debs = components.filter(|one| one["purl"].as_str().is_some_and(|purl| purl.starts_with("pkg:deb/")));
    debs.filter_map(|one| Some((one["name"].as_str()?.to_owned(), one["version"].as_str()?.to_owned())))
        .collect()
}

/// Trivy's JSON.
pub(super) fn trivy(document: &Value) -> Seen {
    let mut seen = Seen::default();
    for result in document["Results"].as_array().into_iter().flatten() {
        for package in result["Packages"].as_array().into_iter().flatten() {
            let text = |field: &str| package[field].as_str().unwrap_or_default();
            let epoch = package["Epoch"].as_u64().map(|epoch| format!("{epoch}:")).unwrap_or_default();
            let release = text("Release");
            let release = if release.is_empty() { String::new() } else { format!("-{release}") };
            seen.packages.insert((text("Name").to_owned(), format!("{epoch}{}{release}", text("Version"))));
        }
        for found in result["Vulnerabilities"].as_array().into_iter().flatten() {
            let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
            seen.findings.insert((text("VulnerabilityID"), text("PkgName")));
        }
    }
    seen
}

/// What an OpenVEX document of ours says is not affected, as findings of the image.
pub(super) fn claims(document: &Value, report: &Report) -> Result<BTreeSet<Finding>> {
    let statements = document["statements"].as_array().context("the VEX document has no statements")?;
    let mut claims = BTreeSet::new();
    for statement in statements.iter().filter(|statement| statement["status"] == "not_affected") {
        let id = statement["vulnerability"]["name"].as_str().unwrap_or_default();
        let products = statement["products"].as_array().into_iter().flatten();
        let named: BTreeSet<&str> = products
            .flat_map(|product| {
                let parts = product["subcomponents"].as_array().into_iter().flatten();
                parts.chain(std::iter::once(product)).filter_map(|part| part["@id"].as_str())
            })
            .map(bare)
            .collect();
        let ours = report.findings.iter().filter(|found| found.vulnerability == id);
        claims.extend(ours.filter(|found| named.contains(bare(&found.purl))).map(ScannedFinding::in_binary));
    }
    Ok(claims)
}

/// A purl without its qualifiers.
fn bare(purl: &str) -> &str {
    purl.split('?').next().unwrap_or(purl)
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub(crate) fn report(left: &BTreeSet<Finding>) -> Report {
        let finding = |(id, name): &Finding| ScannedFinding {
            vulnerability: id.clone(),
            name: name.clone(),
            purl: format!("pkg:deb/debian/{name}@1?arch=amd64"),
            heat: "hot".to_owned(),
            weak: None,
            fixed: Vec::new(),
            state: "affected".to_owned(),
            severity: "high".to_owned(),
            evidence: vec![ScannedEvidence { package: "shop".to_owned() }],
        };
        Report { packages: Vec::new(), findings: left.iter().map(finding).collect() }
    }

    #[test]
    fn a_version_of_trivys_is_put_together_again() {
        let seen = trivy(&json!({"Results": [
            {"Packages": [
                {"Name": "redis", "Version": "7.0.15", "Release": "1~deb12u7", "Epoch": 5},
                {"Name": "tzdata", "Version": "2026c"}]},
            {"Vulnerabilities": [{"VulnerabilityID": "CVE-1", "PkgName": "redis"}]}]}));
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(seen.packages, [pair("redis", "5:7.0.15-1~deb12u7"), pair("tzdata", "2026c")].into());
        assert_eq!(seen.findings, [pair("CVE-1", "redis")].into());
    }

    #[test]
    fn a_claim_is_one_of_a_package_and_not_of_its_neighbour() {
        let all = [("CVE-1".to_owned(), "a".to_owned()), ("CVE-1".to_owned(), "b".to_owned())].into();
        let statement = |status: &str, package: &str| {
            json!({"vulnerability": {"name": "CVE-1"}, "status": status, "products": [
                {"@id": "pkg:oci/x", "subcomponents": [{"@id": format!("pkg:deb/debian/{package}@1?distro=debian-12")}]}]})
        };
        let document = json!({"statements": [statement("not_affected", "a"), statement("affected", "b")]});
        let found = claims(&document, &report(&all)).unwrap();
        assert_eq!(found, [("CVE-1".to_owned(), "a".to_owned())].into());
    }
}
