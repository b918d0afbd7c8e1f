//! The release of a distribution in OSV's words.

use packages::OsRelease;

/// The ecosystems that hold a distribution's data for this release; none for a distribution whose data nobody has.
///
/// Source: OSV schema, "Defined ecosystems"; `os-release` of the distributions' images.
pub(super) fn ecosystems(os: &OsRelease) -> Vec<String> {
    let version = os.version_id.as_deref().unwrap_or_default();
    let major = version.split('.').next().unwrap_or_default();
    let one = |name: String| vec![name];
    match os.id.as_str() {
        "debian" => vec![format!("Debian:{}", debian(os)), "Debian".into()],
        // Long-term releases carry a mark; which these are can be told from the number.
        "ubuntu" => vec![format!("Ubuntu:{version}:LTS"), format!("Ubuntu:{version}")],
        "alpine" => one(format!("Alpine:{}", alpine(version))),
        "wolfi" => one("Wolfi".into()),
        "chainguard" => vec!["Chainguard".into(), "Wolfi".into()],
        "minimos" => one("MinimOS".into()),
        "alpaquita" => vec![format!("Alpaquita:{version}"), "Alpaquita".into()],
        "rhel" | "redhat" => red_hat(major),
        "rocky" => one(format!("Rocky Linux:{major}")),
        "almalinux" => one(format!("AlmaLinux:{major}")),
        "fedora" => one(format!("Fedora:{version}")),
        "ol" => one(format!("Oracle Linux:{major}")),
        "amzn" => one(format!("Amazon Linux:{version}")),
        "azurelinux" | "mariner" => one(format!("Azure Linux:{major}")),
        "photon" => one(format!("Photon OS:{version}")),
        "mageia" => one(format!("Mageia:{major}")),
        "openeuler" => open_euler(os, version),
        "opensuse-leap" => one(format!("openSUSE:Leap {version}")),
        "opensuse-tumbleweed" => one("openSUSE:Tumbleweed".into()),
        "sles" | "sled" => suse(version),
        _ => Vec::new(),
    }
}

/// The number of a release of Debian; `sid` for one that is none yet.
fn debian(os: &OsRelease) -> String {
    const CODENAMES: [(&str, &str); 9] = [
        ("jessie", "8"),
        ("stretch", "9"),
        ("buster", "10"),
        ("bullseye", "11"),
        ("bookworm", "12"),
        ("trixie", "13"),
        ("forky", "14"),
        ("duke", "15"),
        ("sid", "sid"),
    ];
    if let Some(version) = &os.version_id {
        return version.split('.').next().unwrap_or_default().to_owned();
    }
    let codename = os.codename.as_deref().unwrap_or("sid");
    CODENAMES.iter().find(|(name, _)| *name == codename).map_or("sid", |(_, number)| number).to_owned()
}

/// `v3.20` of `3.20.1`; `edge` of a version that is not released: `3.21.0_alpha20240807`.
fn alpine(version: &str) -> String {
    let mut parts = version.split('.');
    match (parts.next(), parts.next()) {
        _ if version.contains(['_', '-']) => "edge".into(),
        (Some(major), Some(minor)) => format!("v{major}.{minor}"),
        _ => "edge".into(),
    }
}

fn red_hat(major: &str) -> Vec<String> {
    const REPOSITORIES: [&str; 8] =
        ["appstream", "baseos", "crb", "highavailability", "nfv", "realtime", "sap", "supplementary"];
    REPOSITORIES
        .iter()
        .map(|repository| format!("Red Hat:enterprise_linux:{major}::{repository}"))
        .chain([format!("Red Hat:enterprise_linux:{major}")])
        .collect()
}

/// `24.03-LTS` of 24.03, whose name says that it is one: `openEuler 24.03 (LTS)`.
fn open_euler(os: &OsRelease, version: &str) -> Vec<String> {
    let pretty = os.pretty_name.as_deref().unwrap_or_default();
    let words: Vec<&str> = pretty
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'))
        .map(|(words, _)| words.split([' ', '-']).collect())
        .unwrap_or_default();
    let parts: Vec<&str> = std::iter::once(version).chain(words).collect();
    vec![format!("openEuler:{}", parts.join("-"))]
}

/// `15 SP6` of 15.6, in the products that make up a server.
fn suse(version: &str) -> Vec<String> {
    const PRODUCTS: [&str; 9] = [
        "Server",
        "Desktop",
        "Module for Basesystem",
        "Module for Server Applications",
        "Module for Development Tools",
        "Module for Python 3",
        "Module for Web and Scripting",
        "Module for Containers",
        "Module for Legacy",
    ];
    let version = match version.split_once('.') {
        Some((major, "0")) => major.to_owned(),
        Some((major, pack)) => format!("{major} SP{pack}"),
        None => version.to_owned(),
    };
    PRODUCTS.iter().map(|product| format!("SUSE:Linux Enterprise {product} {version}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_release_is_asked_for_in_osvs_words() {
        for (text, expected) in [
            ("ID=debian\nVERSION_ID=\"12\"", "Debian:12"),
            ("ID=debian\nVERSION_ID=\"12.5\"", "Debian:12"),
            ("ID=debian\nVERSION_CODENAME=trixie", "Debian:13"),
            ("ID=debian\nVERSION_CODENAME=forky\nPRETTY_NAME=\"Debian GNU/Linux forky/sid\"", "Debian:14"),
            ("ID=debian", "Debian:sid"),
            ("ID=ubuntu\nVERSION_ID=24.04", "Ubuntu:24.04:LTS"),
            ("ID=ubuntu\nVERSION_ID=24.10", "Ubuntu:24.10"),
            ("ID=alpine\nVERSION_ID=3.20.1", "Alpine:v3.20"),
            ("ID=alpine\nVERSION_ID=3.21.0_alpha20240807", "Alpine:edge"),
            ("ID=wolfi\nVERSION_ID=20230201", "Wolfi"),
            ("ID=\"rhel\"\nVERSION_ID=\"9.4\"", "Red Hat:enterprise_linux:9::baseos"),
            ("ID=\"rocky\"\nVERSION_ID=\"9.3\"", "Rocky Linux:9"),
            ("ID=\"almalinux\"\nVERSION_ID=\"9.3\"", "AlmaLinux:9"),
            ("ID=opensuse-leap\nVERSION_ID=15.6", "openSUSE:Leap 15.6"),
            ("ID=sles\nVERSION_ID=15.6", "SUSE:Linux Enterprise Module for Basesystem 15 SP6"),
            (
                "ID=openEuler\nVERSION_ID=24.03\nPRETTY_NAME=\"openEuler 24.03 (LTS-SP1)\"",
                "openEuler:24.03-LTS-SP1",
            ),
        ] {
            let found = ecosystems(&OsRelease::parse(text.as_bytes()));
            assert!(found.iter().any(|name| name == expected), "{text}: {found:?}");
        }
    }

    #[test]
    fn a_distribution_that_only_derives_from_another_is_not_taken_for_it() {
        for text in ["ID=kali\nVERSION_ID=2024.1", "ID=raspbian\nVERSION_ID=12", ""] {
            assert!(ecosystems(&OsRelease::parse(text.as_bytes())).is_empty(), "{text}");
        }
    }
}
