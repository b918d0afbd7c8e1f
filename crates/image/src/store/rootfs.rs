//! An unpacked root file system, or a tar of one (`docker export`), as an image of one layer that says nothing of how
//! it is to be started.
//!
//! A directory becomes a tar in a scratch file, entries in the order of their names: the same directory always gives the
//! same image. Each directory is opened within the one above it and no link is followed, so that nothing outside can
//! come in, whatever changes meanwhile. Other file systems that are mounted within (`/proc`) stay outside, as do
//! devices, pipes and sockets.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, openat, readlinkat, statat};
use serde_json::Map;
use sha2::{Digest as _, Sha256};

use super::{Blobs, DocumentError, OpenStoreError, Store, archive_inflater, open_file};
use crate::blob::Blob;
use crate::inflate::InflateError;
use crate::limits::Limit;
use crate::model::config::RootFs;
use crate::model::descriptor::DescriptorPlatform;
use crate::model::media_type;
use crate::write::{BLOCK, EntryHeader};
use crate::{
    Config, Descriptor, Digest, ImagePath, Index, Manifest, Metadata, OpenOptions, Platform, Timestamp,
};

/// How deep directories may lie: each takes a descriptor while it is read.
const MAX_DEPTH: u32 = 200;
const CHUNK_BYTES: usize = 256 << 10;

/// Makes a store of a directory, or of a tar.
pub(super) fn open(path: &Path, options: &OpenOptions<'_>) -> Result<Store, OpenStoreError> {
    let read_error = |source| OpenStoreError::Read { name: path.display().to_string(), source };
    let (blob, diff_id) = if path.metadata().map_err(read_error)?.is_dir() {
        pack(path, options)?
    } else {
        let stored = open_file(path).map_err(read_error)?;
        archive_inflater(options, &AtomicU64::new(0)).run(&stored)?.content?
    };
    image_of(blob, diff_id, options)
}

/// The documents of an image of this layer.
fn image_of(layer: Blob, diff_id: Digest, options: &OpenOptions<'_>) -> Result<Store, OpenStoreError> {
    let platform = options.platform.clone().unwrap_or_else(Platform::host);
    let document = |name: &str, source| OpenStoreError::Document {
        name: name.to_owned(),
        source: DocumentError::Json(source),
    };
    let rootfs = RootFs { kind: "layers".to_owned(), diff_ids: vec![diff_id], extra: Map::new() };
    let config = Config {
        created: None,
        author: None,
        platform: platform.clone(),
        config: Default::default(),
        rootfs,
        history: Vec::new(),
        extra: Map::new(),
    };
    let config = serde_json::to_vec(&config).map_err(|source| document("config", source))?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(media_type::OCI_MANIFEST.to_owned()),
        config: Descriptor::of(media_type::OCI_CONFIG, &config),
        layers: vec![Descriptor::new(media_type::OCI_LAYER, diff_id, layer.size_bytes())],
        annotations: BTreeMap::new(),
        extra: Map::new(),
    };
    let config_digest = manifest.config.digest;
    let manifest = serde_json::to_vec(&manifest).map_err(|source| document("manifest", source))?;
    let mut descriptor = Descriptor::of(media_type::OCI_MANIFEST, &manifest);
    descriptor.platform = Some(DescriptorPlatform { platform, extra: Map::new() });
    let blobs = BTreeMap::from([
        (diff_id, layer),
        (config_digest, Blob::from_bytes(config)),
        (descriptor.digest, Blob::from_bytes(manifest)),
    ]);
    let index = Index {
        schema_version: 2,
        media_type: None,
        manifests: vec![descriptor],
        annotations: BTreeMap::new(),
        extra: Map::new(),
    };
    Ok(Store { index, blobs: Blobs::Known(blobs) })
}

/// A tar of what lies in a directory, with its digest.
fn pack(root: &Path, options: &OpenOptions<'_>) -> Result<(Blob, Digest), OpenStoreError> {
    let scratch =
        |source| OpenStoreError::Inflate(InflateError::Scratch { dir: options.scratch_dir.clone(), source });
    let file = tempfile::tempfile_in(&options.scratch_dir).map_err(scratch)?;
    let directory = openat(CWD, root, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let read_error = |error: rustix::io::Errno| OpenStoreError::Read {
        name: root.display().to_string(),
        source: error.into(),
    };
    let directory = directory.map_err(read_error)?;
    let stat = rustix::fs::fstat(&directory).map_err(read_error)?;
    let mut packing = Packing {
        options,
        device: stat.st_dev,
        links: HashMap::new(),
        entries: 0,
        bytes: 0,
        hasher: Sha256::new(),
        out: BufWriter::with_capacity(CHUNK_BYTES, file),
    };
    packing.directory(&directory, &ImagePath::root(), 1)?;
    packing.write(&[0; 2 * BLOCK])?;
    let Packing { hasher, out, bytes, .. } = packing;
    let file = out.into_inner().map_err(|error| scratch(error.into_error()))?;
    Ok((Blob::part_of(Arc::new(file), 0, bytes), Digest::from_hasher(hasher)))
}

/// A tar that is being written.
struct Packing<'a> {
    options: &'a OpenOptions<'a>,
    /// The file system of the root.
    device: u64,
    /// Files of several names, by their number, with the name that was written first.
    links: HashMap<u64, ImagePath>,
    entries: u64,
    bytes: u64,
    hasher: Sha256,
    out: BufWriter<File>,
}

