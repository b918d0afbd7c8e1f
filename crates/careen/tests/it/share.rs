//! Images hardened together keep their common layers common, and one layer where that is asked for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::fidelity::profile_of;
use crate::support::{can_run, careen, careen_json, document, hardened, image, umoci, workdir};

/// Digests of the layers of a layout, base first.
fn layers(layout: &Path) -> Vec<String> {
    let blob =
        |digest: &Value| document(&layout.join("blobs").join(digest.as_str().unwrap().replacen(':', "/", 1)));
    let manifest = blob(&document(&layout.join("index.json"))["manifests"][0]["digest"]);
    let layers = manifest["layers"].as_array().unwrap();
    layers.iter().map(|layer| layer["digest"].as_str().unwrap().to_owned()).collect()
}

fn blob_bytes(layout: &Path) -> u64 {
    fs::read_dir(layout.join("blobs/sha256"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum()
}

/// The image with one more file on top.
fn with_file(original: &Path, dir: &Path, name: &str) -> PathBuf {
    let layout = dir.join(name);
    let run = |command: &mut Command| {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(Command::new("cp").arg("-a").arg(original).arg(&layout));
    let files = dir.join(format!("{name}-files"));
    fs::create_dir(&files).unwrap();
    // umoci ends the layer without padding, so the file has a whole block.
    fs::write(files.join("file"), CONTENT).unwrap();
    let tag = format!("{}:latest", layout.display());
    run(Command::new("umoci").args(["insert", "--image", &tag]).arg(&files).arg(format!("/opt/{name}")));
    layout
}

const CONTENT: [u8; 512] = [b'x'; 512];

const SMALL: &str = "\
version: 1
name: small
wait_for:
  - tcp: 6379
steps:
  - name: ping
    exec: [redis-cli, PING]
    expect: PONG
  - name: read the file of the base that the other coverage does not read
    exec: [cat, /etc/debian_version]
";

#[test]
fn images_hardened_together_share_their_base_and_both_work() {
    if !can_run() {
        return;
    }
    let Some(redis) = image("redis") else { return };
    let work = workdir();
    let (one, two) = (with_file(&redis, work.path(), "one"), with_file(&redis, work.path(), "two"));
    let small = work.path().join("small.yaml");
    fs::write(&small, SMALL).unwrap();
    let reference = |layout: &Path| format!("oci:{}:latest", layout.display());
    let (out_one, out_two) = (work.path().join("out-one"), work.path().join("out-two"));
    let result = careen_json(&[
        "harden",
        &reference(&one),
        &reference(&two),
        "--coverage",
        "redis",
        "--coverage",
        small.to_str().unwrap(),
        "-o",
        &reference(&out_one),
        "-o",
        &reference(&out_two),
        "--share-layers",
        "--quiet",
    ]);
    let (of_one, of_two) = (layers(&out_one), layers(&out_two));
    let shared: Vec<_> = of_one.iter().filter(|digest| of_two.contains(digest)).collect();
    let originals = layers(&redis);
    assert_eq!(shared.len(), originals.len().min(of_one.len()), "{result}");
    assert!(shared.iter().all(|digest| !originals.contains(digest)), "they were filtered");
    assert_eq!(result["shared_layers"].as_array().unwrap().len(), shared.len());
    for (nth, (layout, out)) in [(&one, &out_one), (&two, &out_two)].into_iter().enumerate() {
        assert_eq!(result["images"][nth]["verification"]["verdict"], "passed");
        assert!(blob_bytes(out) < blob_bytes(layout) / 2);
        careen_json(&["validate", &reference(out)]);
        // The package database that both share lists what is there, as dpkg itself reads it.
        let unpacked = umoci(out);
        assert_eq!(result["images"][nth]["hardened"]["metrics"]["packages"], unpacked.dpkg_packages().len());
    }
    // What one keeps for the other says so.
    let output = careen(&["explain", &reference(&out_one), "/usr/bin/cat"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let kept_for_other = document(&work.path().join("out-two.careen/ledger.json.zst"))["entries"]
        .as_object()
        .unwrap()
        .values()
        .filter(|entry| entry["rule"] == "shared-layer")
        .count();
    assert!(kept_for_other > 0, "{kept_for_other}");
    assert!(text.contains("kept: another image that was hardened together with this one needs it"), "{text}");
}

#[test]
fn what_is_wrong_with_several_images_is_said_before_anything_runs() {
    let work = workdir();
    let (one, two) = (
        testkit::image(&["bin/app:1 bin/unused:2", "x:1"]),
        testkit::image(&["bin/app:1 bin/unused:2", "y:2"]),
    );
    let (one, two) = (one.source(), two.source());
    let profile = work.path().join("profile").display().to_string();
    profile_of(&one, None, &["/bin/app"], Path::new(&profile));
    for (args, code, expected) in [
        (&["--profile", &profile][..], 2, "--share-layers"),
        (&["--profile", &profile, "--share-layers", "--squash"], 2, "--squash"),
        (&["--coverage", "redis", "--share-layers"], 2, "one coverage for each image"),
        (&["--profile", &profile, "--share-layers"], 7, "none of the profiles is of"),
        (&["--profile", &profile, "--share-layers", "-o", "oci:a"], 2, "one output for each image"),
        (
            &["--profile", &profile, "--share-layers", "-o", "oci:a", "-o", "oci:a"],
            2,
            "the output of two images",
        ),
    ] {
        let output = careen(&[&["harden", &one, &two], args].concat());
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        assert!(text.contains(expected), "{args:?}: {text}");
    }
}

#[test]
fn one_profile_for_each_image_is_enough_to_harden_several() {
    let work = workdir();
    let base = "bin/ bin/app:1 bin/one:2 bin/two:3 bin/unused:4";
    let layouts = [testkit::image(&[base, "own/x:1"]), testkit::image(&[base, "own/y:1 .wh.bin"])];
    let profiles: Vec<String> =
        (0..2).map(|nth| work.path().join(nth.to_string()).display().to_string()).collect();
    profile_of(&layouts[0].source(), None, &["/bin/app", "/bin/one"], Path::new(&profiles[0]));
    profile_of(&layouts[1].source(), None, &["/own/y"], Path::new(&profiles[1]));
    let outputs: Vec<PathBuf> = (0..2).map(|nth| work.path().join(format!("out-{nth}"))).collect();
    let targets: Vec<String> =
        outputs.iter().map(|output| format!("oci:{}:latest", output.display())).collect();
    let mut args =
        vec!["harden".to_owned(), layouts[0].source(), layouts[1].source(), "--share-layers".to_owned()];
    for (profile, target) in profiles.iter().zip(&targets) {
        args.extend(["--profile".to_owned(), profile.clone(), "-o".to_owned(), target.clone()]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    careen_json(&args);
    assert_eq!(layers(&outputs[0])[0], layers(&outputs[1])[0]);
    // The second image deleted all of it, and still has nothing of it.
    let unpacked = umoci(&outputs[1]);
    assert!(unpacked.rootfs.join("own/y").exists() && !unpacked.rootfs.join("bin").exists());
}

#[test]
fn one_layer_holds_what_several_did_and_still_works() {
    if !can_run() {
        return;
    }
    let (Some(redis), Some(apart)) = (image("redis"), hardened("redis")) else { return };
    let work = workdir();
    let source = with_file(&redis, work.path(), "file");
    let output = work.path().join("out");
    let (source, target) =
        (format!("oci:{}:latest", source.display()), format!("oci:{}:latest", output.display()));
    let result = careen_json(&[
        "harden",
        &source,
        "--coverage",
        "redis",
        "-o",
        &target,
        "--squash",
        "--keep",
        "/opt/file/**",
        "--quiet",
    ]);
    assert_eq!(result["verification"]["verdict"], "passed");
    assert_eq!(layers(&output).len(), 1);
    let (squashed, apart) = (blob_bytes(&output), blob_bytes(&apart.join("redis")));
    println!("{squashed} bytes in one layer, {apart} bytes in layers");
    assert!(squashed <= apart + apart / 500, "{squashed} bytes in one layer, {apart} bytes in layers");
    assert_eq!(fs::read(umoci(&output).rootfs.join("opt/file/file")).unwrap(), CONTENT);
}
