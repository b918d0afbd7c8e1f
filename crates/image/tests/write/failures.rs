//! What goes wrong is said with a hint, and leaves nothing behind.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use image::{Image, ImageTarget, WriteError, WriteOptions};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;
use testkit::{ImageBuilder, TarBuilder, TarEntry};

use crate::support::{all_but, files, keep, open, options};

fn targets(path: &Path) -> [ImageTarget; 3] {
    [
        ImageTarget::OciLayout { dir: path.to_owned(), tag: None },
        ImageTarget::OciArchive { file: path.to_owned(), tag: None },
        ImageTarget::DockerArchive { file: path.to_owned(), reference: None },
    ]
}

fn fails(image: &Image, target: &ImageTarget, options: &WriteOptions<'_>) -> WriteError {
    image::write(image, &keep(all_but(image, &["gone"])), target, options).unwrap_err()
}

#[test]
fn a_target_in_the_way_is_left_alone() {
    let layout = testkit::image(&["a:1 gone:2"]);
    let image = open(&layout.source());
    let dir = TempDir::new().unwrap();
    std::fs::create_dir_all(dir.path().join("home/blobs")).unwrap();
    std::fs::write(dir.path().join("home/letter"), "dear").unwrap();
    std::fs::write(dir.path().join("file"), "content").unwrap();
    let before = files(dir.path());
    for overwrite in [false, true] {
        let options = WriteOptions { overwrite, ..options(1) };
        let home = targets(&dir.path().join("home"));
        let file = targets(&dir.path().join("file"));
        for (target, refused) in
            [(&home[0], true), (&home[1], true), (&home[2], true), (&file[0], true), (&file[1], !overwrite)]
        {
            if !refused {
                continue;
            }
            let error = fails(&image, target, &options);
            assert!(error.hint().is_some(), "{error}");
            match error {
                WriteError::Exists { .. } if !overwrite => {}
                WriteError::NotReplaceable { .. } if overwrite => {}
                error => panic!("{error:?}"),
            }
        }
    }
    assert_eq!(files(dir.path()), before);
}

#[test]
fn the_original_is_never_a_target() {
    let layout = testkit::image(&["a:1 gone:2"]);
    let archive = ImageBuilder::new().layer("a:1 gone:2").oci_archive();
    let options = WriteOptions { overwrite: true, ..options(1) };
    let before = (files(layout.dir()), std::fs::read(archive.file()).unwrap());
    let image = open(&layout.source());
    for target in [layout.dir().to_owned(), layout.dir().join("inside"), layout.dir().join("blobs/../inside")]
    {
        for target in targets(&target) {
            let error = fails(&image, &target, &options);
            assert!(matches!(error, WriteError::IsSource { .. }), "{error:?}");
        }
    }
    let error = fails(&open(&archive.source()), &targets(&archive.file())[1], &options);
    assert!(matches!(error, WriteError::IsSource { .. }), "{error:?}");
    assert_eq!((files(layout.dir()), std::fs::read(archive.file()).unwrap()), before);
}

#[test]
fn a_missing_directory_is_named() {
    let layout = testkit::image(&["a:1 gone:2"]);
    let image = open(&layout.source());
    let dir = TempDir::new().unwrap();
    for target in targets(&dir.path().join("no/such")) {
        let error = fails(&image, &target, &options(1));
        assert!(matches!(error, WriteError::ParentMissing { .. }), "{error:?}");
        assert!(error.hint().unwrap().starts_with("make it first: mkdir -p /"));
    }
    for nameless in ["..", "/"] {
        let error = fails(&image, &targets(Path::new(nameless))[0], &options(1));
        assert!(matches!(error, WriteError::NoName { .. }), "{error:?}");
    }
}

/// An image with one layer of random bytes, of which something goes.
fn incompressible(bytes: usize) -> testkit::Layout {
    let mut state = 1_u64;
    let content: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    })
    .take(bytes)
    .collect();
    let tar = TarBuilder::new().entry(TarEntry::file("gone", "x")).entry(TarEntry::file("a", content));
    ImageBuilder::new().layer("reused:1").layer(tar).oci_layout()
}

