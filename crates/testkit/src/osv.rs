//! Advisories from short text: a directory of documents as upstream publishes them, to build a database from.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// Advisories on packages of Debian 12, with what others say of their vulnerabilities.
///
/// ```
/// # use careen_testkit as testkit;
/// let dir = tempfile::tempdir().unwrap();
/// let from = testkit::Advisories::new()
///     .debian("CVE-2026-1", "openssl", Some("3.0.15-1"), "high")
///     .exploited("CVE-2026-1")
///     .write(dir.path());
/// assert!(from.join("CVE-2026-1.json").is_file());
/// ```
#[derive(Debug, Default)]
pub struct Advisories {
    osv: Vec<(String, Value)>,
    exploited: Vec<String>,
    epss: Vec<(String, f64, f64)>,
}

impl Advisories {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// One on a source package of Debian 12: all versions below the fixed one, or all. `urgency` is Debian's word.
    pub fn debian(self, id: &str, source: &str, fixed: Option<&str>, urgency: &str) -> Self {
        let specific = json!({"urgency": urgency});
        self.affected(id, "Debian:12", source, fixed, "ECOSYSTEM", &specific)
    }

    /// One on a package of a language, by the name that OSV has for its ecosystem: `PyPI`, `npm`.
    pub fn language(self, id: &str, ecosystem: &str, package: &str, fixed: Option<&str>) -> Self {
        let kind = if ecosystem == "npm" { "SEMVER" } else { "ECOSYSTEM" };
        self.affected(id, ecosystem, package, fixed, kind, &Value::Null)
    }

    /// One on a module of Go, all versions, in these functions of one of its packages.
    pub fn go_functions(self, id: &str, module: &str, package: &str, functions: &[&str]) -> Self {
        let specific = json!({"imports": [{"path": package, "symbols": functions}]});
        self.affected(id, "Go", module, None, "SEMVER", &specific)
    }

    fn affected(
        mut self,
        id: &str,
        ecosystem: &str,
        package: &str,
        fixed: Option<&str>,
        kind: &str,
        specific: &Value,
    ) -> Self {
        let mut events = vec![json!({"introduced": "0"})];
        events.extend(fixed.map(|fixed| json!({"fixed": fixed})));
        let mut affected = json!({
            "package": {"ecosystem": ecosystem, "name": package},
            "ranges": [{"type": kind, "events": events}],
        });
        if !specific.is_null() {
            affected["ecosystem_specific"] = specific.clone();
        }
        let document = json!({
            "schema_version": "1.6.0",
            "id": id,
            "modified": "2026-11-01T00:00:00Z",
            "summary": "A hole",
            "affected": [affected],
        });
        self.osv.push((id.to_owned(), document));
        self
    }

    /// It is known to be exploited.
    pub fn exploited(mut self, id: &str) -> Self {
        self.exploited.push(id.to_owned());
        self
    }

    /// How probable it is that it will be: score and percentile.
    pub fn epss(mut self, id: &str, score: f64, percentile: f64) -> Self {
        self.epss.push((id.to_owned(), score, percentile));
        self
    }

    /// Writes them into a directory `advisories` within another, a file each, and returns it.
    pub fn write(&self, dir: &Path) -> PathBuf {
        let dir = dir.join("advisories");
        fs::create_dir_all(&dir).unwrap();
        for (id, document) in &self.osv {
            fs::write(dir.join(format!("{id}.json")), document.to_string()).unwrap();
        }
        if !self.exploited.is_empty() {
            let entry = |id: &String| {
                json!({
                    "cveID": id, "vendorProject": "x", "product": "x", "vulnerabilityName": "x",
                    "dateAdded": "2026-11-02", "shortDescription": "x", "requiredAction": "x",
                    "dueDate": "2026-11-20", "knownRansomwareCampaignUse": "Unknown", "notes": "",
                })
            };
            let catalogue = json!({
                "title": "CISA Catalog of Known Exploited Vulnerabilities",
                "catalogVersion": "2026.11.02",
                "dateReleased": "2026-11-02T00:00:00Z",
                "count": self.exploited.len(),
                "vulnerabilities": self.exploited.iter().map(entry).collect::<Vec<_>>(),
            });
            fs::write(dir.join("known_exploited_vulnerabilities.json"), catalogue.to_string()).unwrap();
        }
        if !self.epss.is_empty() {
            let mut text =
                "#model_version:v2025.03.14,score_date:2026-11-02T00:00:00+0000\ncve,epss,percentile\n"
                    .to_owned();
            for (id, score, percentile) in &self.epss {
                text += &format!("{id},{score},{percentile}\n");
            }
            fs::write(dir.join("epss_scores.csv"), text).unwrap();
        }
        dir
    }
}
