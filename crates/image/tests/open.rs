//! Opening images: sources, names, platforms, compressions, and the tree that comes out.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use careen_image::{Compression, Image, ImagePath, ImageSource, NodeKind, OpenOptions};
use common::{chain, open};
use serde_json::json;
use testkit::{BuiltImage, ImageBuilder, OciStore, TarBuilder, docker_archive, docker_archive_legacy};

fn paths(image: &Image) -> Vec<String> {
    image.tree().iter().map(|(path, _)| path.to_text()).collect()
}

fn read(image: &Image, path: &str) -> String {
    let path = ImagePath::from_text(path).unwrap();
    String::from_utf8(image.read_file(&path, 1 << 20).unwrap()).unwrap()
}

#[test]
fn opaque_whiteout_hides_lower_files() {
    let layout = testkit::image(&["a/old", "a/.wh..wh..opq a/new"]);
    assert_eq!(paths(&open(&layout.source()).unwrap()), ["/", "/a", "/a/new"]);
}

#[test]
fn layers_are_read_whatever_their_compression() {
    use testkit::Compression as C;
    for (stored, expected) in [
        (C::None, Compression::None),
        (C::Gzip, Compression::Gzip),
        (C::GzipMembers, Compression::Gzip),
        (C::Zstd, Compression::Zstd),
        (C::ZstdFrames, Compression::Zstd),
    ] {
        let tar = TarBuilder::from_text("a:one b/c:two").finish();
        let layout = ImageBuilder::new().compressed_layer(tar, stored).oci_layout();
        let image = open(&layout.source()).unwrap();
        assert_eq!(image.layers()[0].compression, expected);
        assert_eq!((read(&image, "/a"), read(&image, "/b/c")), ("one".into(), "two".into()), "{stored:?}");
    }
}

#[test]
fn magic_bytes_win_over_a_media_type_that_lies() {
    let tar = TarBuilder::from_text("a:one").finish();
    let layout =
        ImageBuilder::new().raw_layer("application/vnd.oci.image.layer.v1.tar+gzip", &tar, &tar).oci_layout();
    assert_eq!(open(&layout.source()).unwrap().layers()[0].compression, Compression::None);
}

fn two_layers(tag: &str) -> BuiltImage {
    ImageBuilder::new().layer("a:one b:two").layer(".wh.b c:three").tag(Some(tag)).build()
}

#[test]
fn one_image_reads_the_same_from_every_kind_of_place() {
    let image = || two_layers("latest");
    let layout = OciStore::new().image(image()).layout();
    let archive = OciStore::new().image(image()).archive();
    let bytes = std::fs::read(archive.file()).unwrap();
    let gzip = testkit::builder::compress(&bytes, testkit::Compression::Gzip);
    let compressed = testkit::Archive::new("oci-archive", &gzip);
    let (new, old) = (docker_archive(&[image()]), docker_archive_legacy(&[image()]));
    let id = open(&layout.source()).unwrap().image_id();
    for source in [layout.source(), archive.source(), compressed.source(), new.source(), old.source()] {
        let image = open(&source).unwrap();
        assert_eq!(paths(&image), ["/", "/a", "/c"], "{source}");
        assert_eq!(read(&image, "/c"), "three");
        assert_eq!(image.image_id(), id);
        assert_eq!(image.source().to_string(), source);
        assert_eq!(image.manifest_digest(), careen_image::Digest::of(image.manifest_bytes()));
        let stored: u64 = image.layers().iter().map(|layer| layer.descriptor.size_bytes).sum();
        assert_eq!(image.compressed_bytes(), stored);
    }
    for file in [archive.file(), new.file(), old.file(), layout.dir().to_owned()] {
        let source: ImageSource = file.to_str().unwrap().parse().unwrap();
        assert_eq!(paths(&Image::open(&source, &OpenOptions::default()).unwrap()), ["/", "/a", "/c"]);
    }
}

