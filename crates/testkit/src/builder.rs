//! One image: its layers, config and manifest as blobs.

use std::collections::BTreeMap;
use std::io::Write as _;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::store::{Archive, Layout, OciStore};
use crate::tar::TarBuilder;

/// How a layer is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Plain tar.
    None,
    /// gzip of one member.
    Gzip,
    /// gzip of several members.
    GzipMembers,
    /// zstd of one frame.
    Zstd,
    /// zstd of several frames, with a skippable one between them.
    ZstdFrames,
}

/// An image under construction.
#[derive(Debug, Clone)]
pub struct ImageBuilder {
    layers: Vec<LayerBlob>,
    platform: String,
    tag: Option<String>,
    docker: bool,
    container_config: Value,
    edit_config: Option<fn(&mut Value)>,
    edit_manifest: Option<fn(&mut Value)>,
}

#[derive(Debug, Clone)]
struct LayerBlob {
    media_type: String,
    blob: Vec<u8>,
    tar: Vec<u8>,
}

/// A finished image: blobs by digest, and the descriptor of its manifest.
#[derive(Debug, Clone)]
pub struct BuiltImage {
    /// All blobs by digest (`sha256:…`), the manifest among them.
    pub blobs: BTreeMap<String, Vec<u8>>,
    /// The manifest's descriptor, with platform and tag.
    pub descriptor: Value,
    /// The config.
    pub config: Vec<u8>,
    /// Layers as stored, base first.
    pub layers: Vec<Vec<u8>>,
    /// Layers as plain tars, base first.
    pub tars: Vec<Vec<u8>>,
    /// The tag.
    pub tag: Option<String>,
}

/// `sha256:` and the hex digest of these bytes.
pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Compresses a layer.
pub fn compress(tar: &[u8], compression: Compression) -> Vec<u8> {
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    let (head, tail) = tar.split_at(tar.len() / 2);
    match compression {
        Compression::None => tar.to_vec(),
        Compression::Gzip => gzip(tar),
        Compression::GzipMembers => [gzip(head), gzip(b""), gzip(tail)].concat(),
        Compression::Zstd => zstd(tar),
        Compression::ZstdFrames => {
            [zstd(head), b"\x50\x2a\x4d\x18\x03\0\0\0abc".to_vec(), zstd(tail)].concat()
        }
    }
}

fn host_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

impl Default for ImageBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl ImageBuilder {
    /// No layers yet; for this machine's platform; tagged `latest`; OCI media types.
    pub fn new() -> Self {
        Self {
            layers: Vec::new(),
            platform: format!("linux/{}", host_architecture()),
            tag: Some("latest".to_owned()),
            docker: false,
            container_config: json!({}),
            edit_config: None,
            edit_manifest: None,
        }
    }

    /// Adds a gzip layer, from words (see [`crate::words`]) or from a tar.
    pub fn layer(self, tar: impl Into<TarBuilder>) -> Self {
        self.compressed_layer(tar.into().finish(), Compression::Gzip)
    }

    /// Adds a layer from the bytes of a tar.
    pub fn compressed_layer(self, tar: impl AsRef<[u8]>, compression: Compression) -> Self {
        let (tar, suffix) = (tar.as_ref(), suffix(compression));
        let blob = compress(tar, compression);
        self.raw_layer(&format!("application/vnd.oci.image.layer.v1.tar{suffix}"), &blob, tar)
    }

    /// Adds a layer of any media type; `tar` is what its diff ID is of.
    pub fn raw_layer(mut self, media_type: &str, blob: &[u8], tar: &[u8]) -> Self {
        self.layers.push(LayerBlob {
            media_type: media_type.to_owned(),
            blob: blob.to_vec(),
            tar: tar.to_vec(),
        });
        self
    }

    /// Sets the platform, such as `linux/arm64/v8`.
    pub fn platform(mut self, platform: &str) -> Self {
        platform.clone_into(&mut self.platform);
        self
    }

    /// Sets or takes away the tag.
    pub fn tag(mut self, tag: Option<&str>) -> Self {
        self.tag = tag.map(str::to_owned);
        self
    }

    /// Uses Docker's media types.
    pub fn docker(mut self) -> Self {
        self.docker = true;
        self
    }

    /// Sets the config's `config` (`Entrypoint`, `Env`, …).
    pub fn container_config(mut self, config: Value) -> Self {
        self.container_config = config;
        self
    }

    /// Changes the config before it is hashed.
    pub fn edit_config(mut self, edit: fn(&mut Value)) -> Self {
        self.edit_config = Some(edit);
        self
    }

    /// Changes the manifest before it is hashed.
    pub fn edit_manifest(mut self, edit: fn(&mut Value)) -> Self {
        self.edit_manifest = Some(edit);
        self
    }

    /// The finished image.
    pub fn build(self) -> BuiltImage {
        let mut parts = self.platform.split('/');
        let mut platform = json!({"architecture": "", "os": parts.next().unwrap()});
        platform["architecture"] = parts.next().unwrap().into();
        if let Some(variant) = parts.next() {
            platform["variant"] = variant.into();
        }
        let history: Vec<_> =
            (0..self.layers.len()).map(|n| json!({"created_by": format!("layer {n}")})).collect();
        let diff_ids: Vec<_> = self.layers.iter().map(|layer| digest(&layer.tar)).collect();
        let mut config = platform.clone();
        config["config"] = self.container_config;
        config["rootfs"] = json!({"type": "layers", "diff_ids": diff_ids});
        config["history"] = history.into();
        if let Some(edit) = self.edit_config {
            edit(&mut config);
        }
        let config = serde_json::to_vec(&config).unwrap();

        let (manifest_type, config_type) = if self.docker {
            (
                "application/vnd.docker.distribution.manifest.v2+json",
                "application/vnd.docker.container.image.v1+json",
            )
        } else {
            ("application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.config.v1+json")
        };
        let docker = self.docker;
        let layers = self.layers.iter().map(|layer| {
            let media_type = if docker { docker_type(&layer.media_type) } else { layer.media_type.clone() };
            descriptor(&media_type, &layer.blob)
        });
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": manifest_type,
            "config": descriptor(config_type, &config),
            "layers": layers.collect::<Vec<_>>(),
        });
        if let Some(edit) = self.edit_manifest {
            edit(&mut manifest);
        }
        let manifest = serde_json::to_vec(&manifest).unwrap();
        let mut top = descriptor(manifest_type, &manifest);
        top["platform"] = platform;
        if let Some(tag) = &self.tag {
            top["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
        }
        let layers: Vec<_> = self.layers.iter().map(|layer| layer.blob.clone()).collect();
        let blobs =
            layers.iter().chain([&config, &manifest]).map(|blob| (digest(blob), blob.clone())).collect();
        let tars = self.layers.into_iter().map(|layer| layer.tar).collect();
        BuiltImage { blobs, descriptor: top, config, layers, tars, tag: self.tag }
    }

    /// An OCI layout with this image alone.
    pub fn oci_layout(self) -> Layout {
        OciStore::new().image(self.build()).layout()
    }

    /// A tar of an OCI layout with this image alone.
    pub fn oci_archive(self) -> Archive {
        OciStore::new().image(self.build()).archive()
    }
}

fn suffix(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "",
        Compression::Gzip | Compression::GzipMembers => "+gzip",
        Compression::Zstd | Compression::ZstdFrames => "+zstd",
    }
}

fn docker_type(oci: &str) -> String {
    oci.replace("oci.image.layer.v1.tar", "docker.image.rootfs.diff.tar").replace('+', ".")
}

/// A descriptor of these bytes.
pub fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()})
}
