//! Promise 3: every kind of metadata comes through `careen harden`, as an independent tool sees it.
//!
//! The layers are made and extracted by GNU tar; what is in them is made by plain system calls.

mod compare;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use testkit::{BuiltImage, Compression, ImageBuilder, OciStore, TarBuilder, TarEntry};

use crate::support::{can_run, careen, careen_json, document, workdir};
use compare::{Seen, extract, seen};

/// Writes a profile that shows the use of these paths in an image.
pub(crate) fn profile_of(image: &str, platform: Option<&str>, uses: &[&str], file: &Path) {
    let options = image::OpenOptions {
        platform: platform.map(|platform| platform.parse().unwrap()),
        ..image::OpenOptions::new()
    };
    let opened = image::Image::open(&image.parse().unwrap(), &options).unwrap();
    let process = profile::Process { exe: "/bin/app".into(), argv0: "app".into() };
    let observations = uses.iter().map(|path| profile::Observation {
        path: image::ImagePath::from_absolute(path.as_bytes()).unwrap(),
        kind: profile::AccessKind::OpenRead,
        errno: 0,
        process: process.clone().into(),
        step: profile::Step(0),
    });
    let run: profile::Run = serde_json::from_value(json!({
        "coverage": "made by a test", "started_at": "2026-01-01T00:00:00Z",
        "sensor": {
            "backend": "none", "kernel": "6.1", "verdict": "complete",
            "counters": profile::Counters { canaries_expected: 2, canaries_seen: 2, ..Default::default() },
        },
        "steps": [], "tags": [],
    }))
    .unwrap();
    let identity = profile::ImageIdentity {
        reference: image.to_owned(),
        manifest_digest: opened.manifest_digest(),
        image_id: opened.image_id(),
        platform: opened.platform().clone(),
    };
    let profile = profile::Profile::from_run(identity, run, &observations.collect());
    fs::write(file, profile.to_bytes().unwrap()).unwrap();
}

/// An image with every kind of entry in four dialects of tar, whose layers override and delete one another.
fn image_of_all_kinds(work: &Path, compression: Compression) -> testkit::Layout {
    let layers = tree::layers(work);
    let mut builder = ImageBuilder::new();
    for tar in layers {
        builder = builder.compressed_layer(fs::read(tar).unwrap(), compression);
    }
    // Links to files of lower layers, one of which is removed there.
    let across = TarBuilder::new()
        .entry(TarEntry::dir("across/"))
        .entry(TarEntry::hardlink("across/to-kept", "kept-gnu/hard-one"))
        .entry(TarEntry::hardlink("across/to-removed", "drop-posix10/target"))
        .entry(TarEntry::hardlink("across/again", "across/to-removed"));
    builder.compressed_layer(across.finish(), compression).oci_layout()
}

fn is_dropped(path: &Path) -> bool {
    path.components().next().is_some_and(|top| top.as_os_str().as_encoded_bytes().starts_with(b"drop-"))
}

#[test]
fn hard_52_every_kind_of_metadata_survives_a_hardening_in_every_format() {
    if !can_run() {
        return;
    }
    let work = workdir();
    for (compression, name) in
        [(Compression::Gzip, "gzip"), (Compression::Zstd, "zstd"), (Compression::None, "none")]
    {
        let layout = image_of_all_kinds(&work.path().join(name), compression);
        let image = layout.source();
        let profile = work.path().join(format!("{name}.profile"));
        profile_of(&image, None, &["/kept-gnu/empty"], &profile);
        let original = seen(&extract(layout.dir(), &work.path().join(format!("{name}-original"))));
        assert!(original.len() > 180, "{} paths", original.len());
        assert!(original.keys().any(|path| is_dropped(path)));
        for way in [&[][..], &["--squash"]] {
            let output = work.path().join(format!("{name}-hardened{}", way.len()));
            let target = format!("oci:{}:latest", output.display());
            let mut args = vec!["harden", &image, "--profile", profile.to_str().unwrap(), "-o", &target];
            args.extend([
                "--compression",
                name,
                "--keep",
                "/kept-*/**",
                "--keep",
                "/over/**",
                "--keep",
                "/across/**",
            ]);
            // Without this rule, empty directories and further names of kept files would stay.
            args.extend(["--remove", "/drop-*"]);
            args.extend(way);
            let result = careen_json(&args);
            assert_eq!(result["unchanged"], false, "{result}");
            assert_eq!(result["layers"], if way.is_empty() { 5 } else { 1 });
            careen_json(&["validate", &target]);

            let hardened = seen(&extract(&output, &work.path().join(format!("{name}-new{}", way.len()))));
            assert_restricted(&original, &hardened, &format!("{name} {way:?}"));
        }
    }
}

