//! One layer instead of several: the same tree, nothing hidden, a history that adds up.

use std::collections::BTreeSet;

use image::{Edits, OutputCompression, WriteOptions};
use serde_json::{Value, json};
use testkit::{ImageBuilder, TarBuilder, TarEntry};

use crate::contents::every_kind;
use crate::support::{
    Output, all_but, assert_restricted, files, keep, open, options, path, write, write_with,
};

fn squashing() -> WriteOptions<'static> {
    WriteOptions { squash: true, ..options(2) }
}

fn squash(image: &image::Image, removed: &[&str]) -> Output {
    let kept = all_but(image, removed);
    let output = write_with(image, &keep(kept.clone()), &squashing());
    assert_restricted(image, &kept, &output.image);
    output
}

#[test]
fn one_layer_has_everything_in_the_order_of_paths_and_nothing_that_hides() {
    for (layers, removed, entries) in [
        (&["b/ b/2:x a:1", "b/1:y", "b/.wh.2 c:z"][..], &[][..], &["a", "b/", "b/1", "c"][..]),
        (&["d/ d/x:1", "d/@700 d/.wh..wh..opq d/y:2"], &[], &["d/", "d/y"]),
        (&["d/x:1 e:1", "d:file"], &[], &["d", "e"]),
        (&["f:1 g:1", "f/ f/x:2"], &["g"], &["f/", "f/x"]),
        // A directory without an entry that becomes empty gets one.
        (&["a/b/c:1 z:1", "y:2"], &["a/b/c"], &["a/b/", "y", "z"]),
        // Names of one file: the first in the original has the content, all others come last.
        (&["b:x a=>b", "c=>a d:1"], &[], &["b", "d", "a=>b", "c=>a"]),
        (&["b:x a=>b", "c=>a d:1"], &["b"], &["a", "d", "c=>a"]),
        (&["b:x z:1", "c=>b a=>c"], &["b"], &["c", "z", "a=>c"]),
        (&["b->x z:1", "c=>b a=>c"], &["b"], &["c", "z", "a=>c"]),
    ] {
        let layout = testkit::image(layers);
        let output = squash(&open(&layout.source()), removed);
        assert_eq!(output.image.layers().len(), 1, "{layers:?}");
        assert_eq!(output.entries(0), entries, "{layers:?} without {removed:?}");
    }
}

#[test]
fn every_kind_of_entry_survives_squashing_byte_for_byte() {
    let kinds = every_kind();
    let (lower, upper) = kinds.split_at(kinds.len() / 2);
    let tar = |entries: &[TarEntry]| entries.iter().fold(TarBuilder::new(), TarBuilder::entry);
    let layout = ImageBuilder::new()
        .layer(tar(lower).entry(TarEntry::file("gone", "x")))
        .layer(tar(upper).entry(TarEntry::hardlink("across", "bin-su")))
        .oci_layout();
    let image = open(&layout.source());
    for removed in [&["gone"][..], &["gone", "bin-su"], &["gone", "bin-su", "hard"]] {
        let output = squash(&image, removed);
        assert_eq!(output.image.layers().len(), 1);
        // Each entry has the bytes that it had.
        let layer = &output.image.layers()[0];
        let mut tar = vec![0; usize::try_from(layer.uncompressed_bytes).unwrap()];
        assert_eq!(layer.read_at(0, &mut tar).unwrap(), tar.len());
        for entry in
            kinds.iter().filter(|entry| !["bin-su", "hard"].iter().any(|name| entry.name == name.as_bytes()))
        {
            let bytes = entry.to_bytes();
            assert!(tar.windows(bytes.len()).any(|window| window == bytes), "{entry:?}");
        }
    }
}

#[test]
fn global_headers_do_not_reach_other_layers_entries() {
    let upper = TarBuilder::new()
        .entry(TarEntry::file("b", "x"))
        .global_pax(&[("mtime", "1000000000"), ("comment", "c")])
        .entry(TarEntry::file("c", "x").xattr("user.a", "b"));
    let layout = ImageBuilder::new().layer("a:1 d:2").layer(upper).oci_layout();
    let output = squash(&open(&layout.source()), &["a"]);
    let layer = &output.image.layers()[0];
    let mut tar = vec![0; usize::try_from(layer.uncompressed_bytes).unwrap()];
    assert_eq!(layer.read_at(0, &mut tar).unwrap(), tar.len());
    assert!(!tar.windows(9).any(|window| window == b"comment=c"));
}

