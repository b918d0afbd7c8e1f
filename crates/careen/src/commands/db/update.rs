//! `careen db update`: from the upstreams (see [`super::feeds`]), or a finished database from a mirror.

use std::fs;
use std::path::Path;

use advisories::Database;
use advisories::import::Limits;
use minisign_verify::{PublicKey, Signature};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::build;
use crate::cli::DbUpdateArgs;
use crate::context::Context;
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::fetch::{Client, FetchError};
use crate::{output, registries};

const INDEX_BYTES: u64 = 1 << 20;

/// What a mirror says of the database that it has.
#[derive(Deserialize)]
struct MirrorIndex {
    version: u32,
    /// The file, beside the index.
    file: String,
    sha256: String,
    size_bytes: u64,
    /// When the database was built, RFC 3339.
    built: String,
}

/// Renews the database.
pub(super) fn run(context: &Context, args: &DbUpdateArgs) -> Result<(), Failure> {
    let cache = context.data_dir.join("db").join("downloads");
    fs::create_dir_all(&cache).map_err(|error| {
        Failure::caused_by(ExitCode::Output, format!("cannot make the directory {}", cache.display()), error)
            .hint("choose another place with --data-dir".to_owned())
    })?;
    let on_bytes = |bytes| context.progress.add_bytes(bytes);
    let trusted = registries::authorities(context)?;
    let client = Client::new(Limits::default().file_bytes, trusted, &context.interrupt, &on_bytes);
    match &args.mirror {
        Some(mirror) => from_mirror(context, args, &client, &cache, mirror.trim_end_matches('/')),
        None => super::feeds::run(context, args, &client, &cache),
    }
}

fn from_mirror(
    context: &Context,
    args: &DbUpdateArgs,
    client: &Client<'_>,
    cache: &Path,
    mirror: &str,
) -> Result<(), Failure> {
    let index_url = format!("{mirror}/index.json");
    context.progress.stage(format!("fetch {index_url}"), None);
    let index = client.bytes(&index_url, INDEX_BYTES).map_err(|error| fetching(&index_url, error))?;
    if let Some(key) = &args.public_key {
        let url = format!("{index_url}.minisig");
        let signature = client.bytes(&url, INDEX_BYTES).map_err(|error| fetching(&url, error))?;
        verify(key, &index, &signature)?;
    }
    let index: MirrorIndex = serde_json::from_slice(&index).map_err(|error| {
        Failure::caused_by(ExitCode::Document, format!("cannot read the index {index_url}"), error)
    })?;
    if index.version != 1 || index.file.contains('/') || index.file.starts_with('.') {
        return Err(Failure::new(ExitCode::Document, format!("cannot use the index {index_url}"))
            .hint("docs/formats/advisories.md says what it must hold".to_owned()));
    }
    let path = super::path(context, &args.db);
    if let Ok(old) = Database::open(&path)
        && old.about().built > index.built
        && !args.force
    {
        let tried = format!(
            "{mirror} offers a database of {}, older than yours of {}",
            index.built,
            old.about().built
        );
        return Err(Failure::new(ExitCode::Document, tried)
            .hint("an old one hides what became known since; take it with --force".to_owned()));
    }
    let url = format!("{mirror}/{}", index.file);
    context.progress.stage(format!("fetch {url}"), Some(index.size_bytes));
    let file = cache.join("mirror.db");
    client.file(&url, &file).map_err(|error| fetching(&url, error))?;
    let bytes = fs::read(&file).map_err(|error| {
        Failure::caused_by(ExitCode::Failure, format!("cannot read {}", file.display()), error)
    })?;
    if format!("{:x}", HexOf(&Sha256::digest(&bytes))) != index.sha256.to_lowercase() {
        let _ = fs::remove_file(&file);
        let tried = format!("{url} is not the file that the index describes");
        return Err(Failure::new(ExitCode::Document, tried)
            .hint("the mirror is being renewed, or somebody changed the file; try again later".to_owned()));
    }
    let database = Database::from_bytes(bytes.clone())
        .and_then(|database| database.check().map(|()| database))
        .map_err(|error| super::failed(&format!("cannot use {url}"), error))?;
    build::put(&path, &bytes)?;
    context.progress.abandon();
    let counts = database.counts();
    let built = build::Built {
        path,
        size_bytes: database.size_bytes(),
        built: database.about().built.clone(),
        sources: database.sources().len(),
        records: database.sources().iter().map(|source| source.records).sum(),
        broken: database.sources().iter().map(|source| source.broken).sum(),
        packages: counts.packages,
        vulnerabilities: counts.vulnerabilities,
        scores: counts.scores,
    };
    output::print(context.output, &built, |built| {
        let signed = if args.public_key.is_some() { ", signed with the given key" } else { ", unsigned" };
        format!("{} is now the database of {}{signed}\n", built.path.display(), built.built)
    })
}

/// Whether the index was signed with the key: the text of a minisign public key, or a file that holds it.
fn verify(key: &str, index: &[u8], signature: &[u8]) -> Result<(), Failure> {
    let text = fs::read_to_string(key).unwrap_or_else(|_| key.to_owned());
    let key = PublicKey::decode(text.trim()).or_else(|_| PublicKey::from_base64(text.trim()));
    let key = key.map_err(|error| {
        Failure::caused_by(ExitCode::Usage, "cannot use --public-key", error)
            .hint("give the file minisign.pub, or the line of it that begins with RW".to_owned())
    })?;
    let tried = "the index of the mirror is not signed with the given key";
    let hint = "nothing of it was used; ask who runs the mirror for the key in use".to_owned();
    let failed = |error| Failure::caused_by(ExitCode::Document, tried, error).hint(hint.clone());
    let signature = Signature::decode(&String::from_utf8_lossy(signature)).map_err(&failed)?;
    key.verify(index, &signature, false).map_err(failed)
}

pub(super) fn fetching(url: &str, error: FetchError) -> Failure {
    if matches!(error, FetchError::Interrupted) {
        return Failure::new(ExitCode::Interrupted, "interrupted; the old database is as it was");
    }
    Failure::caused_by(ExitCode::Failure, format!("cannot fetch {url}"), error).hint(
        "run it again to go on where it broke off; behind a proxy set HTTPS_PROXY; without a network use \
         `careen db build --from DIR`"
            .to_owned(),
    )
}

struct HexOf<'a>(&'a [u8]);

impl std::fmt::LowerHex for HexOf<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
