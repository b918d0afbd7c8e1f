//! Layers that images share stay shared, and nothing that an image removed comes back through them.

use std::collections::BTreeSet;

use image::{EditError, Edits, Image, ImagePath, ImageTarget, OpenOptions, Share, WriteError, Written};
use proptest::prelude::*;
use tempfile::TempDir;
use testkit::ImageBuilder;

use crate::properties::{layer, part};
use crate::support::{all_but, assert_restricted, keep, open, options, path, paths};

fn build(layers: &[&str]) -> testkit::Layout {
    layers.iter().fold(ImageBuilder::new(), |builder, layer| builder.layer(*layer)).oci_layout()
}

/// Writes the images together; validates and opens what was written.
fn write(images: &[(&Image, &Edits)]) -> Result<Vec<(Written, Image)>, WriteError> {
    let dir = TempDir::new().unwrap();
    let targets: Vec<ImageTarget> = (0..images.len())
        .map(|n| format!("oci:{}/{n}:latest", dir.path().display()).parse().unwrap())
        .collect();
    let shares: Vec<_> =
        images.iter().zip(&targets).map(|((image, edits), target)| Share { image, edits, target }).collect();
    let written = image::write_shared(&shares, &options(2))?;
    Ok(written
        .into_iter()
        .zip(&targets)
        .map(|(written, target)| {
            let source = target.to_string().parse().unwrap();
            image::validate(&source, &OpenOptions::new()).unwrap();
            (written, Image::open(&source, &OpenOptions::new()).unwrap())
        })
        .collect())
}

fn digests(written: &Written) -> Vec<image::Digest> {
    written.layers.iter().map(|layer| layer.descriptor.digest).collect()
}

#[test]
fn hard_69_a_shared_layer_has_what_either_image_keeps() {
    let base = "bin/ bin/sh:shell bin/ls:list bin/gone:x etc/ etc/a:1";
    let (one, two) = (build(&[base, "app/ app/one:1 extra:x"]), build(&[base, "app/ app/two:2 bin/gone:y"]));
    let (one, two) = (open(&one.source()), open(&two.source()));
    let of_one = keep(all_but(&one, &["bin/gone", "extra"]));
    let of_two = keep(all_but(&two, &["bin/gone"]));
    let written = write(&[(&one, &of_one), (&two, &of_two)]).unwrap();
    assert_eq!(digests(&written[0].0)[0], digests(&written[1].0)[0], "the base stays shared");
    assert_ne!(digests(&written[0].0)[0], one.layers()[0].descriptor.digest, "and was filtered");
    assert_restricted(&one, &of_one.keep, &written[0].1);
    assert_restricted(&two, &of_two.keep, &written[1].1);
}

#[test]
fn what_one_image_deleted_stays_deleted_where_another_keeps_it() {
    // The second image hides what the first keeps of the base: by a whiteout, an opaque one, another file, a file in the
    // place of a directory, a directory in the place of a file.
    let base = "d/ d/x:secret d/y:secret f:secret g/ g/x:secret h:secret";
    let one = build(&[base, "own:1"]);
    let two = build(&[base, "d/.wh.x f:mine g:now-a-file h/ h/x:1", "d/ d/.wh..wh..opq d/z:1", "own:2"]);
    let (one, two) = (open(&one.source()), open(&two.source()));
    let of_one = keep(all_but(&one, &["own"]));
    let of_two = keep(all_but(&two, &["own"]));
    let written = write(&[(&one, &of_one), (&two, &of_two)]).unwrap();
    assert_eq!(digests(&written[0].0)[0], digests(&written[1].0)[0]);
    assert_restricted(&one, &of_one.keep, &written[0].1);
    assert_restricted(&two, &of_two.keep, &written[1].1);

    // Were the file that hides another removed, that would show.
    for removed in ["f", "g", "h"] {
        let of_two = keep(all_but(&two, &[removed]));
        let error = write(&[(&one, &of_one), (&two, &of_two)]).unwrap_err();
        let WriteError::Edits(EditError::Shared(shown)) = &error else { panic!("{error:?}") };
        assert!(shown.is_within(&path(removed)) || *shown == path(removed), "{shown}");
        assert!(error.hint().is_some());
    }
}

