//! What can be typed to run an image, and to handle what its runs recorded.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ContainerArgs, ImageArgs};

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

/// `careen profile`
#[derive(Debug, Subcommand)]
pub(crate) enum ProfileCommand {
    /// Print a profile: its runs, whether it is complete, and what was used
    #[command(
        after_help = "Examples:\n  careen profile show shop.profile\n  careen profile show shop.profile --system-calls --processes --network\n  careen profile show shop.profile --output json | jq '.runs[].activity.listening'"
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
        /// List the system calls that were made, and the capabilities with the calls that needed them
        #[arg(long)]
        system_calls: bool,
        /// List the programs that were started, under those that started them
        #[arg(long)]
        processes: bool,
        /// List where it listened and what it connected to, with the programs
        #[arg(long)]
        network: bool,
        /// Only runs with this tag
        #[arg(long, value_name = "TAG")]
        tag: Vec<String>,
    },
    /// Join profiles of one image into one
    #[command(after_help = "Examples:
  careen profile merge day.profile night.profile -o all.profile
  careen profile merge all.profile --tag ci --tag load-test -o tests.profile

Profiles of different versions of an image are not joined: carry the older one over first, with `careen profile \
carry`.")]
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
    /// List recordings that were cut off because careen was killed, or save one as a profile
    Recover(RecoverArgs),
}

/// `careen profile recover`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careen profile recover
  careen profile recover 4711-0 -o shop.profile
  careen profile recover 4711-0 --discard

The profile holds what was recorded until careen was killed and is marked as incomplete: `careen harden` refuses it \
unless told otherwise, and `careen profile merge` can join it with others. The image must lie where it was. That of \
a canary (`careen run --canary`) holds what had been looked for in vain.")]
pub(crate) struct RecoverArgs {
    /// Which recording, as listed
    pub(crate) id: Option<String>,
    /// Where its profile goes
    #[arg(long, short = 'o', value_name = "FILE", requires = "id")]
    pub(crate) output_profile: Option<PathBuf>,
    /// Ledger of the hardening, for a canary whose ledger does not lie beside the image
    #[arg(long, value_name = "FILE", requires = "output_profile")]
    pub(crate) ledger: Option<PathBuf>,
    /// Throw it away
    #[arg(long, requires = "id", conflicts_with = "output_profile")]
    pub(crate) discard: bool,
    /// Replace the output if it exists
    #[arg(long, short)]
    pub(crate) force: bool,
}

/// `careen profile carry`
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  careen profile carry shop-1.4.profile oci:shop-1.5 -o shop-1.5.profile

`careen harden NEW --profile OLD.profile` does the same by itself. The report tells what was carried, what is \
uncertain, what was lost and what is new; above --max-uncertain nothing is written.")]
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

/// `careen run`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careen run oci:shop-hardened
  careen run --read-only --user 12345 --cap-drop ALL oci:shop-hardened
  careen run oci:shop -- shop-server --version
  careen run --canary oci:shop-hardened -o canary.profile

With --canary a hardened image runs under the sensor, in staging, say. What it looked for and had been removed is \
told at the end, and written as a profile of the original. To keep it:
  careen profile merge shop-hardened.careen/original.profile canary.profile -o more.profile
  careen harden oci:shop --profile more.profile -o oci:shop-hardened --force
The container writes to standard output, the summary goes to standard error; with --output json it is the other way \
round.")]
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
