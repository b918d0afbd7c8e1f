//! Which machine an image is for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Operating system, architecture and variant, in Go's words (`linux/arm64/v8`).
///
/// Source: OCI image-spec 1.1, `image-index.md`, "platform".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// `linux`, `windows`, ….
    pub os: String,
    /// `amd64`, `arm64`, ….
    pub architecture: String,
    /// `v7`, `v8`, …; most architectures have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// Why a text is not a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a platform such as linux/amd64 or linux/arm64/v8")]
pub struct PlatformError(String);

impl Platform {
    /// The platform that this build of Careen runs on.
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "x86" => "386",
            "aarch64" => "arm64",
            "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
            other => other,
        };
        Self { os: "linux".into(), architecture: architecture.into(), variant: None }
    }

    /// Whether an image for `self` serves where `wanted` is asked for: an absent variant matches every variant.
    pub fn serves(&self, wanted: &Self) -> bool {
        self.os == wanted.os
            && self.architecture == wanted.architecture
            && (wanted.variant.is_none() || self.variant.is_none() || self.variant == wanted.variant)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let parts: Vec<_> = text.split('/').collect();
        let [os, architecture, variant @ ..] = parts.as_slice() else {
            return Err(PlatformError(text.into()));
        };
        if os.is_empty() || architecture.is_empty() || variant.len() > 1 {
            return Err(PlatformError(text.into()));
        }
        let variant = variant.first().map(|v| (*v).to_owned());
        Ok(Self { os: (*os).into(), architecture: (*architecture).into(), variant })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_variant_matches_every_variant() {
        let platform = |text: &str| text.parse::<Platform>().unwrap();
        assert!(platform("linux/arm64/v8").serves(&platform("linux/arm64")));
        assert!(platform("linux/arm64").serves(&platform("linux/arm64/v8")));
        assert!(!platform("linux/arm/v6").serves(&platform("linux/arm/v7")));
        assert!("linux".parse::<Platform>().is_err());
        assert!("linux/a/b/c".parse::<Platform>().is_err());
    }
}
