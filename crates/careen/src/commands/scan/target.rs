//! What is scanned: an image with what is known of its hardening, or a list of packages.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use advisories::scan::Subject;
use harden::{Decision, Ledger};
use image::{Digest, Image, ImagePath, ImageSource, Outline};
use packages::PackageDatabase;
use profile::Profile;

use crate::artifacts::ResultStore;
use crate::cli::ScanArgs;
use crate::commands::record;
use crate::commands::verify::load_ledger;
use crate::context::{self, Context};
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{carrying, hints, registries, scanning};

/// Says of a path of the original whether the hardened image still has it.
type Kept = Box<dyn Fn(&ImagePath) -> bool>;

/// All that a scan needs to know of one image.
pub(super) struct Target {
    /// The image as it was named; none of a list of packages.
    pub(super) named: Option<ImageSource>,
    pub(super) subject: Subject,
    pub(super) packages: PackageDatabase,
    pub(super) profile: Option<Profile>,
    pub(super) hardened: Option<(Subject, Kept)>,
    pub(super) warnings: Vec<String>,
    /// Where the files are that were listed; none of a list of packages.
    pub(super) image: Option<Layers>,
}

/// An image that can be opened again.
pub(super) struct Layers {
    pub(super) source: ImageSource,
    pub(super) diff_ids: Vec<Digest>,
}

/// Finds out what a name stands for.
pub(super) fn find(context: &Context, args: &ScanArgs, name: &str) -> Result<Target, Failure> {
    if let Some(list) = package_list(name)? {
        return Ok(list);
    }
    let source = context::parse_source(name)?;
    let named = source.clone();
    let outline = outline(context, args, &source)?;
    let results = ResultStore::new(&context.data_dir);
    let of_hardening = results.find(&source, outline.manifest_digest);
    let ledger = of_hardening.as_ref().map(|found| load_ledger(&found.ledger())).transpose()?;
    let mut warnings = Vec::new();

    // Of a hardened image the original is scanned, if it is still where it was.
    let original = match &ledger {
        Some(ledger)
            if args.hardened.is_none() && ledger.image.manifest_digest != outline.manifest_digest =>
        {
            let found = original(context, args, ledger);
            if found.is_none() {
                warnings.push(format!(
                    "the original of {name} is not at {}: findings are those of what the hardened image lists; to count \
                     on the original: careen scan ORIGINAL --hardened {name}",
                    ledger.image.reference
                ));
            }
            found
        }
        _ => None,
    };
    let is_of_original = original.is_some();
    let (source, outline, hardened) = match (original, ledger.as_ref(), &args.hardened) {
        (Some((original, of_original)), Some(ledger), _) => {
            let subject = scanning::subject(&source.to_string(), &outline);
            (original, of_original, Some((subject, kept_by(ledger))))
        }
        (_, _, Some(hardened)) => {
            let (subject, kept, warning) = compared(context, args, hardened, &outline)?;
            warnings.extend(warning);
            (source, outline, Some((subject, kept)))
        }
        _ => (source, outline, None),
    };

    let mut opened = None;
    let packages = match scanning::known_packages(context, &outline) {
        Some(packages) => packages,
        None => {
            let image = open(context, args, &source)?;
            let packages = scanning::packages(context, &image)?;
            opened = Some(image);
            packages
        }
    };
    let profiles = match args.profile.as_slice() {
        [] => {
            let found = of_hardening.map(|found| found.profile()).filter(|file| file.is_file());
            found.map(|file| record::load_profiles(&[file], &[])).transpose()?.unwrap_or_default()
        }
        files => record::load_profiles(files, &[])?,
    };
    let is_of_image = |profile: &Profile| profile.image.image_id == outline.image_id;
    let profile = match profiles.as_slice() {
        [] => None,
        // Found, and not asked for: of a hardened image it speaks of the original's files, which still have their names.
        all if all.iter().all(is_of_image) || (args.profile.is_empty() && !is_of_original) => {
            Some(record::merge_profiles(all)?)
        }
        all => {
            let image = match opened {
                Some(image) => image,
                None => open(context, args, &source)?,
            };
            let (profile, carry) =
                record::fit_profiles(all, &image, &packages, harden::policy::DEFAULT_MAX_UNCERTAIN)?;
            warnings.extend(carry.iter().flat_map(carrying::warnings));
            Some(profile)
        }
    };
    let subject = scanning::subject(&source.to_string(), &outline);
    let image = Some(Layers { source, diff_ids: outline.diff_ids });
    Ok(Target { named: Some(named), subject, packages, profile, hardened, warnings, image })
}

