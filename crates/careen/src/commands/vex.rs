//! `careen vex`: which known vulnerabilities touch an image, and on what that rests.

use std::collections::{BTreeMap, BTreeSet};

use advisories::matching::{self, Finding};
use advisories::vex::{self, Coverage, Format, Ground, Header, Remains, Wishes};
use advisories::{PackageUse, heat};
use harden::Ledger;
use image::Image;
use packages::PackageDatabase;
use profile::Profile;
use sbom::Options;

use crate::artifacts::{Artifacts, ResultStore};
use crate::cli::{ImageArgs, VexArgs, VexFormat};
use crate::commands::verify::load_ledger;
use crate::commands::{db, rbom, record, sbom as listing};
use crate::context::Context;
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{output, remains, scanning};

/// Says which vulnerabilities touch one image.
pub(crate) fn run(context: &Context, args: &VexArgs) -> Result<(), Failure> {
    output::check(&args.document.destination)?;
    if args.format == VexFormat::Csaf && args.author_url.is_none() {
        return Err(Failure::new(ExitCode::Usage, "CSAF wants to know an address of its author")
            .hint("name it with --author-url https://…".to_owned()));
    }
    if let Some(name) = args.name.as_deref().filter(|name| !is_reference(name)) {
        return Err(Failure::new(ExitCode::Usage, format!("{name} is no name of an image in a registry"))
            .hint("name its repository, such as registry.example/shop or docker.io/redis".to_owned()));
    }
    let database = db::open(context, &args.db)?;
    let created = listing::created(args.document.created.as_deref())?;
    let original = context.open_image(&args.image)?;
    let hardened = args.hardened.as_deref().map(|image| open_hardened(context, args, image)).transpose()?;
    let found = find(context, args, &original, hardened.as_ref())?;

    let packages = rbom::catalog(&original)?;
    let findings = matching::find(&packages, &database)
        .map_err(|error| db::failed("cannot search the database", error))?;
    let subject = hardened.as_ref().unwrap_or(&original);
    let tree = subject.tree();
    let uses = heat::uses(&packages, found.profile.as_ref(), &|path| tree.get(path).is_some());
    let grounds = grounds(&packages, &findings, uses, &original, hardened.as_ref())?;

    let listed = match &hardened {
        Some(hardened) => rbom::catalog(hardened)?,
        None => packages,
    };
    let options =
        Options { created, tool_version: env!("CARGO_PKG_VERSION").to_owned(), ..Options::default() };
    let bill = rbom::bill(subject, &listed, &options)?;
    let mut references: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for component in &bill.components {
        let bare = vex::bare(&component.package.purl);
        references.entry(bare).or_default().insert(component.reference.clone());
    }
    let name = args.name.clone().unwrap_or_else(|| bill.name.clone());
    let images = vex::image_names(subject, &name);
    let header = Header {
        author: args.author.clone(),
        author_url: args.author_url.clone().unwrap_or_default(),
        created: bill.created.clone(),
        tool_version: options.tool_version.clone(),
        image: name,
        image_purl: images.first().cloned().unwrap_or_default(),
        sbom_uuid: Some(bill.uuid.clone()),
        references,
    };
    let coverage = found.profile.as_ref().map(Coverage::of).unwrap_or_default();
    let wishes = Wishes { claim_not_executed: args.claim_not_executed, bare_packages: args.bare_packages };
    if args.claim_not_executed && !coverage.complete {
        return Err(Failure::new(ExitCode::Profile, "nothing can be claimed on a record with gaps")
            .hint("name a complete profile with --profile, or leave out --claim-not-executed".to_owned()));
    }
    let statements = vex::claims(&findings, &grounds, &coverage, &images, wishes);
    if statements.is_empty() {
        // None of the three forms allows, or means anything by, a document that says nothing.
        let tried = format!("no vulnerability is known in {}: there is nothing to state", original.source());
        return Err(Failure::new(ExitCode::Failure, tried)
            .hint("see with careen scan and careen db status what was asked".to_owned()));
    }
    let format = match args.format {
        VexFormat::Openvex => Format::OpenVex,
        VexFormat::Csaf => Format::Csaf,
        VexFormat::Cyclonedx => Format::CycloneDx,
    };
    context.progress.abandon();
    output::write(&args.document.destination, &vex::write(&header, &statements, format))
}

