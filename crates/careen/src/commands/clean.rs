//! `careen clean`: room made now, instead of at the end of a later command.

use std::time::Duration;

use engine::LayerStore;
use serde::Serialize;

use crate::cli::CleanArgs;
use crate::context::Context;
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{hints, output, registries};

/// Blobs that came lately may be wanted by a command that has not opened them yet.
const BLOB_GRACE: Duration = Duration::from_secs(3600);

#[derive(Serialize)]
struct Cleaned {
    /// Whether nothing was removed, only looked at.
    dry_run: bool,
    layers: Vec<Layer>,
    layer_bytes: u64,
    /// Layers that somebody uses now.
    layers_in_use: usize,
    blobs: u64,
    blob_bytes: u64,
}

#[derive(Serialize)]
struct Layer {
    chain_id: String,
    bytes: u64,
    last_use: String,
}

/// Removes what is not in use, and prints what that was.
pub(crate) fn run(context: &Context, args: &CleanArgs) -> Result<(), Failure> {
    context.progress.stage("clean", None);
    let (layer_age, blob_age) =
        if args.all { (Duration::ZERO, BLOB_GRACE) } else { (registries::UNUSED, registries::UNUSED) };
    let store = LayerStore::of(&context.data_dir);
    let removed =
        store.remove_unused(layer_age, args.dry_run, true, &context.interrupt).map_err(|source| {
            hints::plain(ExitCode::Host, format!("cannot clean {}", context.data_dir.display()), source)
        })?;
    let blobs = registries::blobs(context);
    let blobs = if args.dry_run { blobs.unused(blob_age) } else { blobs.remove_unused(blob_age) };
    context.progress.abandon();
    let layers = removed.layers.iter().map(|layer| Layer {
        chain_id: layer.chain_id.to_string(),
        bytes: layer.bytes,
        last_use: coverage::rfc3339(layer.last_use),
    });
    let cleaned = Cleaned {
        dry_run: args.dry_run,
        layers: layers.collect(),
        layer_bytes: removed.bytes(),
        layers_in_use: removed.in_use,
        blobs: blobs.blobs,
        blob_bytes: blobs.bytes,
    };
    output::print(context.output, &cleaned, |cleaned| text(cleaned, args.all))?;
    match removed.failed.into_iter().next() {
        None => Ok(()),
        Some((path, source)) => {
            Err(hints::plain(ExitCode::Partly, format!("cannot remove {}", path.display()), source))
        }
    }
}

fn text(cleaned: &Cleaned, all: bool) -> String {
    let Cleaned { dry_run, layers, layer_bytes, layers_in_use, blobs, blob_bytes } = cleaned;
    let verb = if *dry_run { "would remove" } else { "removed" };
    let mut out = String::new();
    if !layers.is_empty() {
        let count = output::counted(layers.len() as u64, "unpacked layer", "unpacked layers");
        out += &format!("  {verb}  {count}, {}\n", output::bytes_text(*layer_bytes));
    }
    if *blobs > 0 {
        let count = output::counted(*blobs, "blob", "blobs");
        out += &format!("  {verb}  {count} of registries, {}\n", output::bytes_text(*blob_bytes));
    }
    if out.is_empty() {
        out += match all {
            true => "  nothing to remove\n",
            false => "  nothing was unused for a month; --all removes whatever is not in use now\n",
        };
    }
    if *layers_in_use > 0 {
        out +=
            &format!("  left alone  {} in use\n", output::counted(*layers_in_use as u64, "layer", "layers"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_freed_is_told_in_words() {
        let layer = |digit: &str| Layer { chain_id: digit.to_owned(), bytes: 1000, last_use: String::new() };
        let mut cleaned = Cleaned {
            dry_run: true,
            layers: vec![layer("a"), layer("b")],
            layer_bytes: 2000,
            layers_in_use: 1,
            blobs: 1,
            blob_bytes: 500,
        };
        let told = text(&cleaned, false);
        assert_eq!(told.lines().count(), 3);
        for words in
            ["would remove  2 unpacked layers, ", "would remove  1 blob of registries, ", "1 layer in use"]
        {
            assert!(told.contains(words), "{told}");
        }
        (cleaned.layers, cleaned.blobs, cleaned.layers_in_use) = (Vec::new(), 0, 0);
        assert!(text(&cleaned, false).contains("--all"));
        assert_eq!(text(&cleaned, true), "  nothing to remove\n");
    }
}
