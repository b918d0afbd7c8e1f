//! Which layers are reused, rewritten, dropped; whiteouts and hard links; history.

use serde_json::{Value, json};
use testkit::{Compression, ImageBuilder, TarBuilder, TarEntry};

use crate::support::{all_but, assert_restricted, keep, open, path, paths, write};

#[test]
fn an_image_that_loses_nothing_keeps_its_digest() {
    let layout = testkit::image(&["a/ a/b:1 c->a", "d:2 null!c1,3"]);
    let image = open(&layout.source());
    let output = write(&image, &keep(all_but(&image, &[])));
    assert_eq!(output.written.manifest_digest, image.manifest_digest());
    assert!(output.written.layers.iter().all(|layer| layer.reused));
}

#[test]
fn only_the_layer_that_loses_something_is_rewritten() {
    for compression in [Compression::None, Compression::Gzip, Compression::GzipMembers, Compression::Zstd] {
        let tar = |text| TarBuilder::from_text(text).finish();
        let builder = ["a/ a/b:1", "c:2 d:3", "e:4"].map(tar).into_iter();
        let builder =
            builder.fold(ImageBuilder::new(), |builder, tar| builder.compressed_layer(tar, compression));
        let layout = builder.oci_layout();
        let image = open(&layout.source());
        let kept = all_but(&image, &["c"]);
        let output = write(&image, &keep(kept.clone()));
        assert_restricted(&image, &kept, &output.image);
        let reused: Vec<_> = output.written.layers.iter().map(|layer| layer.reused).collect();
        assert_eq!(reused, [true, false, true], "{compression:?}");
        for nth in [0, 2] {
            assert_eq!(output.image.layers()[nth].descriptor, image.layers()[nth].descriptor);
        }
        assert_eq!(output.entries(1), ["d"]);
    }
}

#[test]
fn what_an_upper_layer_deleted_cannot_reappear() {
    for (layers, removed) in [
        (&["a/ a/old:secret a/stay:1", "a/.wh.old"][..], &[][..]),
        (&["a/ a/old:secret", ".wh.a"], &[]),
        (&["a/ a/old:secret", "a/ a/.wh..wh..opq a/new:1"], &[]),
        (&["a/ a/old:secret", "a/.wh..wh..opq"], &[]),
        (&["a/ a/old:secret", ".wh.a a/ a/new:1"], &["a/new"]),
        (&["a/ a/old:secret", "a:file"], &[]),
        (&["old:secret", "old:new"], &[]),
        (&["old:secret", "old/ old/x:1"], &["old/x"]),
        (&["a/ a/b/ a/b/old:secret", "a/.wh.b", "a/b/ a/b/new:1"], &[]),
        (&["a/ a/old:secret", "a/.wh.old", "a/old:again"], &["a/old"]),
        (&["bin->usr/bin usr/ usr/bin/ usr/bin/old:secret", "usr/bin/.wh.old", "x:1"], &["x"]),
        (&["old:secret name=>old", ".wh.old .wh.name"], &[]),
        (&["a/old:secret", "b:1", "a/.wh.old a/.wh.never"], &[]),
    ] {
        let layout = testkit::image(layers);
        let image = open(&layout.source());
        let kept = all_but(&image, removed);
        let output = write(&image, &keep(kept.clone()));
        assert_restricted(&image, &kept, &output.image);
        for layer in output.image.layers() {
            let mut tar = vec![0; usize::try_from(layer.uncompressed_bytes).unwrap()];
            assert_eq!(layer.read_at(0, &mut tar).unwrap(), tar.len());
            assert!(!tar.windows(6).any(|window| window == b"secret"), "{layers:?}");
            assert!(!tar.windows(4).any(|window| window == b".wh."), "{layers:?}");
        }
    }
}

#[test]
fn a_lower_directory_entry_stays_where_its_layer_keeps_something_beneath_it() {
    let layout = testkit::image(&["a/@700,5,6 a/b/@750 a/b/c:1 a/d/@711 a/d/e:1", "a/@755 a/f:2"]);
    let image = open(&layout.source());
    let kept = all_but(&image, &["a/d/e"]);
    let output = write(&image, &keep(kept.clone()));
    assert_restricted(&image, &kept, &output.image);
    assert_eq!(output.entries(0), ["a/", "a/b/", "a/b/c", "a/d/"]);

    let output = write(&image, &keep(all_but(&image, &["a/b", "a/d"])));
    assert_eq!(output.image.layers().len(), 1);
    assert_eq!(output.entries(0), ["a/", "a/f"]);
}