/// Asserts that what was hardened is the original without what was dropped.
fn assert_restricted(original: &Seen, hardened: &Seen, what: &str) {
    for (path, wanted) in original.iter().filter(|(path, _)| !is_dropped(path)) {
        let found = hardened.get(path);
        assert_eq!(
            found.map(compare::Node::but_links),
            Some(wanted.but_links()),
            "{what}: {}",
            path.display()
        );
        // Kept names of one file stay names of one file.
        let kept = |node: &compare::Node| -> Vec<PathBuf> {
            node.names.iter().filter(|name| !is_dropped(name)).cloned().collect()
        };
        assert_eq!(found.map(kept), Some(kept(wanted)), "{what}: {}", path.display());
    }
    let extra: Vec<_> =
        hardened.keys().filter(|path| !original.contains_key(*path) || is_dropped(path)).collect();
    assert!(extra.is_empty(), "{what}: {extra:?}");
}

fn two_platforms() -> (BuiltImage, BuiltImage) {
    let of = |platform: &str, word: &str| {
        ImageBuilder::new()
            .layer(format!("bin/app:{word} bin/unused:{}", "x".repeat(3000)).as_str())
            .platform(platform)
            .tag(None)
            .build()
    };
    (of("linux/amd64", "amd"), of("linux/arm64", "arm"))
}

#[test]
fn hard_60_one_platform_is_hardened_and_the_others_stay() {
    let work = workdir();
    let (amd, arm) = two_platforms();
    let manifests = |layout: &Path| -> Vec<serde_json::Value> {
        let blob = |digest: &str| document(&layout.join("blobs").join(digest.replacen(':', "/", 1)));
        let top = document(&layout.join("index.json"))["manifests"][0]["digest"].clone();
        blob(top.as_str().unwrap())["manifests"].as_array().unwrap().clone()
    };
    // The attestation is about the first image.
    for (images, hardened, attestation_stays) in
        [(vec![amd.clone(), arm.clone()], "linux/arm64", true), (vec![arm, amd], "linux/arm64", false)]
    {
        let layout = OciStore::new().index(Some("latest"), images).layout();
        let profile = work.path().join("profile");
        profile_of(&layout.source(), Some(hardened), &["/bin/app"], &profile);
        let output = work.path().join("out");
        let target = format!("oci:{}", output.display());
        let source = layout.source();
        let args = ["harden", &source, "--platform", hardened, "--profile", profile.to_str().unwrap()];
        let result = careen_json(&[&args[..], &["-o", &target, "--force"]].concat());
        assert_eq!(result["hardened"]["platform"]["architecture"], "arm64");
        let (before, after) = (manifests(layout.dir()), manifests(&output));
        let of = |list: &[serde_json::Value], architecture: &str| {
            list.iter().find(|entry| entry["platform"]["architecture"] == architecture).cloned()
        };
        assert_eq!(of(&before, "amd64").unwrap()["digest"], of(&after, "amd64").unwrap()["digest"]);
        assert_eq!(of(&after, "arm64").unwrap()["digest"], result["hardened"]["manifest_digest"]);
        assert_eq!(of(&after, "unknown").is_some(), attestation_stays);
        careen_json(&["validate", &target]);
    }
}

#[test]
fn hard_62_an_image_that_cannot_shrink_is_the_original() {
    let work = workdir();
    let static_binary = || {
        ImageBuilder::new()
            .layer(TarBuilder::new().entry(TarEntry::file("app", incompressible()).mode(0o755)))
    };
    let distroless = || {
        ImageBuilder::new()
            .layer("etc/ etc/passwd:root:x:0:0::/: etc/group:root:x:0: tmp/@1777")
            .layer(TarBuilder::new().entry(TarEntry::file("app", incompressible()).mode(0o755)))
    };
    // Files that upper layers hide could go; that alone is no reason to compress a layer again.
    let shadowed = || ImageBuilder::new().layer("app:old other:1").layer("app:new");
    for (name, image, uses) in [
        ("static", static_binary(), &["/app"][..]),
        ("distroless", distroless(), &["/app", "/etc/passwd", "/etc/group", "/tmp"]),
        ("shadowed", shadowed(), &["/app", "/other"]),
    ] {
        let layout = image.oci_layout();
        let profile = work.path().join(name);
        profile_of(&layout.source(), None, uses, &profile);
        for way in [&[][..], &["--squash"], &["--compression", "zstd"]] {
            let output = work.path().join("out");
            let (target, source) = (format!("oci:{}:latest", output.display()), layout.source());
            let args = ["harden", &source, "--profile", profile.to_str().unwrap(), "-o", &target, "--force"];
            let result = careen_json(&[&args[..], way].concat());
            assert!(bytes(&output) <= bytes(layout.dir()), "{name} {way:?}");
            if result["unchanged"] == true {
                assert_eq!(result["original"]["manifest_digest"], result["hardened"]["manifest_digest"]);
            }
            // One layer for two may well be smaller.
            let may_shrink = name == "shadowed" || way == ["--squash"];
            assert!(may_shrink || result["unchanged"] == true, "{name} {way:?}: {result}");
        }
    }
}

