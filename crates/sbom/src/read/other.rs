//! Documents that others, or we, write beside bills of materials, and that are taken for one.

use serde_json::Value;

/// A JSON document that is known, and is no bill of materials that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherDocument {
    /// Syft's own JSON.
    Syft,
    /// Trivy's report.
    Trivy,
    /// Our own list of components.
    Careen,
    /// Our own report of a scan.
    Scan,
}

impl OtherDocument {
    pub(super) fn of(document: &Value) -> Option<Self> {
        let has = |keys: &[&str]| keys.iter().all(|key| !document[*key].is_null());
        if has(&["artifacts", "source", "descriptor"]) {
            Some(Self::Syft)
        } else if has(&["SchemaVersion", "ArtifactName"]) {
            Some(Self::Trivy)
        } else if has(&["format_version", "careen", "image", "packages"]) {
            Some(Self::Careen)
        } else if has(&["format_version", "careen_version", "findings"]) {
            Some(Self::Scan)
        } else {
            None
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Syft => "Syft's own JSON",
            Self::Trivy => "a report of Trivy's",
            Self::Careen => "Careen's own list of components",
            Self::Scan => "a report of `careen scan`",
        }
    }

    pub(super) fn hint(self) -> &'static str {
        match self {
            Self::Syft => "let Syft write a standard form: syft IMAGE -o cyclonedx-json",
            Self::Trivy => "let Trivy write a standard form: trivy image --format cyclonedx IMAGE",
            Self::Careen => "write a standard form: careen sbom IMAGE --format cyclonedx",
            Self::Scan => "scan the image that it is about, or a list of its components",
        }
    }
}
