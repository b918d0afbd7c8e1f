//! What these tests share: open, write, compare.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::Path;

use image::{
    Edits, EntryKind, Image, ImagePath, ImageSource, ImageTarget, Metadata, NodeKind, OpenOptions,
    WriteOptions, Written,
};
use tempfile::TempDir;

pub(crate) fn path(text: &str) -> ImagePath {
    ImagePath::from_absolute(text.as_bytes()).unwrap()
}

pub(crate) fn paths<'a>(texts: impl IntoIterator<Item = &'a str>) -> BTreeSet<ImagePath> {
    texts.into_iter().map(path).collect()
}

pub(crate) fn open(source: &str) -> Image {
    Image::open(&source.parse().unwrap(), &OpenOptions::new()).unwrap()
}

pub(crate) fn options(threads: usize) -> WriteOptions<'static> {
    // A test's image need not outlive a power cut.
    WriteOptions { threads: NonZeroUsize::new(threads).unwrap(), durable: false, ..WriteOptions::default() }
}

/// All paths of an image except these and what lies beneath them.
pub(crate) fn all_but(image: &Image, removed: &[&str]) -> BTreeSet<ImagePath> {
    let removed = paths(removed.iter().copied());
    let is_removed = |path: &ImagePath| removed.iter().any(|removed| path.is_within(removed));
    image.tree().iter().map(|(path, _)| path.clone()).filter(|path| !is_removed(path)).collect()
}

pub(crate) fn keep(keep: BTreeSet<ImagePath>) -> Edits {
    Edits { keep, ..Edits::default() }
}

/// A written image, which passed validation, in a directory that goes with it.
pub(crate) struct Output {
    pub(crate) dir: TempDir,
    pub(crate) written: Written,
    pub(crate) image: Image,
}

impl Output {
    pub(crate) fn layout(&self) -> std::path::PathBuf {
        self.dir.path().join("out")
    }

    /// The names of a layer's entries, whiteouts as `!path`, opaque ones as `!path/`.
    pub(crate) fn entries(&self, layer: usize) -> Vec<String> {
        let name = |entry: &image::Entry| {
            let path = String::from_utf8_lossy(entry.path.as_bytes()).into_owned();
            match &entry.kind {
                EntryKind::Whiteout => format!("!{path}"),
                EntryKind::OpaqueWhiteout => format!("!{path}/"),
                EntryKind::Directory => format!("{path}/"),
                EntryKind::Hardlink { target } => {
                    format!("{path}=>{}", String::from_utf8_lossy(target.as_bytes()))
                }
                _ => path,
            }
        };
        self.image.layers()[layer].entries.iter().map(name).collect()
    }
}

/// Writes an OCI layout, validates it and opens it again.
pub(crate) fn write(image: &Image, edits: &Edits) -> Output {
    write_with(image, edits, &options(2))
}

pub(crate) fn write_with(image: &Image, edits: &Edits, options: &WriteOptions<'_>) -> Output {
    let dir = TempDir::new().unwrap();
    let target = ImageTarget::OciLayout { dir: dir.path().join("out"), tag: Some("latest".to_owned()) };
    let written = image::write(image, edits, &target, options).unwrap();
    let source: ImageSource = target.to_string().parse().unwrap();
    let open_options = OpenOptions { platform: Some(image.platform().clone()), ..OpenOptions::new() };
    image::validate(&source, &open_options).unwrap();
    let image = Image::open(&source, &open_options).unwrap();
    assert_eq!(image.manifest_digest(), written.manifest_digest);
    assert_eq!(image.image_id(), written.image_id);
    assert_eq!(image.compressed_bytes(), written.compressed_bytes);
    Output { dir, written, image }
}

/// What a path of a tree is, without where it comes from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) metadata: Metadata,
    pub(crate) kind: SeenKind,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SeenKind {
    /// With its size and bytes (of a large one none), and the first name of the same file.
    File(u64, Vec<u8>, ImagePath),
    Other(NodeKind),
}

/// The tree of an image restricted to some paths, with the contents of files up to 64 MiB.
pub(crate) fn seen(image: &Image, keep: &BTreeSet<ImagePath>) -> BTreeMap<ImagePath, Seen> {
    let mut first_names: BTreeMap<(usize, usize), ImagePath> = BTreeMap::new();
    let mut out = BTreeMap::new();
    for (path, node) in image.tree().iter().filter(|(path, _)| keep.contains(path) || path.is_root()) {
        let kind = match &node.kind {
            NodeKind::File { size_bytes, content } => {
                let first = first_names.entry(*content).or_insert_with(|| path.clone()).clone();
                let bytes = if *size_bytes < 64 << 20 {
                    image.read_file(path, 64 << 20).unwrap()
                } else {
                    Vec::new()
                };
                SeenKind::File(*size_bytes, bytes, first)
            }
            other => SeenKind::Other(other.clone()),
        };
        out.insert(path.clone(), Seen { metadata: node.metadata.clone(), kind });
    }
    out
}

/// Asserts that the output is the original restricted to what was kept.
pub(crate) fn assert_restricted(original: &Image, keep: &BTreeSet<ImagePath>, output: &Image) {
    let everything = output.tree().iter().map(|(path, _)| path.clone()).collect();
    let (wanted, found) = (seen(original, keep), seen(output, &everything));
    for (path, wanted) in &wanted {
        assert_eq!(found.get(path), Some(wanted), "{path}");
    }
    assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
}

/// All files beneath a directory with their bytes.
pub(crate) fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut out = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                out.insert(
                    path.strip_prefix(dir).unwrap().display().to_string(),
                    std::fs::read(&path).unwrap(),
                );
            }
        }
    }
    out
}
