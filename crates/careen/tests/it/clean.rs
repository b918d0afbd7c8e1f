//! Room made again: unpacked layers that nobody uses.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::evaluate::toolbox;
use crate::support::{can_run, careen_command, workdir};

/// A data directory of this test alone.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn careen(&self, args: &[&str]) -> Command {
        let mut command = careen_command(args);
        command.env("CAREEN_DATA_DIR", self.dir.path());
        command
    }

    fn succeed(&self, args: &[&str]) -> String {
        let output = self.careen(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn clean(&self, more: &[&str]) -> Value {
        let told = self.succeed(&[&["clean", "--output", "json"], more].concat());
        serde_json::from_str(&told).unwrap()
    }

    fn layers(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.dir.path().join("store/layers")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

#[test]
fn layers_that_are_not_in_use_are_removed_and_come_again_when_they_are_needed() {
    if !can_run() {
        return;
    }
    let Some(layout) = toolbox() else { return };
    let place = Place { dir: workdir() };
    assert_eq!(place.succeed(&["clean"]).lines().count(), 1, "there is nothing yet");
    let source = layout.source();
    let run = ["run", "-q", source.as_str(), "--", "sh", "-c", "echo here; sleep 600"];
    let mut running = place.careen(&run).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(running.stdout.take().unwrap());
    output.read_line(&mut String::new()).unwrap();
    let [layer] = &place.layers()[..] else { panic!("{:?}", place.layers()) };

    let in_use = place.clean(&["--all"]);
    assert_eq!((&in_use["layers"], &in_use["layers_in_use"]), (&json!([]), &json!(1)), "{in_use}");
    assert!(place.succeed(&["clean", "--all"]).contains("1 layer in use"));
    assert!(layer.join("bin/busybox").exists());
    drop(output);
    assert!(running.wait().unwrap().success());

    assert_eq!(place.clean(&[])["layers"], json!([]), "it was used a moment ago");
    let would = place.clean(&["--all", "--dry-run"]);
    let chain_id = layer.file_name().unwrap().to_str().unwrap().replace('-', ":");
    assert_eq!((&would["dry_run"], &would["layers"][0]["chain_id"]), (&json!(true), &json!(chain_id)));
    assert!(would["layer_bytes"].as_u64().unwrap() > 500_000, "{would}");
    assert!(layer.exists());
    let told = place.succeed(&["clean", "--all"]);
    assert!(told.contains("removed  1 unpacked layer, "), "{told}");
    assert!(place.layers().is_empty());
    assert_eq!(place.succeed(&["run", "-q", &source, "--", "tool", "daily"]), "daily\n");
    assert_eq!(place.layers().len(), 1);
}

#[test]
fn layers_that_no_command_used_for_a_month_go_at_the_end_of_one() {
    if !can_run() {
        return;
    }
    let (Some(layout), Some(other)) = (toolbox(), toolbox_with_a_layer_more()) else { return };
    let place = Place { dir: workdir() };
    for source in [layout.source(), other.source()] {
        assert_eq!(place.succeed(&["run", "-q", &source, "--", "tool", "daily"]), "daily\n");
    }
    assert_eq!(place.layers().len(), 2, "they share one");
    let used = place.dir.path().join("store/used");
    for entry in fs::read_dir(&used).unwrap() {
        let long_ago = SystemTime::now() - Duration::from_secs(40 * 24 * 3600);
        let file = File::options().write(true).open(entry.unwrap().path()).unwrap();
        file.set_modified(long_ago).unwrap();
    }
    place.succeed(&["clean", "--dry-run"]);
    assert_eq!(place.layers().len(), 2);
    // What this one uses stays, also when it is done.
    place.succeed(&["run", "-q", &layout.source(), "--", "tool", "daily"]);
    assert_eq!(place.layers().len(), 1);
    assert_eq!(fs::read_dir(used).unwrap().count(), 1);
    assert_eq!(place.succeed(&["run", "-q", &other.source(), "--", "tool", "daily"]), "daily\n");
}

fn toolbox_with_a_layer_more() -> Option<testkit::Layout> {
    let config = json!({ "Cmd": ["sleep", "600"], "Env": ["PATH=/usr/bin:/bin"], "StopSignal": "SIGKILL" });
    let builder =
        testkit::ImageBuilder::new().layer(crate::evaluate::toolbox_layer()?).layer("etc/motd:hello");
    Some(builder.container_config(config).oci_layout())
}
