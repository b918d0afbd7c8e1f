//! Other tools read what we write, and see the same.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::process::Command;

use image::{Image, ImagePath, NodeKind, OutputCompression, WriteOptions};
use testkit::{ImageBuilder, TarBuilder, TarEntry};

use crate::contents::every_kind;
use crate::support::{Output, all_but, keep, open, options, write, write_with};

/// Runs a tool that must succeed; false, said on stderr, where it is not installed.
fn run(program: &str, args: &[&str]) -> bool {
    match Command::new(program).args(args).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("SKIP: {program} is not installed");
            assert!(std::env::var_os("CAREEN_NO_SKIP").is_none(), "must not skip here");
            false
        }
        Err(error) => panic!("{program}: {error}"),
        Ok(output) => {
            assert!(
                output.status.success(),
                "{program} {args:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            true
        }
    }
}

/// An image with several members in a layer, hard links, whiteouts, and every kind of entry that umoci can make.
fn image_for_tools() -> testkit::Layout {
    let kinds = every_kind().into_iter().filter(|entry| {
        // Too large to compare; and umoci knows neither GNU's old sparse files nor, on some file systems, ACLs.
        let unfit = ["acl", "huge-gnu", "huge-pax", "sparse-gnu"];
        !unfit.iter().any(|unfit| entry.name.ends_with(unfit.as_bytes()))
    });
    let lower = kinds.fold(TarBuilder::new(), TarBuilder::entry);
    let big: Vec<u8> = (0..3_000_000_u32).flat_map(|n| (n / 3).to_le_bytes()).collect();
    let upper = TarBuilder::from_text(
        "removed:x new/@750,7,8 new/file:1 .wh.empty first:x second=>first third=>second",
    )
    .entry(TarEntry::file("big", big));
    ImageBuilder::new().layer(lower.entry(TarEntry::file("removed-too", "x"))).layer(upper).oci_layout()
}

fn hardened(compression: OutputCompression) -> (Image, Output) {
    let layout = image_for_tools();
    let image = open(&layout.source());
    let kept = all_but(&image, &["removed", "removed-too", "first", "bin-su"]);
    let output = write_with(&image, &keep(kept), &WriteOptions { compression, ..options(2) });
    (image, output)
}

#[test]
fn gzip_accepts_the_members() {
    let (_, output) = hardened(OutputCompression::default());
    for layer in &output.written.layers {
        let blob = output.layout().join("blobs/sha256").join(layer.descriptor.digest.hex());
        let copy = output.dir.path().join("layer.gz");
        fs::copy(blob, &copy).unwrap();
        run("gzip", &["-t", copy.to_str().unwrap()]);
        run("tar", &["-tzf", copy.to_str().unwrap()]);
    }
}

#[test]
fn skopeo_converts_what_we_write() {
    let (_, output) = hardened(OutputCompression::default());
    let dir = output.dir.path().display().to_string();
    let saved = format!("docker-archive:{dir}/saved.tar");
    let args = [
        "--insecure-policy",
        "copy",
        "--quiet",
        &format!("oci:{dir}/out:latest"),
        &format!("{saved}:shop/app:1"),
    ];
    if !run("skopeo", &args) {
        return;
    }
    let copied = open(&saved);
    assert_eq!(copied.image_id(), output.written.image_id);
    // And the archives that we write ourselves.
    for (target, name) in [("oci-archive", "ours.oci.tar"), ("docker-archive", "ours.docker.tar")] {
        let target = format!("{target}:{dir}/{name}:shop/app:1");
        let all = keep(all_but(&output.image, &[]));
        image::write(&output.image, &all, &target.parse().unwrap(), &options(2)).unwrap();
        run("skopeo", &["--insecure-policy", "copy", "--quiet", &target, &format!("dir:{dir}/{name}.dir")]);
        run("skopeo", &["--insecure-policy", "inspect", "--config", &target]);
    }
}

#[test]
fn umoci_unpacks_exactly_what_was_kept() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIP: unpacking devices and owners needs root");
        assert!(std::env::var_os("CAREEN_NO_SKIP").is_none(), "must not skip here");
        return;
    }
    let (_, output) = hardened(OutputCompression::default());
    let bundle = output.dir.path().join("bundle");
    let reference = format!("{}:latest", output.layout().display());
    if run("umoci", &["unpack", "--image", &reference, bundle.to_str().unwrap()]) {
        assert_unpacked(&output.image, &bundle.join("rootfs"));
    }
}

