//! What `attest` and `harden --attest` share: the facts, the key, and where statements go.

use std::env;
use std::path::{Path, PathBuf};

use attest::statement::Resource;
use attest::{
    Attachment, Envelope, Facts, PrivateKey, Statement, envelope, hardening, provenance, statement,
};
use harden::{Decision, Ledger};
use image::{Digest, Image, ImageSource, ImageTarget};
use profile::Profile;

use crate::cli::HardenArgs;
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::hints;

/// Who runs a hardening, unless somebody says it.
pub(crate) const LOCAL_BUILDER: &str = "urn:careen:builder:local";

/// What a hardening is to attest of itself.
#[derive(Debug)]
pub(crate) struct Wish {
    key: Option<PrivateKey>,
    attach: bool,
}

/// Statements of a hardening as they are kept.
pub(crate) struct Attested {
    attachments: Vec<Attachment>,
}

impl Wish {
    /// What was asked for; a key that cannot be used, or a place that has no room, is told of before any work.
    pub(crate) fn of(args: &HardenArgs, target: &ImageTarget) -> Result<Option<Self>, Failure> {
        if !args.attest {
            return Ok(None);
        }
        if args.attach && !matches!(target, ImageTarget::OciLayout { .. }) {
            return Err(no_room(&target.to_string()));
        }
        let key = args.attest_key.as_deref().map(load_key).transpose()?;
        Ok(Some(Self { key, attach: args.attach }))
    }

    /// States what was done. With `--attach` the statements are laid beside the image in `staged`, where it still waits
    /// for its final name.
    pub(crate) fn fulfil(&self, facts: &Facts, staged: &Path, image: Digest) -> Result<Attested, Failure> {
        let attachments = of_hardening(facts, LOCAL_BUILDER, self.key.as_ref());
        if self.attach {
            attest::attach(staged, image, &attachments).map_err(|error| {
                hints::plain(ExitCode::Output, format!("cannot attach to {}", facts.hardened.name), error)
            })?;
        }
        Ok(Attested { attachments })
    }
}

impl Attested {
    /// The files of the statements in a directory.
    pub(crate) fn files(self, dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        self.attachments.into_iter().map(|one| (dir.join(file_name(&one)), one.bytes)).collect()
    }
}

/// Both statements of a hardening, signed if there is a key.
fn of_hardening(facts: &Facts, builder: &str, key: Option<&PrivateKey>) -> Vec<Attachment> {
    let statements = [hardening::statement(facts), provenance::statement(facts, builder)];
    statements.iter().map(|statement| attachment(statement, key)).collect()
}

/// Why nothing can be attached.
pub(crate) fn no_room(place: &str) -> Failure {
    Failure::new(ExitCode::Output, format!("nothing can be attached to {place}"))
        .hint("only an OCI layout in a directory has room beside an image; use -o DIR".to_owned())
}

/// Reads a private key; the password of an encrypted one stands in the environment, never on the command line.
pub(crate) fn load_key(file: &Path) -> Result<PrivateKey, Failure> {
    let tried = format!("cannot use the key {}", file.display());
    let pem = std::fs::read_to_string(file)
        .map_err(|source| Failure::caused_by(ExitCode::Document, tried.clone(), source))?;
    let password = env::var("COSIGN_PASSWORD").unwrap_or_default();
    PrivateKey::from_pem(&pem, &password).map_err(|error| {
        let hint = error.hint();
        Failure::caused_by(ExitCode::Document, tried, error).hint(hint)
    })
}

/// A statement as it is kept: in a signed envelope, or bare.
pub(crate) fn attachment(statement: &Statement, key: Option<&PrivateKey>) -> Attachment {
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

/// The name of a statement's file.
pub(crate) fn file_name(attachment: &Attachment) -> String {
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
    format!("{name}.{ending}")
}

/// What people call an image that says no name of its own: where it lies, with its tag, whether that was typed or not.
pub(crate) fn place(image: &Image) -> String {
    let tag = image.name().map(str::to_owned);
    match image.source() {
        ImageSource::OciLayout { dir, .. } => ImageSource::OciLayout { dir: dir.clone(), tag }.to_string(),
        ImageSource::OciArchive { file, .. } => {
            ImageSource::OciArchive { file: file.clone(), tag }.to_string()
        }
        other => other.to_string(),
    }
}

/// What an image is called, and its digest.
pub(crate) fn subject(image: &Image, otherwise: &str) -> Resource {
    // A bare tag such as `latest` names nothing.
    let name = image.name().filter(|name| name.contains(['/', ':']));
    Resource::new(name.unwrap_or(otherwise), image.manifest_digest())
}

/// All that is attested of a hardening; `name` is what people call the result, if it has no name of its own.
pub(crate) fn make_facts(
    image: &Image,
    name: &str,
    ledger: &Ledger,
    profile: &Profile,
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
        hardened: subject(image, name),
        original_id: ledger.image.image_id,
        hardened_id: image.image_id(),
        platform: image.platform().to_string(),
        policy: ledger.policy.clone(),
        profile: profile.clone(),
        profile_digest,
        ledger_digest: Digest::of(&document),
        paths: (kept as u64, (ledger.entries.len() - kept) as u64),
        verification,
        careen_version,
    })
}

#[cfg(test)]
mod tests {
    use image::OpenOptions;
    use testkit::{ImageBuilder, OciStore};

    use super::*;

    fn named(typed: &str) -> String {
        let image = Image::open(&typed.parse().unwrap(), &OpenOptions::new()).unwrap();
        let subject = subject(&image, &place(&image));
        assert_eq!(subject.digest.sha256, image.manifest_digest().hex());
        subject.name
    }

    #[test]
    fn a_subject_has_its_own_name_or_that_of_its_place() {
        let full = "localhost:5000/shop/app:1.4";
        for (tag, name) in [(Some("latest"), None), (None, None), (Some(full), Some(full))] {
            let layout = ImageBuilder::new().layer("a").tag(tag).oci_layout();
            let place = layout.source();
            let with_tag = tag.map_or_else(|| place.clone(), |tag| format!("{place}:{tag}"));
            let expected = name.unwrap_or(&with_tag);
            assert_eq!(named(&place), expected, "{tag:?}, not typed");
            assert_eq!(named(&with_tag), expected, "{tag:?}, typed");
        }
        let archive = ImageBuilder::new().layer("a").tag(Some("1.4")).oci_archive();
        assert_eq!(named(&archive.source()), format!("{}:1.4", archive.source()));
        let saved = |tag| testkit::docker_archive(&[ImageBuilder::new().layer("a").tag(tag).build()]);
        assert_eq!(named(&saved(Some("shop/app:1.4")).source()), "shop/app:1.4");
        let nameless = saved(None);
        assert_eq!(named(&nameless.source()), nameless.source());
    }

    #[test]
    fn the_images_of_one_layout_are_told_apart() {
        let of = |words: &str, tag| ImageBuilder::new().layer(words).tag(Some(tag)).build();
        let layout = OciStore::new().image(of("a", "1")).image(of("b", "2")).layout();
        let place = layout.source();
        assert_eq!(named(&format!("{place}:1")), format!("{place}:1"));
        assert_eq!(named(&format!("{place}:2")), format!("{place}:2"));
    }
}
