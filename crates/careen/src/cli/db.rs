//! What can be typed to make and look at the database of advisories.

use std::path::PathBuf;

use clap::{Args, Subcommand};

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

Formats are told by content, compressed (.zst, .gz, .zip) or not: OSV (JSON, lines, zip), Debian's tracker (JSON, \
the lists of CVEs, DSAs and DLAs), changelog CVEs, source versions, distro-info and debian-security-support, Alpine \
secdb, CISA KEV, EPSS, vulnrichment, CVE 5, NVD 2.0, retire.js, Node.js. Other files are left out, and counted in \
the status. The same files and the same --date (or SOURCE_DATE_EPOCH) give the same bytes.")]
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
  careen db update --feeds https://files.example/vulnerabilities
  careen db update --mirror https://mirror.example/careen --public-key minisign.pub

Without a mirror, files come from OSV's bucket, Debian's tracker, CISA and FIRST; only what changed is fetched, and \
a broken download goes on where it broke off. The old database stays in use until the new one is whole. If one of \
them cannot be fetched, the others still go in, `careen db status` names it, and the exit code is 12. Proxies are \
taken from HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY; --ca-file names an authority of your own.")]
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
    /// Copies of the upstreams' files: debian-tracker.json, known_exploited_vulnerabilities.json,
    /// epss_scores-current.csv.gz and osv/ECOSYSTEM/all.zip below this address
    #[arg(long, value_name = "URL", conflicts_with = "mirror")]
    pub(crate) feeds: Option<String>,
    #[command(flatten)]
    pub(crate) db: DbArgs,
}
