//! What can be typed. Each struct holds the words as typed; commands resolve them.

mod clean;
mod db;
mod documents;
mod harden;
mod look;
mod record;
mod registry;
mod scan;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use clean::CleanArgs;
pub(crate) use db::{DbArgs, DbBuildArgs, DbCommand, DbUpdateArgs};
pub(crate) use documents::{
    AttestArgs, DestinationArgs, RbomArgs, RbomFormat, SbomArgs, SbomFormat, VexArgs, VexFormat,
};
pub(crate) use harden::{
    CompressionArg, EvaluateArgs, GeneralizeArg, HardenArgs, KitArg, PackageDbArg, PlanArgs, PolicyArgs,
    PolicyCommand, PresetArg,
};
pub(crate) use look::{DiffArgs, ExplainArgs, InspectArgs, ReportArgs, ValidateArgs};
pub(crate) use record::{
    CarryArgs, CoverageCommand, ProfileCommand, RecordArgs, RecoverArgs, RunArgs, VerifyArgs,
};
pub(crate) use registry::{RegistryCommand, RegistryFormat, RegistryScanArgs};
pub(crate) use scan::{DecisionArgs, ScanArgs, ScanFormat};

/// Scrapes the barnacles off container images.
///
/// Careen runs an image under a sensor while a coverage script exercises it, records which files were really used,
/// and writes a new image without the rest: same behaviour, a fraction of the size, packages and CVEs.
#[derive(Debug, Parser)]
#[command(name = "careen", version, max_term_width = 100, propagate_version = true, after_help = TOP_EXAMPLES)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: Global,
}

const TOP_EXAMPLES: &str = "\
Examples:
  careen harden oci:redis --coverage redis -o oci:redis-hardened
  careen record oci:shop --coverage shop.yaml -o shop.profile
  careen profile show shop.profile
  careen harden oci:shop --profile shop.profile -o oci:shop-hardened
  careen verify oci:shop-hardened --coverage shop.yaml
  careen evaluate oci:shop --coverage shop.yaml
  careen explain oci:shop-hardened /usr/bin/perl

An IMAGE is oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:REF] (as `docker save` writes); a bare path \
to one of them is recognised. dir:ROOTFS is an unpacked root file system, or a tar of one. Anything else is looked for \
in a registry: redis:7, ghcr.io/shop/app:1.4, docker://localhost:5000/shop; log-ins are those of docker and podman.

Exit codes: 0 success, 2 usage, 3 image, 4 host, 5 document, 6 coverage, 7 profile, 8 verification, 9 output, 10 \
missed, 11 findings, 12 partly done, 130 interrupted, 1 anything else.";

