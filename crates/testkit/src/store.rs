//! Places that hold images: OCI layouts and archives, archives of `docker save`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::builder::{BuiltImage, descriptor, digest};
use crate::tar::{TarBuilder, TarEntry};

/// An OCI layout directory, gone when dropped.
#[derive(Debug)]
pub struct Layout {
    dir: TempDir,
}

/// A tar file, gone when dropped.
#[derive(Debug)]
pub struct Archive {
    dir: TempDir,
    transport: &'static str,
}

/// An OCI layout under construction.
#[derive(Debug, Clone, Default)]
pub struct OciStore {
    blobs: BTreeMap<String, Vec<u8>>,
    manifests: Vec<Value>,
}

impl OciStore {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an image to `index.json`.
    pub fn image(mut self, image: BuiltImage) -> Self {
        self.blobs.extend(image.blobs);
        self.manifests.push(image.descriptor);
        self
    }

    /// Adds an index of images under one tag.
    pub fn index(mut self, tag: Option<&str>, images: Vec<BuiltImage>) -> Self {
        let mut manifests = Vec::new();
        for image in images {
            self.blobs.extend(image.blobs);
            let mut descriptor = image.descriptor;
            descriptor.as_object_mut().unwrap().remove("annotations");
            manifests.push(descriptor);
        }
        let media_type = "application/vnd.oci.image.index.v1+json";
        let attestation = br#"{"schemaVersion":2,"layers":[]}"#;
        let mut companion = descriptor("application/vnd.oci.image.manifest.v1+json", attestation);
        companion["platform"] = json!({"architecture": "unknown", "os": "unknown"});
        companion["annotations"] = json!({
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": manifests.first().map(|image| image["digest"].clone()),
        });
        self.blobs.insert(digest(attestation), attestation.to_vec());
        manifests.push(companion);
        let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests});
        let index = serde_json::to_vec(&index).unwrap();
        let mut top = descriptor(media_type, &index);
        if let Some(tag) = tag {
            top["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
        }
        self.blobs.insert(digest(&index), index);
        self.manifests.push(top);
        self
    }

    /// Adds a blob that nothing refers to, or replaces what a digest (`sha256:…`) stands for.
    pub fn blob(mut self, digest: &str, bytes: &[u8]) -> Self {
        self.blobs.insert(digest.to_owned(), bytes.to_vec());
        self
    }

    /// Adds any descriptor to `index.json`.
    pub fn manifest(mut self, descriptor: Value) -> Self {
        self.manifests.push(descriptor);
        self
    }

    /// All files of the layout by name.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let index = json!({"schemaVersion": 2, "manifests": self.manifests});
        let blob = |(digest, bytes): (&String, &Vec<u8>)| {
            (format!("blobs/{}", digest.replace(':', "/")), bytes.clone())
        };
        let mut files: BTreeMap<_, _> = self.blobs.iter().map(blob).collect();
        files.insert("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec());
        files.insert("index.json".to_owned(), serde_json::to_vec(&index).unwrap());
        files
    }

    /// The layout as a directory.
    pub fn layout(&self) -> Layout {
        let dir = TempDir::new().unwrap();
        fs::create_dir_all(dir.path().join("blobs/sha256")).unwrap();
        for (name, bytes) in self.files() {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        Layout { dir }
    }

    /// The layout as a tar.
    pub fn archive(&self) -> Archive {
        let tar = self
            .files()
            .iter()
            .fold(TarBuilder::new(), |tar, (name, bytes)| tar.entry(TarEntry::file(name, bytes)));
        Archive::new("oci-archive", &tar.finish())
    }
}

impl Layout {
    /// The directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The source as a person writes it: `oci:DIR`.
    pub fn source(&self) -> String {
        format!("oci:{}", self.dir().display())
    }

    /// Where a blob (`sha256:…`) lies.
    pub fn blob_path(&self, digest: &str) -> PathBuf {
        self.dir().join("blobs").join(digest.replace(':', "/"))
    }
}

impl Archive {
    /// A file with these bytes, to be read with a transport such as `oci-archive`.
    pub fn new(transport: &'static str, bytes: &[u8]) -> Self {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("image.tar"), bytes).unwrap();
        Self { dir, transport }
    }

    /// The file.
    pub fn file(&self) -> PathBuf {
        self.dir.path().join("image.tar")
    }

    /// The source as a person writes it: `TRANSPORT:FILE`.
    pub fn source(&self) -> String {
        format!("{}:{}", self.transport, self.file().display())
    }
}

/// What `docker save` has written since version 25: an OCI layout with a `manifest.json` that names blobs.
pub fn docker_archive(images: &[BuiltImage]) -> Archive {
    let mut store = OciStore::new();
    let mut list = Vec::new();
    for image in images {
        store = store.image(image.clone());
        let blob = |bytes: &Vec<u8>| format!("blobs/{}", digest(bytes).replace(':', "/"));
        list.push(json!({
            "Config": blob(&image.config),
            "RepoTags": image.tag,
            "Layers": image.layers.iter().map(blob).collect::<Vec<_>>(),
        }));
        repo_tags(list.last_mut().unwrap());
    }
    let mut files = store.files();
    files.insert("manifest.json".to_owned(), serde_json::to_vec(&list).unwrap());
    let tar =
        files.iter().fold(TarBuilder::new(), |tar, (name, bytes)| tar.entry(TarEntry::file(name, bytes)));
    Archive::new("docker-archive", &tar.finish())
}

/// What `docker save` wrote before: `<id>/layer.tar`, plain; a layer seen before is a symbolic link to it.
pub fn docker_archive_legacy(images: &[BuiltImage]) -> Archive {
    let mut tar = TarBuilder::new();
    let mut list = Vec::new();
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for (n, image) in images.iter().enumerate() {
        let config_name = format!("{}.json", &digest(&image.config)[7..]);
        let mut layers = Vec::new();
        for (m, bytes) in image.tars.iter().enumerate() {
            let id = &digest(format!("{n} {m}").as_bytes())[7..];
            let name = format!("{id}/layer.tar");
            tar = tar
                .entry(TarEntry::dir(format!("{id}/")))
                .entry(TarEntry::file(format!("{id}/VERSION"), "1.0"));
            tar = match seen.get(&digest(bytes)) {
                Some(first) => tar.entry(TarEntry::symlink(&name, format!("../{first}"))),
                None => tar.entry(TarEntry::file(&name, bytes)),
            };
            seen.entry(digest(bytes)).or_insert_with(|| name.clone());
            layers.push(name);
        }
        tar = tar.entry(TarEntry::file(&config_name, &image.config));
        list.push(json!({"Config": config_name, "RepoTags": image.tag, "Layers": layers}));
        repo_tags(list.last_mut().unwrap());
    }
    tar = tar.entry(TarEntry::file("manifest.json", serde_json::to_vec(&list).unwrap()));
    Archive::new("docker-archive", &tar.finish())
}

/// `RepoTags` is a list of full names, or null.
fn repo_tags(entry: &mut Value) {
    if let Some(tag) = entry["RepoTags"].as_str() {
        entry["RepoTags"] =
            json!([if tag.contains(':') { tag.to_owned() } else { format!("careen.test/app:{tag}") }]);
    }
}
