//! Unpacked layers, stacked by the kernel's overlayfs and compared with the merged tree.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use careen_image::{
    Edits, ImagePath, ImageTarget, Rights, UnpackError, WriteOptions, unpack_edits, unpack_layer, write,
};
use common::{
    chain, differences, is_root, of_directory, of_image, open, skip, stacked, stacked_with, unpack,
    without_links,
};
use tempfile::TempDir;
use testkit::{ImageBuilder, TarBuilder, TarEntry};

#[test]
fn overlayfs_shows_what_the_tree_says() {
    if !is_root() {
        return skip("unpacking needs root");
    }
    let rich = TarBuilder::from_text(
        "./@750,5,6,77 bin/ bin/su@4755,0,0,11:x bin/ping@2755:y tmp/@1777,0,0,5 home/@700,1000,1000,9 fifo@620!p \
         null@666!c1,3 disk@640!b8,17 link@777,3,4,8->/any/where dangling->none hard=>bin/su",
    )
    .entry(TarEntry::file("caps", "z").xattr("security.capability", CAPABILITY).xattr("user.note", "any\n=bytes\0"))
    .entry(TarEntry::file("big-uid", "").owner(3_000_000, 4_000_000))
    .entry(TarEntry::dir("dirx").xattr("user.dir", "1"))
    .entry(TarEntry::file("fraction", "").pax("mtime", "1350244992.023960108"))
    .entry(TarEntry { mtime: -5, ..TarEntry::file("before-1970", "") })
    .entry(TarEntry::gnu_sparse("sparse", &[(0, b"head"), (1 << 20, b"middle")], 3 << 20))
    .entry(TarEntry::file([b"bytes-\xff\n".as_slice(), &[b'n'; 240]].concat(), "name"));
    let first = "a/ a/x:1 a/y:2 b/ b/c/ b/c/d:3 e:4 f/ f/g:5 tmp/@1777,0,0,5 l->a";
    for layers in [
        vec![rich.clone()],
        vec![rich, "tmp/inside bin/new caps2=>caps caps3=>caps2".into()],
        vec![first.into(), "a/.wh.x b/.wh..wh..opq b/new:1 .wh.f e/ e/now:dir".into()],
        vec![first.into(), ".wh.a a/ a/z:1".into()],
        vec![first.into(), ".wh.a a/z:1".into(), "a/x:again".into()],
        vec![first.into(), ".wh.a b:file".into(), "a/ b/ b/c".into()],
        vec![first.into(), ".wh..wh..opq a/ a/only".into()],
        vec![first.into(), ".wh..wh..opq".into(), "f/".into()],
        vec![first.into(), "l/through".into(), "l/.wh.through .wh.nothing".into()],
        vec![first.into(), "b/c/d=>a/x other=>b/c/d .wh.e".into()],
        vec![first.into(), "tmp/.wh..wh..opq .wh.b b/.wh.c".into()],
        vec!["x".into(), "new/.wh.ghost".into(), "new/.wh..wh..opq".into()],
    ] {
        let image = layers.iter().fold(ImageBuilder::new(), |image, layer| image.layer(layer.clone()));
        let image = open(&image.oci_layout().source()).unwrap();
        let Some(seen) = stacked(&image) else { return skip("overlayfs cannot be mounted here") };
        let differences = differences(&without_links(of_image(&image)), &without_links(seen));
        assert!(
            differences.is_empty(),
            "{:?}\n{}",
            image.tree().iter().map(|(p, _)| p).collect::<Vec<_>>(),
            differences.join("\n")
        );
    }
}