#[test]
fn a_kept_directory_without_an_entry_stays_when_it_becomes_empty() {
    let long = format!("{}/x", "long-name".repeat(20));
    let layout = testkit::image(&["a/b/c/file:1 z:1", &format!("{long}:1 d/.wh.gone")]);
    let image = open(&layout.source());
    let kept = all_but(&image, &["a/b/c/file", "z", &long]);
    let output = write(&image, &keep(kept.clone()));
    assert_restricted(&image, &kept, &output.image);
    assert_eq!(output.entries(0), ["a/b/c/"]);
}

#[test]
fn hard_links_survive_the_loss_of_any_name() {
    for (layers, removed, entries) in [
        (&["a:x b=>a c=>a"][..], &["a"][..], &[&["b", "c=>b"][..]][..]),
        (&["a:x b=>a c=>b"], &["b"], &[&["a", "c=>a"]]),
        (&["a:x b=>a c=>b"], &["a", "b"], &[&["c"]]),
        (&["a:x b=>a c=>b"], &["c"], &[&["a", "b=>a"]]),
        // Across layers: the target is in a lower one.
        (&["a:x z:1", "b=>a c=>b"], &["a"], &[&["z"], &["b", "c=>b"]]),
        (&["a:x b=>a", "c=>a d=>c"], &["a", "b"], &[&["c", "d=>c"]]),
        (&["a:x b=>a", "c=>a d=>c"], &["a"], &[&["b"], &["c=>b", "d=>c"]]),
        // The target's name is taken over by another file.
        (&["a:x b=>a", "a:y"], &[], &[&["b"], &["a"]]),
        (&["a:x b=>a c=>a", ".wh.a d=>b"], &[], &[&["b", "c=>b"], &["d=>b"]]),
        // Links to what is no regular file.
        (&["a->t b=>a c=>b"], &["a"], &[&["b", "c=>b"]]),
        (&["a!p b=>a", "a:y"], &[], &[&["b"], &["a"]]),
    ] {
        let layout = testkit::image(layers);
        let image = open(&layout.source());
        let kept = all_but(&image, removed);
        let output = write(&image, &keep(kept.clone()));
        assert_restricted(&image, &kept, &output.image);
        let found: Vec<_> = (0..output.image.layers().len()).map(|layer| output.entries(layer)).collect();
        assert_eq!(found, entries, "{layers:?} without {removed:?}");
    }
}