/// Whether a text can name an image in a registry. Source: OCI distribution-spec 1.1, "Pulling manifests".
fn is_reference(text: &str) -> bool {
    let ok = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    let parts_ok = text.split('/').all(|part| part.starts_with(|c: char| c.is_ascii_alphanumeric()));
    text.contains('/') && text.len() <= 512 && text.chars().all(ok) && parts_ok
}

fn open_hardened(context: &Context, args: &VexArgs, image: &str) -> Result<Image, Failure> {
    context.open_image(&ImageArgs { image: image.to_owned(), platform: args.image.platform.clone() })
}

/// What is known of the runs.
struct Known {
    profile: Option<Profile>,
}

/// Finds the profile, and checks that the hardened image was made of the original.
fn find(
    context: &Context,
    args: &VexArgs,
    original: &Image,
    hardened: Option<&Image>,
) -> Result<Known, Failure> {
    let store = ResultStore::new(&context.data_dir);
    let artifacts = hardened.and_then(|image| store.find(image.source(), image.manifest_digest()));
    if let Some(hardened) = hardened {
        let file = args.ledger.clone().or_else(|| artifacts.as_ref().map(Artifacts::ledger));
        let file = file.ok_or_else(|| {
            Failure::new(ExitCode::Document, format!("no ledger is known for {}", hardened.source()))
                .hint("name the one that its hardening wrote, with --ledger FILE".to_owned())
        })?;
        check_ledger(&load_ledger(&file)?, original, hardened)?;
    }
    let files = match (&args.profile[..], artifacts) {
        ([], Some(artifacts)) if artifacts.profile().is_file() => vec![artifacts.profile()],
        (files, _) => files.to_vec(),
    };
    if files.is_empty() {
        return Ok(Known { profile: None });
    }
    let profile = record::merge_profiles(&record::load_profiles(&files, &[])?)?;
    if profile.image.image_id != original.image_id() {
        let tried =
            format!("the profile is of image {}, not of {}", profile.image.image_id, original.source());
        return Err(Failure::new(ExitCode::Profile, tried)
            .hint("name a profile of the original, or carry one over with careen profile carry".to_owned()));
    }
    Ok(Known { profile: Some(profile) })
}

fn check_ledger(ledger: &Ledger, original: &Image, hardened: &Image) -> Result<(), Failure> {
    if ledger.image.image_id == original.image_id() {
        return Ok(());
    }
    let tried = format!("{} was not made of {}", hardened.source(), original.source());
    Err(Failure::new(ExitCode::Document, tried)
        .hint(format!("it was made of {}: name that one first", ledger.image.reference)))
}

/// What is known of each package; files are looked at only of those that have a finding.
fn grounds(
    packages: &PackageDatabase,
    findings: &[Finding],
    uses: Vec<PackageUse>,
    original: &Image,
    hardened: Option<&Image>,
) -> Result<Vec<Ground>, Failure> {
    let hit: BTreeSet<usize> = findings.iter().map(|finding| finding.package.0).collect();
    let mut grounds = Vec::with_capacity(uses.len());
    let mut symbols = scanning::symbols_of(packages, findings, original);
    for (index, (package, usage)) in packages.packages.iter().zip(uses).enumerate() {
        let remains = match hardened {
            Some(hardened) if hit.contains(&index) => remains::of(package, original, hardened)?,
            _ => Remains::default(),
        };
        grounds.push(Ground { usage, remains, symbols: symbols.remove(&index).unwrap_or_default() });
    }
    Ok(grounds)
}
