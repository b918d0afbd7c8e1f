//! Every target from every source: layouts and archives, indexes, media types, names.

use image::{Image, ImageSource, ImageTarget, OpenOptions, OutputCompression, WriteOptions};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{ImageBuilder, OciStore, docker_archive, docker_archive_legacy};

use crate::support::{all_but, assert_restricted, files, keep, open, options, write, write_with};

fn builder() -> ImageBuilder {
    ["a/ a/b:1 gone:x", "c:2 d=>a/b"].into_iter().fold(ImageBuilder::new(), ImageBuilder::layer)
}

fn json_of(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn every_source_can_become_every_target() {
    let built = builder().build();
    let (layout, archive) = (builder().oci_layout(), builder().oci_archive());
    let (saved, legacy) =
        (docker_archive(std::slice::from_ref(&built)), docker_archive_legacy(std::slice::from_ref(&built)));
    for source in [layout.source(), archive.source(), saved.source(), legacy.source()] {
        let image = open(&source);
        let kept = all_but(&image, &["gone"]);
        let dir = TempDir::new().unwrap();
        let mut ids = Vec::new();
        for target in [
            "oci:DIR/layout:1.4",
            "oci-archive:DIR/oci.tar:1.4",
            "docker-archive:DIR/docker.tar:shop/app:1.4",
        ] {
            let target = target.replace("DIR", dir.path().to_str().unwrap());
            let written =
                image::write(&image, &keep(kept.clone()), &target.parse().unwrap(), &options(2)).unwrap();
            let source: ImageSource = target.parse().unwrap();
            image::validate(&source, &OpenOptions::new()).unwrap();
            let output = Image::open(&source, &OpenOptions::new()).unwrap();
            assert_restricted(&image, &kept, &output);
            assert_eq!(output.image_id(), written.image_id, "{source}");
            assert_eq!(output.compressed_bytes(), written.compressed_bytes, "{source}");
            ids.push(written.image_id);
        }
        assert!(ids.iter().all(|id| *id == ids[0]), "{source}");
        // Nothing but the targets.
        let mut names: Vec<_> =
            std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["docker.tar", "layout", "oci.tar"]);
    }
}

#[test]
fn archives_are_the_same_on_every_run() {
    let layout = builder().oci_layout();
    let image = open(&layout.source());
    for transport in ["oci-archive", "docker-archive"] {
        let dir = TempDir::new().unwrap();
        let written = |name: &str| {
            let target = format!("{transport}:{}/{name}:a:1", dir.path().display());
            image::write(&image, &keep(all_but(&image, &["gone"])), &target.parse().unwrap(), &options(2))
                .unwrap();
            std::fs::read(dir.path().join(name)).unwrap()
        };
        assert!(written("one") == written("two"));
    }
}

#[test]
fn layers_of_the_same_bytes_are_stored_once() {
    let layout = ["a:1 gone:x", "b:2", "a:1 gone:x"]
        .into_iter()
        .fold(ImageBuilder::new(), ImageBuilder::layer)
        .oci_layout();
    let image = open(&layout.source());
    let dir = TempDir::new().unwrap();
    for target in ["oci:DIR/layout", "oci-archive:DIR/oci.tar", "docker-archive:DIR/docker.tar"] {
        let target = target.replace("DIR", dir.path().to_str().unwrap());
        image::write(&image, &keep(all_but(&image, &[])), &target.parse().unwrap(), &options(1)).unwrap();
        image::validate(&target.parse().unwrap(), &OpenOptions::new()).unwrap();
    }
}

#[test]
fn docker_types_stay_docker_types_unless_a_layer_is_zstd() {
    let layout = builder().docker().oci_layout();
    let image = open(&layout.source());
    let edits = keep(all_but(&image, &["gone"]));
    let types = |compression| {
        let output = write_with(&image, &edits, &WriteOptions { compression, ..options(1) });
        let manifest = json_of(output.image.manifest_bytes());
        let layers = manifest["layers"].as_array().unwrap().iter().map(|layer| layer["mediaType"].clone());
        let mut types = vec![manifest["mediaType"].clone(), manifest["config"]["mediaType"].clone()];
        types.extend(layers);
        let index = json_of(&files(&output.layout())["index.json"]);
        assert_eq!(index["manifests"][0]["mediaType"], types[0]);
        types
    };
    assert_eq!(
        types(OutputCompression::default()),
        [
            "application/vnd.docker.distribution.manifest.v2+json",
            "application/vnd.docker.container.image.v1+json",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
        ]
    );
    assert_eq!(
        types(OutputCompression::Zstd { level: 3 }),
        [
            "application/vnd.oci.image.manifest.v1+json",
            "application/vnd.oci.image.config.v1+json",
            "application/vnd.oci.image.layer.v1.tar+zstd",
            "application/vnd.oci.image.layer.v1.tar+gzip",
        ]
    );
}

