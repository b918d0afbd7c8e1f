//! What can be typed after `careen registry`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{DbArgs, DecisionArgs, DestinationArgs};

/// `careen registry`
#[derive(Debug, Subcommand)]
pub(crate) enum RegistryCommand {
    /// Find known vulnerabilities in all images of repositories or catalogs
    Scan(Box<RegistryScanArgs>),
}

/// `careen registry scan`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careen registry scan registry.example/shop/app
  careen registry scan registry.example/shop/app:1.4 --fail-on kev,critical
  careen registry scan 'registry.example/shop/*' --tags '1.*' --newest 3
  careen registry scan registry.example/ --state shop.state --jobs 8 --output json > shop.json

WHAT is a repository (all its tags), one image (HOST/REPOSITORY:TAG or @DIGEST), a pattern over the repositories of \
a catalog, or HOST/ for all of it. Log-ins are those of docker and podman.

A layer is fetched once, and removed when no image needs it any more; an image whose layers were listed in an earlier \
run needs none. With --keep-layers they stay for later walks and other commands, until none read them for a month. \
With --state, an image is scanned again only if its tag, the database or these options changed, and a walk that was \
interrupted goes on where it was.

An image that cannot be scanned is told of at the end; the exit code is then 3. --fail-on takes what it takes in \
`careen scan`.")]
pub(crate) struct RegistryScanArgs {
    /// What to scan
    #[arg(required = true, value_name = "WHAT")]
    pub(crate) what: Vec<String>,
    /// Only tags that match one of these patterns
    #[arg(long, value_name = "GLOB")]
    pub(crate) tags: Vec<String>,
    /// Only the last N tags of each repository, in the order of versions: 1.10 is after 1.9, `latest` before both
    #[arg(long, value_name = "N")]
    pub(crate) newest: Option<NonZeroUsize>,
    /// Platform to pick from multi-platform images, such as linux/arm64 [default: this host's]
    #[arg(long, value_name = "OS/ARCH")]
    pub(crate) platform: Option<String>,
    /// How many images are looked at at once
    #[arg(long, value_name = "N", default_value = "4")]
    pub(crate) jobs: NonZeroUsize,
    /// Remember here what was done, and do not do it again
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// Keep the layers, for other commands
    #[arg(long)]
    pub(crate) keep_layers: bool,
    #[command(flatten)]
    pub(crate) db: DbArgs,
    /// The form of the result [default: table; with --output json: json]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<RegistryFormat>,
    #[command(flatten)]
    pub(crate) destination: DestinationArgs,
    /// Also write the whole report of each image into this directory, as `careen scan --format json` does
    #[arg(long, value_name = "DIR")]
    pub(crate) reports: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) decisions: DecisionArgs,
}

/// The form of the result of a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RegistryFormat {
    /// For people at a terminal.
    Table,
    /// Our own document.
    Json,
    /// A row for each image, for spreadsheets.
    Csv,
    /// A table in Markdown.
    Markdown,
}