impl Packing<'_> {
    /// Adds what lies in a directory, in the order of the names.
    fn directory(&mut self, at: &OwnedFd, path: &ImagePath, depth: u32) -> Result<(), OpenStoreError> {
        let bound = MAX_DEPTH.min(self.options.limits.depth);
        if depth > bound {
            return Err(InflateError::Limit(Limit::Depth(bound)).into());
        }
        let failed = |source: io::Error| OpenStoreError::Read { name: path.to_string(), source };
        let mut names = Vec::new();
        for entry in Dir::read_from(at).map_err(|error| failed(error.into()))? {
            let name = entry.map_err(|error| failed(error.into()))?.file_name().to_bytes().to_vec();
            if !matches!(&name[..], b"." | b"..") {
                names.push(name);
            }
            if self.entries + names.len() as u64 > self.options.limits.entries {
                return Err(InflateError::Limit(Limit::Entries(self.options.limits.entries)).into());
            }
        }
        names.sort();
        for name in names {
            // What a layer would take for a removal is none here.
            if name.starts_with(b".wh.") {
                continue;
            }
            let Ok(path) = path.join(&name) else { continue };
            self.entry(at, &name, &path, depth)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        at: &OwnedFd,
        name: &[u8],
        path: &ImagePath,
        depth: u32,
    ) -> Result<(), OpenStoreError> {
        if self.options.interrupt.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            return Err(InflateError::Interrupted.into());
        }
        let failed =
            |error: rustix::io::Errno| OpenStoreError::Read { name: path.to_string(), source: error.into() };
        let name = std::ffi::OsStr::from_bytes(name);
        let stat = statat(at, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        self.entries += 1;
        let metadata = metadata(&stat);
        let open = |flags| {
            openat(at, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | flags, Mode::empty())
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                self.header(&EntryHeader::directory(path, &metadata))?;
                if stat.st_dev == self.device {
                    self.directory(&open(OFlags::DIRECTORY).map_err(failed)?, path, depth + 1)?;
                }
            }
            FileType::Symlink => {
                let target = readlinkat(at, name, Vec::new()).map_err(failed)?;
                self.header(&EntryHeader::link(path, &metadata, b'2', target.as_bytes()))?;
            }
            FileType::RegularFile => {
                if stat.st_nlink > 1 {
                    if let Some(first) = self.links.get(&stat.st_ino) {
                        let header = EntryHeader::link(path, &metadata, b'1', first.as_bytes());
                        return self.header(&header);
                    }
                    self.links.insert(stat.st_ino, path.clone());
                }
                let size_bytes = u64::try_from(stat.st_size).unwrap_or(0);
                let bound = self.options.limits.layer_bytes;
                if self.bytes.saturating_add(size_bytes) > bound {
                    return Err(InflateError::Limit(Limit::LayerBytes(bound)).into());
                }
                self.header(&EntryHeader::file(path, &metadata, size_bytes))?;
                let file = File::from(open(OFlags::NONBLOCK).map_err(failed)?);
                self.content(file, path, size_bytes)?;
            }
            // Devices, pipes and sockets hold nothing.
            _ => {}
        }
        Ok(())
    }

    /// Exactly as many bytes as the header says: a file that shrinks meanwhile is filled up.
    fn content(&mut self, file: File, path: &ImagePath, size_bytes: u64) -> Result<(), OpenStoreError> {
        let mut file = file.take(size_bytes);
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut left = size_bytes;
        loop {
            let read = match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(OpenStoreError::Read { name: path.to_string(), source }),
            };
            self.write(&buffer[..read])?;
            left -= read as u64;
        }
        buffer.fill(0);
        left += size_bytes.next_multiple_of(BLOCK as u64) - size_bytes;
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            self.write(&buffer[..length])?;
            left -= length as u64;
        }
        Ok(())
    }

    fn header(&mut self, header: &EntryHeader) -> Result<(), OpenStoreError> {
        self.write(&header.to_blocks())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), OpenStoreError> {
        self.bytes += bytes.len() as u64;
        let bound = self.options.limits.layer_bytes;
        if self.bytes > bound {
            return Err(InflateError::Limit(Limit::LayerBytes(bound)).into());
        }
        self.hasher.update(bytes);
        let dir = self.options.scratch_dir.clone();
        let written = self.out.write_all(bytes);
        written.map_err(|source| OpenStoreError::Inflate(InflateError::Scratch { dir, source }))
    }
}

