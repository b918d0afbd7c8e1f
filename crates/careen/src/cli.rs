//! What can be typed. Each struct holds the words as typed; commands resolve them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

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

An IMAGE is oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:REF] (as `docker save` writes);
a bare path to one of them is recognised.
Exit codes: 0 success, 2 usage, 3 image, 4 host, 5 document, 6 coverage, 7 profile, 8 verification, 9 output,
10 missed, 11 findings, 130 interrupted, 1 anything else.";

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
    /// What to log on standard error, such as `debug` or `engine=trace`
    #[arg(
        long,
        global = true,
        display_order = 904,
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
    /// Attest what a hardening did, or any document about an image: in-toto statements, signed or not
    Attest(AttestArgs),
    /// Tell what this host can do, what it cannot, why, and what to change
    #[command(after_help = "Example:\n  careen doctor --output json")]
    Doctor,
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
    /// The image: oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:REF], or a path
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
}

/// The network of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NetworkArg {
    /// Its own, with only a loopback device.
    Private,
    /// The host's.
    Host,
}

/// `careen harden`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careen harden oci:redis --coverage redis -o oci:redis-hardened
  careen harden docker-archive:shop.tar --coverage shop.yaml -o docker-archive:shop-hardened.tar
  careen harden oci:shop --profile shop.profile --keep '/usr/share/zoneinfo/**' -o oci:shop-hardened

With both --profile and --coverage the profile decides what stays and the coverage verifies it.
What a verification misses is kept, and the result verified again (--heal-rounds).
Without --output-image the result stands beside the input, with `-hardened` in its name. The report, the ledger and
the profile lie beside the result in a directory that ends in `.careen`.")]
pub(crate) struct HardenArgs {
    /// The image: oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:REF], or a path (several with
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

/// `careen record`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careen record oci:shop --coverage shop.yaml -o shop.profile
  careen record oci:shop --coverage load.sh --tag load-test -o load.profile")]
pub(crate) struct RecordArgs {
    #[command(flatten)]
    pub(crate) image: ImageArgs,
    /// Coverage that exercises the image: a built-in name, a YAML file, or a script
    #[arg(long, short, value_name = "COVERAGE")]
    pub(crate) coverage: String,
    /// Where the profile goes [default: NAME.profile in this directory]
    #[arg(long, short = 'o', value_name = "FILE")]
    pub(crate) output_profile: Option<PathBuf>,
    /// Name for runs of this sort, such as ci or load-test; `--tag` selects by it later
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Vec<String>,
    /// Replace the profile if it exists
    #[arg(long, short)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) container: ContainerArgs,
}

/// `careen verify`
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  careen verify oci:shop-hardened --coverage shop.yaml

Profile and ledger of the hardening are found beside the image, or by its digest in the data directory.")]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) image: ImageArgs,
    /// The coverage to run; the one that the image was hardened with, or another
    #[arg(long, short, value_name = "COVERAGE")]
    pub(crate) coverage: String,
    /// Profile of the original's run, to compare step results with
    #[arg(long, short, value_name = "FILE")]
    pub(crate) profile: Option<PathBuf>,
    /// Ledger of the hardening
    #[arg(long, value_name = "FILE")]
    pub(crate) ledger: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) container: ContainerArgs,
}

/// `careen evaluate`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careen evaluate oci:shop --coverage shop.yaml
  careen evaluate oci:shop --coverage shop.yaml --generalize references --step 'monthly report'
  careen evaluate oci:shop --coverage shop.yaml --output json > evaluation.json

A coverage never runs everything. For each of its steps, the image is hardened with the recording
of all others, and the coverage is run on that: does the step that nobody recorded still work? The
table tells it for each way of going beyond what was seen (--generalize), beside what that costs.
Start-up (wait_for) and stop are never left out.")]
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

