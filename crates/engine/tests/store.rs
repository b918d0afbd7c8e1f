//! The store of unpacked layers.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

#[allow(dead_code, unreachable_pub, reason = "each test program uses a part")]
mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use careen_engine::*;
use common::*;
use image::{Image, OpenOptions};
use serde_json::json;
use testkit::{ImageBuilder, TarBuilder, TarEntry};

fn open(layout: &testkit::Layout, scratch: &Path) -> Image {
    let options = OpenOptions { scratch_dir: scratch.to_owned(), ..OpenOptions::new() };
    Image::open(&layout.source().parse().unwrap(), &options).unwrap()
}

fn busybox() -> TarBuilder {
    TarBuilder::new()
        .entry(TarEntry::dir("./").mode(0o750).owner(0, 7))
        .entry(TarEntry::dir("bin"))
        .entry(TarEntry::file("bin/busybox", fs::read("/bin/busybox").unwrap()).mode(0o755))
        .entry(TarEntry::symlink("bin/sh", "busybox"))
        .entry(TarEntry::file("old", "x"))
}

fn stored(bench: &Bench) -> BTreeSet<PathBuf> {
    fs::read_dir(bench.data_dir().join("store/layers")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn layers_are_unpacked_once_and_run() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    let upper = TarBuilder::new()
        .entry(TarEntry::file(".wh.old", ""))
        .entry(TarEntry::hardlink("linked", "bin/busybox"));
    let script =
        "busybox ls -ld /; test -e /old || echo gone; busybox cmp /linked /bin/busybox && echo linked";
    let builder = ImageBuilder::new().layer(busybox()).layer(upper);
    let layout =
        builder.container_config(json!({ "Cmd": ["sh", "-c", script], "Env": ["PATH=/bin"] })).oci_layout();
    let image = open(&layout, bench.dir.path());
    let seen = Mutex::new(Vec::new());
    let unpacked = bench.engine.unpack(&image, &|layer| seen.lock().unwrap().push(layer)).unwrap();
    assert_eq!(*seen.lock().unwrap(), [0, 1]);
    let first = stored(&bench);
    assert_eq!(first.len(), 2);
    let named = |digest: &str| bench.data_dir().join("store/layers").join(digest.replace(':', "-"));
    let ids: Vec<String> = image.layers().iter().map(|layer| layer.diff_id.to_string()).collect();
    let chain_id = image::Digest::of(ids.join(" ").as_bytes()).to_string();
    assert_eq!(first, BTreeSet::from([named(&ids[0]), named(&chain_id)]));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| bench.engine.unpack(&image, &|_| {}).unwrap());
        }
    });
    assert_eq!(stored(&bench), first);
    let mut container = bench.engine.create(&unpacked, &RunOptions::default()).unwrap();
    container.start().unwrap();
    assert_eq!(wait_exit(&mut container), Exit::Code(0));
    let log = String::from_utf8(container.logs()).unwrap();
    assert!(log.starts_with("drwxr-x---") && log.contains(" 7 ") && log.ends_with("gone\nlinked\n"), "{log}");
    drop(container);
    bench.assert_nothing_remains();
}

#[test]
fn a_layer_hides_what_each_of_its_bases_has() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    let bases = [
        // The last has what the layer hides; over the others its marks would hide nothing.
        busybox().entry(TarEntry::dir("dir").mode(0o700)),
        busybox(),
        busybox().entry(TarEntry::file("dir", "x")),
        busybox()
            .entry(TarEntry::dir("dir").mode(0o711).owner(3, 4))
            .entry(TarEntry::file("dir/lower", "x"))
            .entry(TarEntry::file("gone", "x")),
    ];
    let upper = TarBuilder::new()
        .entry(TarEntry::file(".wh.gone", ""))
        .entry(TarEntry::file("dir/.wh..wh..opq", ""))
        .entry(TarEntry::file("dir/upper", "x"));
    let script = "busybox ls /; busybox ls /dir; busybox stat -c '%a %u %g' /dir";
    for (base, metadata) in bases.into_iter().zip(["700 0 0", "755 0 0", "755 0 0", "711 3 4"]) {
        let builder = ImageBuilder::new().layer(base).layer(upper.clone());
        let config = json!({ "Cmd": ["sh", "-c", script], "Env": ["PATH=/bin"] });
        let image = open(&builder.container_config(config).oci_layout(), bench.dir.path());
        let unpacked = bench.engine.unpack(&image, &|_| {}).unwrap();
        let mut container = bench.engine.create(&unpacked, &RunOptions::default()).unwrap();
        container.start().unwrap();
        wait_exit(&mut container);
        let log = String::from_utf8(container.logs()).unwrap();
        let of_root = ["bin", "dev", "dir", "etc", "old", "proc", "sys"];
        assert_eq!(log.lines().collect::<Vec<_>>(), [&of_root[..], &["upper", metadata]].concat());
    }
    assert_eq!(stored(&bench).len(), 8, "once over each base");
    bench.assert_nothing_remains();
}

#[test]
fn several_careens_unpack_the_same_layer_at_once() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    let layout = ImageBuilder::new().layer(busybox()).oci_layout();
    let image = open(&layout, bench.dir.path());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let engine = Engine::open(options(&bench.data_dir(), &bench.interrupt)).unwrap();
                engine.unpack(&image, &|_| {}).unwrap();
            });
        }
    });
    assert_eq!(stored(&bench).len(), 1);
    assert_eq!(fs::read_dir(bench.data_dir().join("store/tmp")).unwrap().count(), 0);
    bench.assert_nothing_remains();
}

#[test]
fn a_full_disk_is_told_of_and_leaves_no_half_layer() {
    if skip() {
        return;
    }
    let script = "d=$(mktemp -d); mount -t tmpfs -o size=1m none $d; SMALL=$d exec \"$0\" \"$@\"";
    testkit::in_changed_host(&["unshare", "-m", "sh", "-ec", script], "small_disk");
}

#[test]
#[ignore = "run by the test above on a small disk"]
fn small_disk() {
    let small = PathBuf::from(std::env::var_os("SMALL").unwrap());
    let scratch = tempfile::tempdir().unwrap();
    let layout = ImageBuilder::new().layer(busybox()).oci_layout();
    let image = open(&layout, scratch.path());
    let engine = Engine::open(options(&small, &std::sync::Arc::default())).unwrap();
    let error = engine.unpack(&image, &|_| {}).unwrap_err();
    assert!(matches!(error, EngineError::Unpack { disk_full: true, .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("larger disk"));
    for dir in ["store/layers", "store/tmp"] {
        assert_eq!(fs::read_dir(small.join(dir)).unwrap().count(), 0, "{dir}");
    }
}