#[test]
fn a_promoted_link_has_the_metadata_and_content_of_the_file() {
    let (long, other) = ("d/".repeat(80) + "file", "e/".repeat(80) + "name");
    let file = |name: &str| {
        TarEntry::file(name, "content")
            .mode(0o4755)
            .owner(3_000_000, 7)
            .xattr("security.capability", b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0")
            .pax("mtime", "1600000000.123456789")
    };
    for holder in [
        file("a"),
        file(&long),
        TarEntry { gnu: true, ..TarEntry::file(&long, "content") },
        TarEntry::gnu_sparse("a", &[(0, b"a"), (512, b"b"), (1024, b"c"), (2048, b"d"), (4096, b"e")], 9000),
        TarEntry::pax_sparse("a", &[(512, b"x"), (70_000, b"y")], 100_000),
    ] {
        let name = if holder.name.len() > 100 { long.as_str() } else { "a" };
        for link in ["b", other.as_str()] {
            let tar = TarBuilder::new()
                .entry(&holder)
                .entry(TarEntry::hardlink(link, name).mode(0o600))
                .entry(TarEntry::hardlink("last", link));
            let layout = ImageBuilder::new().layer(tar).oci_layout();
            let image = open(&layout.source());
            let kept = all_but(&image, &[name]);
            let output = write(&image, &keep(kept.clone()));
            assert_restricted(&image, &kept, &output.image);
        }
    }
}

#[test]
fn history_and_diff_ids_follow_the_layers() {
    type Edit = fn(&mut Value);
    let full: Edit = |config| {
        config["history"] = json!([
            {"created_by": "base"}, {"created_by": "ENV", "empty_layer": true}, {"created_by": "gone"},
            {"created_by": "last", "empty_layer": false}
        ]);
    };
    let full_after = json!([
        {"created_by": "base"}, {"created_by": "ENV", "empty_layer": true}, {"created_by": "gone", "empty_layer": true},
        {"created_by": "last", "empty_layer": false}
    ]);
    let absent: Edit = |config| drop(config.as_object_mut().unwrap().remove("history"));
    let null: Edit = |config| config["history"] = Value::Null;
    let short: Edit = |config| config["history"] = json!([{"created_by": "base"}, {"created_by": "gone"}]);
    let short_after = json!([{"created_by": "base"}, {"created_by": "gone", "empty_layer": true}]);
    let edits = [(full, full_after), (absent, Value::Null), (null, Value::Null), (short, short_after)];
    for (edit, wanted) in edits {
        let builder = ["a:1", "b:2", "c:3"].into_iter().fold(ImageBuilder::new(), ImageBuilder::layer);
        let layout = builder.edit_config(edit).oci_layout();
        let image = open(&layout.source());
        let output = write(&image, &keep(paths(["a", "c"])));
        let config: Value = serde_json::from_slice(output.image.config_bytes()).unwrap();
        assert_eq!(config["history"], wanted);
        assert_eq!(output.image.layers().len(), 2);
        assert_eq!(
            output.written.layers.iter().map(|layer| layer.from_layer).collect::<Vec<_>>(),
            [Some(0), Some(2)]
        );
    }
}

#[test]
fn nothing_else_in_config_and_manifest_changes() {
    let layout = ["a:1 b:2", "c:3"]
        .into_iter()
        .fold(ImageBuilder::new(), ImageBuilder::layer)
        .container_config(
            json!({"Labels": {"z": "1", "a": "<&>"}, "Env": ["B=1", "A=2"], "Unknown": [1.5, {"y": null}]}),
        )
        .edit_config(|config| {
            config["zzz"] = json!({"k": "first", "b": 18_446_744_073_709_551_615_u64});
            config["created"] = json!("2020-01-01T00:00:00.000000001Z");
            config["aaa"] = json!("last");
        })
        .edit_manifest(|manifest| {
            manifest["zzz"] = json!(1);
            manifest["annotations"] = json!({"z": "1", "a": "2"});
            manifest["layers"][1]["annotations"] = json!({"kept": "yes"});
            manifest["layers"][0]["annotations"] =
                json!({"kept": "yes", "containerd.io/snapshot/stargz/toc.digest": "sha256:0"});
            manifest["config"]["data"] = json!("e30=");
        })
        .oci_layout();
    let image = open(&layout.source());
    let output = write(&image, &keep(paths(["a", "c"])));

    let mut config: Value = serde_json::from_slice(image.config_bytes()).unwrap();
    config["rootfs"]["diff_ids"] =
        json!(output.written.layers.iter().map(|layer| layer.diff_id).collect::<Vec<_>>());
    assert_eq!(output.image.config_bytes(), serde_json::to_vec(&config).unwrap());

    let mut manifest: Value = serde_json::from_slice(image.manifest_bytes()).unwrap();
    manifest["config"]["digest"] = json!(output.written.image_id);
    manifest["config"]["size"] = json!(output.image.config_bytes().len());
    manifest["config"].as_object_mut().unwrap().remove("data");
    manifest["layers"][0]["digest"] = json!(output.written.layers[0].descriptor.digest);
    manifest["layers"][0]["size"] = json!(output.written.layers[0].descriptor.size_bytes);
    manifest["layers"][0]["annotations"]
        .as_object_mut()
        .unwrap()
        .remove("containerd.io/snapshot/stargz/toc.digest");
    assert_eq!(String::from_utf8_lossy(output.image.manifest_bytes()), manifest.to_string());
}

#[test]
fn an_image_may_lose_all_its_layers() {
    let layout = testkit::image(&["a:1", "b:2"]);
    let image = open(&layout.source());
    let output = write(&image, &keep(paths([])));
    assert_eq!((output.image.layers().len(), output.image.tree().len()), (0, 1));
}

#[test]
fn edits_that_do_not_fit_are_refused() {
    let layout = testkit::image(&["a/ a/b:1 l->a"]);
    let image = open(&layout.source());
    let replace = |name: &str, keep| image::Edits { keep, replace: [(path(name), vec![])].into() };
    for (edits, problem) in [
        (keep(paths(["a", "a/c"])), "/a/c is to be kept but is not in the image"),
        (keep(paths(["a/b"])), "/a/b is to be kept but the directory that holds it is not"),
        (replace("a/b", paths(["a"])), "/a/b is to be replaced but is not a kept regular file"),
        (replace("a", paths(["a"])), "/a is to be replaced but is not a kept regular file"),
        (replace("l", paths(["l"])), "/l is to be replaced but is not a kept regular file"),
    ] {
        let dir = tempfile::TempDir::new().unwrap();
        let target = image::ImageTarget::OciLayout { dir: dir.path().join("out"), tag: None };
        let error = image::write(&image, &edits, &target, &image::WriteOptions::default()).unwrap_err();
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), problem);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