/// `careen profile`
#[derive(Debug, Subcommand)]
pub(crate) enum ProfileCommand {
    /// Print a profile: its runs, whether it is complete, and what was used
    #[command(
        after_help = "Examples:\n  careen profile show shop.profile\n  careen profile show shop.profile --paths --output json"
    )]
    Show {
        /// The profile
        file: PathBuf,
        /// List every path with its kinds of use
        #[arg(long)]
        paths: bool,
        /// List lookups of paths that were not there
        #[arg(long)]
        missing: bool,
        /// Only runs with this tag
        #[arg(long, value_name = "TAG")]
        tag: Vec<String>,
    },
    /// Join profiles of one image into one
    #[command(after_help = "Examples:
  careen profile merge day.profile night.profile -o all.profile
  careen profile merge all.profile --tag ci --tag load-test -o tests.profile

Profiles of different versions of an image are not joined: carry the older one over first, with
`careen profile carry`.")]
    Merge {
        /// The profiles
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Only runs with this tag
        #[arg(long, value_name = "TAG")]
        tag: Vec<String>,
        /// Where the joined profile goes
        #[arg(long, short = 'o', value_name = "FILE")]
        output_profile: PathBuf,
        /// Replace the output if it exists
        #[arg(long, short)]
        force: bool,
    },
    /// Carry a profile over to another version of its image
    Carry(CarryArgs),
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

/// `careen profile carry`
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  careen profile carry shop-1.4.profile oci:shop-1.5 -o shop-1.5.profile

`careen harden NEW --profile OLD.profile` does the same by itself. The report tells what was
carried, what is uncertain, what was lost and what is new; above --max-uncertain nothing is written.")]
pub(crate) struct CarryArgs {
    /// The profile of another version
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) image: ImageArgs,
    /// Where the carried profile goes; without it there is only the report
    #[arg(long, short = 'o', value_name = "FILE")]
    pub(crate) output_profile: Option<PathBuf>,
    /// Replace the output if it exists
    #[arg(long, short)]
    pub(crate) force: bool,
    /// Only runs with this tag
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Vec<String>,
    /// How much may be uncertain or lost
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) max_uncertain: u8,
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

The page needs no network and no other file. With what `careen scan --output json` printed it lists
the findings too, hot, cold and gone.")]
pub(crate) struct ReportArgs {
    /// The original or the hardened image, or the result.json of the hardening
    pub(crate) subject: String,
    /// Where the page goes; - for standard output [default: report.html in NAME.careen, or beside result.json]
    #[arg(long, short = 'o', value_name = "FILE")]
    pub(crate) output_file: Option<PathBuf>,
    /// What a scan of the original found, by this hardening (JSON)
    #[arg(long, value_name = "FILE")]
    pub(crate) scan: Option<PathBuf>,
    /// Platform to pick from a multi-platform image
    #[arg(long, value_name = "OS/ARCH")]
    pub(crate) platform: Option<String>,
}

/// `careen coverage`
#[derive(Debug, Subcommand)]
pub(crate) enum CoverageCommand {
    /// List the built-in coverages
    List,
    /// Print a built-in coverage, as a start for your own
    #[command(after_help = "Example:\n  careen coverage show redis > shop.yaml")]
    Show {
        /// Its name
        name: String,
    },
    /// Check a coverage file without running it
    #[command(after_help = "Example:\n  careen coverage check shop.yaml")]
    Check {
        /// The file
        file: String,
    },
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

/// `careen run`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careen run oci:shop-hardened
  careen run --read-only --user 12345 --cap-drop ALL oci:shop-hardened
  careen run oci:shop -- shop-server --version
  careen run --canary oci:shop-hardened -o canary.profile

With --canary a hardened image runs under the sensor, in staging, say. What it looked for and
had been removed is told at the end, and written as a profile of the original. To keep it:
  careen profile merge shop-hardened.careen/original.profile canary.profile -o more.profile
  careen harden oci:shop --profile more.profile -o oci:shop-hardened --force
The container writes to standard output, the summary goes to standard error; with --output json
it is the other way round.")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) image: ImageArgs,
    #[command(flatten)]
    pub(crate) container: ContainerArgs,
    /// Replace the image's entrypoint
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) entrypoint: Option<String>,
    /// Watch a hardened image for lookups of what was removed
    #[arg(long)]
    pub(crate) canary: bool,
    /// Where the canary's profile goes [default: NAME.canary.profile in this directory]
    #[arg(long, short = 'o', value_name = "FILE", requires = "canary")]
    pub(crate) output_profile: Option<PathBuf>,
    /// Replace the canary's profile if it exists
    #[arg(long, short, requires = "canary")]
    pub(crate) force: bool,
    /// Ledger of the hardening, where it does not lie beside the image
    #[arg(long, value_name = "FILE", requires = "canary")]
    pub(crate) ledger: Option<PathBuf>,
    /// Replace the image's command
    #[arg(last = true)]
    pub(crate) cmd: Vec<String>,
}

