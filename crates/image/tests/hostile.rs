//! Images that lie, lead out, or ask for too much: each is an error that says where, and nothing is left behind.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use careen_image::{Image, Limits, OpenImageError, OpenOptions};
use common::chain;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Archive, ImageBuilder, Layout, OciStore, TarBuilder, TarEntry};

/// Opens with a scratch directory of its own, which must be empty at the end.
fn open(source: &str, limits: &Limits) -> Result<Image, OpenImageError> {
    let scratch = TempDir::new().unwrap();
    let options = OpenOptions {
        limits: limits.clone(),
        scratch_dir: scratch.path().to_owned(),
        ..OpenOptions::default()
    };
    let image = Image::open(&source.parse().unwrap(), &options);
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "scratch files have no names");
    image
}

/// The chain of errors, digests and temporary directories left out.
fn error(source: &str) -> String {
    readable(&open(source, &Limits::default()).unwrap_err())
}

fn readable(error: &OpenImageError) -> String {
    let text = chain(error).replace("\n  caused by: ", " / ");
    let mut parts = text.split("sha256:");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let hex = part.bytes().take_while(u8::is_ascii_hexdigit).count();
        out += "sha256:…";
        out += &part[hex..];
    }
    out
}

fn of_tar(tar: TarBuilder) -> String {
    of_bytes(&tar.finish())
}

fn of_bytes(tar: &[u8]) -> String {
    let layout = ImageBuilder::new().compressed_layer(tar, testkit::Compression::Gzip).oci_layout();
    error(&layout.source())
}

#[test]
fn names_that_lead_out_of_the_image_are_refused() {
    let long = vec![b'n'; 256];
    for (entry, expected) in [
        (TarEntry::file("../etc/passwd", ""), "bad name / path ../etc/passwd has a `..` component"),
        (TarEntry::file("a/../../b", ""), "bad name / path a/../../b has a `..` component"),
        (TarEntry::file("/etc/passwd", ""), "bad name / path /etc/passwd is absolute"),
        (TarEntry::file(&long, ""), "is longer than the kernel allows"),
        (TarEntry::hardlink("a", "../b"), "bad link target / path ../b has a `..` component"),
        (TarEntry::file("x", "").pax("path", "../x"), "bad name / path ../x has a `..` component"),
        (TarEntry::file("x", "").pax("path", "a\0b"), "has a NUL byte"),
        (TarEntry::symlink("a", ""), "bad symbolic link target"),
        (TarEntry::symlink("a", "").pax("linkpath", "a\0b"), "bad symbolic link target"),
        (TarEntry::file(".", ""), "the root of the image is not a directory"),
        (TarEntry::file(".wh.", ""), "/.wh. is reserved for whiteouts"),
        (TarEntry::file("a/.wh...", ""), "/a/.wh... is reserved for whiteouts"),
        (TarEntry::file(".wh.a/b", ""), "/.wh.a/b is reserved for whiteouts"),
    ] {
        let error = of_tar(TarBuilder::from_text("first").entry(entry));
        assert!(
            error.starts_with("cannot read layer sha256:… / cannot read the tar entry at byte 512 / "),
            "{error}"
        );
        assert!(error.ends_with(expected), "{error}");
    }
}

#[test]
fn entries_that_contradict_each_other_are_refused() {
    for (layer, expected) in [
        ("a:1 a:2", "/a occurs twice in the layer"),
        ("a->b a->b", "/a occurs twice in the layer"),
        ("a/ a:1", "/a occurs twice in the layer"),
        ("a:1 a/", "/a occurs twice in the layer"),
        ("out->/etc out/passwd:x", "/out/passwd leads through /out, a symbolic link of the same layer"),
        ("out->../.. out/.wh.x", "/out/x leads through /out, a symbolic link of the same layer"),
        ("a/ a/out->/ a/out/b/c", "/a/out/b/c leads through /a/out, a symbolic link of the same layer"),
        ("a a/b", "/a/b lies beneath /a, which is no directory in the same layer"),
        ("a/b a->c", "/a is no directory, but /a/b of the same layer lies beneath it"),
        ("a=>nothing", "/a is a hard link to /nothing, which does not exist"),
        ("a=>b b:later", "/a is a hard link to /b, which does not exist"),
        ("a=>a", "/a is a hard link to itself"),
        ("d/ a=>d", "/a is a hard link to /d, a directory"),
    ] {
        let error = error(&testkit::image(&[layer]).source());
        assert_eq!(error, format!("cannot apply layer sha256:… / {expected}"));
    }
    // The second link stands in the place of the directory that holds its target: nobody can extract that.
    for (layers, expected) in [
        (["a:1", ".wh.a b=>a"], "/b is a hard link to /a, which does not exist"),
        (["a/b/c:1", "a=>a/b/c"], "/a is a hard link to /a/b/c, which does not exist"),
    ] {
        let error = error(&testkit::image(&layers).source());
        assert!(error.ends_with(expected), "{error}");
    }
}

