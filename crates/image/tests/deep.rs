//! Paths as deep as the kernel allows, and many layers: work grows with what an image holds, not with its square.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use careen_image::{
    Edits, Image, ImagePath, ImageTarget, Limits, OpenImageError, OpenOptions, ResolutionEnd, WriteOptions,
    write,
};
use common::{chain, differences, is_root, of_directory, skip, unpack, without_links};
use tempfile::TempDir;
use testkit::{Compression, ImageBuilder, Layout, TarBuilder, TarEntry};

const LEVELS: usize = 1900;
const FILES: usize = 2000;

fn bottom() -> Vec<u8> {
    b"d/".repeat(LEVELS)
}

fn layout(tar: TarBuilder) -> Layout {
    ImageBuilder::new().compressed_layer(tar.finish(), Compression::Zstd).oci_layout()
}

fn open(layout: &Layout, limits: Limits) -> Result<Image, OpenImageError> {
    Image::open(&layout.source().parse().unwrap(), &OpenOptions { limits, ..OpenOptions::default() })
}

/// Directories down to the bottom, with an entry each or with none, and files and a symbolic link to the top there.
fn deep(described: bool) -> TarBuilder {
    let mut tar = TarBuilder::new();
    if described {
        tar = (1..=LEVELS).fold(tar, |tar, level| tar.entry(TarEntry::dir("d/".repeat(level))));
    }
    let in_it = |name: &str| [bottom(), name.as_bytes().to_vec()].concat();
    let tar = (0..FILES).fold(tar, |tar, nth| tar.entry(TarEntry::file(in_it(&format!("f{nth:04}")), "x")));
    tar.entry(TarEntry::symlink(in_it("up"), "/d"))
}

#[test]
fn the_deepest_paths_open_resolve_unpack_and_write() {
    for described in [true, false] {
        let layout = layout(deep(described));
        let image = open(&layout, Limits { depth: 2047, ..Limits::default() }).unwrap();
        let tree = image.tree();
        assert_eq!(tree.len(), 1 + LEVELS + FILES + 1);
        let at_bottom = ImagePath::from_absolute(&bottom()).unwrap();
        assert_eq!(tree.children(&at_bottom).count(), FILES + 1);
        assert_eq!(tree.within(&ImagePath::from_text("/d/d").unwrap()).count(), LEVELS - 1 + FILES + 1);
        let file = at_bottom.join(b"f0007").unwrap();
        let there = tree.resolve(&ImagePath::root(), file.as_bytes(), true);
        assert_eq!(there.end, ResolutionEnd::Found(file.clone()));
        assert_eq!(
            tree.resolve(&at_bottom, &b"../".repeat(1000), true).end,
            ResolutionEnd::Found(ImagePath::from_absolute(&b"d/".repeat(LEVELS - 1000)).unwrap())
        );
        let up = tree.resolve(&at_bottom, b"up/d", true);
        assert_eq!(up.end, ResolutionEnd::Found(ImagePath::from_text("/d/d").unwrap()));

        let mut keep: BTreeSet<_> = file.ancestors().collect();
        keep.insert(file);
        let kept = keep.len();
        let out = TempDir::new().unwrap();
        let target = ImageTarget::OciLayout { dir: out.path().join("out"), tag: None };
        write(&image, &Edits { keep, ..Edits::default() }, &target, &WriteOptions::default()).unwrap();
        let options =
            OpenOptions { limits: Limits { depth: 2047, ..Limits::default() }, ..OpenOptions::default() };
        let written = Image::open(&target.to_string().parse().unwrap(), &options).unwrap();
        assert_eq!(written.tree().len(), kept);

        if is_root() {
            // Not compared path by path: the host cannot name them all from outside.
            unpack(&image);
        } else {
            skip("unpacking needs root");
        }
    }
}

#[test]
fn directories_that_only_their_contents_imply_count() {
    // Each entry implies 1,000 directories of 1,000 bytes on average.
    let branch = |nth: usize| format!("{nth}/{}f", "d/".repeat(999));
    let tar = (0..40).fold(TarBuilder::new(), |tar, nth| tar.entry(TarEntry::file(branch(nth), "")));
    let layout = layout(tar);
    assert_eq!(open(&layout, Limits::default()).unwrap().tree().len(), 1 + 40 * 1001);
    for (limits, message) in [
        (Limits { entries: 10_000, ..Limits::default() }, "more than 10000 entries in all layers"),
        (
            Limits { listing_bytes: 10 << 20, ..Limits::default() },
            "more than 10485760 bytes of paths, link targets and attributes in all layers",
        ),
    ] {
        let error = open(&layout, limits).unwrap_err();
        assert!(chain(&error).ends_with(&format!("it asks for {message}")), "{}", chain(&error));
    }
}

