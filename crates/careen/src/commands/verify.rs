//! `careen verify`: the coverage on a hardened image, compared with the original's run.

use harden::{Ledger, Verification, VerificationVerdict};
use serde::Serialize;

use crate::artifacts::{Artifacts, ResultStore};
use crate::cli::VerifyArgs;
use crate::commands::record::{self, Recorder};
use crate::context::{self, Context};
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{output, verdict};

/// Grows when an old reader would misunderstand a new document.
const FORMAT_VERSION: u32 = 1;

/// A verification that stands alone. Within the result of a hardening the version is the result's.
#[derive(Serialize)]
struct Document<'a> {
    format_version: u32,
    #[serde(flatten)]
    verification: &'a Verification,
}

/// Verifies an image that was hardened before.
pub(crate) fn run(context: &Context, args: &VerifyArgs) -> Result<(), Failure> {
    let source = context::parse_source(&args.image.image)?;
    let coverage = record::load_coverage(&args.coverage)?;
    let image = context.open_image(&args.image)?;
    let found = ResultStore::new(&context.data_dir).find(&source, image.manifest_digest());
    let missing = |what: &str| {
        Failure::new(
            ExitCode::Document,
            format!("cannot find the {what} of the hardening that made {source}"),
        )
        .hint(format!("name it with --{what} FILE"))
    };
    let ledger_file = args
        .ledger
        .clone()
        .or_else(|| found.as_ref().map(Artifacts::ledger))
        .ok_or_else(|| missing("ledger"))?;
    let profile_file = args
        .profile
        .clone()
        .or_else(|| found.as_ref().map(Artifacts::profile))
        .ok_or_else(|| missing("profile"))?;
    let ledger = load_ledger(&ledger_file)?;
    let original = record::load_profile(&profile_file)?;

    let (verification, _) = Recorder::new(context, coverage, &args.container)?.verify(
        &image,
        &source.to_string(),
        &ledger,
        &original,
    )?;
    let document = Document { format_version: FORMAT_VERSION, verification: &verification };
    output::print(context.output, &document, |document| verdict::text(document.verification))?;
    match verification.verdict {
        VerificationVerdict::Passed => Ok(()),
        VerificationVerdict::Missed => Err(Failure::new(
            ExitCode::Missed,
            format!("{source} does what the original did, but looked for files that were removed"),
        )
        .hint(
            "harden with this coverage too, or keep them by a policy, unless going without them is all right"
                .to_owned(),
        )),
        VerificationVerdict::Failed => {
            Err(Failure::new(ExitCode::Verification, format!("{source} does not do what the original did")))
        }
    }
}

/// Reads a ledger.
pub(crate) fn load_ledger(file: &std::path::Path) -> Result<Ledger, Failure> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        Failure::caused_by(ExitCode::Document, format!("cannot read the ledger {}", file.display()), error)
    };
    let reader = std::fs::File::open(file).map_err(|error| failed(error.into()))?;
    Ledger::read(std::io::BufReader::new(reader)).map_err(|error| {
        let hint = error.hint();
        failed(error.into()).hint(hint)
    })
}