#[test]
fn repeated_directories_are_tolerated_and_the_last_one_counts() {
    let layout = testkit::image(&["a/@700 a/b a/@755,3"]);
    let image = open(&layout.source(), &Limits::default()).unwrap();
    let node = image.tree().get(&careen_image::ImagePath::from_text("/a").unwrap()).unwrap();
    assert_eq!((node.metadata.mode, node.metadata.uid, node.entry), (0o755, 3, Some(2)));
}

#[test]
fn broken_tars_are_refused() {
    let good = TarBuilder::from_text("a:content b/").finish();
    let pax = |records: &[u8]| TarEntry { kind: b'x', ..TarEntry::file("x", records) };
    let sparse = |segments: &[(u64, &[u8])], size| {
        TarBuilder::new().entry(TarEntry::gnu_sparse("s", segments, size)).finish()
    };
    let of = |entry: TarEntry| TarBuilder::new().entry(entry).finish();
    let negative = [&[0xff; 11][..], &[0xf0]].concat();
    for (tar, expected) in [
        (good[..515].to_vec(), "at byte 0 / the tar ends inside it"),
        (good[..1030].to_vec(), "at byte 1024 / the tar ends inside it"),
        (
            TarBuilder::from_text("a").raw([0; 512]).raw(&good).finish(),
            "at byte 512 / a lone block of zeros is not an end of a tar",
        ),
        (
            of(TarEntry { wrong_checksum: true, ..TarEntry::file("a", "") }),
            "at byte 0 / wrong header checksum",
        ),
        (
            TarBuilder::from_text("z")
                .entry(TarEntry { wrong_checksum: true, ..TarEntry::file("a", "") })
                .finish(),
            "at byte 512 / wrong header checksum",
        ),
        (of(TarEntry::file("a", "").size(1 << 40)), "the tar ends inside it"),
        (of(TarEntry::file("a", "").size(i64::MAX as u64)), "the tar ends inside it"),
        (of(TarEntry::file("a", "").patch(124, &negative)), "bad size"),
        (of(TarEntry::file("a", "").patch(124, [0x80, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 0, 0])), "bad size"),
        (of(TarEntry::file("a", "").patch(124, b"12x45678901\0")), "bad size"),
        (of(TarEntry::file("a", "").pax("size", u64::MAX.to_string())), "bad size"),
        (of(TarEntry::file("a", "").owner(1 << 32, 0)), "bad owner"),
        (of(TarEntry::file("a", "").owner(0, u64::from(u32::MAX))), "bad group"),
        (of(TarEntry::device("a", b'3', (0, 0)).patch(329, &negative[4..])), "bad device number"),
        (of(TarEntry::new("a", b'M')), "unknown type of entry 'M'"),
        (
            TarBuilder::new().entry(pax(b"99 path=a\n")).entry(TarEntry::file("a", "")).finish(),
            "malformed PAX record",
        ),
        (TarBuilder::new().entry(pax(b"9 path=a\n")).finish(), "an extension header without its entry"),
        (TarBuilder::new().entry(pax(b"9 path=a\n")).unfinished(), "an extension header without its entry"),
        (sparse(&[(10, b"ab"), (5, b"c")], 20), "bad sparse map"),
        (sparse(&[(10, b"ab")], 11), "bad sparse map"),
        (sparse(&[(u64::MAX >> 1, b"ab")], u64::MAX >> 1), "bad sparse map"),
        (
            of(TarEntry { content: b"abc".to_vec(), ..TarEntry::gnu_sparse("s", &[(0, b"ab")], 9) }),
            "bad sparse map",
        ),
        (of(TarEntry::pax_sparse("s", &[(5, b"x"), (1, b"y")], 9)), "bad sparse map"),
        (of(TarEntry { content: vec![b'9'; 512], ..TarEntry::pax_sparse("s", &[], 9) }), "bad sparse map"),
        (of(TarEntry::file("a", "").pax("GNU.sparse.map", "0,1")), "bad sparse map"),
    ] {
        let error = of_bytes(&tar);
        assert!(error.contains(expected), "expected {expected}, got {error}");
    }
}