#[test]
fn edits_over_the_layers_show_what_the_written_image_shows() {
    if !is_root() {
        return skip("unpacking needs root");
    }
    let base = TarBuilder::from_text(
        "./@750,5,6,77 etc/@711,1,2,3 etc/status@640,7,8,9:old etc/gone opt/ opt/app/@2775,3,3,3 opt/app/used:x \
         opt/app/plugin:y opt/whole/ opt/whole/a/ opt/whole/a/b tmp/@1777,0,0,5 fifo!p link->opt/app bare/in/file:z",
    )
    .entry(TarEntry::dir("marked").xattr("user.dir", "1"))
    .entry(TarEntry::file("marked/gone", ""));
    let upper =
        "opt/app/new:n opt/app/other:o opt/.wh.whole opt/whole/ opt/whole/late etc/status@600,1,1,1:newer";
    let image = ImageBuilder::new().layer(base).layer(upper);
    let image = open(&image.oci_layout().source()).unwrap();
    let path = |text: &str| ImagePath::from_text(text).unwrap();
    let all: std::collections::BTreeSet<_> = image.tree().iter().map(|(path, _)| path.clone()).collect();
    let without = |gone: &[&str]| {
        let gone: Vec<_> = gone.iter().map(|text| path(text)).collect();
        all.iter().filter(|path| !gone.iter().any(|gone| path.is_within(gone))).cloned().collect()
    };
    for edits in [
        Edits { keep: all.clone(), ..Edits::default() },
        Edits {
            keep: without(&[
                "/etc/gone",
                "/opt/app/plugin",
                "/opt/app/new",
                "/opt/whole",
                "/fifo",
                "/marked/gone",
            ]),
            replace: [(path("/etc/status"), b"fewer packages\n".to_vec())].into(),
        },
        Edits {
            keep: without(&["/etc", "/opt", "/tmp", "/link", "/bare/in/file", "/marked"]),
            ..Edits::default()
        },
        Edits { keep: [ImagePath::root()].into(), ..Edits::default() },
    ] {
        let dir = TempDir::new().unwrap();
        let target = ImageTarget::OciLayout { dir: dir.path().join("out"), tag: None };
        write(&image, &edits, &target, &WriteOptions::default()).unwrap();
        let written = open(&format!("oci:{}", dir.path().join("out").display())).unwrap();
        let Some(seen) = stacked_with(&image, Some(&edits)) else {
            return skip("overlayfs cannot be mounted here");
        };
        let differences = differences(&without_links(of_image(&written)), &without_links(seen));
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    }
    let odd = Edits { keep: all.clone(), replace: [(path("/link"), Vec::new())].into() };
    let error = unpack_edits(&image, &odd, TempDir::new().unwrap().path(), Rights::All).unwrap_err();
    assert_eq!(chain(&error), "cannot replace /link\n  caused by: it is no regular file of the image");
}