#[test]
fn an_index_keeps_its_other_images() {
    let other = || ImageBuilder::new().layer("other:1").platform("linux/s390x").tag(None).build();
    let layout = OciStore::new().index(Some("latest"), vec![builder().tag(None).build(), other()]).layout();
    let image = open(&layout.source());
    let kept = all_but(&image, &["gone"]);
    let output = write(&image, &keep(kept.clone()));
    assert_restricted(&image, &kept, &output.image);

    let (before, after) = (files(layout.dir()), files(&output.layout()));
    let top = json_of(&after["index.json"])["manifests"].clone();
    assert_eq!(top[0]["annotations"], json!({"org.opencontainers.image.ref.name": "latest"}));
    let mut wanted = serde_json::to_value(image.index().unwrap()).unwrap();
    let replaced = &mut wanted["manifests"][0];
    replaced["digest"] = json!(output.written.manifest_digest);
    replaced["size"] = json!(output.image.manifest_bytes().len());
    // What was attested of the original is not true of the new one.
    let attestation = wanted["manifests"].as_array_mut().unwrap().pop().unwrap();
    assert_eq!(attestation["annotations"]["vnd.docker.reference.digest"], json!(image.manifest_digest()));
    let attestation = attestation["digest"].as_str().unwrap().replace(':', "/");
    assert_eq!(serde_json::to_value(output.image.index().unwrap()).unwrap(), wanted);
    for blob in other().blobs.keys() {
        let name = format!("blobs/{}", blob.replace(':', "/"));
        assert_eq!(before[&name], after[&name]);
    }
    assert!(!after.contains_key(&format!("blobs/{attestation}")));
    let validation =
        image::validate(&format!("oci:{}", output.layout().display()).parse().unwrap(), &OpenOptions::new());
    assert_eq!(validation.unwrap().manifests.len(), 2);
}

#[test]
fn attestations_of_other_images_and_of_an_unchanged_one_stay() {
    let other = || ImageBuilder::new().layer("other:1").platform("linux/s390x").tag(None).build();
    // The testkit's attestation is about the first image.
    let layout = OciStore::new().index(Some("latest"), vec![other(), builder().tag(None).build()]).layout();
    let image = open(&layout.source());
    let output = write(&image, &keep(all_but(&image, &["gone"])));
    assert_eq!(output.image.index().unwrap().manifests.len(), 3);

    let layout = OciStore::new().index(Some("latest"), vec![builder().tag(None).build(), other()]).layout();
    let image = open(&layout.source());
    let dir = TempDir::new().unwrap();
    let target: ImageTarget = format!("oci:{}/out:latest", dir.path().display()).parse().unwrap();
    let written = image::copy(&image, &target, &options(1)).unwrap();
    assert_eq!(written.manifest_digest, image.manifest_digest());
    let output = Image::open(&target.to_string().parse().unwrap(), &OpenOptions::new()).unwrap();
    assert_eq!(output.index().unwrap().manifests.len(), 3);
    assert!(written.layers.iter().all(|layer| layer.reused));
}

#[test]
fn images_under_other_names_stay_out_of_the_output() {
    let store = OciStore::new()
        .image(builder().tag(Some("mine")).build())
        .image(
            ImageBuilder::new().layer("other-platform:1").platform("linux/s390x").tag(Some("mine")).build(),
        )
        .image(ImageBuilder::new().layer("unrelated:1").tag(Some("other")).build());
    let layout = store.layout();
    let image = open(&format!("{}:mine", layout.source()));
    let output = write(&image, &keep(all_but(&image, &["gone"])));
    let index = output.image.index().unwrap();
    assert_eq!(index.manifests.len(), 2);
    assert!(index.manifests.iter().all(|descriptor| descriptor.ref_name().is_none()));
}

#[test]
fn images_that_an_index_only_lists_may_be_absent() {
    let other = ImageBuilder::new().layer("other:1").platform("linux/s390x").tag(None).build();
    let layout =
        OciStore::new().index(Some("latest"), vec![builder().tag(None).build(), other.clone()]).layout();
    for blob in other.blobs.keys() {
        std::fs::remove_file(layout.blob_path(blob)).unwrap();
    }
    let image = open(&layout.source());
    let output = write(&image, &keep(all_but(&image, &["gone"])));
    let source = format!("oci:{}", output.layout().display()).parse().unwrap();
    let validation = image::validate(&source, &OpenOptions::new()).unwrap();
    assert_eq!((validation.manifests.len(), validation.absent.len()), (1, 1));
}

#[test]
fn an_existing_layout_is_replaced_only_when_asked() {
    let layout = builder().oci_layout();
    let image = open(&layout.source());
    let dir = TempDir::new().unwrap();
    let target = ImageTarget::OciLayout { dir: dir.path().join("out"), tag: None };
    let edits = keep(all_but(&image, &["gone"]));
    image::write(&image, &keep(all_but(&image, &[])), &target, &options(1)).unwrap();
    let before = files(dir.path());
    image::write(&image, &edits, &target, &options(1)).unwrap_err();
    assert_eq!(files(dir.path()), before);
    image::write(&image, &edits, &target, &WriteOptions { overwrite: true, ..options(1) }).unwrap();
    assert_eq!(
        files(&dir.path().join("out")),
        files(dir.path())
            .into_iter()
            .map(|(name, bytes)| { (name.strip_prefix("out/").unwrap().to_owned(), bytes) })
            .collect()
    );
    assert_ne!(files(dir.path()), before);
}

#[test]
fn validation_asks_about_the_named_image_alone() {
    let store = OciStore::new()
        .image(builder().tag(Some("good")).build())
        .image(ImageBuilder::new().layer("broken:1").tag(Some("bad")).build());
    let layout = store.layout();
    let bad = ImageBuilder::new().layer("broken:1").tag(Some("bad")).build();
    std::fs::write(layout.blob_path(&testkit::builder::digest(&bad.layers[0])), "damaged").unwrap();
    let validate = |name: &str| {
        image::validate(&format!("{}{name}", layout.source()).parse().unwrap(), &OpenOptions::new())
    };
    assert_eq!(validate(":good").unwrap().manifests.len(), 1);
    assert!(validate(":bad").is_err() && validate("").is_err());
    let error = validate(":none").unwrap_err();
    assert!(error.hint().unwrap().contains(":bad"), "{error}");
}