#[test]
fn a_directory_without_an_entry_does_not_come_back_through_a_shared_layer() {
    // No entry describes `c/a`. The first image keeps it, but nothing in it, so that it gets one.
    let base = "c/a/x:secret";
    let one = build(&[base, "own:1"]);
    let one = open(&one.source());
    let of_one = keep(paths(["/", "/c", "/c/a", "/own"]));

    // A whiteout hides it from the second image, and stays.
    let two = build(&[base, "c/.wh.a c/b:1"]);
    let two = open(&two.source());
    let of_two = keep(all_but(&two, &[]));
    let written = write(&[(&one, &of_one), (&two, &of_two)]).unwrap();
    assert_eq!(digests(&written[0].0)[0], digests(&written[1].0)[0]);
    assert_restricted(&one, &of_one.keep, &written[0].1);
    assert_restricted(&two, &of_two.keep, &written[1].1);

    // A link that is itself replaced hides it from this one, and would go: refused, not shown.
    let two = build(&[base, "c->elsewhere", "c/b:1"]);
    let two = open(&two.source());
    assert!(two.tree().get(&path("/c/a")).is_none());
    for of_two in [paths(["/", "/c"]), all_but(&two, &[])] {
        let error = write(&[(&one, &of_one), (&two, &keep(of_two))]).unwrap_err();
        let WriteError::Edits(EditError::Shared(shown)) = &error else { panic!("{error:?}") };
        assert!(shown.is_within(&path("/c")) || *shown == path("/c"), "{shown}");
    }

    // Nor does it come back where the second image removes all that it has of it.
    let two = build(&[base, "own:2"]);
    let two = open(&two.source());
    let of_two = keep(all_but(&two, &["c"]));
    let error = write(&[(&one, &of_one), (&two, &of_two)]).unwrap_err();
    assert!(matches!(error, WriteError::Edits(EditError::Shared(_))), "{error:?}");
}

#[test]
fn hard_links_of_a_shared_layer_are_decided_for_all() {
    let base = "a:x b=>a c=>b d:1";
    let (one, two) = (build(&[base, "e=>a f:1"]), build(&[base, "g=>c .wh.b"]));
    let (one, two) = (open(&one.source()), open(&two.source()));
    let of_one = keep(all_but(&one, &["a", "c", "d"]));
    let of_two = keep(all_but(&two, &["a", "d"]));
    // Each shows the other's names of the file that it can see.
    let shown = |image: &Image, own: &Edits, other: &[&str]| {
        let more = other.iter().map(|name| path(name)).filter(|path| image.tree().get(path).is_some());
        keep(own.keep.iter().cloned().chain(more).collect())
    };
    let (of_one, of_two) = (shown(&one, &of_one, &["c"]), shown(&two, &of_two, &["b"]));
    let written = write(&[(&one, &of_one), (&two, &of_two)]).unwrap();
    assert_eq!(digests(&written[0].0)[0], digests(&written[1].0)[0]);
    assert_restricted(&one, &of_one.keep, &written[0].1);
    assert_restricted(&two, &of_two.keep, &written[1].1);
}

#[test]
fn new_content_in_a_shared_layer_is_the_same_in_both_or_each_has_its_own() {
    let base = "db/ db/status:old gone:1";
    let (one, two, three) = (build(&[base, "o:1"]), build(&[base, "o:2"]), build(&[base, "db/status:mine"]));
    let images = [open(&one.source()), open(&two.source()), open(&three.source())];
    let edits = |image: &Image, content: Option<&str>| Edits {
        keep: all_but(image, &["gone"]),
        replace: content.iter().map(|content| (path("db/status"), content.as_bytes().to_vec())).collect(),
    };
    // The third sees its own; it carries what the others made of the base's.
    for (contents, shared) in
        [([Some("new"), Some("new"), None], true), ([Some("new"), Some("other"), None], false)]
    {
        let edits: Vec<_> =
            images.iter().zip(contents).map(|(image, content)| edits(image, content)).collect();
        let written = write(&images.iter().zip(&edits).collect::<Vec<_>>()).unwrap();
        let base: Vec<_> = written.iter().map(|(written, _)| digests(written)[0]).collect();
        assert_eq!(base[0] == base[1], shared);
        assert_eq!(base[0], base[2]);
        for ((_, image), wanted) in written.iter().zip(contents) {
            let found = image.read_file(&path("db/status"), 99).unwrap();
            assert_eq!(found, wanted.unwrap_or("mine").as_bytes());
        }
    }
}

