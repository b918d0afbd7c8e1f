//! Where other scanners look for what the standards have no place for: above all the source package, by which
//! distributions publish advisories.
//!
//! Source: Trivy's documentation, "SBOM"; what Trivy 0.68 and Syft 1.18 write and read, looked at in their output.

use packages::{Ecosystem, Package};

use crate::bill::{Bill, Component};

/// Before Trivy's properties in CycloneDX.
pub(crate) const TRIVY: &str = "aquasecurity:trivy:";

/// Trivy's word for the kind of a package; for one of a distribution that is the distribution.
pub(crate) fn trivy_type(bill: &Bill<'_>, package: &Package) -> Option<String> {
    Some(match package.ecosystem {
        Ecosystem::Dpkg | Ecosystem::Apk | Ecosystem::Rpm => {
            bill.os.map_or_else(String::new, |os| os.id.clone())
        }
        other => language_type(other)?.to_owned(),
    })
    .filter(|name| !name.is_empty())
}

fn language_type(ecosystem: Ecosystem) -> Option<&'static str> {
    Some(match ecosystem {
        Ecosystem::Python => "python-pkg",
        Ecosystem::Npm | Ecosystem::Javascript => "node-pkg",
        Ecosystem::Maven => "jar",
        Ecosystem::Go => "gobinary",
        Ecosystem::Cargo => "rustbinary",
        Ecosystem::Gem => "gemspec",
        Ecosystem::Composer => "composer-vendor",
        Ecosystem::Nuget => "dotnet-core",
        Ecosystem::Conda => "conda-pkg",
        _ => return None,
    })
}

/// Syft's word for the kind of a package.
pub(crate) fn syft_type(ecosystem: Ecosystem) -> &'static str {
    match ecosystem {
        Ecosystem::Dpkg => "deb",
        Ecosystem::Apk => "apk",
        Ecosystem::Rpm => "rpm",
        Ecosystem::Python => "python",
        Ecosystem::Npm | Ecosystem::Javascript => "npm",
        Ecosystem::Maven => "java-archive",
        Ecosystem::Go => "go-module",
        Ecosystem::Cargo => "rust-crate",
        Ecosystem::Gem => "gem",
        Ecosystem::Composer => "php-composer",
        Ecosystem::Nuget => "dotnet",
        Ecosystem::Hex => "hex",
        Ecosystem::Cpan => "UnknownPackage",
        Ecosystem::Cran => "R-package",
        Ecosystem::Luarocks => "lua-rocks",
        Ecosystem::Nix => "nix",
        Ecosystem::Conda => "conda",
        Ecosystem::Generic => "binary",
    }
}

fn syft_metadata(ecosystem: Ecosystem) -> Option<&'static str> {
    match ecosystem {
        Ecosystem::Dpkg => Some("dpkg-db-entry"),
        Ecosystem::Apk => Some("apk-db-entry"),
        Ecosystem::Rpm => Some("rpm-db-entry"),
        _ => None,
    }
}

/// A version as Trivy keeps it: epoch, version, release. Only dpkg and rpm have all three.
pub(crate) fn parts(ecosystem: Ecosystem, version: &str) -> (&str, &str, &str) {
    if !matches!(ecosystem, Ecosystem::Dpkg | Ecosystem::Rpm) {
        return ("", version, "");
    }
    let numeric = |epoch: &&str| !epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_digit());
    let (epoch, rest) = match version.split_once(':') {
        Some((epoch, rest)) if numeric(&epoch) => (epoch, rest),
        _ => ("", version),
    };
    let (upstream, release) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (if epoch == "0" { "" } else { epoch }, upstream, release)
}

/// What Trivy calls the package: `NAME@VERSION`, for rpm with the architecture.
fn trivy_id(package: &Package) -> String {
    match package.ecosystem {
        Ecosystem::Rpm => format!("{}@{}.{}", package.name, package.version, package.architecture),
        _ => format!("{}@{}", package.name, package.version),
    }
}