/// cap_net_raw+ep, version 2.
const CAPABILITY: &[u8] = &[1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn hard_55_holes_stay_holes_and_hard_links_stay_links() {
    if !is_root() {
        return skip("unpacking needs root");
    }
    let layer = TarBuilder::from_text("a:text b=>a")
        .entry(TarEntry::gnu_sparse("sparse", &[(4096, b"data")], 64 << 20))
        .entry(TarEntry::pax_sparse("pax", &[(8 << 20, b"data")], 9 << 20));
    let layer = ImageBuilder::new().layer(layer).layer("c=>a d=>c");
    let dir = unpack(&open(&layer.oci_layout().source()).unwrap());
    let meta = |path: &str| dir.path().join(path).metadata().unwrap();
    assert_eq!((meta("0/sparse").len(), meta("0/pax").len()), (64 << 20, 9 << 20));
    assert!(meta("0/sparse").blocks() * 512 < 1 << 20);
    assert_eq!(meta("0/a").ino(), meta("0/b").ino());
    assert_eq!(meta("1/c").ino(), meta("1/d").ino());
    assert_eq!(fs::read_to_string(dir.path().join("1/d")).unwrap(), "text");
}

#[test]
fn what_overlayfs_would_take_for_its_own_is_refused() {
    let hostile = [
        TarEntry::device("zero", b'3', (0, 0)),
        TarEntry::file("file", "").xattr("trusted.overlay.metacopy", ""),
        TarEntry::dir("dir/").xattr("trusted.overlay.redirect", "/etc"),
    ];
    for entry in hostile {
        let layout = ImageBuilder::new().layer(TarBuilder::new().entry(entry)).oci_layout();
        let dir = TempDir::new().unwrap();
        let error =
            unpack_layer(&open(&layout.source()).unwrap(), 0, dir.path(), Rights::All, None).unwrap_err();
        assert!(matches!(error, UnpackError::Overlay { .. }) || !is_root(), "{}", chain(&error));
    }
}

/// GNU tar makes the tar, we unpack it, GNU tar unpacks it: the same.
#[test]
fn gnu_tar_extracts_the_same() {
    if !is_root() {
        return skip("unpacking needs root");
    }
    let source = TempDir::new().unwrap();
    populate(source.path());
    for format in [
        "gnu",
        "pax",
        "posix --sparse --sparse-version=0.0",
        "posix --sparse --sparse-version=0.1",
        "posix --sparse --sparse-version=1.0",
        "gnu --sparse",
    ] {
        let tar = source.path().with_extension("tar");
        let xattrs: &[&str] =
            if format.starts_with("gnu") { &[] } else { &["--xattrs", "--xattrs-include=*"] };
        let mut words = format.split(' ');
        let made = Command::new("tar")
            .args(["--numeric-owner", "--format", words.next().unwrap()])
            .args(words)
            .args(xattrs)
            .arg("-C")
            .arg(source.path())
            .arg("-cf")
            .arg(&tar)
            .arg(".")
            .status();
        assert!(made.unwrap().success());
        let bytes = fs::read(&tar).unwrap();
        let layout = ImageBuilder::new().compressed_layer(&bytes, testkit::Compression::Gzip).oci_layout();
        let image = open(&layout.source()).unwrap();
        let (ours, theirs) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        unpack_layer(&image, 0, ours.path(), Rights::All, None).unwrap();
        let extracted = Command::new("tar")
            .args(["--numeric-owner", "-p"])
            .args(xattrs)
            .arg("-C")
            .arg(theirs.path())
            .arg("-xf")
            .arg(&tar)
            .status();
        assert!(extracted.unwrap().success());
        fs::remove_file(&tar).unwrap();
        let (ours, theirs) = (of_directory(ours.path()), of_directory(theirs.path()));
        assert_eq!(differences(&ours, &theirs), Vec::<String>::new(), "{format}");
        assert_eq!(differences(&of_image(&image), &ours), Vec::<String>::new(), "{format}");
    }
}

fn populate(dir: &Path) {
    let run = |script: &str| {
        assert!(
            Command::new("sh").args(["-ec", script]).current_dir(dir).status().unwrap().success(),
            "{script}"
        );
    };
    run(
        "mkdir -p deep/er; printf hello >deep/er/file; ln deep/er/file hard; ln -s deep/er/file soft; mkfifo pipe",
    );
    run(
        "mknod null c 1 3; mknod disk b 7 200; chown 3000000:2500000 deep; chmod 6755 hard; chmod 1777 deep/er",
    );
    run("truncate -s 20M holes; printf x | dd of=holes bs=1 seek=5000000 conv=notrunc status=none");
    run(
        "i=0; while [ $i -lt 30 ]; do printf data | dd of=many bs=1 seek=$((i*100000)) conv=notrunc status=none; i=$((i+1)); done",
    );
    run(
        "mkdir $(printf 'l%.0s' $(seq 200)); ln -s $(printf 't%.0s' $(seq 300)) long-link; : >$(printf 'n%.0s' $(seq 250))",
    );
    run(
        "printf '' >\"$(printf 'odd\\nname\\377')\"; touch -d '1960-01-02 03:04:05' old; touch -d '2100-01-02' new; chmod 0 old",
    );
    rustix::fs::setxattr(dir.join("hard"), "user.note", b"value\0", rustix::fs::XattrFlags::empty()).unwrap();
    run("touch -d '2001-01-02' deep .");
}