/// Which database of advisories.
#[derive(Debug, Args, Default)]
pub(crate) struct DbArgs {
    /// The database of advisories [default: db/advisories.db in the data directory]
    #[arg(long, value_name = "FILE", env = "CAREEN_DB")]
    pub(crate) db: Option<PathBuf>,
}

/// `careen db`
#[derive(Debug, Subcommand)]
pub(crate) enum DbCommand {
    /// Build the database from files, directories and URLs
    Build(DbBuildArgs),
    /// Fetch what changed upstream, or a finished database from a mirror
    Update(DbUpdateArgs),
    /// Tell what the database was built from, and how old it is
    #[command(after_help = "Examples:\n  careen db status\n  careen db status --check --output json")]
    Status {
        #[command(flatten)]
        db: DbArgs,
        /// Compare every byte with the checksum
        #[arg(long)]
        check: bool,
    },
    /// Tell what is known of a vulnerability
    #[command(after_help = "Examples:\n  careen db show CVE-2021-44228\n  careen db show DSA-5865-1")]
    Show {
        #[command(flatten)]
        db: DbArgs,
        /// Any of its names, or that of an advisory
        name: String,
    },
}

/// `careen db build`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careen db build --from downloads
  careen db build --from osv-PyPI.zip --from epss_scores.csv.gz -o advisories.db

Formats are told by content, compressed (.zst, .gz, .zip) or not: OSV (JSON, lines, zip), Debian's tracker (JSON, the
lists of CVEs, DSAs and DLAs), changelog CVEs, source versions, distro-info and debian-security-support, Alpine secdb,
CISA KEV, EPSS, vulnrichment, CVE 5, NVD 2.0, retire.js, Node.js. Other files are left out, and counted in the status.
The same files and the same --date (or SOURCE_DATE_EPOCH) give the same bytes.")]
pub(crate) struct DbBuildArgs {
    /// File, directory or URL
    #[arg(long, required = true, num_args = 1.., value_name = "FROM")]
    pub(crate) from: Vec<String>,
    /// Where the database goes [default: that of --db]
    #[arg(long, short = 'o', value_name = "FILE")]
    pub(crate) output_db: Option<PathBuf>,
    /// Date of the build [default: SOURCE_DATE_EPOCH, else now]
    #[arg(long, value_name = "DATE")]
    pub(crate) date: Option<String>,
    #[command(flatten)]
    pub(crate) db: DbArgs,
}

/// `careen db update`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careen db update
  careen db update --ecosystem PyPI --ecosystem Alpine
  careen db update --mirror https://mirror.example/careen --public-key minisign.pub

