//! What can be typed to write documents about an image.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{DbArgs, ImageArgs};

/// `careen sbom`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careen sbom oci:shop
  careen sbom oci:shop --format cyclonedx -o shop.cdx.json
  careen sbom oci:shop-hardened --format spdx | trivy sbom /dev/stdin

Without --created the document is as old as the image says it is, or as SOURCE_DATE_EPOCH says: the same image gives \
the same bytes. Of a hardened image, packages that lost files are marked.")]
pub(crate) struct SbomArgs {
    #[command(flatten)]
    pub(crate) image: ImageArgs,
    /// The form of the list [default: table; with --output json: json]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<SbomFormat>,
    #[command(flatten)]
    pub(crate) document: DocumentArgs,
    /// Leave out the lists of files that packages own
    #[arg(long)]
    pub(crate) no_files: bool,
    /// Read the files that packages own for their SHA-1 and SHA-256: SPDX 2.3 lists no file without
    #[arg(long, conflicts_with = "no_files")]
    pub(crate) checksums: bool,
    /// Who supplies the image: a name, with an address if you like [default: its label vendor or authors]
    #[arg(long, value_name = "NAME")]
    pub(crate) supplier: Option<String>,
}

/// The form of a list of components.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SbomFormat {
    /// Lines for people.
    Table,
    /// CycloneDX 1.6, JSON.
    Cyclonedx,
    /// SPDX 2.3, JSON.
    Spdx,
    /// SPDX 3.0.1, JSON-LD.
    Spdx3,
    /// Careen's own JSON.
    Json,
}

/// `careen rbom`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  careen rbom oci:shop --profile shop.profile
  careen rbom oci:shop-hardened --profile shop-hardened.careen/hardened.profile -o shop.rbom.json
  careen rbom oci:shop --profile shop.profile --format runtime-trace -o shop.trace.json

Only what the runs of the profile executed, mapped, read or wrote is listed; what was only looked up is not.")]
pub(crate) struct RbomArgs {
    #[command(flatten)]
    pub(crate) image: ImageArgs,
    /// The profile of its runs; several are joined
    #[arg(long, short, value_name = "FILE", required = true)]
    pub(crate) profile: Vec<PathBuf>,
    /// The form of the list
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "cyclonedx")]
    pub(crate) format: RbomFormat,
    #[command(flatten)]
    pub(crate) document: DocumentArgs,
}

/// Where a result goes.
#[derive(Debug, Args)]
pub(crate) struct DestinationArgs {
    /// Where it goes [default: standard output]
    #[arg(long, short = 'o', value_name = "FILE")]
    pub(crate) output_file: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long, short)]
    pub(crate) force: bool,
}

/// Where a document goes and how old it says it is.
#[derive(Debug, Args)]
pub(crate) struct DocumentArgs {
    #[command(flatten)]
    pub(crate) destination: DestinationArgs,
    /// When the document is said to be made, such as 2026-11-22T13:30:00Z [default: SOURCE_DATE_EPOCH, else as the image]
    #[arg(long, value_name = "TIME")]
    pub(crate) created: Option<String>,
}

/// The form of a list of what ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RbomFormat {
    /// CycloneDX 1.6, JSON, lifecycle "operations".
    Cyclonedx,
    /// in-toto statement, predicate runtime-trace/v0.1.
    RuntimeTrace,
}

/// `careen vex`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  careen vex oci:shop --hardened oci:shop-hardened --name registry.example/shop -o shop.vex.json
  careen vex oci:shop --profile shop.profile --format csaf --author Shop --author-url https://shop.example
  trivy image --vex shop.vex.json registry.example/shop@sha256:…

What was removed is not affected, with the removed files named. Code that was seen running is affected, with the \
version that fixes it. What is there and was never seen running stays under investigation, unless \
--claim-not-executed takes it upon you; the statement then says what the runs covered.")]
pub(crate) struct VexArgs {
    #[command(flatten)]
    pub(crate) image: ImageArgs,
    /// The hardened image that the document is about [default: the document is about the original]
    #[arg(long, value_name = "IMAGE")]
    pub(crate) hardened: Option<String>,
    /// Ledger of the hardening [default: what the hardening left, by the image's digest]
    #[arg(long, value_name = "FILE", requires = "hardened")]
    pub(crate) ledger: Option<PathBuf>,
    /// Profile of runs of the original; several are joined [default: that of the hardening]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) profile: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) db: DbArgs,
    /// The form of the document
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "openvex")]
    pub(crate) format: VexFormat,
    /// Who says it: a name, with an address if you like
    #[arg(long, value_name = "NAME", default_value = "Unknown author")]
    pub(crate) author: String,
    /// Address on the web of who says it; CSAF needs one
    #[arg(long, value_name = "URL")]
    pub(crate) author_url: Option<String>,
    /// What the image is called in its registry, such as registry.example/shop: scanners apply a document to the image of
    /// that name and digest [default: its name, if that is a full one]
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) name: Option<String>,
    /// Claim that code that no run executed is not in the execution path
    #[arg(long)]
    pub(crate) claim_not_executed: bool,
    /// Name packages as products of their own too, for scans that do not know the image's digest; such a document must
    /// be used with this image only
    #[arg(long)]
    pub(crate) bare_packages: bool,
    #[command(flatten)]
    pub(crate) document: DocumentArgs,
}

/// The form of a document about exploitability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum VexFormat {
    /// OpenVEX 0.2.0.
    Openvex,
    /// CSAF 2.0, profile VEX.
    Csaf,
    /// CycloneDX 1.6 with analyses.
    Cyclonedx,
}

/// `careen attest`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  careen attest oci:shop-hardened --key cosign.key -o attestations
  careen attest oci:shop-hardened --key cosign.key --attach
  careen attest oci:shop-hardened --predicate shop.vex.json --type https://openvex.dev/ns/v0.2.0 --attach

Without --predicate two statements are made of a hardened image: what the hardening did, and SLSA provenance. \
Without --key they are not signed. --attach writes into the image's OCI layout: beside the image, which does not \
change. The password of an encrypted key is read from COSIGN_PASSWORD.")]
pub(crate) struct AttestArgs {
    #[command(flatten)]
    pub(crate) image: ImageArgs,
    /// Private key, PEM: of cosign or OpenSSL, ECDSA P-256 or Ed25519
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Attest this JSON document instead, such as a VEX, an SBOM or an RBOM
    #[arg(long, value_name = "FILE", requires = "predicate_type")]
    pub(crate) predicate: Option<PathBuf>,
    /// The type of the document
    #[arg(long = "type", value_name = "URI", requires = "predicate")]
    pub(crate) predicate_type: Option<String>,
    /// Who ran the hardening, in the provenance
    #[arg(long, value_name = "URI", default_value = crate::attesting::LOCAL_BUILDER)]
    pub(crate) builder: String,
    /// Ledger of the hardening [default: what the hardening left, by the image's digest]
    #[arg(long, value_name = "FILE")]
    pub(crate) ledger: Option<PathBuf>,
    /// Profile of the hardening [default: the same]
    #[arg(long, value_name = "FILE")]
    pub(crate) profile: Option<PathBuf>,
    /// Result of the hardening, which tells of its verification [default: result.json beside the image]
    #[arg(long, value_name = "FILE")]
    pub(crate) result: Option<PathBuf>,
    /// Directory for the attestations
    #[arg(long, short = 'o', value_name = "DIR", required_unless_present = "attach")]
    pub(crate) output_dir: Option<PathBuf>,
    /// Lay them beside the image in its OCI layout, as referrers and where cosign looks
    #[arg(long)]
    pub(crate) attach: bool,
}
