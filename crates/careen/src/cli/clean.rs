//! What can be typed to have room back.

use clap::Args;

/// `careen clean`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careen clean --dry-run
  careen clean --all

Unpacked layers (store/ in the data directory) and blobs of registries (blobs/) that no command used for a month go \
by themselves at the end of later commands. Both come again when an image needs them. What another careen uses \
stays. Results, profiles and databases are never removed.")]
pub(crate) struct CleanArgs {
    /// Remove all that is not in use now, however lately it was; of blobs, what nobody read for an hour
    #[arg(long)]
    pub(crate) all: bool,
    /// Only tell what would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,
}
