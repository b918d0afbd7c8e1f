//! Looking things up in the merged tree, and reading its files.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::io::{Read as _, Seek as _, SeekFrom};

use careen_image::{ImagePath, ReadFileError, ResolutionEnd};
use common::open;
use testkit::{ImageBuilder, TarBuilder, TarEntry};

fn path(text: &str) -> ImagePath {
    ImagePath::from_text(text).unwrap()
}

#[test]
fn hard_54_paths_resolve_as_the_kernel_does_it() {
    let image = testkit::image(&[
        "usr/ usr/bin/ usr/bin/sh->dash usr/bin/dash:x bin->usr/bin run/ var/ var/run->/run \
         var/lock->../../../run/lock run/lock/ dangling->none/where a->b b->a self->self/x up->.. file:x root->/ \
         chain->bin/../bin/sh to-file->file",
    ]);
    let image = open(&image.source()).unwrap();
    let tree = image.tree();
    let found = |text: &str| ResolutionEnd::Found(path(text));
    let missing = |text: &str| ResolutionEnd::Missing(path(text));
    let no_directory = |text: &str| ResolutionEnd::NotADirectory(path(text));
    for (base, name, follow, end, links) in [
        ("/", "/bin/sh", true, found("/usr/bin/dash"), &["/bin", "/usr/bin/sh"][..]),
        ("/", "/bin/sh", false, found("/usr/bin/sh"), &["/bin"]),
        ("/", "bin", false, found("/bin"), &[]),
        ("/", "bin/", false, found("/usr/bin"), &["/bin"]),
        ("/", "bin/.", false, found("/usr/bin"), &["/bin"]),
        ("/usr/bin", "../../var/run", true, found("/run"), &["/var/run"]),
        ("/usr/bin", "sh", true, found("/usr/bin/dash"), &["/usr/bin/sh"]),
        ("/", "../../..", true, found("/"), &[]),
        ("/", "bin/..", true, found("/usr"), &["/bin"]),
        ("/", "/var/lock", true, found("/run/lock"), &["/var/lock"]),
        ("/", "chain", true, found("/usr/bin/dash"), &["/chain", "/bin", "/usr/bin/sh"]),
        ("/", "root/root/root/file", true, found("/file"), &["/root", "/root", "/root"]),
        ("/var", "up", true, missing("/var/up"), &[]),
        ("/", "up", true, found("/"), &["/up"]),
        ("/", "", true, found("/"), &[]),
        ("/usr", "", true, found("/usr"), &[]),
        ("/", "//usr///bin//dash", true, found("/usr/bin/dash"), &[]),
        ("/", "dangling", true, missing("/none/where"), &["/dangling"]),
        ("/", "dangling", false, found("/dangling"), &[]),
        ("/", "bin/nope/and/more", true, missing("/usr/bin/nope/and/more"), &["/bin"]),
        ("/", "nope/../file", true, missing("/nope"), &[]),
        ("/nowhere", "x", true, missing("/nowhere/x"), &[]),
        ("/", "file/x", true, no_directory("/file"), &[]),
        ("/", "file/", true, no_directory("/file"), &[]),
        ("/", "file/..", true, no_directory("/file"), &[]),
        ("/", "to-file/", false, no_directory("/file"), &["/to-file"]),
    ] {
        let resolution = tree.resolve(&path(base), name.as_bytes(), follow);
        assert_eq!(resolution.end, end, "{base} {name} {follow}");
        let expected: Vec<_> = links.iter().map(|link| path(link)).collect();
        assert_eq!(resolution.symlinks, expected, "{base} {name} {follow}");
    }
    for name in ["a", "self"] {
        let resolution = tree.resolve(&ImagePath::root(), name.as_bytes(), true);
        assert_eq!((resolution.end, resolution.symlinks.len()), (ResolutionEnd::Loop, 40), "{name}");
    }
    let long = [b"a/".repeat(3000), vec![b'n'; 256], b"x\0".to_vec()];
    for name in long {
        assert_eq!(tree.resolve(&ImagePath::root(), &name, true).end, ResolutionEnd::Invalid);
    }
}

#[test]
fn forty_links_are_followed_and_no_more() {
    let links = (0..41).map(|n| format!("l{n}->l{}", n + 1)).collect::<Vec<_>>().join(" ");
    let image = open(&testkit::image(&[&format!("{links} l41:end")]).source()).unwrap();
    let end = |name: &[u8]| image.tree().resolve(&ImagePath::root(), name, true).end;
    assert_eq!(end(b"l1"), ResolutionEnd::Found(path("/l41")));
    assert_eq!(end(b"l0"), ResolutionEnd::Loop);
}

#[test]
fn children_are_one_level_and_within_is_all() {
    let image = open(&testkit::image(&["a/ a/b/ a/b/c a/b-c a-b a/d/ a/d/e/ a/d/e/f z"]).source()).unwrap();
    let texts = |paths: Vec<&ImagePath>| paths.into_iter().map(ImagePath::to_text).collect::<Vec<_>>();
    let children = |dir: &str| texts(image.tree().children(&path(dir)).map(|(path, _)| path).collect());
    let within = |dir: &str| texts(image.tree().within(&path(dir)).map(|(path, _)| path).collect());
    assert_eq!(children("/"), ["/a", "/a-b", "/z"]);
    assert_eq!(children("/a"), ["/a/b", "/a/b-c", "/a/d"]);
    assert_eq!(children("/z"), [""; 0]);
    assert_eq!(children("/nope"), [""; 0]);
    assert_eq!(within("/a/b"), ["/a/b", "/a/b/c"]);
    assert_eq!(within("/").len(), image.tree().len());
    assert_eq!(within("/nope"), [""; 0]);
}

