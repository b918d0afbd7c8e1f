//! Random images, random edits: the output is the original restricted to what was kept.

use std::collections::{BTreeMap, BTreeSet};

use image::{Image, ImagePath, OpenOptions};
use proptest::prelude::*;
use testkit::ImageBuilder;

use crate::support::{assert_restricted, files, keep, options, write, write_with};

/// A layer as words: few names, so that layers hit one another.
pub(crate) fn layer() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a", "b", "c"]);
    let path = prop::collection::vec(name, 1..4).prop_map(|names| names.join("/"));
    let target = path.clone();
    let entry = (path, 0..9_u8, target, 0..64_u16).prop_map(|(path, kind, target, n)| {
        let (parent, name) = path.rsplit_once('/').map_or(("", &*path), |(parent, name)| (parent, name));
        let beside =
            |name: &str| if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") };
        match kind {
            0 | 1 => format!("{path}@{:o}:content-{n}", 0o600 + n),
            2 | 3 => format!("{path}/@{:o},{n}", 0o700 + n),
            4 => format!("{path}->{target}"),
            5 => format!("{path}=>{target}"),
            6 => beside(&format!(".wh.{name}")),
            7 => format!("{path}/.wh..wh..opq"),
            _ => format!("{path}!p"),
        }
    });
    prop::collection::vec(entry, 1..8).prop_map(|words| {
        // One entry for each name; a name with something beneath it is a directory.
        let bare = |word: &str| {
            word.split(['@', ':', '-', '=', '!']).next().unwrap_or_default().trim_end_matches('/').to_owned()
        };
        let by_name: BTreeMap<_, _> = words.iter().map(|word| (bare(word), word.clone())).collect();
        let is_above = |name: &str| by_name.keys().any(|other| other.starts_with(&format!("{name}/")));
        let mut seen = BTreeSet::new();
        let chosen =
            words.iter().filter(|word| by_name.get(&bare(word)) == Some(word) && seen.insert(bare(word)));
        let fixed =
            chosen.map(|word| if is_above(&bare(word)) { format!("{}/", bare(word)) } else { word.clone() });
        fixed.collect::<Vec<_>>().join(" ")
    })
}

/// A random part of the tree with the directories above it.
pub(crate) fn part(image: &Image, bits: &[bool]) -> BTreeSet<ImagePath> {
    let chosen = image
        .tree()
        .iter()
        .zip(bits.iter().cycle())
        .filter(|(_, bit)| **bit)
        .map(|((path, _), _)| path.clone());
    chosen.flat_map(|path| path.ancestors().chain([path]).collect::<Vec<_>>()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_global_rejects: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_the_original_restricted_to_what_was_kept(
        layers in prop::collection::vec(layer(), 1..5),
        bits in prop::collection::vec(prop::bool::weighted(0.6), 13),
    ) {
        let layout = layers.iter().fold(ImageBuilder::new(), |builder, layer| builder.layer(layer.as_str())).oci_layout();
        // Some of these layers contradict themselves, such as links to nothing.
        let image = Image::open(&layout.source().parse().unwrap(), &OpenOptions::new());
        prop_assume!(image.is_ok());
        let image = image.unwrap();
        let kept = part(&image, &bits);
        let output = write(&image, &keep(kept.clone()));
        assert_restricted(&image, &kept, &output.image);

        // No layer holds anything that is not visible in the end.
        let holds = |path: &ImagePath| kept.contains(path) || path.is_root();
        for entry in output.image.layers().iter().flat_map(|layer| &layer.entries) {
            prop_assert!(holds(&entry.path), "{}", entry.path);
        }
        for (nth, layer) in output.written.layers.iter().enumerate() {
            let original = &image.layers()[layer.from_layer.unwrap()];
            prop_assert_eq!(layer.reused, original.diff_id == output.image.layers()[nth].diff_id);
        }
        // Writing again changes nothing more, and another number of threads nothing at all.
        let again = write(&output.image, &keep(kept.clone()));
        prop_assert_eq!(again.written.manifest_digest, output.written.manifest_digest);
        let other = write_with(&image, &keep(kept), &options(1));
        prop_assert_eq!(files(&other.layout()), files(&output.layout()));
    }
}
