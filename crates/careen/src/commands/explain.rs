//! `careen explain`: why a path was kept or removed.

use std::os::unix::ffi::OsStrExt as _;

use image::tree::ResolutionEnd;
use image::{Image, ImagePath};

use crate::artifacts::ResultStore;
use crate::cli::{ExplainArgs, ImageArgs};
use crate::commands::verify::load_ledger;
use crate::context::{self, Context};
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{hints, output};

/// Explains paths from the ledger.
pub(crate) fn run(context: &Context, args: &ExplainArgs) -> Result<(), Failure> {
    let mut opened = None;
    let ledger_file = match &args.ledger {
        Some(file) => file.clone(),
        None => {
            let source = context::parse_source(&args.image)?;
            let image = ImageArgs { image: args.image.clone(), platform: args.platform.clone() };
            let image = context.open_image(&image)?;
            context.progress.abandon();
            let manifest = image.manifest_digest();
            opened = Some(image);
            let found = ResultStore::new(&context.data_dir).find(&source, manifest).ok_or_else(|| {
                Failure::new(ExitCode::Document, format!("no ledger is known for {source}"))
                    .hint("harden it first, or name the ledger with --ledger FILE".to_owned())
            })?;
            found.ledger()
        }
    };
    let ledger = load_ledger(&ledger_file)?;
    let explanations = args
        .paths
        .iter()
        .map(|path| {
            let path = ImagePath::from_absolute(path.as_os_str().as_bytes()).map_err(|source| {
                hints::plain(ExitCode::Usage, format!("cannot explain {}", path.display()), source)
            })?;
            let path = opened.as_ref().map_or(path.clone(), |image| follow_directories(image, &path));
            Ok(harden::explain(&ledger, &path))
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    output::print(context.output, &explanations, |explanations| {
        explanations.iter().map(|explanation| format!("{explanation}\n")).collect()
    })
}

/// The path with the links in its directories followed, as far as the image still has them: `/bin/perl` is
/// `/usr/bin/perl` on a merged system.
fn follow_directories(image: &Image, path: &ImagePath) -> ImagePath {
    let root = ImagePath::root();
    path.ancestors()
        .find_map(|directory| match image.tree().resolve(&root, &directory.to_absolute(), true).end {
            ResolutionEnd::Found(found) => {
                let rest = path.as_bytes().get(directory.as_bytes().len()..)?;
                found.join(rest).ok()
            }
            _ => None,
        })
        .unwrap_or_else(|| path.clone())
}