#[test]
fn history_tells_of_all_steps_and_one_layer() {
    let layout = ["a:1", "b:2", "c:3"]
        .into_iter()
        .fold(ImageBuilder::new(), ImageBuilder::layer)
        .edit_config(|config| {
            config["created"] = json!("2020-01-01T00:00:00Z");
            config["history"] = json!([{"created_by": "base"}, {"created_by": "ENV", "empty_layer": true},
                {"created_by": "b"}, {"created_by": "c"}]);
        })
        .oci_layout();
    let output = squash(&open(&layout.source()), &["b"]);
    let config: Value = serde_json::from_slice(output.image.config_bytes()).unwrap();
    assert_eq!(
        config["history"],
        json!([{"created_by": "base", "empty_layer": true}, {"created_by": "ENV", "empty_layer": true},
            {"created_by": "b", "empty_layer": true}, {"created_by": "c", "empty_layer": true},
            {"created": "2020-01-01T00:00:00Z", "comment": "merge of 3 layers"}])
    );
    assert_eq!(config["rootfs"]["diff_ids"], json!([output.written.layers[0].diff_id]));
    assert_eq!(output.written.layers[0].from_layer, None);
    let descriptor: Value = serde_json::from_slice(output.image.manifest_bytes()).unwrap();
    let keys: BTreeSet<&str> =
        descriptor["layers"][0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, BTreeSet::from(["mediaType", "digest", "size"]));
}

#[test]
fn what_is_one_layer_anyway_is_not_squashed() {
    let layout = testkit::image(&["a:1", "b:2"]);
    let image = open(&layout.source());
    let output = squash(&image, &["a"]);
    assert!(output.written.layers[0].reused);
    assert_eq!(output.written.layers[0].from_layer, Some(1));
}

#[test]
fn the_squashed_image_has_replaced_contents_and_is_the_same_each_time() {
    let layout = testkit::image(&["etc/ etc/a:old etc/b=>etc/a", "etc/c:1 gone:2"]);
    let image = open(&layout.source());
    let edits =
        Edits { keep: all_but(&image, &["gone"]), replace: [(path("etc/a"), b"new".to_vec())].into() };
    for compression in
        [OutputCompression::default(), OutputCompression::Zstd { level: 3 }, OutputCompression::None]
    {
        let written = |threads| {
            write_with(&image, &edits, &WriteOptions { squash: true, compression, ..options(threads) })
        };
        let output = written(1);
        assert_eq!(output.image.read_file(&path("etc/a"), 99).unwrap(), b"new");
        assert_eq!(output.image.read_file(&path("etc/b"), 99).unwrap(), b"old");
        assert_eq!(files(&written(3).layout()), files(&output.layout()));
    }
}

#[test]
fn squashing_is_not_larger_than_the_layers_it_is_made_of() {
    // Layers that somebody compressed as well as can be.
    let text: Vec<u8> = (0..300_000_u32).flat_map(|n| (n % 977).to_string().into_bytes()).collect();
    let tar = |name: &str| TarBuilder::new().entry(TarEntry::file(name, &text)).finish();
    let best = |tar: &[u8]| {
        let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::best());
        let mut out = vec![0; compressor.gzip_compress_bound(tar.len())];
        let length = compressor.gzip_compress(tar, &mut out).unwrap();
        out.truncate(length);
        out
    };
    let gzip = "application/vnd.oci.image.layer.v1.tar+gzip";
    let layout = ["a", "b"]
        .into_iter()
        .fold(ImageBuilder::new(), |builder, name| builder.raw_layer(gzip, &best(&tar(name)), &tar(name)))
        .layer("gone:x")
        .oci_layout();
    let image = open(&layout.source());
    let apart = write(&image, &keep(all_but(&image, &["gone"])));
    let squashed = squash(&image, &["gone"]);
    let (apart, squashed) = (apart.written.compressed_bytes, squashed.written.compressed_bytes);
    // Members of a megabyte cost a few bytes each.
    assert!(squashed <= apart + apart / 200, "{squashed} and {apart}");
}
