//! What can be typed to harden, and to see what hardening would do.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{ContainerArgs, DbArgs, ImageArgs};

/// `careen harden`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careen harden oci:redis --coverage redis -o oci:redis-hardened
  careen harden docker-archive:shop.tar --coverage shop.yaml -o docker-archive:shop-hardened.tar
  careen harden oci:shop --profile shop.profile --keep '/usr/share/zoneinfo/**' -o oci:shop-hardened
  careen harden oci:shop --coverage shop.yaml --attest --key cosign.key --attach

With both --profile and --coverage the profile decides what stays and the coverage verifies it. What a verification \
misses is kept, and the result verified again (--heal-rounds). Without --output-image the result stands beside the \
input, with `-hardened` in its name. The report, the ledger and the profile lie beside the result in a directory \
that ends in `.careen`.")]
pub(crate) struct HardenArgs {
    /// The image: oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:REF], a path, or a reference in a registry (several with
    /// --share-layers)
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<String>,
    /// Platform to pick from a multi-platform image, such as linux/arm64 [default: this host's]
    #[arg(long, value_name = "OS/ARCH")]
    pub(crate) platform: Option<String>,
    /// Coverage that exercises the image: a built-in name, a YAML file, or a script (one for each image, in their
    /// order)
    #[arg(long, short, value_name = "COVERAGE", required_unless_present = "profile")]
    pub(crate) coverage: Vec<String>,
    /// Use this workload profile instead of running the image (several are joined); one of another version of the
    /// image is carried over
    #[arg(long, short, value_name = "FILE")]
    pub(crate) profile: Vec<PathBuf>,
    /// Of the profiles, use the runs with this tag; without a profile, give it to the run
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Vec<String>,
    /// Where the hardened image goes: takes the forms of IMAGE (one for each image, in their order)
    #[arg(long, short = 'o', value_name = "IMAGE")]
    pub(crate) output_image: Vec<String>,
    /// Replace the output if it exists
    #[arg(long, short)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    /// Do not run the coverage again on the hardened image
    #[arg(long)]
    pub(crate) no_verify: bool,
    /// How often what a verification missed is kept and the result verified again; 0 for never
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) heal_rounds: u32,
    /// Also leave out each step in turn, as `careen evaluate` does, and put that into the report
    #[arg(long, requires = "coverage")]
    pub(crate) evaluate: bool,
    /// Compression of rewritten layers
    #[arg(long, value_enum, default_value_t = CompressionArg::Gzip, value_name = "FORMAT")]
    pub(crate) compression: CompressionArg,
    /// Write one layer of what all layers show
    #[arg(long)]
    pub(crate) squash: bool,
    /// Harden several images so that the layers they share stay shared
    #[arg(long, conflicts_with = "squash")]
    pub(crate) share_layers: bool,
    /// Directory for report, ledger and profiles [default: the output's path with `.careen`]
    #[arg(long, value_name = "DIR", conflicts_with = "share_layers")]
    pub(crate) artifacts: Option<PathBuf>,
    /// State what the hardening did, and SLSA provenance, in in-toto statements beside the report, as `careen attest` does
    #[arg(long)]
    pub(crate) attest: bool,
    /// Private key that signs the statements, PEM: of cosign or OpenSSL, ECDSA P-256 or Ed25519
    #[arg(long = "key", value_name = "FILE", requires = "attest")]
    pub(crate) attest_key: Option<PathBuf>,
    /// Lay the statements beside the image in its OCI layout, too, as referrers and where cosign looks
    #[arg(long, requires = "attest")]
    pub(crate) attach: bool,
    #[command(flatten)]
    pub(crate) container: ContainerArgs,
}

/// What to keep and to remove beside what was used.
#[derive(Debug, Args, Default)]
pub(crate) struct PolicyArgs {
    /// Policy file: TOML, YAML, or a list of patterns to keep; these options come on top
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Vec<PathBuf>,
    /// Keep what matches this pattern, used or not: a path, a glob over paths, or a name
    #[arg(long, value_name = "GLOB")]
    pub(crate) keep: Vec<String>,
    /// Remove what matches this pattern, used or not
    #[arg(long, value_name = "GLOB")]
    pub(crate) remove: Vec<String>,
    /// Keep a package whole but for documents
    #[arg(long, value_name = "NAME")]
    pub(crate) keep_package: Vec<String>,
    /// Remove a package
    #[arg(long, value_name = "NAME")]
    pub(crate) remove_package: Vec<String>,
    /// Which packages may go at all [default: aggressive]
    #[arg(long, value_enum, value_name = "PRESET")]
    pub(crate) preset: Option<PresetArg>,
    #[command(flatten)]
    pub(crate) db: DbArgs,
    /// Remove the licences of packages that stay, too
    #[arg(long)]
    pub(crate) no_licenses: bool,
    /// How far beyond what was seen to go
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) generalize: Option<GeneralizeArg>,
    /// Keep packages whole once an executable of theirs was used
    #[arg(long)]
    pub(crate) keep_packages_coherent: bool,
    /// Keep files that are neither programs, libraries nor scripts
    #[arg(long)]
    pub(crate) keep_data_files: bool,
    /// Keep a set of commands
    #[arg(long, value_enum, value_name = "KIT")]
    pub(crate) kit: Vec<KitArg>,
    /// What becomes of the package databases [default: filter]
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) package_db: Option<PackageDbArg>,
    /// Harden although the profile is incomplete
    #[arg(long)]
    pub(crate) accept_incomplete: bool,
    /// How much of what a profile of another version of the image says may be uncertain or lost [default: 10]
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) max_uncertain: Option<u8>,
}

