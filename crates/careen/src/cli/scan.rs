//! What can be typed to find vulnerabilities.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{DbArgs, DestinationArgs};

/// `careen scan`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careen scan oci:shop
  careen scan oci:shop --profile shop.profile --fail-on hot-high,kev
  careen scan oci:shop --hardened oci:shop-hardened
  careen scan oci:shop-hardened --format sarif -o shop.sarif
  careen scan --list images.lst --ignore accepted.toml --format junit -o scan.xml
  careen scan shop.cdx.json
  careen scan dir:/srv/rootfs

Of an image that careen hardened, or that it was made from, profile and ledger are found by digest. Findings of a \
hardened image are those of its original, less the packages of which no file is left: what a package database lists \
or does not list changes no count. Nothing but images is fetched: the database is that of `careen db`. What is \
attached to an image (--vex referrers) is believed unless --vex-key says whom to believe; the report tells.

--fail-on takes [hot-|warm-|cold-] and any, kev, fixable, critical, high, medium, low, negligible or epss-PERCENT; a \
heat means that one and hotter ones, and what nobody recorded counts as hot. The exit code is then 11.")]
pub(crate) struct ScanArgs {
    /// The image: oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:REF], dir:ROOTFS (a directory or a tar of
    /// one), a path, a reference in a registry, or an SBOM (CycloneDX or SPDX, JSON)
    #[arg(required_unless_present = "list", value_name = "IMAGE")]
    pub(crate) images: Vec<String>,
    /// More images, one a line
    #[arg(long, value_name = "FILE")]
    pub(crate) list: Vec<PathBuf>,
    /// Platform to pick from a multi-platform image, such as linux/arm64 [default: this host's]
    #[arg(long, value_name = "OS/ARCH")]
    pub(crate) platform: Option<String>,
    /// What the workload used tells hot from cold [default: the profile of the image's hardening]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) profile: Vec<PathBuf>,
    /// Compare with what a hardening made of the image
    #[arg(long, value_name = "IMAGE", conflicts_with = "list")]
    pub(crate) hardened: Option<String>,
    #[command(flatten)]
    pub(crate) db: DbArgs,
    /// The form of the report [default: table; with --output json: json]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<ScanFormat>,
    #[command(flatten)]
    pub(crate) destination: DestinationArgs,
    /// How many findings a table shows; 0 for all
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) top: usize,
    #[command(flatten)]
    pub(crate) decisions: DecisionArgs,
}

/// Which findings count, and which make a command fail.
#[derive(Debug, Args)]
pub(crate) struct DecisionArgs {
    /// Fail if a finding meets one of these conditions
    #[arg(long, value_name = "CONDITION", value_delimiter = ',')]
    pub(crate) fail_on: Vec<String>,
    /// VEX documents, or directories of them: OpenVEX, CSAF or CycloneDX; `referrers` for those attached to the image
    #[arg(long, value_name = "FILE|DIR|referrers")]
    pub(crate) vex: Vec<PathBuf>,
    /// Public key in PEM: of what is attached to the image, honour only what it signed
    #[arg(long, value_name = "FILE")]
    pub(crate) vex_key: Option<PathBuf>,
    /// Findings that somebody has decided about, with reasons and dates: TOML or YAML
    #[arg(long, value_name = "FILE")]
    pub(crate) ignore: Vec<PathBuf>,
}

/// The form of a scan report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScanFormat {
    /// For people at a terminal.
    Table,
    /// Our own document, with everything.
    Json,
    /// SARIF 2.1.0, for code hosts.
    Sarif,
    /// CycloneDX 1.6 with vulnerabilities.
    Cyclonedx,
    /// JUnit XML, for build servers.
    Junit,
    /// Markdown, for pull requests.
    Markdown,
    /// GitLab's container scanning report.
    Gitlab,
}
