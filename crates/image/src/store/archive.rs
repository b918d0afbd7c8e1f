//! A tar of files, read where they lie.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicU64;

use super::{Blobs, OpenStoreError, Store, archive_inflater, json_file, open_file};
use crate::blob::Blob;
use crate::inflate::detect;
use crate::limits::Tally;
use crate::merge::merge;
use crate::tar;
use crate::{
    Compression, Digest, Entry, EntryKind, ImagePath, Index, NodeKind, OpenOptions, ResolutionEnd, Tree,
};

/// An archive of an image: names and where their bytes lie. Links within it are followed, and never lead out.
pub(super) struct Archive {
    tar: Blob,
    entries: Vec<Entry>,
    tree: Tree,
}

impl Archive {
    /// Opens an archive; a compressed one is uncompressed to a scratch file first.
    pub(super) fn open(file: &Path, options: &OpenOptions<'_>) -> Result<Self, OpenStoreError> {
        let read_error = |source| OpenStoreError::Read { name: file.display().to_string(), source };
        let stored = open_file(file).map_err(read_error)?;
        let tar = match detect(&stored)? {
            Compression::None => stored,
            Compression::Gzip | Compression::Zstd => {
                // The archive holds all layers, so it is bounded as they are together.
                let mut options = options.clone();
                options.limits.layer_bytes = options.limits.total_bytes;
                archive_inflater(&options, &AtomicU64::new(0)).run(&stored)?.content?.0
            }
        };
        let tally = Tally::new(&options.limits);
        let entries = tar::list(&tar, &options.limits, &tally)?;
        let tree = merge([entries.as_slice()], &tally).map_err(|(_, error)| error)?;
        Ok(Self { tar, entries, tree })
    }

    /// The regular file of this name.
    pub(super) fn file(&self, name: &str) -> Option<Blob> {
        match self.tree.resolve(&ImagePath::root(), name.as_bytes(), true).end {
            ResolutionEnd::Found(path) => self.blob_at(&path),
            _ => None,
        }
    }

    /// The digest that a blob in an OCI layout has by its name.
    pub(super) fn digest_by_name(&self, name: &str) -> Option<Digest> {
        let ResolutionEnd::Found(path) = self.tree.resolve(&ImagePath::root(), name.as_bytes(), true).end
        else {
            return None;
        };
        digest_of_path(&path)
    }

    fn blob_at(&self, path: &ImagePath) -> Option<Blob> {
        let NodeKind::File { content: (_, entry), .. } = self.tree.get(path)?.kind else { return None };
        let entry = &self.entries[entry];
        // Nobody stores an image's files sparsely.
        let EntryKind::File { sparse: None, .. } = entry.kind else { return None };
        Some(self.tar.part(entry.content_bytes.clone()))
    }

    /// Every file that has a digest for a name.
    pub(super) fn blobs(&self) -> BTreeMap<Digest, Blob> {
        let paths = self.tree.iter().map(|(path, _)| path);
        paths.filter_map(|path| Some((digest_of_path(path)?, self.blob_at(path)?))).collect()
    }

    /// The archive as an OCI layout.
    pub(super) fn into_oci_store(self, options: &OpenOptions<'_>) -> Result<Store, OpenStoreError> {
        let file =
            |name: &str| self.file(name).ok_or_else(|| OpenStoreError::Missing { name: name.to_owned() });
        file("oci-layout")?;
        let index: Index = json_file("index.json", &file("index.json")?, options)?;
        Ok(Store { index, blobs: Blobs::Known(self.blobs()) })
    }
}

fn digest_of_path(path: &ImagePath) -> Option<Digest> {
    let hex = path.as_bytes().strip_prefix(b"blobs/sha256/")?;
    format!("sha256:{}", std::str::from_utf8(hex).ok()?).parse().ok()
}
