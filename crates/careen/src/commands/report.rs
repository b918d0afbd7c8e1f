//! `careen report`: the page of a hardening, made again from its documents.

use std::fs;
use std::path::{Path, PathBuf};

use advisories::scan::{ScanReport, Subject};
use harden::{Decision, Ledger};
use image::ImagePath;
use profile::Profile;
use report::{Findings, Hardening, Parts};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::artifacts::{Artifacts, ResultStore, source_path, write_whole};
use crate::cli::{ImageArgs, ReportArgs};
use crate::commands::record;
use crate::commands::verify::load_ledger;
use crate::context::{self, Context};
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{hints, output, scanning};

/// Most bytes of a document in plain JSON.
const MAX_DOCUMENT_BYTES: u64 = 512 << 20;

/// What was written.
#[derive(Serialize)]
struct Page {
    report: PathBuf,
    size_bytes: u64,
}

/// Writes the page.
pub(crate) fn run(context: &Context, args: &ReportArgs) -> Result<(), Failure> {
    let (documents, default) = find(context, args)?;
    let result: Hardening = document(&documents.result(), "result")?;
    if result.format_version > report::FORMAT_VERSION {
        let tried = format!("{} is of a newer Careen", documents.result().display());
        return Err(Failure::new(ExitCode::Document, tried)
            .hint(format!("use Careen {} or later", result.careen_version)));
    }
    let ledger = load_ledger(&documents.ledger())?;
    if ledger.image.manifest_digest != result.original.manifest_digest {
        let tried = format!("{} is the ledger of another image", documents.ledger().display());
        return Err(Failure::new(ExitCode::Document, tried)
            .hint("name the result.json that lies beside its ledger, or harden again".to_owned()));
    }
    // A page without the profile lacks only what each step brought.
    let profile =
        documents.profile().is_file().then(|| record::load_profile(&documents.profile())).transpose()?;
    let scan: Option<ScanReport> = match &args.scan {
        Some(file) => Some(document(file, "scan")?),
        None => own_scan(context, args, &documents, &result, &ledger, profile.as_ref())?,
    };
    let fits = |scan: &ScanReport| {
        scan.subject.manifest_digest.is_none_or(|digest| digest == result.original.manifest_digest)
    };
    if let (Some(file), false) = (&args.scan, scan.as_ref().is_none_or(fits)) {
        let tried = format!("{} is the scan of another image than the original", file.display());
        return Err(Failure::new(ExitCode::Document, tried)
            .hint(format!("scan {} and name what that found", result.original.reference)));
    }
    let findings = scan.as_ref().map(Findings::from);
    let parts =
        Parts { result: &result, ledger: &ledger, profile: profile.as_ref(), findings: findings.as_ref() };
    let html = report::render(&parts)
        .map_err(|source| hints::plain(ExitCode::Output, "cannot make the page", source))?;

    let target = args.output_file.clone().unwrap_or(default);
    if target == Path::new("-") {
        return output::write_stdout(html.as_bytes());
    }
    let failed = |source| {
        Failure::caused_by(ExitCode::Output, format!("cannot write the page {}", target.display()), source)
    };
    if let Some(parent) = target.parent().filter(|_| args.output_file.is_none()) {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    write_whole(&target, html.as_bytes()).map_err(failed)?;
    let page = Page { report: target, size_bytes: html.len() as u64 };
    output::print(context.output, &page, |page| {
        format!("{}  {}\n", page.report.display(), output::bytes_text(page.size_bytes))
    })
}

/// The documents of a hardening, and where its page goes unless something else was said.
fn find(context: &Context, args: &ReportArgs) -> Result<(Artifacts, PathBuf), Failure> {
    let file = Path::new(&args.subject);
    if file.is_file() && file.extension().is_some_and(|ending| ending == "json") {
        let documents = Artifacts::at(file.parent().unwrap_or(Path::new("")));
        if documents.result().file_name() != file.file_name() {
            let tried = format!("{} is no result.json", file.display());
            return Err(Failure::new(ExitCode::Usage, tried)
                .hint("name the result.json that lies beside its ledger".to_owned()));
        }
        let page = documents.report();
        return Ok((documents, page));
    }
    let source = context::parse_source(&args.subject)?;
    let image = ImageArgs { image: args.subject.clone(), platform: args.platform.clone() };
    let image = context.open_image(&image)?;
    context.progress.abandon();
    let beside = Artifacts::beside(source_path(&source));
    let remembered = ResultStore::new(&context.data_dir).find(&source, image.manifest_digest());
    // What was hardened by an older version is remembered without its result.
    let found = remembered.into_iter().chain([beside.clone()]).find(|documents| documents.result().is_file());
    let page = beside.report();
    found.map(|documents| (documents, page)).ok_or_else(|| {
        Failure::new(ExitCode::Document, format!("no hardening of {source} is known"))
            .hint("harden it first, or name the result.json of its hardening".to_owned())
    })
}

/// What is known of the original's findings without being told: the scan that the hardening left, unless a database was
/// named; else a new one, where there is a database and the original is still there.
fn own_scan(
    context: &Context,
    args: &ReportArgs,
    documents: &Artifacts,
    result: &Hardening,
    ledger: &Ledger,
    profile: Option<&Profile>,
) -> Result<Option<ScanReport>, Failure> {
    if args.db.db.is_none() && documents.scan().is_file() {
        let scan: ScanReport = document(&documents.scan(), "scan")?;
        let hardened = scan.hardened.as_ref().and_then(|hardened| hardened.manifest_digest);
        // An earlier hardening may have left it.
        if hardened == Some(result.hardened.manifest_digest) {
            return Ok(Some(scan));
        }
    }
    let (Some(database), Some(profile)) = (scanning::database_at_hand(context, &args.db)?, profile) else {
        return Ok(None);
    };
    let platform = result.original.platform.to_string();
    let image = ImageArgs { image: result.original.reference.clone(), platform: Some(platform) };
    let original = match context.open_image(&image) {
        Ok(original) if original.manifest_digest() == result.original.manifest_digest => original,
        _ if args.db.db.is_none() => return Ok(None),
        Err(failure) => return Err(failure),
        Ok(_) => {
            let tried = format!("{} is no longer the image that was hardened", result.original.reference);
            return Err(Failure::new(ExitCode::Document, tried)
                .hint("name a scan of that with --scan FILE, or leave out --db".to_owned()));
        }
    };
    context.progress.stage("look for findings", None);
    let packages = scanning::packages(context, &original)?;
    let is_kept = |path: &ImagePath| {
        result.unchanged || ledger.entries.get(path).is_some_and(|entry| entry.decision == Decision::Keep)
    };
    let subject = scanning::subject_of(&result.original.reference, &original);
    let after = Subject {
        reference: result.hardened.reference.clone(),
        manifest_digest: Some(result.hardened.manifest_digest),
        image_id: Some(result.hardened.image_id),
        ..subject.clone()
    };
    let scan = scanning::scan(&database, subject, &packages, profile, Some((after, &is_kept)))?;
    context.progress.abandon();
    Ok(Some(scan))
}

/// Reads a document in plain JSON.
fn document<T: DeserializeOwned>(file: &Path, what: &str) -> Result<T, Failure> {
    let tried = || format!("cannot read the {what} {}", file.display());
    let size =
        fs::metadata(file).map_err(|source| Failure::caused_by(ExitCode::Document, tried(), source))?.len();
    if size > MAX_DOCUMENT_BYTES {
        return Err(Failure::new(ExitCode::Document, format!("{}: it has {size} bytes", tried())));
    }
    let bytes = fs::read(file).map_err(|source| Failure::caused_by(ExitCode::Document, tried(), source))?;
    serde_json::from_slice(&bytes).map_err(|source| {
        Failure::caused_by(ExitCode::Document, tried(), source)
            .hint(format!("is it the {what} document that careen wrote?"))
    })
}