Without a mirror, files come from OSV's bucket, Debian's tracker, CISA and FIRST; only what changed is fetched, and a
broken download goes on where it broke off. The old database stays in use until the new one is whole.")]
pub(crate) struct DbUpdateArgs {
    /// Take the finished database of this mirror
    #[arg(long, value_name = "URL")]
    pub(crate) mirror: Option<String>,
    /// Public key of minisign, or a file that holds it: the mirror's index must be signed with it
    #[arg(long, value_name = "KEY", requires = "mirror")]
    pub(crate) public_key: Option<String>,
    /// Take the mirror's database although it is older than what is there
    #[arg(long, short, requires = "mirror")]
    pub(crate) force: bool,
    /// Ecosystem of OSV to fetch instead of the usual ones
    #[arg(long, value_name = "NAME", conflicts_with = "mirror")]
    pub(crate) ecosystem: Vec<String>,
    #[command(flatten)]
    pub(crate) db: DbArgs,
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

Of an image that careen hardened, or that it was made from, profile and ledger are found by digest. Findings of a
hardened image are those of its original, less the packages of which no file is left: what a package database lists or
does not list changes no count. Nothing is fetched: the database is that of `careen db`.
--fail-on takes [hot-|warm-|cold-] and any, kev, fixable, critical, high, medium, low, negligible or epss-PERCENT; a heat
means that one and hotter ones, and what nobody recorded counts as hot. The exit code is then 11.")]
pub(crate) struct ScanArgs {
    /// The image: oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:REF], a path, or an SBOM (CycloneDX or
    /// SPDX, JSON)
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
    /// Where it goes [default: standard output]
    #[arg(long, short = 'o', value_name = "FILE")]
    pub(crate) output_file: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long, short)]
    pub(crate) force: bool,
    /// How many findings a table shows; 0 for all
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) top: usize,
    /// Fail if a finding meets one of these conditions
    #[arg(long, value_name = "CONDITION", value_delimiter = ',')]
    pub(crate) fail_on: Vec<String>,
    /// VEX documents, or directories of them: OpenVEX, CSAF or CycloneDX
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) vex: Vec<PathBuf>,
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

/// `careen sbom`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careen sbom oci:shop
  careen sbom oci:shop --format cyclonedx -o shop.cdx.json
  careen sbom oci:shop-hardened --format spdx | trivy sbom -

Without --created the document is as old as the image says it is, or as SOURCE_DATE_EPOCH says: the same
image gives the same bytes. Of a hardened image, packages that lost files are marked.")]
pub(crate) struct SbomArgs {
    #[command(flatten)]
    pub(crate) image: ImageArgs,
    /// The form of the list [default: table; with --output json: json]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<SbomFormat>,
    /// Where it goes [default: standard output]
    #[arg(long, short = 'o', value_name = "FILE")]
    pub(crate) output_file: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long, short)]
    pub(crate) force: bool,
    /// When the document is said to be made, such as 2026-11-22T13:30:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) created: Option<String>,
    /// Leave out the lists of files that packages own
    #[arg(long)]
    pub(crate) no_files: bool,
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

/// Where a document goes and how old it says it is.
#[derive(Debug, Args)]
pub(crate) struct DocumentArgs {
    /// Where it goes [default: standard output]
    #[arg(long, short = 'o', value_name = "FILE")]
    pub(crate) output_file: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long, short)]
    pub(crate) force: bool,
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
  careen vex oci:shop --hardened oci:shop-hardened --author \"Shop <security@shop.example>\" -o shop.vex.json
  careen vex oci:shop --profile shop.profile --format csaf --author Shop --author-url https://shop.example
  trivy image --vex shop.vex.json registry.example/shop@sha256:…

What was removed is not affected, with the removed files named. Code that was seen running is affected, with the
version that fixes it. What is there and was never seen running stays under investigation, unless
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

Without --predicate two statements are made of a hardened image: what the hardening did, and SLSA provenance. Without
--key they are not signed. --attach writes into the image's OCI layout: beside the image, which does not change.
The password of an encrypted key is read from COSIGN_PASSWORD.")]
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
    #[arg(long, value_name = "URI", default_value = "urn:careen:builder:local")]
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
