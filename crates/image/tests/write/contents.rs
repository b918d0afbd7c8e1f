//! Bytes and metadata: what is kept survives byte for byte, what is replaced changes in nothing else.

use image::{Edits, Image, OutputCompression, WriteOptions};
use testkit::{Compression, ImageBuilder, TarBuilder, TarEntry};

use crate::support::{all_but, assert_restricted, files, keep, open, options, path, seen, write, write_with};

/// One entry of every kind that a layer can have, with every kind of metadata.
pub(crate) fn every_kind() -> Vec<TarEntry> {
    let long = "a-directory-with-a-long-name/".repeat(8) + "file";
    let capability = b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let acl =
        b"\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x04\0\x04\0\xff\xff\xff\xff\x20\0\x04\0\xff\xff\xff\xff";
    vec![
        TarEntry::dir("tmp/").mode(0o1777),
        TarEntry::dir("home/").mode(0o700).owner(1000, 1000),
        TarEntry::dir("setgid/").mode(0o2775).owner(0, 50),
        TarEntry::file("bin-su", "setuid").mode(0o4755),
        TarEntry::file("ping", "capable").mode(0o755).xattr("security.capability", capability),
        TarEntry::file("acl", "x").xattr("system.posix_acl_access", acl).xattr("user.comment", b"a=b\n\0c"),
        TarEntry::file("nanoseconds", "x").pax("mtime", "1234567890.987654321"),
        TarEntry::file("before-1970", "x").pax("mtime", "-5.25"),
        TarEntry { mtime: -7, ..TarEntry::file("before-1970-too", "x") },
        TarEntry::file("large-owner", "x").owner(3_000_000, 4_000_000),
        TarEntry::file("large-owner-pax", "x").pax("uid", "3000000").pax("gid", "4000000000"),
        TarEntry::file(&long, "long"),
        TarEntry { gnu: true, ..TarEntry::file(long.clone() + "-gnu", "long") },
        TarEntry::symlink("link", &long),
        TarEntry::symlink("dangling", "/no/such/../file"),
        TarEntry::hardlink("hard", "bin-su"),
        TarEntry::hardlink("hard-long", &long),
        TarEntry::fifo("pipe").mode(0o620).owner(0, 5),
        TarEntry::device("null", b'3', (1, 3)).mode(0o666),
        TarEntry::device("sda", b'4', (8, 0)).mode(0o660),
        TarEntry::gnu_sparse(
            "sparse-gnu",
            &[(0, b"a"), (512, b"b"), (1024, b"c"), (2048, b"d"), (4096, b"e")],
            9000,
        ),
        TarEntry::pax_sparse("sparse-pax", &[(4096, b"x")], 1 << 20),
        TarEntry::gnu_sparse("huge-gnu", &[(9 << 30, b"end")], (9 << 30) + 3),
        TarEntry::pax_sparse("huge-pax", &[(9 << 30, b"end")], (9 << 30) + 3),
        TarEntry::file(b"not-\xff-utf8", "x"),
        TarEntry::file("not-a-whiteout.wh.", "x"),
        TarEntry::file("empty", ""),
        TarEntry::file("block", [7; 512]),
    ]
}

fn tar_of(entries: &[TarEntry]) -> TarBuilder {
    entries.iter().fold(TarBuilder::new(), TarBuilder::entry)
}

fn uncompressed(image: &Image, layer: usize) -> Vec<u8> {
    let layer = &image.layers()[layer];
    let mut tar = vec![0; usize::try_from(layer.uncompressed_bytes).unwrap()];
    assert_eq!(layer.read_at(0, &mut tar).unwrap(), tar.len());
    tar
}

#[test]
fn every_kind_of_entry_survives_byte_for_byte() {
    let kept = every_kind();
    let mut entries = vec![TarEntry::file("removed-first", "x".repeat(3000))];
    for entry in &kept {
        entries.push(entry.clone());
        entries.push(TarEntry::file(format!("removed-{}", entries.len()), "y").xattr("user.gone", "1"));
    }
    let layout = ImageBuilder::new().layer(tar_of(&entries)).oci_layout();
    let image = open(&layout.source());
    let keep_set: std::collections::BTreeSet<_> =
        all_but(&image, &[]).into_iter().filter(|path| !path.as_bytes().starts_with(b"removed-")).collect();
    let output = write(&image, &keep(keep_set.clone()));
    assert_restricted(&image, &keep_set, &output.image);
    assert!(uncompressed(&output.image, 0) == tar_of(&kept).finish());
}

#[test]
fn global_headers_keep_applying() {
    let records = [("comment", "c"), ("mtime", "1000000000")];
    let tar = TarBuilder::new()
        .entry(TarEntry::file("before", ""))
        .global_pax(&records)
        .entry(TarEntry::file("removed", "x").xattr("user.a", "b"))
        .entry(TarEntry::file("kept", "x"));
    let layout = ImageBuilder::new().layer(tar).oci_layout();
    let image = open(&layout.source());
    let kept = all_but(&image, &["removed"]);
    let output = write(&image, &keep(kept.clone()));
    assert_restricted(&image, &kept, &output.image);
    let wanted = TarBuilder::new()
        .entry(TarEntry::file("before", ""))
        .global_pax(&records)
        .entry(TarEntry::file("kept", "x"));
    assert!(uncompressed(&output.image, 0) == wanted.finish());
}