/// Which packages may go at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PresetArg {
    /// Unused ones with a finding of high or critical severity; needs a database of advisories.
    Light,
    /// Unused ones with any finding; needs a database of advisories.
    Standard,
    /// All that is not used and not needed.
    Aggressive,
}

/// How far beyond what was seen a plan goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GeneralizeArg {
    /// What was used, and what that needs.
    None,
    /// Also what code that was used names literally.
    References,
    /// Also the rest of each imported package or library of a language.
    Package,
}

/// A set of commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KitArg {
    /// cp, mkdir, ls, grep, sed and their kin.
    CommonCommands,
    /// A shell.
    Shell,
    /// What one looks into a running container with.
    Debug,
}

/// What becomes of the package databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PackageDbArg {
    /// They stay as they are.
    Keep,
    /// They list what is still there.
    Filter,
    /// They go.
    Drop,
}

/// Compression of rewritten layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompressionArg {
    /// Read everywhere.
    Gzip,
    /// Smaller and faster; needs a recent engine.
    Zstd,
    /// Plain tar.
    None,
}

/// `careen evaluate`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careen evaluate oci:shop --coverage shop.yaml
  careen evaluate oci:shop --coverage shop.yaml --generalize references --step 'monthly report'
  careen evaluate oci:shop --coverage shop.yaml --output json > evaluation.json

A coverage never runs everything. For each of its steps, the image is hardened with the recording of all others, and \
the coverage is run on that: does the step that nobody recorded still work? The table tells it for each way of going \
beyond what was seen (--generalize), beside what that costs. Start-up (wait_for) and stop are never left out.")]
pub(crate) struct EvaluateArgs {
    #[command(flatten)]
    pub(crate) image: ImageArgs,
    /// Coverage that exercises the image: a built-in name, a YAML file, or a script
    #[arg(long, short, value_name = "COVERAGE")]
    pub(crate) coverage: String,
    /// Leave out only this step, or these
    #[arg(long, value_name = "NAME")]
    pub(crate) step: Vec<String>,
    /// With --generalize only that policy is tried, else all of them
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) container: ContainerArgs,
}

/// `careen plan`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careen plan oci:shop --coverage shop.yaml
  careen plan oci:shop --profile shop.profile --generalize package --top 30
  careen plan oci:shop --profile shop.profile --output json | jq '.packages[] | select(.kept.files == 0)'")]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) image: ImageArgs,
    /// Coverage that exercises the image: a built-in name, a YAML file, or a script
    #[arg(long, short, value_name = "COVERAGE", required_unless_present = "profile")]
    pub(crate) coverage: Option<String>,
    /// Use this workload profile instead of running the image (several are joined); one of another version of the
    /// image is carried over
    #[arg(long, short, value_name = "FILE")]
    pub(crate) profile: Vec<PathBuf>,
    /// Of the profiles, use the runs with this tag; without a profile, give it to the run
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Vec<String>,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    /// How many packages and directories to list; 0 for all
    #[arg(long, value_name = "N", default_value_t = 15)]
    pub(crate) top: usize,
    /// Write the whole ledger, for `careen explain --ledger`
    #[arg(long, value_name = "FILE")]
    pub(crate) ledger: Option<PathBuf>,
    /// Replace the ledger if it exists
    #[arg(long, short)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) container: ContainerArgs,
}

/// `careen policy`
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Check policy files, and tell what their rules match in an image
    #[command(after_help = "Examples:
  careen policy check shop.toml
  careen policy check shop.toml .rfignore --image oci:shop

A policy file is TOML, YAML or a list of patterns to keep; see docs/formats/policy.md.")]
    Check {
        /// The files; several are joined
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The image: oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:REF], or a path
        #[arg(long)]
        image: Option<String>,
        /// Platform to pick from a multi-platform image
        #[arg(long, value_name = "OS/ARCH")]
        platform: Option<String>,
    },
    /// Print a policy with every key, as a start for your own
    #[command(after_help = "Example:\n  careen policy example > shop.toml")]
    Example,
}
