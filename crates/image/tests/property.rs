//! Merged layers are what extracting them in turn gives, and no bytes make us panic.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use careen_image::{Image, ImagePath, Limits, OpenOptions};
use common::{differences, is_root, of_directory, of_image, open, skip, stacked, without_links};
use proptest::prelude::*;
use tempfile::TempDir;
use testkit::{ImageBuilder, OciStore, TarBuilder, TarEntry};

/// What a generated layer does to one path: which, how, with which metadata, and the target of a link.
type Change = (usize, u8, (u16, u16, u32), usize);

const PATHS: usize = 39;

/// `a`, `b`, `c`, `a/a`, …, `c/c/c`.
fn path(nth: usize) -> String {
    let name = |n: usize| ["a", "b", "c"][n % 3];
    match nth % PATHS {
        n @ 0..3 => name(n).to_owned(),
        n @ 3..12 => format!("{}/{}", name((n - 3) / 3), name(n)),
        n => format!("{}/{}/{}", name((n - 12) / 9), name((n - 12) / 3), name(n)),
    }
}

fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

fn is_beneath(path: &str, dir: &str) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
}

fn with_metadata(entry: TarEntry, (mode, owner, mtime): (u16, u16, u32)) -> TarEntry {
    let entry = if mode & 0x8000 != 0 && matches!(entry.kind, b'0' | b'5') {
        entry.xattr("user.note", mode.to_be_bytes())
    } else {
        entry
    };
    TarEntry {
        mtime: mtime.into(),
        ..entry.mode(u64::from(mode & 0o7777)).owner(u64::from(owner % 7) * 500_000, owner.into())
    }
}

/// One layer as tools write them: a directory before what it holds, whiteouts before what replaces the hidden.
/// `merged` is the state beneath, and after the call the state with this layer.
fn layer(changes: &[Change], base: bool, merged: &mut BTreeMap<String, TarEntry>) -> TarBuilder {
    let mut own: BTreeMap<String, (TarEntry, Option<String>)> = BTreeMap::new();
    let (mut whiteouts, mut opaque) = (BTreeSet::new(), BTreeSet::new());
    for &(nth, kind, meta, target) in changes {
        let name = path(nth);
        let blocked = parents(&name).any(|dir| own.get(dir).is_some_and(|(entry, _)| entry.kind != b'5'));
        let is_directory = kind < 3 || kind == 11;
        if blocked || (kind != 10 && own.contains_key(&name) && kind != 11) {
            continue;
        }
        if own.get(&name).is_some_and(|(entry, _)| entry.kind != b'5') && kind == 11 {
            continue;
        }
        if !is_directory && kind != 10 && own.keys().any(|other| is_beneath(other, &name)) {
            continue;
        }
        for dir in parents(&name) {
            own.entry(dir.to_owned()).or_insert_with(|| (with_metadata(TarEntry::dir(dir), meta), None));
        }
        let target = path(target);
        let entry = match kind {
            10 => {
                whiteouts.insert(name);
                continue;
            }
            11 => {
                opaque.insert(name.clone());
                TarEntry::dir(&name)
            }
            0..3 => TarEntry::dir(&name),
            3..6 => TarEntry::file(&name, format!("{target} {}", meta.2)),
            6 => TarEntry::symlink(&name, &target),
            7 => TarEntry::fifo(&name),
            8 => TarEntry::device(&name, b'3', (1, 3)),
            _ => TarEntry::file(&name, "was to be a link"),
        };
        own.entry(name).or_insert_with(|| (with_metadata(entry, meta), (kind == 9).then_some(target)));
    }

    for hidden in &whiteouts {
        merged.retain(|path, _| path != hidden && !is_beneath(path, hidden));
    }
    for dir in &opaque {
        merged.retain(|path, _| !is_beneath(path, dir));
    }
    let hide = |tar: TarBuilder, dir: &str| {
        let inside =
            whiteouts.iter().filter(|path| path.rsplit_once('/').map_or("", |(parent, _)| parent) == dir);
        let tar = inside.fold(tar, |tar, path| {
            let name = path.rsplit('/').next().unwrap();
            tar.entry(TarEntry::file(format!("{dir}{}.wh.{name}", if dir.is_empty() { "" } else { "/" }), ""))
        });
        if opaque.contains(dir) { tar.entry(TarEntry::file(format!("{dir}/.wh..wh..opq"), "")) } else { tar }
    };
    let mut tar = TarBuilder::new();
    if base {
        tar = tar.entry(TarEntry::dir("./").mode(0o711).owner(1, 2));
    }
    tar = hide(tar, "");
    for (name, (entry, target)) in own {
        // What is beneath the link's own name goes when the link takes the directory's place.
        let is_there = |target: &String| *target != name && !is_beneath(target, &name);
        let linked = target.filter(is_there).and_then(|target| {
            let file = merged.get(&target).filter(|file| file.kind == b'0')?;
            Some((file.clone(), target))
        });
        let entry = match linked {
            Some((file, target)) => {
                // A link has the metadata of its file; the first name's content stands for both.
                let link = TarEntry {
                    name: name.clone().into(),
                    kind: b'1',
                    link: target.into(),
                    content: vec![],
                    ..file.clone()
                };
                merged.insert(name.clone(), file);
                link
            }
            None => {
                merged.insert(name.clone(), entry.clone());
                entry
            }
        };
        if entry.kind != b'5' {
            merged.retain(|path, _| !is_beneath(path, &name));
        }
        tar = hide(tar.entry(&entry), &name);
    }
    tar
}