#[test]
fn what_a_listing_holds_counts() {
    let file = TarEntry::file("aa", "").xattr("user.x", "123");
    let sparse = TarEntry::pax_sparse("s", &[(5, b"x")], 9);
    for (tar, bytes) in [
        (TarBuilder::from_text("aa:x"), 2),
        (TarBuilder::from_text("aa->bbb"), 5),
        (TarBuilder::new().entry(file.clone()), 2 + 9),
        // A link has its target's attributes too.
        (TarBuilder::new().entry(file).entry(TarEntry::hardlink("b", "aa")), 2 + 9 + 3 + 9),
        // One segment, and the empty one that gives the length.
        (TarBuilder::new().entry(sparse), 1 + 16),
    ] {
        let layout = layout(tar);
        assert!(open(&layout, Limits { listing_bytes: bytes, ..Limits::default() }).is_ok(), "{bytes}");
        let error = open(&layout, Limits { listing_bytes: bytes - 1, ..Limits::default() }).unwrap_err();
        assert!(chain(&error).ends_with("attributes in all layers"), "{}", chain(&error));
    }
}

/// Links to what is no regular file: each names the one before, or all name the first.
#[test]
fn long_chains_of_hard_links_are_written() {
    for chained in [true, false] {
        let mut text = String::from("gone:1 l0->target");
        for nth in 1..20_000 {
            write!(text, " l{nth}=>l{}", if chained { nth - 1 } else { 0 }).unwrap();
        }
        let layout = layout(TarBuilder::from_text(&text));
        let image = open(&layout, Limits::default()).unwrap();
        // The first name goes, so the second becomes the link and the others name it.
        let gone = [b"gone", &b"l0"[..]];
        let paths = image.tree().iter().map(|(path, _)| path.clone());
        let keep = paths.filter(|path| !gone.contains(&path.as_bytes())).collect();
        let out = TempDir::new().unwrap();
        let target = ImageTarget::OciLayout { dir: out.path().join("out"), tag: None };
        write(&image, &Edits { keep, ..Edits::default() }, &target, &WriteOptions::default()).unwrap();
        let written = Image::open(&target.to_string().parse().unwrap(), &OpenOptions::default()).unwrap();
        assert_eq!(written.tree().len(), image.tree().len() - 2);
        let last = ImagePath::from_text("/l19999").unwrap();
        assert_eq!(written.tree().get(&last).unwrap().kind, image.tree().get(&last).unwrap().kind);
    }
}

#[test]
fn layers_unpack_the_same_in_any_order() {
    if !is_root() {
        return skip("unpacking needs root");
    }
    let image =
        ["a/ a/x@600:1 b/c:2 e/", "a/.wh.x b/.wh..wh..opq b/d:3", ".wh.e a/x:4 f=>b/d", "e/g:5 .wh.b"]
            .into_iter()
            .fold(ImageBuilder::new(), ImageBuilder::layer)
            .oci_layout();
    let seen = |dir: &Path| {
        let mut seen = without_links(of_directory(dir));
        // Nobody sees the time of a whiteout.
        seen.values_mut().filter(|node| node.kind == "char 0:0").for_each(|node| node.mtime = (0, 0));
        seen
    };
    let in_order = unpack(&open(&image, Limits::default()).unwrap());
    for order in [[3, 2, 1, 0], [2, 0, 3, 1], [1, 1, 3, 3]] {
        let image = open(&image, Limits::default()).unwrap();
        for layer in order {
            let into = TempDir::new().unwrap();
            careen_image::unpack_layer(&image, layer, into.path(), careen_image::Rights::All, None).unwrap();
            let differences =
                differences(&seen(into.path()), &seen(&in_order.path().join(layer.to_string())));
            assert!(differences.is_empty(), "{order:?} {layer}: {}", differences.join("\n"));
        }
    }
}

#[test]
fn many_layers_unpack() {
    if !is_root() {
        return skip("unpacking needs root");
    }
    // Every layer is laid over the state that the one before left: 300 x 40 entries, not 300 x 300 / 2 x 40.
    let layers = (0..300).map(|layer| {
        (0..40).fold(TarBuilder::new(), |tar, nth| {
            tar.entry(TarEntry::file(format!("d{}/f{layer}-{nth}", nth % 7), ""))
        })
    });
    let layout = layers.fold(ImageBuilder::new(), ImageBuilder::layer).oci_layout();
    let image = open(&layout, Limits::default()).unwrap();
    let dir = unpack(&image);
    assert_eq!(of_directory(&dir.path().join("299")).len(), 1 + 7 + 40);
}
