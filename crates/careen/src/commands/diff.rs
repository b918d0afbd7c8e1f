//! `careen diff`: what two images differ in.

use harden::{ImageDiff, PathDiff, Side};
use image::{Image, ImagePath};
use packages::PackageDatabase;
use serde::Serialize;

use crate::cli::{DiffArgs, ImageArgs};
use crate::context::Context;
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{hints, output};

/// Grows when an old reader would misunderstand a new document; see `docs/formats/diff.md`.
const FORMAT_VERSION: u32 = 1;

#[derive(Serialize)]
struct Compared {
    format_version: u32,
    a: Compare,
    b: Compare,
    #[serde(flatten)]
    diff: ImageDiff,
}

#[derive(Serialize)]
struct Compare {
    image: String,
    manifest_digest: image::Digest,
    compressed_bytes: u64,
    paths: usize,
    packages: usize,
}

/// Compares and prints.
pub(crate) fn run(context: &Context, args: &DiffArgs) -> Result<(), Failure> {
    let open = |name: &str| -> Result<(Image, PackageDatabase), Failure> {
        let image = ImageArgs { image: name.to_owned(), platform: args.platform.clone() };
        let image = context.open_image(&image)?;
        context.progress.done(&output::bytes_text(image.compressed_bytes()));
        let packages = packages::read(&image).map_err(|source| {
            hints::plain(ExitCode::Image, format!("cannot read the package database of {name}"), source)
        })?;
        Ok((image, packages))
    };
    let (a, b) = (open(&args.a)?, open(&args.b)?);
    context.progress.stage("compare", None);
    let diff = harden::diff((&a.0, &a.1), (&b.0, &b.1))
        .map_err(|source| hints::plain(ExitCode::Image, "cannot compare the images", source))?;
    context.progress.abandon();
    let is_empty = diff.is_empty();
    let compared = Compared { format_version: FORMAT_VERSION, a: summary(&a), b: summary(&b), diff };
    let top = if args.top == 0 { usize::MAX } else { args.top };
    output::print(context.output, &compared, |compared| text(compared, top))?;
    if args.exit_code && !is_empty {
        return Err(Failure::new(ExitCode::Failure, "the images differ"));
    }
    Ok(())
}

fn summary((image, packages): &(Image, PackageDatabase)) -> Compare {
    Compare {
        image: image.source().to_string(),
        manifest_digest: image.manifest_digest(),
        compressed_bytes: image.compressed_bytes(),
        paths: image.tree().len(),
        packages: packages.installed().count(),
    }
}

fn text(compared: &Compared, top: usize) -> String {
    let Compared { a, b, diff, .. } = compared;
    let rows = [
        ("compressed", output::bytes_text(a.compressed_bytes), output::bytes_text(b.compressed_bytes)),
        ("paths", output::count_text(a.paths as u64), output::count_text(b.paths as u64)),
        ("packages", output::count_text(a.packages as u64), output::count_text(b.packages as u64)),
    ]
    .map(|(name, a, b)| vec![name.to_owned(), a, b]);
    let mut out =
        format!("\n  A  {}\n  B  {}\n\n{}", a.image, b.image, output::table(&["", "A", "B"], &rows));
    if diff.is_empty() {
        return out + "\nThe images hold the same.\n";
    }
    out += "\nLayers (= in both, - only in A, + only in B):\n";
    for layer in &diff.layers {
        let sign = match layer.side {
            Side::Both => '=',
            Side::A => '-',
            Side::B => '+',
        };
        out += &format!("  {sign} {}  {}\n", layer.digest, output::bytes_text(layer.compressed_bytes));
    }
    out += &paths_text(diff, top);
    let packages = diff.packages.iter().map(|package| {
        let name = format!("{}:{}", package.name, package.architecture);
        match (&package.before, &package.after) {
            (Some(before), None) => format!("- {name} {before}"),
            (None, Some(after)) => format!("+ {name} {after}"),
            (Some(before), Some(after)) if before != after => format!("~ {name} {before} -> {after}"),
            _ => {
                let before = output::counted(package.files_before as u64, "file", "files");
                format!("~ {name} {} of {before}", package.files_after)
            }
        }
    });
    out += &section("Packages", &packages.collect::<Vec<_>>(), top);
    out += &section("Settings", &diff.settings.iter().map(ToString::to_string).collect::<Vec<_>>(), top);
    out
}

fn paths_text(diff: &ImageDiff, top: usize) -> String {
    let of = |wanted: fn(&PathDiff) -> Option<u64>| -> Vec<(&ImagePath, &PathDiff, u64)> {
        let mut found: Vec<_> = diff
            .paths
            .iter()
            .filter_map(|(path, difference)| wanted(difference).map(|size| (path, difference, size)))
            .collect();
        found.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.0.cmp(b.0)));
        found
    };
    let sized = |found: Vec<(&ImagePath, &PathDiff, u64)>| -> Vec<String> {
        found.iter().map(|(path, _, size)| format!("{path}  {}", output::bytes_text(*size))).collect()
    };
    let removed = of(|difference| match difference {
        PathDiff::Removed { size_bytes, .. } => Some(*size_bytes),
        _ => None,
    });
    let added = of(|difference| match difference {
        PathDiff::Added { size_bytes, .. } => Some(*size_bytes),
        _ => None,
    });
    let changed = diff.paths.iter().filter_map(|(path, difference)| match difference {
        PathDiff::Changed { fields } => {
            let fields: Vec<_> = fields
                .iter()
                .map(|field| match field.field.as_str() {
                    // Digests say nothing to a reader.
                    "content" => "content".to_owned(),
                    name => format!("{name} {} -> {}", shown(&field.before), shown(&field.after)),
                })
                .collect();
            Some(format!("{path}  {}", fields.join(", ")))
        }
        _ => None,
    });
    [
        section("Only in A", &sized(removed), top),
        section("Only in B", &sized(added), top),
        section("In both, but not the same", &changed.collect::<Vec<_>>(), top),
        format!("\n{} the same.\n", output::counted(diff.unchanged_paths, "path is", "paths are")),
    ]
    .concat()
}

fn shown(value: &str) -> &str {
    if value.is_empty() { "none" } else { value }
}

fn section(title: &str, lines: &[String], top: usize) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut out = format!("\n{title}: {}\n", output::count_text(lines.len() as u64));
    lines.iter().take(top).for_each(|line| out += &format!("  {line}\n"));
    match lines.len().saturating_sub(top) {
        0 => out,
        hidden => out + &format!("  … and {} more: --top 0 lists all\n", output::count_text(hidden as u64)),
    }
}