/// What Trivy keeps of a package, names without [`TRIVY`], in the order of names.
pub(crate) fn trivy(bill: &Bill<'_>, component: &Component<'_>) -> Vec<(&'static str, String)> {
    let package = component.package;
    let mut found = Vec::new();
    let file = component.evidence.first().map(|(file, _)| file.to_text());
    if !package.ecosystem.is_system() {
        found.push(("FilePath", file.unwrap_or_default().trim_start_matches('/').to_owned()));
    }
    if let Some(layer) = component.layer().and_then(|layer| bill.image.layers().get(layer)) {
        found.push(("LayerDiffID", layer.diff_id.to_string()));
        found.push(("LayerDigest", layer.descriptor.digest.to_string()));
    }
    found.push(("PkgID", trivy_id(package)));
    if let Some(kind) = trivy_type(bill, package) {
        found.push(("PkgType", kind));
    }
    if package.ecosystem.is_system() {
        let (epoch, version, release) = parts(package.ecosystem, &package.source_version);
        found.push(("SrcEpoch", epoch.to_owned()));
        found.push(("SrcName", package.source_name.clone()));
        found.push(("SrcRelease", release.to_owned()));
        found.push(("SrcVersion", version.to_owned()));
    }
    found.retain(|(_, value)| !value.is_empty());
    found
}

/// The properties of a component in CycloneDX: ours, Trivy's, Syft's, in the order of names.
pub(crate) fn properties(bill: &Bill<'_>, component: &Component<'_>) -> Vec<(String, String)> {
    let package = component.package;
    let mut found: Vec<(String, String)> =
        trivy(bill, component).into_iter().map(|(name, value)| (format!("{TRIVY}{name}"), value)).collect();
    let mut add = |name: &str, value: &str| {
        if !value.is_empty() {
            found.push((name.to_owned(), value.to_owned()));
        }
    };
    if let Some(lost) = component.lost {
        add("careen:files:kept", &lost.kept.to_string());
        add("careen:files:removed", &lost.removed.to_string());
        add("careen:partial", "true");
    }
    add("careen:ecosystem", package.ecosystem.name());
    if package.ecosystem.is_system() {
        add("careen:source:name", &package.source_name);
        add("careen:source:version", &package.source_version);
    }
    for (number, (file, layer)) in component.evidence.iter().enumerate().take(3) {
        let layer = bill.diff_id(*layer).map(|digest| digest.to_string()).unwrap_or_default();
        add(&format!("syft:location:{number}:layerID"), &layer);
        add(&format!("syft:location:{number}:path"), &file.to_text());
    }
    // CycloneDX has room for one.
    for cpe in component.cpes.iter().skip(1) {
        add("syft:cpe23", cpe);
    }
    add("syft:package:type", syft_type(package.ecosystem));
    if let Some(kind) = syft_metadata(package.ecosystem) {
        add("syft:package:metadataType", kind);
        if package.ecosystem == Ecosystem::Apk {
            add("syft:metadata:originPackage", &package.source_name);
        } else if package.source_name != package.name || package.source_version != package.version {
            add("syft:metadata:source", &package.source_name);
            if package.source_version != package.version {
                add("syft:metadata:sourceVersion", &package.source_version);
            }
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_taken_apart_as_trivy_does() {
        for (version, expected) in [
            ("1:4.13+dfsg1-1+deb12u1", ("1", "4.13+dfsg1", "1+deb12u1")),
            ("2.36-9-x", ("", "2.36-9", "x")),
            ("20230311", ("", "20230311", "")),
            ("a:1-2", ("", "a:1", "2")),
            ("0:1-2", ("", "1", "2")),
        ] {
            assert_eq!(parts(Ecosystem::Dpkg, version), expected, "{version}");
        }
        assert_eq!(parts(Ecosystem::Apk, "1.2-r3"), ("", "1.2-r3", ""));
    }
}