#[test]
fn umoci_agrees_about_whiteouts_and_links() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIP: unpacking owners needs root");
        assert!(std::env::var_os("CAREEN_NO_SKIP").is_none(), "must not skip here");
        return;
    }
    for (layers, removed) in [
        (&["a/@700,3,4 a/old:secret a/stay:1", "a/.wh.old b:1"][..], &["b"][..]),
        (&["a/ a/old:secret", "a/@711 a/.wh..wh..opq a/new:1"], &[]),
        (&["old/ old/x:secret", "old:file y:1"], &["y"]),
        (&["a:x b=>a c=>b d:1"], &["a"]),
        (&["a:x b=>a z:1", "a:y c:1"], &["z", "c"]),
    ] {
        let layout = testkit::image(layers);
        let image = open(&layout.source());
        let output = write(&image, &keep(all_but(&image, removed)));
        let bundle = output.dir.path().join("bundle");
        let reference = format!("{}:latest", output.layout().display());
        if !run("umoci", &["unpack", "--image", &reference, bundle.to_str().unwrap()]) {
            return;
        }
        assert_unpacked(&output.image, &bundle.join("rootfs"));
    }
}

/// Asserts that a directory holds what a tree says, and nothing else.
fn assert_unpacked(image: &Image, rootfs: &Path) {
    let mut found: BTreeMap<ImagePath, fs::Metadata> = BTreeMap::new();
    let mut dirs = vec![rootfs.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let file = entry.unwrap().path();
            let metadata = file.symlink_metadata().unwrap();
            if metadata.is_dir() {
                dirs.push(file.clone());
            }
            let name = file.strip_prefix(rootfs).unwrap().as_os_str().as_bytes();
            found.insert(ImagePath::from_absolute(name).unwrap(), metadata);
        }
    }
    let nodes: BTreeMap<_, _> = image.tree().iter().filter(|(path, _)| !path.is_root()).collect();
    assert_eq!(found.keys().collect::<BTreeSet<_>>(), nodes.keys().copied().collect::<BTreeSet<_>>());
    for (path, node) in nodes {
        let (metadata, file) = (&found[path], rootfs.join(OsStr::from_bytes(path.as_bytes())));
        let wanted = &node.metadata;
        assert_eq!((metadata.uid(), metadata.gid()), (wanted.uid, wanted.gid), "{path}");
        if !metadata.is_symlink() {
            assert_eq!(metadata.mode() & 0o7777, wanted.mode, "{path}");
        }
        if node.entry.is_some() {
            assert_eq!(metadata.mtime(), wanted.mtime.seconds, "{path}");
        }
        for (name, value) in &wanted.xattrs {
            let mut buffer = vec![0; 4096];
            let name = OsStr::from_bytes(name);
            let length = rustix::fs::lgetxattr(&file, name, &mut buffer[..]).unwrap();
            assert_eq!(&buffer[..length], &value[..], "{path} {name:?}");
        }
        match &node.kind {
            NodeKind::File { size_bytes, .. } => {
                assert_eq!(metadata.size(), *size_bytes, "{path}");
                assert!(fs::read(&file).unwrap() == image.read_file(path, 64 << 20).unwrap(), "{path}");
                for name in image.tree().hardlinks(path) {
                    assert_eq!(found[&name].ino(), metadata.ino(), "{path} and {name}");
                }
            }
            NodeKind::Directory => assert!(metadata.is_dir(), "{path}"),
            NodeKind::Symlink { target } => {
                assert_eq!(fs::read_link(&file).unwrap().as_os_str().as_bytes(), &target[..], "{path}");
            }
            NodeKind::Fifo => assert!(metadata.file_type().is_fifo(), "{path}"),
            NodeKind::CharDevice(major, minor) | NodeKind::BlockDevice(major, minor) => {
                assert_eq!(metadata.rdev(), rustix::fs::makedev(*major, *minor), "{path}");
            }
        }
    }
}