/// Options that every command has. They stand after its own: without an order, each new command would move them.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// How to print results: for people, or as JSON for programs
    #[arg(long, global = true, display_order = 901, value_enum, default_value_t = OutputFormat::Text, value_name = "FORMAT")]
    pub(crate) output: OutputFormat,
    /// Print no progress
    #[arg(long, short, global = true, display_order = 902)]
    pub(crate) quiet: bool,
    /// Where unpacked layers, state and results are kept [default: $XDG_DATA_HOME/careen]
    #[arg(long, global = true, display_order = 903, value_name = "DIR", env = "CAREEN_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Speak to registries without TLS; to this machine itself that is tried anyway
    #[arg(long, global = true, display_order = 904)]
    pub(crate) plain_http: bool,
    /// Certificates of an authority that registries are trusted by, too, in PEM
    #[arg(long, global = true, display_order = 905, value_name = "FILE", env = "CAREEN_CA_FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// What to log on standard error, such as `debug` or `engine=trace`
    #[arg(
        long,
        global = true,
        display_order = 906,
        value_name = "FILTER",
        env = "CAREEN_LOG",
        default_value = "warn"
    )]
    pub(crate) log: String,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// Tables and sentences.
    Text,
    /// One JSON document.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run an image under coverage, remove what was not used, verify the result
    Harden(Box<HardenArgs>),
    /// Run an image under coverage and write its workload profile
    Record(RecordArgs),
    /// Run a coverage on a hardened image and compare with the original's run
    Verify(VerifyArgs),
    /// Leave out one step of a coverage at a time, and see whether it still works on what is kept without it
    Evaluate(Box<EvaluateArgs>),
    /// Look at workload profiles, or join several
    #[command(subcommand)]
    Profile(ProfileCommand),
    /// Tell what a hardening would remove, without writing an image
    Plan(Box<PlanArgs>),
    /// Tell why a path was kept or removed
    Explain(ExplainArgs),
    /// Write the page of a hardening again
    Report(ReportArgs),
    /// Compare two images: layers, files, packages, settings
    Diff(DiffArgs),
    /// List, show and check coverages
    #[command(subcommand)]
    Coverage(CoverageCommand),
    /// Check policy files, or print one with every key
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Build, update and look at the database of advisories
    #[command(subcommand)]
    Db(DbCommand),
    /// Run an image in the embedded engine
    Run(RunArgs),
    /// Recompute every digest, size and diff ID of an image
    Validate(ValidateArgs),
    /// Print what an image holds: size, files, executables, packages, …
    Inspect(InspectArgs),
    /// Find known vulnerabilities, and tell which of them matter: hot, warm, cold, gone
    Scan(Box<ScanArgs>),
    /// List the components of an image: CycloneDX, SPDX, a table, our own JSON
    Sbom(SbomArgs),
    /// List what of an image ran: components with the files, processes and steps that show it
    Rbom(RbomArgs),
    /// Say which known vulnerabilities touch an image, each with its evidence: OpenVEX, CSAF, CycloneDX
    Vex(Box<VexArgs>),
    /// Scan images of registries: all tags of a repository, all repositories of a catalog
    #[command(subcommand)]
    Registry(RegistryCommand),
    /// Attest what a hardening did, or any document about an image: in-toto statements, signed or not
    Attest(AttestArgs),
    /// Tell what this host can do, what it cannot, why, and what to change
    #[command(after_help = "Example:\n  careen doctor --output json")]
    Doctor,
    /// Remove unpacked layers and fetched blobs that are not in use, and tell what that freed
    Clean(CleanArgs),
    /// Print the completion script for a shell
    #[command(after_help = "Example:\n  careen completions bash > /etc/bash_completion.d/careen")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages
    #[command(after_help = "Example:\n  careen man /usr/local/share/man/man1")]
    Man {
        /// Directory for the pages; it must exist
        dir: PathBuf,
    },
}

/// Which image, and which of its platforms.
#[derive(Debug, Args)]
pub(crate) struct ImageArgs {
    /// The image: oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:REF], a path, or a reference in a registry
    pub(crate) image: String,
    /// Platform to pick from a multi-platform image, such as linux/arm64 [default: this host's]
    #[arg(long, value_name = "OS/ARCH")]
    pub(crate) platform: Option<String>,
}

/// How the container is run.
#[derive(Debug, Args, Default)]
pub(crate) struct ContainerArgs {
    /// Network of the container: its own with loopback only, or the host's
    #[arg(long, value_enum, value_name = "NETWORK")]
    pub(crate) network: Option<NetworkArg>,
    /// Set an environment variable
    #[arg(long, short, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<String>,
    /// Run as this user instead of the image's: name, uid, or either with :group
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Mount the root file system read-only; volumes stay writable
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Drop a capability, or ALL
    #[arg(long, value_name = "CAP")]
    pub(crate) cap_drop: Vec<String>,
    /// Add a capability
    #[arg(long, value_name = "CAP")]
    pub(crate) cap_add: Vec<String>,
    /// Mount an empty tmpfs at this path
    #[arg(long, value_name = "PATH")]
    pub(crate) tmpfs: Vec<String>,
    /// What watches: eBPF programs, notification of system calls, or the first that works here
    #[arg(long, value_enum, default_value_t, value_name = "SENSOR")]
    pub(crate) sensor: SensorArg,
}

/// What watches a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum SensorArg {
    /// eBPF where it loads, else notification.
    #[default]
    Auto,
    /// eBPF: sees everything, needs root.
    Ebpf,
    /// Notification of system calls: needs no privilege, slows file access down.
    Notify,
    /// eBPF without hooks within the kernel.
    #[value(hide = true)]
    EbpfBase,
    /// eBPF with hooks at the entry of functions.
    #[value(hide = true)]
    EbpfFentry,
    /// eBPF with hooks of the BPF security module.
    #[value(hide = true)]
    EbpfLsm,
}

/// The network of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NetworkArg {
    /// Its own, with only a loopback device.
    Private,
    /// The host's.
    Host,
}