#[test]
fn hard_55_sparse_files_read_with_zeros_in_their_holes() {
    let segments: &[(u64, &[u8])] = &[(2, b"abc"), (5, b"d"), (9, b"ef"), (20, b"g"), (30, b"h"), (33, b"i")];
    let mut expected = vec![0; 40];
    for (at, data) in segments {
        let at = usize::try_from(*at).unwrap();
        expected[at..at + data.len()].copy_from_slice(data);
    }
    let map: Vec<_> = segments.iter().map(|(at, data)| format!("{at},{}", data.len())).collect();
    let stored: Vec<u8> = segments.iter().flat_map(|(_, data)| data.iter().copied()).collect();
    let layer = TarBuilder::from_text("before:x")
        .entry(TarEntry::gnu_sparse("gnu", segments, 40))
        .entry(TarEntry::pax_sparse("pax10", segments, 40))
        .entry(
            TarEntry::file("ignored", &stored)
                .pax("GNU.sparse.map", map.join(","))
                .pax("GNU.sparse.size", "40")
                .pax("GNU.sparse.name", "pax01"),
        )
        .entry(TarEntry::file("after", "y"));
    let image = open(&ImageBuilder::new().layer(layer).oci_layout().source()).unwrap();
    for name in ["/gnu", "/pax10", "/pax01"] {
        assert_eq!(image.read_file(&path(name), 40).unwrap(), expected, "{name}");
        let mut reader = image.open_file(&path(name)).unwrap();
        assert_eq!(reader.size_bytes(), 40);
        for at in 0..42 {
            reader.seek(SeekFrom::Start(at)).unwrap();
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest).unwrap();
            assert_eq!(
                rest,
                expected.get(usize::try_from(at).unwrap()..).unwrap_or_default(),
                "{name} from {at}"
            );
        }
        assert_eq!(reader.seek(SeekFrom::End(-1)).unwrap(), 39);
        assert!(reader.seek(SeekFrom::Current(-50)).is_err());
    }
    assert_eq!(image.read_file(&path("/after"), 1).unwrap(), b"y");
}

#[test]
fn ranges_of_entries_are_exact() {
    let long = "long/".repeat(30);
    let entries = [
        TarEntry::file("a", "content"),
        TarEntry::file(&long, "x").xattr("user.a", "b"),
        TarEntry { gnu: true, ..TarEntry::symlink("n".repeat(120), &long) },
        TarEntry::gnu_sparse(
            "s",
            &[(0, b"a"), (9, b"b"), (20, b"c"), (30, b"d"), (40, b"e"), (50, b"f")],
            60,
        ),
        TarEntry::pax_sparse("t", &[(5, b"x")], 9),
    ];
    let tar = entries.iter().fold(TarBuilder::new(), TarBuilder::entry).finish();
    let layout = ImageBuilder::new().compressed_layer(&tar, testkit::Compression::Zstd).oci_layout();
    let image = open(&layout.source()).unwrap();
    let layer = &image.layers()[0];
    let mut at = 0;
    for (entry, written) in layer.entries.iter().zip(&entries) {
        let blocks = written.to_bytes();
        assert_eq!(entry.header_bytes.start, at);
        assert_eq!(entry.header_bytes.end, entry.content_bytes.start);
        at += blocks.len() as u64;
        assert_eq!(entry.content_bytes.end.next_multiple_of(512), at);
        let mut copy = vec![0; blocks.len()];
        assert_eq!(layer.read_at(entry.header_bytes.start, &mut copy).unwrap(), copy.len());
        assert_eq!(copy, blocks);
    }
    assert_eq!(layer.uncompressed_bytes, tar.len() as u64);
    let mut blob = Vec::new();
    layer.open_blob().unwrap().read_to_end(&mut blob).unwrap();
    assert_eq!(careen_image::Digest::of(&blob), layer.descriptor.digest);
}

#[test]
fn only_regular_files_are_read() {
    let image = open(&testkit::image(&["a/ l->f f:text"]).source()).unwrap();
    assert!(matches!(image.read_file(&path("/a"), 9), Err(ReadFileError::NotAFile { .. })));
    assert!(matches!(image.read_file(&path("/l"), 9), Err(ReadFileError::NotAFile { .. })));
    assert!(matches!(image.read_file(&path("/x"), 9), Err(ReadFileError::NotFound { .. })));
    assert!(matches!(
        image.read_file(&path("/f"), 3),
        Err(ReadFileError::TooLarge { size_bytes: 4, max_bytes: 3, .. })
    ));
    assert_eq!(image.read_file(&path("/f"), 4).unwrap(), b"text");
}

#[test]
fn hard_55_files_of_more_than_8_gib_are_read_at_any_offset() {
    let (at, size) = (10 << 30, 20 << 30);
    let layer = TarBuilder::new()
        .entry(TarEntry::gnu_sparse("gnu", &[(at, b"data")], size))
        .entry(TarEntry::pax_sparse("pax", &[(at, b"data")], size));
    let image = open(&ImageBuilder::new().layer(layer).oci_layout().source()).unwrap();
    for name in ["/gnu", "/pax"] {
        let mut reader = image.open_file(&path(name)).unwrap();
        assert_eq!(reader.seek(SeekFrom::End(0)).unwrap(), size);
        reader.seek(SeekFrom::Start(at - 1)).unwrap();
        let mut bytes = [9; 6];
        reader.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"\0data\0");
    }
}
