//! `careen attest`: what was done to an image, in statements that can be signed and kept beside it.

use std::env;
use std::path::{Path, PathBuf};

use attest::statement::Resource;
use attest::{
    Attachment, Envelope, Facts, PrivateKey, Statement, envelope, hardening, provenance, statement,
};
use harden::{Decision, Ledger};
use image::{Digest, Image, ImageSource};
use profile::Profile;
use report::Hardening;
use serde::Serialize;

use crate::artifacts::{self, Artifacts, ResultStore};
use crate::cli::AttestArgs;
use crate::commands::{record, verify};
use crate::context::Context;
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{hints, output};

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
    let key = args.key.as_deref().map(load_key).transpose()?;
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
        statements.iter().map(|statement| attachment(statement, key.as_ref())).collect();
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

/// Reads a private key; the password of an encrypted one stands in the environment, never on the command line.
fn load_key(file: &Path) -> Result<PrivateKey, Failure> {
    let tried = format!("cannot use the key {}", file.display());
    let pem = std::fs::read_to_string(file)
        .map_err(|source| Failure::caused_by(ExitCode::Document, tried.clone(), source))?;
    let password = env::var("COSIGN_PASSWORD").unwrap_or_default();
    PrivateKey::from_pem(&pem, &password).map_err(|error| {
        let hint = error.hint();
        Failure::caused_by(ExitCode::Document, tried, error).hint(hint)
    })
}

fn attachment(statement: &Statement, key: Option<&PrivateKey>) -> Attachment {
    let (media_type, bytes) = match key {
        Some(key) => (envelope::MEDIA_TYPE, Envelope::sign(statement, key).to_bytes()),
        None => (statement::MEDIA_TYPE, statement.to_bytes()),
    };
    Attachment {
        media_type: media_type.to_owned(),
        predicate_type: Some(statement.predicate_type.clone()),
        bytes,
    }
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
    Ok(Statement::new(subject(image), kind, value))
}

fn subject(image: &Image) -> Resource {
    let source = image.source().to_string();
    // A bare tag such as `latest` names nothing.
    let name = image.name().filter(|name| name.contains(['/', ':']));
    Resource::new(name.unwrap_or(&source), image.manifest_digest())
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
    make_facts(image, &ledger, profile, verification, version)
}

/// All that is attested of a hardening.
pub(crate) fn make_facts(
    image: &Image,
    ledger: &Ledger,
    profile: Profile,
    verification: Option<harden::Verification>,
    careen_version: String,
) -> Result<Facts, Failure> {
    let failed = |what: &str, source: std::io::Error| {
        Failure::caused_by(ExitCode::Failure, format!("cannot digest the {what}"), source)
    };
    let document = serde_json::to_vec(ledger).map_err(|source| failed("ledger", source.into()))?;
    let profile_digest = Digest::of(&profile.to_json().map_err(|source| failed("profile", source))?);
    let kept = ledger.entries.values().filter(|entry| entry.decision == Decision::Keep).count();
    Ok(Facts {
        original: Resource::new(ledger.image.reference.clone(), ledger.image.manifest_digest),
        hardened: subject(image),
        original_id: ledger.image.image_id,
        hardened_id: image.image_id(),
        platform: image.platform().to_string(),
        policy: ledger.policy.clone(),
        profile,
        profile_digest,
        ledger_digest: Digest::of(&document),
        paths: (kept as u64, (ledger.entries.len() - kept) as u64),
        verification,
        careen_version,
    })
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
        let kind = attachment.predicate_type.as_deref().unwrap_or("document");
        let name = match kind {
            hardening::PREDICATE_TYPE => "hardening".to_owned(),
            provenance::PREDICATE_TYPE => "provenance".to_owned(),
            other => {
                let words = other.split_once("://").map_or(other, |(_, rest)| rest);
                words.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-")
            }
        };
        let ending = if attachment.media_type == envelope::MEDIA_TYPE { "dsse.json" } else { "intoto.json" };
        let path = dir.join(format!("{name}.{ending}"));
        artifacts::write_whole(&path, &attachment.bytes).map_err(|source| failed(&path, source))?;
        files.push(path);
    }
    Ok(files)
}

fn attach_to(image: &Image, attachments: &[Attachment]) -> Result<Vec<Digest>, Failure> {
    let ImageSource::OciLayout { dir, .. } = image.source() else {
        return Err(Failure::new(ExitCode::Output, format!("nothing can be attached to {}", image.source()))
            .hint("only an OCI layout in a directory has room beside an image; use -o DIR".to_owned()));
    };
    attest::attach(dir, image.manifest_digest(), attachments).map_err(|error| {
        hints::plain(ExitCode::Output, format!("cannot attach to {}", image.source()), error)
    })
}