#[test]
fn a_docker_archive_always_gives_the_same_manifest() {
    let digests =
        [0, 1].map(|_| open(&docker_archive_legacy(&[two_layers("x")]).source()).unwrap().manifest_digest());
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn a_layer_that_is_a_symbolic_link_in_an_archive_is_followed() {
    let shared = || ImageBuilder::new().layer("base:x");
    let images = [shared().tag(Some("one")).build(), shared().layer("top:y").tag(Some("two")).build()];
    let archive = docker_archive_legacy(&images);
    let image = open(&format!("{}:careen.test/app:two", archive.source())).unwrap();
    assert_eq!(paths(&image), ["/", "/base", "/top"]);
}

#[test]
fn a_name_is_needed_where_there_are_several_images() {
    let store = OciStore::new()
        .image(two_layers("one"))
        .image(ImageBuilder::new().layer("x").tag(Some("two")).build());
    let layout = store.layout();
    let error = chain(&open(&layout.source()).unwrap_err());
    assert!(error.ends_with("there are several images: one, two"), "{error}");
    let error = chain(&open(&format!("{}:three", layout.source())).unwrap_err());
    assert!(error.ends_with("there is no image named three; there is one, two"), "{error}");
    assert_eq!(paths(&open(&format!("{}:two", layout.source())).unwrap()), ["/", "/x"]);
}

#[test]
fn a_digest_names_an_image_an_index_or_one_of_an_index() {
    let image = |layer: &str, platform: &str, tag| {
        ImageBuilder::new().layer(layer).platform(platform).tag(tag).build()
    };
    let several = vec![image("amd", "linux/amd64", None), image("s390", "linux/s390x", None)];
    let store = OciStore::new().image(image("x", "linux/amd64", Some("one"))).index(None, several);
    let layout = store.layout();
    let index: serde_json::Value =
        serde_json::from_slice(&std::fs::read(layout.dir().join("index.json")).unwrap()).unwrap();
    let digest = |at: usize| index["manifests"][at]["digest"].as_str().unwrap().to_owned();
    let read = |digest: &str| -> serde_json::Value {
        let blob = layout.dir().join("blobs/sha256").join(&digest["sha256:".len()..]);
        serde_json::from_slice(&std::fs::read(blob).unwrap()).unwrap()
    };
    let of_s390 = read(&digest(1))["manifests"][1]["digest"].as_str().unwrap().to_owned();
    let amd64 = || Some("linux/amd64".parse().unwrap());
    for (name, platform, path) in [
        (format!("@{}", digest(0)), None, "/x"),
        (format!(":one@{}", digest(0)), None, "/x"),
        (format!("@{}", digest(1)), amd64(), "/amd"),
        (format!("@{of_s390}"), None, "/s390"),
    ] {
        let source: ImageSource = format!("{}{name}", layout.source()).parse().unwrap();
        let image = Image::open(&source, &OpenOptions { platform, ..OpenOptions::default() }).unwrap();
        assert_eq!(paths(&image), ["/", path], "{name}");
        careen_image::validate(&source, &OpenOptions::default()).unwrap();
    }
    for (name, words) in [
        (format!(":one@{}", digest(1)), format!("there is no image with the digest {}", digest(1))),
        (format!("@sha256:{}", "0".repeat(64)), format!("there is {}, {}", digest(0), digest(1))),
    ] {
        let error = chain(&open(&format!("{}{name}", layout.source())).unwrap_err());
        assert!(error.contains(&words), "{name}: {error}");
    }
    let error = chain(&open(&layout.source()).unwrap_err());
    assert!(error.ends_with(&format!("there are several images: one, @{}", digest(1))), "{error}");
}

#[test]
fn docker_names_may_be_short() {
    let image = ImageBuilder::new().layer("x").tag(Some("docker.io/library/redis:7")).build();
    let other = ImageBuilder::new().layer("y").tag(Some("careen.test/redis:7")).build();
    let archive = docker_archive(&[image, other]);
    for (name, path) in
        [("redis:7", "/x"), ("docker.io/library/redis:7", "/x"), ("careen.test/redis:7", "/y")]
    {
        assert_eq!(paths(&open(&format!("{}:{name}", archive.source())).unwrap()), ["/", path]);
    }
}

#[test]
fn the_platform_picks_from_an_index_and_never_an_attestation() {
    let image = |platform: &str| {
        let name = platform.replace('/', "-");
        ImageBuilder::new().layer(name.as_str()).platform(platform).tag(None).build()
    };
    let images = ["linux/arm/v6", "linux/arm/v7", "linux/s390x"].map(image);
    let nested = OciStore::new().index(Some("multi"), images.to_vec()).layout();
    let flat = images.into_iter().fold(OciStore::new(), OciStore::image).layout();
    for source in [nested.source(), flat.source()] {
        let pick = |platform: &str| {
            let platform = Some(platform.parse().unwrap());
            Image::open(&source.parse().unwrap(), &OpenOptions { platform, ..OpenOptions::default() })
        };
        assert_eq!(paths(&pick("linux/arm/v7").unwrap()), ["/", "/linux-arm-v7"]);
        assert_eq!(paths(&pick("linux/arm").unwrap()), ["/", "/linux-arm-v6"]);
        assert_eq!(
            pick("linux/s390x").unwrap().index().unwrap().manifests.len(),
            if source == flat.source() { 3 } else { 4 }
        );
        let error = chain(&pick("linux/riscv64").unwrap_err());
        assert!(
            error.ends_with("no image for linux/riscv64; there is linux/arm/v6, linux/arm/v7, linux/s390x"),
            "{error}"
        );
        assert!(pick("unknown/unknown").is_err());
    }
}

#[test]
fn unknown_fields_of_the_documents_survive() {
    let layout = ImageBuilder::new()
        .layer("a")
        .container_config(
            json!({"Entrypoint": "run", "Cmd": null, "Env": null, "ArgsEscaped": true, "Labels": {"b": "1"}}),
        )
        .edit_config(|config| config["moby.buildkit.cache.v0"] = json!({"z": 1, "a": [null]}))
        .edit_manifest(|manifest| manifest["subject"] = json!({"digest": "x"}))
        .oci_layout();
    let image = open(&layout.source()).unwrap();
    assert_eq!(image.config().config.entrypoint.as_deref(), Some(&["run".to_owned()][..]));
    assert_eq!(image.config().config.cmd, None);
    let config = serde_json::to_value(image.config()).unwrap();
    assert_eq!(config["moby.buildkit.cache.v0"].to_string(), r#"{"z":1,"a":[null]}"#);
    assert_eq!(config["config"]["ArgsEscaped"], json!(true));
    assert_eq!(config["os"], "linux");
    assert_eq!(serde_json::to_value(image.manifest()).unwrap()["subject"], json!({"digest": "x"}));
}

#[test]
fn hard_31_layers_replace_files_directories_and_links() {
    for (layers, expected) in [
        (&["a:x", "a/ a/b"][..], &["/", "/a", "/a/b"][..]),
        (&["a/ a/b", "a:x"], &["/", "/a"]),
        (&["a/ a/b", "a->c"], &["/", "/a"]),
        (&["lib->usr/lib usr/ usr/lib/", "lib/ lib/x"], &["/", "/lib", "/lib/x", "/usr", "/usr/lib"]),
        (&["lib->usr/lib usr/ usr/lib/", "lib/x"], &["/", "/lib", "/lib/x", "/usr", "/usr/lib"]),
        (&["a:1", "a:2", "a:3"], &["/", "/a"]),
        (&["a:1", "a:2 .wh.a"], &["/", "/a"]),
        (&["a/ a/x", "a/ a/y .wh.a"], &["/", "/a", "/a/y"]),
        (&["a/ a/x", "a/y a/.wh..wh..opq"], &["/", "/a", "/a/y"]),
        (&["a/ a/x b/", ".wh.a", "a/ a/y"], &["/", "/a", "/a/y", "/b"]),
        (&["a/ a/x b", ".wh..wh..opq c"], &["/", "/c"]),
        (&["a/ a/x", ".wh.nothing a/.wh.x"], &["/", "/a"]),
        (&["x .wh..wh.plnk/1.2 .wh..wh.aufs"], &["/", "/x"]),
    ] {
        let layout = testkit::image(layers);
        assert_eq!(paths(&open(&layout.source()).unwrap()), expected, "{layers:?}");
    }
}

#[test]
fn hard_53_hard_links_share_content_within_and_across_layers() {
    let layout = testkit::image(&["a@4755,7,8:text b=>a", "c=>b d=>./c", ".wh.a"]);
    let image = open(&layout.source()).unwrap();
    let path = |text: &str| ImagePath::from_text(text).unwrap();
    assert_eq!(paths(&image), ["/", "/b", "/c", "/d"]);
    for name in ["/b", "/c", "/d"] {
        let node = image.tree().get(&path(name)).unwrap();
        assert_eq!(node.kind, NodeKind::File { size_bytes: 4, content: (0, 0) });
        assert_eq!((node.metadata.mode, node.metadata.uid, node.metadata.gid), (0o4755, 7, 8));
        assert_eq!(read(&image, name), "text");
    }
    assert_eq!(image.tree().hardlinks(&path("/c")), [path("/b"), path("/d")]);
}

#[test]
fn bytes_read_are_reported() {
    let layout = testkit::image(&["a:one", "b:two"]);
    let total = std::sync::atomic::AtomicU64::new(0);
    let count = |bytes| {
        total.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
    };
    let options = OpenOptions { on_bytes: Some(&count), ..OpenOptions::default() };
    let image = Image::open(&layout.source().parse().unwrap(), &options).unwrap();
    assert_eq!(total.into_inner(), image.compressed_bytes());
}
