//! What can be typed to look at images and at what was done to them.

use std::path::PathBuf;

use clap::Args;

use super::{DbArgs, ImageArgs};

/// `careen diff`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careen diff oci:shop oci:shop-hardened
  careen diff docker-archive:shop-1.4.tar docker-archive:shop-1.5.tar --top 0
  careen diff oci:a oci:b --exit-code > /dev/null")]
pub(crate) struct DiffArgs {
    /// The first image: oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:REF], or a path
    pub(crate) a: String,
    /// The second image
    pub(crate) b: String,
    /// Platform to pick from multi-platform images, such as linux/arm64 [default: this host's]
    #[arg(long, value_name = "OS/ARCH")]
    pub(crate) platform: Option<String>,
    /// How many paths and packages of each sort to list; 0 for all
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) top: usize,
    /// End with exit code 1 if the images differ
    #[arg(long)]
    pub(crate) exit_code: bool,
}

/// `careen explain`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careen explain oci:shop-hardened /usr/lib/x86_64-linux-gnu/libssl.so.3
  careen explain oci:shop /usr/bin/perl --ledger shop-hardened.careen/ledger.json.zst")]
pub(crate) struct ExplainArgs {
    /// The original or the hardened image
    pub(crate) image: String,
    /// The path in the image
    #[arg(required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// The ledger, where it does not lie beside the image
    #[arg(long, value_name = "FILE")]
    pub(crate) ledger: Option<PathBuf>,
    /// Platform to pick from a multi-platform image
    #[arg(long, value_name = "OS/ARCH")]
    pub(crate) platform: Option<String>,
}

/// `careen report`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careen report oci:shop-hardened -o shop.html
  careen report shop-hardened.careen/result.json --scan shop.scan.json

The page needs no network and no other file. It lists the findings too, hot, cold and gone: those of the scan that \
the hardening left, or of --scan; else the original is scanned if there is a database.")]
pub(crate) struct ReportArgs {
    /// The original or the hardened image, or the result.json of the hardening
    pub(crate) subject: String,
    /// Where the page goes; - for standard output [default: report.html in NAME.careen, or beside result.json]
    #[arg(long, short = 'o', value_name = "FILE")]
    pub(crate) output_file: Option<PathBuf>,
    /// What a scan of the original found, by this hardening (JSON) [default: scan.json beside result.json]
    #[arg(long, value_name = "FILE")]
    pub(crate) scan: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) db: DbArgs,
    /// Platform to pick from a multi-platform image
    #[arg(long, value_name = "OS/ARCH")]
    pub(crate) platform: Option<String>,
}

/// `careen validate`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  careen validate oci:shop-hardened")]
pub(crate) struct ValidateArgs {
    #[command(flatten)]
    pub(crate) image: ImageArgs,
}

/// `careen inspect`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  careen inspect oci:shop --output json")]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    pub(crate) image: ImageArgs,
}