#[test]
fn an_interrupted_run_leaves_nothing() {
    let layout = incompressible(8 << 20);
    let image = open(&layout.source());
    let dir = TempDir::new().unwrap();
    let written = AtomicU64::new(0);
    for target in targets(&dir.path().join("out")) {
        let interrupt = AtomicBool::new(false);
        // Ctrl-C in the middle of a layer.
        let on_bytes = |bytes| {
            if written.fetch_add(bytes, Ordering::Relaxed) > 2 << 20 {
                interrupt.store(true, Ordering::Relaxed);
            }
        };
        let options = WriteOptions { interrupt: Some(&interrupt), on_bytes: Some(&on_bytes), ..options(2) };
        let error = fails(&image, &target, &options);
        assert!(matches!(error, WriteError::Interrupted), "{error:?}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        written.store(0, Ordering::Relaxed);
    }
}

#[test]
fn a_blob_that_changed_meanwhile_is_noticed() {
    let layout = incompressible(1000);
    let image = open(&layout.source());
    let reused = layout.blob_path(&image.layers()[0].descriptor.digest.to_string());
    let dir = TempDir::new().unwrap();
    let mut bytes = std::fs::read(&reused).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&reused, bytes).unwrap();
    for target in targets(&dir.path().join("out")) {
        let error = fails(&image, &target, &options(1));
        assert!(matches!(error, WriteError::Changed { .. }), "{error:?}");
        assert!(error.hint().is_some());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

/// A run that is killed after so many bytes: this test started again, which finds these variables.
const KILL_AT: &str = "CAREEN_TEST_KILL_AT";
const KILL_TARGET: &str = "CAREEN_TEST_KILL_TARGET";
const KILL_SOURCE: &str = "CAREEN_TEST_KILL_SOURCE";

fn write_until_killed(at: &str) {
    let variable = |name: &str| std::env::var(name).unwrap();
    let (at, written): (u64, _) = (at.parse().unwrap(), AtomicU64::new(0));
    let on_bytes = |bytes| {
        if written.fetch_add(bytes, Ordering::Relaxed) + bytes >= at {
            let own = rustix::process::getpid();
            rustix::process::kill_process(own, rustix::process::Signal::KILL).unwrap();
        }
    };
    let options = WriteOptions { overwrite: true, on_bytes: Some(&on_bytes), ..options(2) };
    fails(&open(&variable(KILL_SOURCE)), &variable(KILL_TARGET).parse().unwrap(), &options);
}

#[test]
fn a_killed_run_leaves_the_final_name_as_it_was() {
    use std::os::unix::process::ExitStatusExt as _;
    if let Ok(at) = std::env::var(KILL_AT) {
        return write_until_killed(&at);
    }
    let layout = incompressible(1 << 20);
    let image = open(&layout.source());
    let dir = TempDir::new().unwrap();
    for (nth, target) in targets(&dir.path().join("out")).iter().enumerate() {
        let whole = AtomicU64::new(0);
        let on_bytes = |bytes| {
            whole.fetch_add(bytes, Ordering::Relaxed);
        };
        let probe = &targets(&dir.path().join(format!("whole{nth}")))[nth];
        let options = WriteOptions { on_bytes: Some(&on_bytes), ..options(2) };
        image::write(&image, &keep(all_but(&image, &["gone"])), probe, &options).unwrap();
        let whole = whole.into_inner();
        let final_name = dir.path().join("out");
        for exists in [false, true] {
            if exists {
                std::fs::rename(dir.path().join(format!("whole{nth}")), &final_name).unwrap();
            }
            // In the reused blob, in the layer, in the documents, with the very last byte.
            for at in [1, whole / 2, whole - 500, whole] {
                let before = exists.then(|| digest_of(&final_name));
                let status = std::process::Command::new(std::env::current_exe().unwrap())
                    .args(["--exact", "failures::a_killed_run_leaves_the_final_name_as_it_was"])
                    .env(KILL_AT, at.to_string())
                    .env(KILL_TARGET, target.to_string())
                    .env(KILL_SOURCE, layout.source())
                    .stdout(std::process::Stdio::null())
                    .status()
                    .unwrap();
                assert_eq!(status.signal(), Some(9), "{target} {at}");
                assert_eq!(final_name.exists().then(|| digest_of(&final_name)), before, "{target} {at}");
            }
        }
        if final_name.is_dir() {
            std::fs::remove_dir_all(final_name).unwrap();
        } else {
            std::fs::remove_file(final_name).unwrap();
        }
    }
}

/// Of a file, or of the names and contents of all files in a directory.
fn digest_of(path: &Path) -> image::Digest {
    if path.is_file() {
        return image::Digest::of(&std::fs::read(path).unwrap());
    }
    image::Digest::of(format!("{:?}", files(path)).as_bytes())
}

/// A small file system in memory, gone when dropped.
struct Tmpfs(TempDir);

impl Tmpfs {
    fn new(size: &str) -> Option<Self> {
        let dir = TempDir::new().unwrap();
        let options = std::ffi::CString::new(format!("size={size}")).unwrap();
        match mount("tmpfs", dir.path(), "tmpfs", MountFlags::empty(), Some(options.as_c_str())) {
            Ok(()) => Some(Self(dir)),
            Err(rustix::io::Errno::PERM | rustix::io::Errno::ACCESS) => None,
            Err(error) => panic!("cannot mount a tmpfs: {error}"),
        }
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        unmount(self.0.path(), UnmountFlags::DETACH).unwrap();
    }
}

#[test]
fn a_full_disk_leaves_nothing() {
    let layout = incompressible(4 << 20);
    let image = open(&layout.source());
    // Full in the reused blob, in the layer, and in the documents.
    for size in ["64k", "1m", "3m"] {
        let Some(disk) = Tmpfs::new(size) else {
            eprintln!("SKIP: mounting needs root");
            assert!(std::env::var_os("CAREEN_NO_SKIP").is_none(), "must not skip here");
            return;
        };
        for target in targets(&disk.0.path().join("out")) {
            let error = fails(&image, &target, &options(2));
            assert!(matches!(error, WriteError::Write { .. } | WriteError::Create { .. }), "{error:?}");
            assert!(error.hint().unwrap().starts_with("the disk is full"), "{error:?}");
            assert_eq!(std::fs::read_dir(disk.0.path()).unwrap().count(), 0);
        }
    }
}

#[test]
fn nothing_is_left_where_nothing_may_be_written() {
    let layout = testkit::image(&["a:1 gone:2"]);
    let image = open(&layout.source());
    for target in targets(Path::new("/proc/out")) {
        let error = fails(&image, &target, &options(1));
        assert!(matches!(error, WriteError::Create { .. }), "{error:?}");
    }
}

#[test]
fn opening_and_unpacking_end_soon_when_asked() {
    let layout = incompressible(32 << 20);
    let scratch = TempDir::new().unwrap();
    let (interrupt, read) = (AtomicBool::new(false), AtomicU64::new(0));
    // Ctrl-C in the middle of a layer.
    let on_bytes = |bytes| {
        if read.fetch_add(bytes, Ordering::Relaxed) > 4 << 20 {
            interrupt.store(true, Ordering::Relaxed);
        }
    };
    let options = image::OpenOptions {
        scratch_dir: scratch.path().to_owned(),
        interrupt: Some(&interrupt),
        on_bytes: Some(&on_bytes),
        ..image::OpenOptions::new()
    };
    let error = Image::open(&layout.source().parse().unwrap(), &options).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap();
    assert_eq!(cause.to_string(), "interrupted", "{error:?}");
    assert!(read.load(Ordering::Relaxed) < 16 << 20, "it stopped long before the end");
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);

    let image = open(&layout.source());
    let into = TempDir::new().unwrap();
    let error =
        image::unpack_layer(&image, 1, into.path(), image::Rights::All, Some(&interrupt)).unwrap_err();
    assert!(matches!(error, image::UnpackError::Interrupted), "{error:?}");
}