#[test]
fn images_without_a_common_base_are_written_as_alone() {
    let (one, two) = (build(&["a:1 b:1", "c:1"]), build(&["x:1", "a:1 b:1", "c:1"]));
    let (one, two) = (open(&one.source()), open(&two.source()));
    let (of_one, of_two) = (keep(all_but(&one, &["a"])), keep(all_but(&two, &["b"])));
    let written = write(&[(&one, &of_one), (&two, &of_two)]).unwrap();
    assert_eq!(written[0].0, crate::support::write(&one, &of_one).written);
    assert_eq!(written[1].0, crate::support::write(&two, &of_two).written);
}

/// What both keep of their common layers, as far as each can see it, and what hides the rest.
fn agreed(
    image: &Image,
    own: &BTreeSet<ImagePath>,
    other: &Image,
    others: &BTreeSet<ImagePath>,
    shared: usize,
) -> BTreeSet<ImagePath> {
    let mut out = own.clone();
    for path in others {
        let node = other.tree().get(path).unwrap();
        if node.layer >= shared {
            continue;
        }
        let shown = std::iter::once(path.clone())
            .chain(path.ancestors())
            .find(|path| image.tree().get(path).is_some());
        out.extend(shown.iter().flat_map(|path| path.ancestors().chain([path.clone()])));
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, max_global_rejects: 40_000, ..ProptestConfig::default() })]

    #[test]
    fn images_that_share_layers_are_each_restricted_to_what_was_kept(
        base in prop::collection::vec(layer(), 1..3),
        own in prop::collection::vec(layer(), 1..3),
        others in prop::collection::vec(layer(), 1..3),
        bits in prop::collection::vec(prop::bool::weighted(0.5), 13),
        other_bits in prop::collection::vec(prop::bool::weighted(0.5), 11),
    ) {
        let build = |more: &[String]| {
            let layers: Vec<&str> = base.iter().chain(more).map(String::as_str).collect();
            build(&layers)
        };
        let (one, two) = (build(&own), build(&others));
        let open = |layout: &testkit::Layout| Image::open(&layout.source().parse().unwrap(), &OpenOptions::new());
        let (one, two) = (open(&one), open(&two));
        prop_assume!(one.is_ok() && two.is_ok());
        let (one, two) = (one.unwrap(), two.unwrap());
        let shared = one.layers().iter().zip(two.layers()).take_while(|(a, b)| a.descriptor == b.descriptor).count();
        let (mut of_one, mut of_two) = (part(&one, &bits), part(&two, &other_bits));
        loop {
            let (more_one, more_two) = (agreed(&one, &of_one, &two, &of_two, shared), agreed(&two, &of_two, &one, &of_one, shared));
            if (&more_one, &more_two) == (&of_one, &of_two) {
                break;
            }
            (of_one, of_two) = (more_one, more_two);
        }
        let (of_one, of_two) = (keep(of_one), keep(of_two));
        let written = match write(&[(&one, &of_one), (&two, &of_two)]) {
            // A file in the place of a directory, and a directory in the place of that file: refused, not shown.
            Err(WriteError::Edits(EditError::Shared(_))) => return Err(TestCaseError::reject("refused")),
            other => other.unwrap(),
        };
        assert_restricted(&one, &of_one.keep, &written[0].1);
        assert_restricted(&two, &of_two.keep, &written[1].1);
        let of = |written: &Written, layer| {
            written.layers.iter().find(|made| made.from_layer == Some(layer)).map(|made| made.descriptor.digest)
        };
        for layer in 0..shared {
            prop_assert_eq!(of(&written[0].0, layer), of(&written[1].0, layer));
        }
    }
}
