//! `careen attest`: what was done to an image, in statements that can be signed and kept beside it.

use std::path::{Path, PathBuf};

use attest::{Attachment, Facts, Statement, hardening, provenance};
use image::{Digest, Image, ImageSource};
use report::Hardening;
use serde::Serialize;

use crate::artifacts::{self, Artifacts, ResultStore};
use crate::cli::AttestArgs;
use crate::commands::{record, verify};
use crate::context::Context;
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{attesting, hints, output};

/// Most bytes of a document to attest.
const MAX_PREDICATE_BYTES: u64 = 256 << 20;

/// What was made.
#[derive(Serialize)]
struct Made {
    /// The version of this document.
    format_version: u32,
    /// The image that is spoken of.
    image: Digest,
    attestations: Vec<MadeOne>,
}

#[derive(Serialize)]
struct MadeOne {
    predicate_type: String,
    signed: bool,
    /// Where it lies.
    file: Option<PathBuf>,
    /// The manifest that lays it beside the image.
    manifest: Option<Digest>,
}

/// Attests one image.
pub(crate) fn run(context: &Context, args: &AttestArgs) -> Result<(), Failure> {
    let key = args.key.as_deref().map(attesting::load_key).transpose()?;
    let image = context.open_image(&args.image)?;
    let statements = match (&args.predicate, &args.predicate_type) {
        (Some(file), Some(kind)) => vec![document(&image, file, kind)?],
        _ => {
            let facts = facts(context, args, &image)?;
            vec![hardening::statement(&facts), provenance::statement(&facts, &args.builder)]
        }
    };
    context.progress.abandon();
    let attachments: Vec<Attachment> =
        statements.iter().map(|statement| attesting::attachment(statement, key.as_ref())).collect();
    let files = match &args.output_dir {
        Some(dir) => write(dir, &attachments)?.into_iter().map(Some).collect(),
        None => vec![None; attachments.len()],
    };
    let manifests = match args.attach {
        true => attach_to(&image, &attachments)?.into_iter().map(Some).collect(),
        false => vec![None; attachments.len()],
    };
    let attestations = statements.iter().zip(files.into_iter().zip(manifests));
    let made = Made {
        format_version: 1,
        image: image.manifest_digest(),
        attestations: attestations
            .map(|(statement, (file, manifest))| MadeOne {
                predicate_type: statement.predicate_type.clone(),
                signed: key.is_some(),
                file,
                manifest,
            })
            .collect(),
    };
    output::print(context.output, &made, |made| {
        let line = |one: &MadeOne| {
            let file = one.file.as_ref().map(|file| format!("  {}", file.display())).unwrap_or_default();
            let manifest = one.manifest.map(|digest| format!("  attached as {digest}")).unwrap_or_default();
            let signed = if one.signed { "signed" } else { "not signed" };
            format!("{} ({signed}){file}{manifest}\n", one.predicate_type)
        };
        made.attestations.iter().map(line).collect()
    })
}

/// A statement that holds somebody's document.
fn document(image: &Image, file: &Path, kind: &str) -> Result<Statement, Failure> {
    use std::io::Read as _;
    let tried = format!("cannot read the document {}", file.display());
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|open| open.take(MAX_PREDICATE_BYTES).read_to_end(&mut bytes))
        .map_err(|source| Failure::caused_by(ExitCode::Document, tried.clone(), source))?;
    let value: serde_json::Value = serde_json::from_slice(&bytes)
        .map_err(|source| Failure::caused_by(ExitCode::Document, tried, source))?;
    // A statement already: only what it says is taken.
    let value = match value.get("predicate") {
        Some(predicate) if value.get("_type").is_some() => predicate.clone(),
        _ => value,
    };
    Ok(Statement::new(attesting::subject(image, &attesting::place(image)), kind, value))
}

/// Gathers what is known of the hardening that made an image.
fn facts(context: &Context, args: &AttestArgs, image: &Image) -> Result<Facts, Failure> {
    let found = ResultStore::new(&context.data_dir).find(image.source(), image.manifest_digest());
    let beside = Artifacts::beside(artifacts::source_path(image.source()));
    let missing = |what: &str| {
        Failure::new(ExitCode::Document, format!("no {what} is known for {}", image.source()))
            .hint(format!("only a hardened image can be attested; name the {what} with --{what} FILE"))
    };
    let file = |typed: &Option<PathBuf>, known: fn(&Artifacts) -> PathBuf| {
        typed.clone().or_else(|| found.as_ref().map(known))
    };
    let ledger_file = file(&args.ledger, Artifacts::ledger).ok_or_else(|| missing("ledger"))?;
    let profile_file = file(&args.profile, Artifacts::profile).ok_or_else(|| missing("profile"))?;
    let ledger = verify::load_ledger(&ledger_file)?;
    let profile = record::load_profile(&profile_file)?;
    let result = match &args.result {
        Some(file) => Some(load_result(file)?),
        None if beside.result().is_file() => Some(load_result(&beside.result())?),
        None => None,
    };
    let result = result.filter(|result| result.hardened.manifest_digest == image.manifest_digest());
    if args.result.is_some() && result.is_none() {
        return Err(Failure::new(
            ExitCode::Document,
            format!("the result is of another image than {}", image.source()),
        ));
    }
    let verification = result.as_ref().and_then(|result| result.verification.clone());
    let version = result.map_or_else(|| env!("CARGO_PKG_VERSION").to_owned(), |result| result.careen_version);
    attesting::make_facts(image, &attesting::place(image), &ledger, &profile, verification, version)
}

fn load_result(file: &Path) -> Result<Hardening, Failure> {
    let tried = format!("cannot read the result {}", file.display());
    let bytes = std::fs::read(file)
        .map_err(|source| Failure::caused_by(ExitCode::Document, tried.clone(), source))?;
    serde_json::from_slice(&bytes).map_err(|source| hints::plain(ExitCode::Document, tried, source))
}

/// Writes attestations into a directory, each under a name of its type.
fn write(dir: &Path, attachments: &[Attachment]) -> Result<Vec<PathBuf>, Failure> {
    let failed = |path: &Path, source: std::io::Error| {
        Failure::caused_by(ExitCode::Output, format!("cannot write {}", path.display()), source)
    };
    std::fs::create_dir_all(dir).map_err(|source| failed(dir, source))?;
    let mut files = Vec::with_capacity(attachments.len());
    for attachment in attachments {
        let path = dir.join(attesting::file_name(attachment));
        artifacts::write_whole(&path, &attachment.bytes).map_err(|source| failed(&path, source))?;
        files.push(path);
    }
    Ok(files)
}

fn attach_to(image: &Image, attachments: &[Attachment]) -> Result<Vec<Digest>, Failure> {
    let ImageSource::OciLayout { dir, .. } = image.source() else {
        return Err(attesting::no_room(&image.source().to_string()));
    };
    attest::attach(dir, image.manifest_digest(), attachments).map_err(|error| {
        hints::plain(ExitCode::Output, format!("cannot attach to {}", image.source()), error)
    })
}
