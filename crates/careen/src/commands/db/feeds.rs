//! The files of the upstreams themselves. One that cannot be fetched does not keep the others out: its older copy is
//! used if there is one, the database notes it, and the command says so with a code of its own.

use std::error::Error;
use std::fs;
use std::path::Path;

use advisories::import::{Import, Limits};

use super::{build, update};
use crate::cli::DbUpdateArgs;
use crate::context::Context;
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::fetch::{Client, FetchError};

/// Ecosystems of OSV that are fetched unless others are named. Debian's come from its tracker, which says more.
const ECOSYSTEMS: [&str; 10] =
    ["Alpine", "Bitnami", "Go", "Maven", "NuGet", "Packagist", "PyPI", "RubyGems", "crates.io", "npm"];

/// Beside OSV: the name of the file here and at a place given by `--feeds`, and where it is published.
const UPSTREAMS: [(&str, &str); 3] = [
    ("debian-tracker.json", "https://security-tracker.debian.org/tracker/data/json"),
    (
        "known_exploited_vulnerabilities.json",
        "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json",
    ),
    ("epss_scores-current.csv.gz", "https://epss.empiricalsecurity.com/epss_scores-current.csv.gz"),
];

const OSV: &str = "https://storage.googleapis.com/osv-vulnerabilities";

/// A file that an upstream publishes.
struct Feed {
    /// Of its copy in the cache.
    name: String,
    url: String,
}

/// One that could not be fetched.
struct Lacking<'a> {
    feed: &'a Feed,
    why: String,
    is_older_there: bool,
}

/// Fetches what changed, and builds the database of all that is there.
pub(super) fn run(
    context: &Context,
    args: &DbUpdateArgs,
    client: &Client<'_>,
    cache: &Path,
) -> Result<(), Failure> {
    let feeds = feeds(args);
    let mut lacking = Vec::new();
    let mut last = None;
    for feed in &feeds {
        context.progress.stage(format!("fetch {}", feed.url), None);
        let path = cache.join(&feed.name);
        match client.file(&feed.url, &path) {
            Ok(_) => {}
            Err(FetchError::Interrupted) => return Err(update::fetching(&feed.url, FetchError::Interrupted)),
            Err(error) => {
                lacking.push(Lacking { feed, why: chain(&error), is_older_there: path.is_file() });
                last = Some(error);
            }
        }
    }
    if lacking.len() == feeds.len()
        && let (Some(first), Some(error)) = (lacking.first(), last)
    {
        let all = format!("{} and {} more", first.feed.url, feeds.len() - 1);
        return Err(update::fetching(if feeds.len() == 1 { &first.feed.url } else { &all }, error));
    }
    let mut import = Import::new(&build::date(None)?, Limits::default());
    for feed in &feeds {
        build::interrupted(context)?;
        let path = cache.join(&feed.name);
        let missing = lacking.iter().find(|missing| std::ptr::eq(missing.feed, feed));
        if missing.is_none_or(|missing| missing.is_older_there) {
            context.progress.stage(format!("read {}", feed.name), None);
            let bytes = fs::read(&path).map_err(|error| {
                let tried = format!("cannot read what came from {}", feed.url);
                Failure::caused_by(ExitCode::Failure, tried, error)
            })?;
            import.bytes(&feed.url, &bytes);
        }
        if let Some(missing) = missing {
            import.not_fetched(&feed.url, &missing.why);
        }
    }
    build::finish(context, import, &super::path(context, &args.db))?;
    if lacking.is_empty() {
        return Ok(());
    }
    let named: Vec<String> = lacking
        .iter()
        .map(|Lacking { feed, why, is_older_there }| {
            let instead =
                if *is_older_there { "its older copy was used" } else { "nothing of it is in there" };
            format!("{} ({why}; {instead})", feed.url)
        })
        .collect();
    let tried = format!("the database was renewed without {}", named.join(", "));
    Err(Failure::new(ExitCode::Partly, tried).hint(
        "run `careen db update` again later; `careen db status` names what is missing until then".to_owned(),
    ))
}

fn feeds(args: &DbUpdateArgs) -> Vec<Feed> {
    let chosen: Vec<&str> = match args.ecosystem.as_slice() {
        [] => ECOSYSTEMS.to_vec(),
        names => names.iter().map(String::as_str).collect(),
    };
    let base = args.feeds.as_deref().map(|base| base.trim_end_matches('/'));
    let others = UPSTREAMS.iter().map(|(name, url)| Feed {
        name: (*name).to_owned(),
        url: base.map_or_else(|| (*url).to_owned(), |base| format!("{base}/{name}")),
    });
    let osv = base.map_or_else(|| OSV.to_owned(), |base| format!("{base}/osv"));
    let zips = chosen
        .into_iter()
        .map(|name| Feed { name: format!("osv-{}.zip", safe(name)), url: format!("{osv}/{name}/all.zip") });
    others.chain(zips).collect()
}

/// An error with its causes, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

/// A name without anything that could leave its directory.
fn safe(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' }).collect()
}