fn image(layers: &[Vec<Change>]) -> ImageBuilder {
    let mut merged = BTreeMap::new();
    layers
        .iter()
        .enumerate()
        .fold(ImageBuilder::new(), |image, (nth, changes)| image.layer(layer(changes, nth == 0, &mut merged)))
}

fn changes() -> impl Strategy<Value = Vec<Vec<Change>>> {
    let change = (0..PATHS, 0..12_u8, (any::<u16>(), any::<u16>(), any::<u32>()), 0..PATHS);
    proptest::collection::vec(proptest::collection::vec(change, 1..14), 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// umoci extracts every layer in turn into one directory.
    #[test]
    fn hard_57_flattening_equals_extracting_in_turn(layers in changes()) {
        if !is_root() || Command::new("umoci").arg("--version").output().is_err() {
            skip("umoci is not installed, or we are not root: apt-get install umoci");
            return Ok(());
        }
        let layout = image(&layers).oci_layout();
        let bundle = TempDir::new().unwrap();
        let output = Command::new("umoci")
            .args(["unpack", "--image", &format!("{}:latest", layout.dir().display())])
            .arg(bundle.path().join("bundle"))
            .output()
            .unwrap();
        prop_assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let theirs = of_directory(&bundle.path().join("bundle/rootfs"));
        let ours = of_image(&open(&layout.source()).unwrap());
        let differences = differences(&ours, &theirs);
        prop_assert!(differences.is_empty(), "{}", differences.join("\n"));
    }

    /// Layers unpacked one by one and stacked by the kernel show the same.
    #[test]
    fn hard_57_flattening_equals_stacking(layers in changes()) {
        if !is_root() {
            skip("unpacking needs root");
            return Ok(());
        }
        let opened = open(&image(&layers).oci_layout().source()).unwrap();
        let Some(stacked) = stacked(&opened) else {
            skip("overlayfs cannot be mounted here");
            return Ok(());
        };
        let differences = differences(&without_links(of_image(&opened)), &without_links(stacked));
        prop_assert!(differences.is_empty(), "{}", differences.join("\n"));
    }
}

/// A tar with every form that the reader knows.
fn rich() -> Vec<u8> {
    let long = "long/".repeat(40);
    TarBuilder::from_text("a/@1777 a/f@4755:content a/h=>a/f l->a/f p!p c!c1,3 b!b8,1 a/.wh.x a/.wh..wh..opq")
        .global_pax(&[("comment", "x")])
        .entry(TarEntry::file("x", "1").xattr("user.a", "b").pax("mtime", "1.5").pax("uid", "7"))
        .entry(TarEntry { gnu: true, ..TarEntry::symlink(&long, &long) })
        .entry(TarEntry::file(format!("{long}2"), "2"))
        .entry(TarEntry::gnu_sparse(
            "s",
            &[(0, b"a"), (9, b"b"), (20, b"c"), (30, b"d"), (40, b"e"), (50, b"f")],
            60,
        ))
        .entry(TarEntry::pax_sparse("t", &[(5, b"x"), (10, b"yz")], 99))
        .entry(TarEntry::file("u", "xy").pax("GNU.sparse.map", "1,1,5,1").pax("GNU.sparse.size", "9"))
        .entry(TarEntry::file("big", "").owner(1 << 22, 1 << 30))
        .finish()
}

/// Opens what may be anything; a tree that comes out must hold together.
fn survive(source: &str) {
    let limits = Limits { layer_bytes: 1 << 20, total_bytes: 1 << 20, entries: 1000, ..Limits::default() };
    let Ok(image) = Image::open(&source.parse().unwrap(), &OpenOptions { limits, ..OpenOptions::default() })
    else {
        return;
    };
    for (path, _) in image.tree().iter() {
        let _ = image.read_file(path, 1 << 16);
        let _ = image.tree().resolve(&ImagePath::root(), path.as_bytes(), true);
        assert!(path.ancestors().all(|dir| image.tree().get(&dir).is_some()));
        assert!(image.tree().hardlinks(path).iter().all(|other| image.tree().get(other).is_some()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_tar_makes_us_panic(changes in proptest::collection::vec((0..1_usize << 16, any::<u8>()), 1..6), repair: bool, cut: Option<u16>) {
        let mut tar = rich();
        for (at, byte) in changes {
            let length = tar.len();
            tar[at % length] = byte;
        }
        if repair {
            for block in tar.chunks_exact_mut(512) {
                if block[257..262] == *b"ustar" {
                    block[148..156].fill(b' ');
                    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
                    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
                }
            }
        }
        tar.truncate(cut.map_or(usize::MAX, usize::from));
        survive(&ImageBuilder::new().compressed_layer(&tar, testkit::Compression::None).oci_layout().source());
    }

    #[test]
    fn no_blob_makes_us_panic(changes in proptest::collection::vec((0..1_usize << 16, any::<u8>()), 1..6), zstd: bool) {
        let tar = rich();
        let compression = if zstd { testkit::Compression::ZstdFrames } else { testkit::Compression::GzipMembers };
        let mut blob = testkit::builder::compress(&tar, compression);
        for (at, byte) in changes {
            let length = blob.len();
            blob[at % length] = byte;
        }
        survive(&ImageBuilder::new().raw_layer("application/vnd.oci.image.layer.v1.tar+gzip", &blob, &tar).oci_layout().source());
    }

    #[test]
    fn no_document_makes_us_panic(nth in 0..3_usize, at in 0..4096_usize, text in "[\\[\\]{}\",:0-9a-z\\-]{0,12}", long in 0..20_usize) {
        let built = ImageBuilder::new().layer("a").build();
        let mut store = OciStore::new().image(built.clone());
        let replace = |bytes: &[u8]| {
            let at = at % bytes.len();
            [&bytes[..at], text.as_bytes(), bytes.get(at + long..).unwrap_or_default()].concat()
        };
        // The digest that refers to a changed document is changed as well, so that it is read at all.
        let config = if nth == 0 { replace(&built.config) } else { built.config.clone() };
        let manifest = built.blobs[built.descriptor["digest"].as_str().unwrap()].clone();
        let old = testkit::builder::digest(&built.config);
        let manifest = String::from_utf8(manifest).unwrap().replace(&old, &testkit::builder::digest(&config));
        let manifest = manifest.replace(&format!("\"size\":{}", built.config.len()), &format!("\"size\":{}", config.len()));
        let manifest = if nth == 1 { replace(manifest.as_bytes()) } else { manifest.into_bytes() };
        for blob in [&config, &manifest] {
            store = store.blob(&testkit::builder::digest(blob), blob);
        }
        let top = testkit::builder::descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
        let layout = OciStore::new().manifest(top).layout();
        for (name, bytes) in store.files().into_iter().filter(|(name, _)| name.starts_with("blobs/")) {
            std::fs::write(layout.dir().join(name), bytes).unwrap();
        }
        if nth == 2 {
            let index = layout.dir().join("index.json");
            let bytes = replace(&std::fs::read(&index).unwrap());
            std::fs::write(index, bytes).unwrap();
        }
        survive(&layout.source());
    }
}