#[test]
fn a_replaced_file_changes_in_nothing_but_its_content() {
    let entries = every_kind();
    let layout = ImageBuilder::new().layer(tar_of(&entries)).layer("bin-su:again").oci_layout();
    let image = open(&layout.source());
    let all = all_but(&image, &[]);
    let long = format!("{}file-gnu", "a-directory-with-a-long-name/".repeat(8));
    for name in [
        "ping",
        "acl",
        "nanoseconds",
        "large-owner-pax",
        &long,
        "hard",
        "hard-long",
        "sparse-gnu",
        "huge-pax",
        "empty",
    ] {
        for content in ["", "new", &"new content".repeat(100)] {
            let replace = [(path(name), content.as_bytes().to_vec())].into();
            let output = write(&image, &Edits { keep: all.clone(), replace });
            assert_eq!(output.image.read_file(&path(name), 1 << 20).unwrap(), content.as_bytes(), "{name}");
            let (before, after) =
                (image.tree().get(&path(name)).unwrap(), output.image.tree().get(&path(name)).unwrap());
            assert_eq!(before.metadata, after.metadata, "{name}");
            // Other names of the file keep its content; all else is as it was.
            let mut others = all.clone();
            others.remove(&path(name));
            for (path, wanted) in seen(&image, &others) {
                assert_eq!(seen(&output.image, &others).get(&path), Some(&wanted), "{path} beside {name}");
            }
            assert!(output.written.layers[1].reused);
        }
    }
}

#[test]
fn a_replacement_by_the_same_bytes_rewrites_nothing() {
    let layout = testkit::image(&["a:same"]);
    let image = open(&layout.source());
    let edits = Edits { keep: all_but(&image, &[]), replace: [(path("a"), b"same".to_vec())].into() };
    assert_eq!(write(&image, &edits).written.manifest_digest, image.manifest_digest());
}

/// A layer of this many words of eight bytes.
fn large_layer(words: usize) -> TarBuilder {
    let count = words;
    let mut state = 1_u64;
    let words = std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40).to_le_bytes()
    });
    let bytes: Vec<u8> = words.take(count).flatten().collect();
    bytes
        .chunks(100_000)
        .enumerate()
        .fold(TarBuilder::new(), |tar, (n, chunk)| tar.entry(TarEntry::file(format!("file-{n}"), chunk)))
}

#[test]
fn the_output_does_not_depend_on_the_number_of_threads() {
    let layout = ImageBuilder::new().layer("a:1 b:2").layer(large_layer(1 << 20)).oci_layout();
    let image = open(&layout.source());
    let edits = keep(all_but(&image, &["a", "file-7"]));
    for compression in
        [OutputCompression::default(), OutputCompression::Zstd { level: 3 }, OutputCompression::None]
    {
        let written = |threads| {
            let options = WriteOptions { compression, ..options(threads) };
            files(&write_with(&image, &edits, &options).layout())
        };
        let one = written(1);
        for threads in [2, 4] {
            assert!(written(threads) == one, "{compression:?} on {threads} threads");
        }
    }
}

#[test]
fn a_rewritten_layer_is_not_longer_than_the_original() {
    // Compressed as well as it can be, of which almost nothing goes.
    let tar = large_layer(50_000).entry(TarEntry::file("removed", "")).finish();
    let zstd = zstd::bulk::compress(&tar, 19).unwrap();
    let gzip = {
        let level = libdeflater::CompressionLvl::new(12).unwrap();
        let mut out = vec![0; tar.len() + 1000];
        let length = libdeflater::Compressor::new(level).gzip_compress(&tar, &mut out).unwrap();
        out.truncate(length);
        out
    };
    let layer_type = |suffix: &str| format!("application/vnd.oci.image.layer.v1.tar+{suffix}");
    for (media_type, blob) in [(layer_type("gzip"), gzip), (layer_type("zstd"), zstd)] {
        let layout = ImageBuilder::new().raw_layer(&media_type, &blob, &tar).oci_layout();
        let image = open(&layout.source());
        let output = write(&image, &keep(all_but(&image, &["removed", "file-1"])));
        assert!(!output.written.layers[0].reused);
        assert!(output.written.compressed_bytes <= image.compressed_bytes(), "{media_type}");
    }
    let plain = ImageBuilder::new().compressed_layer(&tar, Compression::None).oci_layout();
    let image = open(&plain.source());
    let output = write(&image, &keep(all_but(&image, &["removed"])));
    assert_eq!(output.image.layers()[0].compression, image::Compression::Gzip);
}

/// The layer that is written has the padding that the original lacks.
#[test]
fn a_layer_that_ends_without_padding_is_written_with_it() {
    let tar = TarBuilder::from_text("gone:x a:content").unfinished();
    let whole = tar.len() - 505;
    let layout = ImageBuilder::new().compressed_layer(&tar[..whole], Compression::Gzip).oci_layout();
    let image = open(&layout.source());
    let after = write(&image, &keep(all_but(&image, &["/gone"]))).image;
    assert_eq!(after.read_file(&path("/a"), 100).unwrap(), b"content");
    assert_eq!(uncompressed(&after, 0), TarBuilder::from_text("a:content").finish());
}