fn metadata(stat: &Stat) -> Metadata {
    Metadata {
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: Timestamp { seconds: stat.st_mtime, nanoseconds: 0 },
        xattrs: BTreeMap::new(),
    }
}

/// Whether what lies in this directory is a root file system, as far as its names tell.
pub(crate) fn is_root(has: impl Fn(&str) -> bool) -> bool {
    let named = ["etc/os-release", "usr/lib/os-release", "var/lib/dpkg", "lib/apk/db", "var/lib/rpm"];
    let usual = ["bin", "etc", "lib", "usr", "var"];
    named.iter().any(|name| has(name)) || usual.iter().filter(|name| has(name)).count() >= 3
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::{Image, ImageSource, NodeKind};

    fn open(path: &Path) -> Image {
        Image::open(&ImageSource::Rootfs { path: path.to_owned() }, &OpenOptions::new()).unwrap()
    }

    fn read(image: &Image, path: &str) -> Vec<u8> {
        image.read_file(&ImagePath::from_text(path).unwrap(), 1 << 20).unwrap()
    }

    #[test]
    fn a_directory_is_an_image_of_its_files_and_links_lead_nowhere_outside() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "secret").unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("usr/lib")).unwrap();
        fs::write(root.join("usr/lib/os-release"), "ID=debian\n").unwrap();
        fs::hard_link(root.join("usr/lib/os-release"), root.join("usr/lib/zweit")).unwrap();
        symlink(outside.path(), root.join("away")).unwrap();
        symlink(outside.path().join("secret"), root.join("file-away")).unwrap();
        symlink("usr/lib", root.join("lib")).unwrap();
        let long = "l".repeat(200);
        fs::write(root.join(&long), "x".repeat(1000)).unwrap();
        fs::write(root.join(".wh.usr"), "").unwrap();

        let image = open(root);
        assert_eq!(read(&image, "/usr/lib/os-release"), b"ID=debian\n");
        assert_eq!(read(&image, "/usr/lib/zweit"), b"ID=debian\n");
        assert_eq!(read(&image, &format!("/{long}")).len(), 1000);
        let kind = |path: &str| image.tree().get(&ImagePath::from_text(path).unwrap()).map(|node| &node.kind);
        assert!(matches!(kind("/away"), Some(NodeKind::Symlink { .. })));
        assert!(matches!(kind("/file-away"), Some(NodeKind::Symlink { .. })));
        assert_eq!(kind("/away/secret"), None);
        assert_eq!(open(root).manifest_digest(), image.manifest_digest());
    }

    #[test]
    fn a_tar_of_a_root_is_the_same_image_whether_it_is_compressed_or_not() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("root/etc")).unwrap();
        fs::write(dir.path().join("root/etc/os-release"), "ID=alpine\n").unwrap();
        let (plain, packed) = (dir.path().join("root.tar"), dir.path().join("root.tar.gz"));
        for (file, flags) in [(&plain, "-cf"), (&packed, "-czf")] {
            let done = std::process::Command::new("tar")
                .args([flags, file.to_str().unwrap(), "-C", dir.path().join("root").to_str().unwrap(), "."])
                .status();
            assert!(done.unwrap().success());
        }
        let image = open(&plain);
        assert_eq!(read(&image, "/etc/os-release"), b"ID=alpine\n");
        assert_eq!(open(&packed).manifest_digest(), image.manifest_digest());
    }

    #[test]
    fn what_asks_for_too_much_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join(vec!["d"; 201].join("/"));
        fs::create_dir_all(&deep).unwrap();
        let source = ImageSource::Rootfs { path: dir.path().to_owned() };
        let error = Image::open(&source, &OpenOptions::new()).unwrap_err();
        let chain = format!("{error:?}");
        assert!(chain.contains("Depth(200)"), "{chain}");
        let large = tempfile::tempdir().unwrap();
        File::create(large.path().join("sparse")).unwrap().set_len(1 << 40).unwrap();
        let mut options = OpenOptions::new();
        options.limits.layer_bytes = 1 << 20;
        let source = ImageSource::Rootfs { path: large.path().to_owned() };
        let error = format!("{:?}", Image::open(&source, &options).unwrap_err());
        assert!(error.contains("LayerBytes"), "{error}");
    }

    #[test]
    fn roots_are_told_by_their_names() {
        assert!(is_root(|name| name == "etc/os-release"));
        assert!(is_root(|name| ["bin", "etc", "usr"].contains(&name)));
        assert!(!is_root(|name| ["bin", "src"].contains(&name)));
    }
}