#[test]
fn a_tar_without_an_end_marker_is_whole() {
    let tar = TarBuilder::from_text("a:content b/").unfinished();
    let layout = ImageBuilder::new().compressed_layer(&tar, testkit::Compression::Zstd).oci_layout();
    assert_eq!(open(&layout.source(), &Limits::default()).unwrap().layers()[0].entries.len(), 2);
}

/// Some tools write nothing after the last byte of the last file.
#[test]
fn a_tar_without_the_padding_of_its_last_entry_is_whole_and_one_that_ends_in_an_entry_is_not() {
    let tar = TarBuilder::from_text("b/ a:content").unfinished();
    let end = 512 + 512 + "content".len();
    for length in [end, end + 1, end + 504, end + 505] {
        let layout =
            ImageBuilder::new().compressed_layer(&tar[..length], testkit::Compression::Gzip).oci_layout();
        let image = open(&layout.source(), &Limits::default()).unwrap();
        let path = careen_image::ImagePath::from_text("/a").unwrap();
        assert_eq!(image.read_file(&path, 100).unwrap(), b"content", "{length} bytes");
    }
    for length in [end - 1, 513, 700, 1023] {
        let error = of_bytes(&tar[..length]);
        assert!(error.contains("the tar ends inside it"), "{length} bytes: {error}");
    }
}

fn lying(edit: fn(&mut Value)) -> Layout {
    ImageBuilder::new().layer("a:content").edit_manifest(edit).oci_layout()
}

#[test]
fn descriptors_that_lie_are_refused() {
    for (layout, expected) in [
        (lying(|m| m["layers"][0]["size"] = json!(7)), "cannot read layer sha256:… / its blob has "),
        (lying(|m| m["layers"][0]["size"] = json!(-1)), "it is not what the specification asks for"),
        (
            lying(|m| m["layers"][0]["digest"] = json!("../../etc/passwd")),
            "it is not what the specification asks for",
        ),
        (
            lying(|m| m["layers"][0]["digest"] = json!(format!("sha256:{}", "0".repeat(64)))),
            "its blob is not in the image's layout",
        ),
        (lying(|m| m["config"]["size"] = json!(1)), "cannot read the config sha256:… / it has "),
        (lying(|m| m["schemaVersion"] = json!(1)), "its schema version is 1, not 2"),
        (lying(|m| m["manifests"] = json!([])), "it has both `manifests` and `layers`"),
        (lying(|m| m["layers"] = json!([])), "the manifest lists 0 layers, the config 1"),
        (
            lying(|m| m["config"]["mediaType"] = json!("application/vnd.cncf.helm.config.v1+json")),
            "is not an image but",
        ),
        (
            lying(|m| {
                m["layers"][0]["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar+gzip+encrypted");
            }),
            "is not one of a layer",
        ),
    ] {
        let error = error(&layout.source());
        assert!(error.contains(expected), "expected {expected}, got {error}");
    }
    let layout = ImageBuilder::new()
        .layer("a")
        .edit_config(|c| c["rootfs"]["diff_ids"][0] = json!(format!("sha256:{}", "0".repeat(64))))
        .oci_layout();
    assert!(error(&layout.source()).contains("have the diff ID sha256:…, the config says sha256:…"));
}