fn outline(context: &Context, args: &ScanArgs, source: &ImageSource) -> Result<Outline, Failure> {
    let platform = context::parse_platform(args.platform.as_deref())?;
    scanning::outline(context, source, platform)
}

pub(super) fn open(context: &Context, args: &ScanArgs, source: &ImageSource) -> Result<Image, Failure> {
    context.progress.stage(format!("open {source}"), None);
    let platform = context::parse_platform(args.platform.as_deref())?;
    let image = context.open_without(source, platform, Some(packages::is_unread))?;
    context.progress.stage(format!("list the packages of {source}"), None);
    Ok(image)
}

/// The image that a ledger speaks of, if it is still where it was.
fn original(context: &Context, args: &ScanArgs, ledger: &Ledger) -> Option<(ImageSource, Outline)> {
    let source: ImageSource = ledger.image.reference.parse().ok()?;
    let source = registries::pinned(source, ledger.image.manifest_digest)?;
    let found = outline(context, args, &source).ok()?;
    (found.manifest_digest == ledger.image.manifest_digest).then_some((source, found))
}

fn kept_by(ledger: &Ledger) -> Kept {
    let kept = |(path, entry): (&ImagePath, &harden::LedgerEntry)| {
        (entry.decision == Decision::Keep).then(|| path.clone())
    };
    let kept: std::collections::BTreeSet<ImagePath> = ledger.entries.iter().filter_map(kept).collect();
    Box::new(move |path| kept.contains(path))
}

/// The image that the user names as the hardened one, and what it kept: by its ledger, else by what is in it. The
/// last is a warning where it is known to be made of another image.
fn compared(
    context: &Context,
    args: &ScanArgs,
    hardened: &str,
    original: &Outline,
) -> Result<(Subject, Kept, Option<String>), Failure> {
    let source = context::parse_source(hardened)?;
    let found = outline(context, args, &source)?;
    let subject = scanning::subject(&source.to_string(), &found);
    let results = ResultStore::new(&context.data_dir).find(&source, found.manifest_digest);
    let ledger = results.map(|results| load_ledger(&results.ledger())).transpose()?;
    let mut warning = None;
    if let Some(ledger) = ledger.filter(|_| found.manifest_digest != original.manifest_digest) {
        if ledger.image.manifest_digest == original.manifest_digest {
            return Ok((subject, kept_by(&ledger), None));
        }
        warning = Some(format!(
            "{source} was made of {}, and not of this image: gone is called what it has no file for, whatever its \
             versions",
            ledger.image.reference
        ));
    }
    let image = open(context, args, &source)?;
    Ok((subject, Box::new(move |path| image.tree().get(path).is_some()), warning))
}

/// The packages that a bill of materials lists; none if the name is not that of one.
fn package_list(name: &str) -> Result<Option<Target>, Failure> {
    let path = Path::new(name);
    if !path.is_file() {
        return Ok(None);
    }
    let failed = |source: io::Error| {
        Failure::caused_by(ExitCode::Document, format!("cannot read {}", path.display()), source)
    };
    let mut file = fs::File::open(path).map_err(failed)?;
    let mut start = [0; 64];
    let length = file.read(&mut start).map_err(failed)?;
    let text = start[..length].strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start[..length]);
    if text.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Ok(None);
    }
    let mut bytes = start[..length].to_vec();
    file.take(sbom::read::MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    let list = sbom::read(&bytes).map_err(|error| {
        let hint = error.hint();
        hints::plain(ExitCode::Document, format!("cannot use {name} as a bill of materials"), error)
            .hint(hint)
    })?;
    let warnings = list.problems.clone();
    let subject = Subject {
        reference: list.name.clone().unwrap_or_else(|| name.to_owned()),
        manifest_digest: list.digest.as_deref().and_then(|digest| digest.parse().ok()),
        image_id: None,
        platform: None,
        distribution: None,
    };
    Ok(Some(Target {
        named: None,
        subject,
        packages: list.into_database(),
        profile: None,
        hardened: None,
        warnings,
        image: None,
    }))
}
