//! Opening an image without what will not be read: nothing that is asked for is ever another.
#![expect(clippy::unwrap_used, reason = "tests")]

use careen_image::{Image, NodeKind, OpenOptions, Unread};
use testkit::{Compression, ImageBuilder, Layout, TarBuilder, TarEntry};

fn opened(layout: &Layout, unread: Option<Unread>) -> Image {
    let options = OpenOptions { unread, ..OpenOptions::default() };
    Image::open(&layout.source().parse().unwrap(), &options).unwrap()
}

/// Bytes that are nowhere zero.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8 | 1
    };
    (0..bytes).map(|_| next()).collect()
}

/// Fails unless both images list the same, and each file has the same bytes in both, from either end.
fn assert_same(layout: &Layout, unread: Unread) {
    let (whole, image) = (opened(layout, None), opened(layout, Some(unread)));
    for (one, other) in whole.layers().iter().zip(image.layers()) {
        assert_eq!(one.entries, other.entries);
        assert_eq!(one.uncompressed_bytes, other.uncompressed_bytes);
    }
    let files = whole.tree().iter().filter(|(_, node)| matches!(node.kind, NodeKind::File { .. }));
    let files: Vec<_> = files.map(|(path, _)| path.clone()).collect();
    assert!(!files.is_empty());
    for path in files.iter().chain(files.iter().rev()) {
        let read = |image: &Image| image.read_file(path, 1 << 24).unwrap();
        assert!(read(&whole) == read(&image), "{path}");
    }
}

#[test]
fn what_was_left_out_is_there_when_it_is_asked_for() {
    let long = format!("usr/{}/long", "n/".repeat(80));
    let tar = TarBuilder::new()
        .entry(TarEntry::dir("usr/"))
        .entry(TarEntry::file("usr/small", "small"))
        .entry(TarEntry::file("usr/large", noise(300_001)).mode(0o755))
        .entry(TarEntry::file("usr/larger", noise(1_500_000)))
        .entry(TarEntry::file(&long, noise(100_000)))
        .entry(TarEntry::file("usr/extended", noise(200_000)).xattr("user.x", "y"))
        .entry(TarEntry::gnu_sparse("usr/sparse", &[(4_096, &noise(100_000)[..])], 1 << 20))
        .entry(TarEntry::file("usr/behind", noise(200_000)))
        .entry(TarEntry::symlink("usr/link", "small"))
        .finish();
    for compression in [Compression::Gzip, Compression::GzipMembers, Compression::Zstd, Compression::None] {
        let layout = ImageBuilder::new().compressed_layer(&tar, compression).layer("last").oci_layout();
        assert_same(&layout, |_, _| true);
        assert_same(&layout, |name, mode| name.ends_with(b"large") && mode == 0o755);
        assert_same(&layout, |_, _| false);
    }
}

#[test]
fn files_of_every_size_around_the_bounds_are_whole() {
    for size in [65_535, 65_536, 65_537, 69_632, 262_144, 262_145, 524_288 + 511] {
        let tar = TarBuilder::new()
            .entry(TarEntry::file("a", noise(size)))
            .entry(TarEntry::file("b", noise(size + 1)))
            .entry(TarEntry::file("c", "c"));
        assert_same(&ImageBuilder::new().layer(tar).oci_layout(), |_, _| true);
    }
}

#[test]
fn headers_that_are_followed_in_two_ways_hide_nothing() {
    // What other headers say makes the first file empty; by its own header it has 300,000 bytes. Where those would end, in
    // the second file, stands what looks like a header of a file that would take in the third one's header.
    let fake = TarEntry::file("fake", noise(500_000)).to_bytes();
    let mut second = noise(310_000);
    second[299_520..299_520 + 512].copy_from_slice(&fake[..512]);
    let tar = TarBuilder::new()
        .entry(TarEntry::file("first", "").size(300_000).pax("size", "0"))
        .entry(TarEntry::file("second", second))
        .entry(TarEntry::file("third", noise(600_000)))
        .entry(TarEntry::file("fourth", "hidden"));
    let layout = ImageBuilder::new().layer(tar).oci_layout();
    assert_same(&layout, |_, _| true);
    let names: Vec<_> =
        opened(&layout, Some(|_, _| true)).tree().iter().map(|(path, _)| path.to_text()).collect();
    assert_eq!(names, ["/", "/first", "/fourth", "/second", "/third"]);
}