#[test]
fn blobs_that_were_changed_are_found() {
    let image = ImageBuilder::new().layer("a:content").build();
    let layer = testkit::builder::digest(&image.layers[0]);
    let mut changed = image.layers[0].clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    let layout = OciStore::new().image(image.clone()).blob(&layer, &changed).layout();
    assert_eq!(error(&layout.source()), "cannot read layer sha256:… / its blob has the digest sha256:…");
    for digest in
        [image.descriptor["digest"].as_str().unwrap().to_owned(), testkit::builder::digest(&image.config)]
    {
        let bytes = [&image.blobs[&digest][..image.blobs[&digest].len() - 1], b" "].concat();
        let layout = OciStore::new().image(image.clone()).blob(&digest, &bytes).layout();
        assert!(error(&layout.source()).ends_with("it has the digest sha256:…"));
        std::fs::remove_file(layout.blob_path(&digest)).unwrap();
        assert!(error(&layout.source()).contains("cannot read its blob / "));
    }
}

#[test]
fn streams_that_end_early_or_are_broken_say_where() {
    let tar = TarBuilder::from_text("a:content").finish();
    for (compression, format, media_type) in [
        (testkit::Compression::Gzip, "gzip", "application/vnd.oci.image.layer.v1.tar+gzip"),
        (testkit::Compression::Zstd, "zstd", "application/vnd.oci.image.layer.v1.tar+zstd"),
    ] {
        let blob = testkit::builder::compress(&tar, compression);
        let cut = &blob[..blob.len() - 9];
        let layout = ImageBuilder::new().raw_layer(media_type, cut, &tar).oci_layout();
        let expected =
            format!("cannot read layer sha256:… / {format} stream ended early, at byte {}", cut.len());
        assert_eq!(error(&layout.source()), expected);
        let layout = ImageBuilder::new()
            .raw_layer(media_type, &[&blob[..], b"rubbish at the end"].concat(), &tar)
            .oci_layout();
        assert!(
            error(&layout.source()).contains(&format!("broken {format} stream, near byte ")),
            "{}",
            error(&layout.source())
        );
        let opened = open(&layout.source(), &Limits::default()).unwrap_err();
        assert!(opened.hint().unwrap().starts_with("pull or save the image again"));
    }
    let layout = ImageBuilder::new()
        .raw_layer("application/vnd.oci.image.layer.v1.tar+gzip", b"BZh91AY&SY", &tar)
        .oci_layout();
    assert!(
        error(&layout.source())
            .ends_with("neither a tar nor gzip nor zstd: it starts with 42 5a 68 39 31 41")
    );
}

#[test]
fn foreign_layers_are_named_as_such() {
    let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    let image = ImageBuilder::new().raw_layer(foreign, b"elsewhere", b"").build();
    let blob = testkit::builder::digest(b"elsewhere");
    let layout = OciStore::new().image(image).layout();
    std::fs::remove_file(layout.blob_path(&blob)).unwrap();
    assert_eq!(
        error(&layout.source()),
        format!("cannot read layer sha256:… / it is a foreign layer ({foreign}), kept elsewhere")
    );
}

#[test]
fn limits_hold_at_the_bound_and_one_past_it() {
    let image = || ImageBuilder::new().layer("a/b/c:content d").layer("e");
    // Each layer is a tar of 512 bytes for each block, and has an end of 1024.
    let (large, small) = (4 * 512 + 512, 512 + 512 + 512);
    assert_eq!(image().build().tars.iter().map(Vec::len).collect::<Vec<_>>(), [large, small]);
    let layout = image().oci_layout();
    let plain = ImageBuilder::new()
        .compressed_layer(image().build().tars[0].clone(), testkit::Compression::None)
        .compressed_layer(image().build().tars[1].clone(), testkit::Compression::None)
        .oci_layout();
    let (large, both) = (large as u64, (large + small) as u64);
    let limits = Limits::default;
    for (fits, exceeds, message) in [
        (
            Limits { layer_bytes: large, ..limits() },
            Limits { layer_bytes: large - 1, ..limits() },
            "uncompressed bytes in one layer",
        ),
        (
            Limits { total_bytes: both, ..limits() },
            Limits { total_bytes: both - 1, ..limits() },
            "uncompressed bytes in all layers",
        ),
        // `a` and `a/b` count, though no entry describes them.
        (Limits { entries: 5, ..limits() }, Limits { entries: 4, ..limits() }, "entries in all layers"),
        (
            Limits { listing_bytes: 11, ..limits() },
            Limits { listing_bytes: 10, ..limits() },
            "bytes of paths, link targets and attributes in all layers",
        ),
        (
            Limits { depth: 3, ..limits() },
            Limits { depth: 2, ..limits() },
            "a path of more than 2 components",
        ),
        (Limits { layers: 2, ..limits() }, Limits { layers: 1, ..limits() }, "more than 1 layers"),
    ] {
        for source in [layout.source(), plain.source()] {
            assert!(open(&source, &fits).is_ok(), "{fits:?}");
            let error = readable(&open(&source, &exceeds).unwrap_err());
            assert!(error.contains(message), "{error}");
        }
    }
}