#[test]
fn a_hardened_image_hardened_again_is_the_same() {
    let work = workdir();
    let layout = testkit::image(&["bin/app:1 bin/unused:2 etc/x:3", "data/y:4 .wh.etc"]);
    let once = format!("oci:{}/once:latest", work.path().display());
    let twice = format!("oci:{}/twice:latest", work.path().display());
    let profile = work.path().join("profile").display().to_string();
    profile_of(&layout.source(), None, &["/bin/app", "/data/y"], Path::new(&profile));
    let first = careen_json(&["harden", &layout.source(), "--profile", &profile, "-o", &once]);
    profile_of(&once, None, &["/bin/app", "/data/y"], Path::new(&profile));
    let second = careen_json(&["harden", &once, "--profile", &profile, "-o", &twice]);
    assert_eq!(second["unchanged"], true);
    assert_eq!(first["hardened"]["manifest_digest"], second["hardened"]["manifest_digest"]);
}

#[test]
fn docker_archives_go_in_and_out() {
    let work = workdir();
    let built =
        ImageBuilder::new().layer("bin/app:1 bin/unused:2").docker().tag(Some("shop/app:1.4")).build();
    for archive in
        [testkit::docker_archive(std::slice::from_ref(&built)), testkit::docker_archive_legacy(&[built])]
    {
        let profile = work.path().join("profile").display().to_string();
        profile_of(&archive.source(), None, &["/bin/app"], Path::new(&profile));
        let target = format!("docker-archive:{}/out.tar", work.path().display());
        let result =
            careen_json(&["harden", &archive.source(), "--profile", &profile, "-o", &target, "--force"]);
        assert!(result["hardened"]["reference"].as_str().unwrap().ends_with(":shop/app:1.4"), "{result}");
        careen_json(&["validate", &target]);
    }
}

#[test]
fn a_table_of_contents_of_estargz_does_not_outlive_its_layer() {
    let work = workdir();
    let tar = TarBuilder::from_text(".no.prefetch.landmark:x bin/app:1 bin/unused:2 stargz.index.json:{}");
    let layout = ImageBuilder::new()
        .layer(tar)
        .edit_manifest(|manifest| {
            manifest["layers"][0]["annotations"] =
                json!({"containerd.io/snapshot/stargz/toc.digest": "sha256:0", "kept": "yes"});
        })
        .oci_layout();
    let profile = work.path().join("profile").display().to_string();
    profile_of(&layout.source(), None, &["/bin/app"], Path::new(&profile));
    let output = work.path().join("out");
    let target = format!("oci:{}:latest", output.display());
    // Even a policy that keeps everything keeps no table of offsets that are no longer true.
    let args = [
        "harden",
        &layout.source(),
        "--profile",
        &profile,
        "-o",
        &target,
        "--keep",
        "/*",
        "--remove",
        "/bin/unused",
    ];
    let result = careen_json(&args);
    let names = seen(&extract(&output, &work.path().join("new")));
    let names: Vec<_> = names.keys().map(|path| path.display().to_string()).collect();
    assert_eq!(names, ["bin", "bin/app"]);
    let digest = result["hardened"]["manifest_digest"].as_str().unwrap().replacen(':', "/", 1);
    let manifest = document(&output.join("blobs").join(digest));
    assert_eq!(manifest["layers"][0]["annotations"], json!({"kept": "yes"}));
}

#[test]
fn a_foreign_layer_that_is_not_there_is_refused_with_a_hint() {
    let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    let tar = TarBuilder::from_text("a:1").finish();
    let blob = testkit::builder::compress(&tar, Compression::Gzip);
    let layout = ImageBuilder::new().raw_layer(foreign, &blob, &tar).oci_layout();
    fs::remove_file(layout.blob_path(&testkit::builder::digest(&blob))).unwrap();
    let work = workdir();
    let target = format!("oci:{}/out", work.path().display());
    let output = careen(&["harden", &layout.source(), "--coverage", "redis", "-o", &target]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("foreign layer") && text.contains("hint: "), "{text}");
}

/// All bytes of a layout's blobs.
fn bytes(layout: &Path) -> u64 {
    fs::read_dir(layout.join("blobs/sha256"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum()
}

fn incompressible() -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    std::iter::repeat_with(next).take(100_000).collect()
}