#[test]
fn metadata_is_bounded() {
    let value = "x".repeat(5000);
    let layout = ImageBuilder::new()
        .layer(TarBuilder::new().entry(TarEntry::file("a", "").xattr("user.x", &value)))
        .oci_layout();
    let record = testkit::tar::pax_record(b"SCHILY.xattr.user.x", value.as_bytes()).len() as u64;
    assert!(open(&layout.source(), &Limits { metadata_bytes: record, ..Limits::default() }).is_ok());
    let opened =
        open(&layout.source(), &Limits { metadata_bytes: record - 1, ..Limits::default() }).unwrap_err();
    assert!(
        readable(&opened)
            .ends_with(&format!("it asks for more than {} bytes of metadata at one place", record - 1))
    );
    let opened = open(&layout.source(), &Limits { metadata_bytes: 100, ..Limits::default() }).unwrap_err();
    assert!(readable(&opened).contains("cannot read index.json"), "{}", readable(&opened));
}

#[test]
fn a_decompression_bomb_stops_early() {
    let tar = TarBuilder::new().entry(TarEntry::file("zeros", vec![0; 64 << 20])).finish();
    for compression in [testkit::Compression::Gzip, testkit::Compression::Zstd] {
        let layout = ImageBuilder::new().compressed_layer(&tar, compression).oci_layout();
        let limits = Limits { layer_bytes: 1 << 20, ..Limits::default() };
        let error = readable(&open(&layout.source(), &limits).unwrap_err());
        assert!(error.ends_with("it asks for more than 1048576 uncompressed bytes in one layer"), "{error}");
    }
}

#[test]
fn broken_places_are_refused() {
    let layout = testkit::image(&["a"]);
    std::fs::remove_file(layout.dir().join("oci-layout")).unwrap();
    assert!(error(&layout.source()).ends_with("it has no oci-layout"));
    let empty = Archive::new("oci-archive", &TarBuilder::from_text("a").finish());
    assert!(error(&empty.source()).ends_with("it has no oci-layout"));
    let other = Archive::new("docker-archive", &TarBuilder::from_text("a").finish());
    assert!(error(&other.source()).ends_with("it has no manifest.json"));
    let outside = TarBuilder::new()
        .entry(TarEntry::file("manifest.json", r#"[{"Config":"c.json","Layers":["l"]}]"#))
        .entry(TarEntry::symlink("c.json", "../../../../etc/passwd"));
    let outside = Archive::new("docker-archive", &outside.finish());
    assert!(error(&outside.source()).ends_with("it has no c.json"));
    let rubbish = Archive::new("oci-archive", b"rubbish");
    assert!(error(&rubbish.source()).contains("neither a tar nor gzip nor zstd"));
    assert!(error("oci:/nonexistent").ends_with("it has no oci-layout"));
}

#[test]
fn indexes_without_end_are_refused() {
    let index = "application/vnd.oci.image.index.v1+json";
    let mut store = OciStore::new();
    let mut inner = ImageBuilder::new().layer("a").tag(None).build().descriptor;
    for _ in 0..12 {
        let bytes = serde_json::to_vec(&json!({"schemaVersion": 2, "manifests": [inner]})).unwrap();
        inner = testkit::builder::descriptor(index, &bytes);
        store = store.blob(&testkit::builder::digest(&bytes), &bytes);
    }
    let error = error(&store.manifest(inner).layout().source());
    assert!(error.ends_with("indexes are nested more than 8 deep"), "{error}");
}
