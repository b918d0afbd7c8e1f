//! What no hardening can do without: inflate and hash the layers, compress what is kept. The same crates and settings
//! as the product, on one thread, everything in memory.

use std::fs;
use std::hint::black_box;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::time::{ClockId, clock_gettime};
use sha2::{Digest, Sha256};

/// The product's default for rewritten layers: libdeflate's level, applied to chunks of this size.
const LEVEL: i32 = 6;
const CHUNK_BYTES: usize = 1 << 20;

/// Wall and processor time of one round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
}

/// The layer blobs of an OCI layout with one image, base first.
pub(crate) fn layers(layout: &Path) -> Result<Vec<PathBuf>> {
    let read = |path: &Path| -> Result<serde_json::Value> {
        let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is no JSON", path.display()))
    };
    let blob = |descriptor: &serde_json::Value| -> Result<PathBuf> {
        let digest = descriptor["digest"].as_str().context("a descriptor has no digest")?;
        Ok(layout.join("blobs").join(digest.replacen(':', "/", 1)))
    };
    let manifest = read(&blob(&read(&layout.join("index.json"))?["manifests"][0])?)?;
    let layers = manifest["layers"].as_array().context("the manifest has no layers")?;
    if layers.is_empty() {
        bail!("{} has no layers", layout.display());
    }
    layers.iter().map(blob).collect()
}

/// The uncompressed bytes of a gzip or plain blob.
pub(crate) fn inflate(blob: &[u8]) -> Result<Vec<u8>> {
    if !blob.starts_with(&[0x1f, 0x8b]) {
        return Ok(blob.to_vec());
    }
    let mut tar = Vec::new();
    flate2::read::MultiGzDecoder::new(blob).read_to_end(&mut tar).context("cannot inflate a layer")?;
    Ok(tar)
}

/// Reads, hashes and inflates the layers of the original, and compresses the kept bytes.
pub(crate) fn round(original: &[PathBuf], kept: &[Vec<u8>]) -> Result<Cost> {
    let (started, cpu) = (Instant::now(), cpu_time());
    for layer in original {
        let blob = fs::read(layer).with_context(|| format!("cannot read {}", layer.display()))?;
        black_box(Sha256::digest(&blob));
        black_box(Sha256::digest(inflate(&blob)?));
    }
    let level = libdeflater::CompressionLvl::new(LEVEL).ok().context("libdeflate has no such level")?;
    let mut compressor = libdeflater::Compressor::new(level);
    let mut out = vec![0; compressor.gzip_compress_bound(CHUNK_BYTES)];
    for chunk in kept.iter().flat_map(|tar| tar.chunks(CHUNK_BYTES)) {
        black_box(compressor.gzip_compress(chunk, &mut out).context("cannot compress")?);
    }
    Ok(Cost { wall: started.elapsed(), cpu: cpu_time().saturating_sub(cpu) })
}

/// Processor time of this process so far.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn layers_are_found_through_the_index_and_inflated() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = dir.path().join("blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"a tar").unwrap();
        for (name, content) in [
            ("../../index.json", br#"{"manifests":[{"digest":"sha256:m"}]}"#.to_vec()),
            ("m", br#"{"layers":[{"digest":"sha256:one"},{"digest":"sha256:two"}]}"#.to_vec()),
            ("one", gzip.finish().unwrap()),
            ("two", b"plain".to_vec()),
        ] {
            fs::write(blobs.join(name), content).unwrap();
        }
        let layers = layers(dir.path()).unwrap();
        let tars: Vec<Vec<u8>> =
            layers.iter().map(|layer| inflate(&fs::read(layer).unwrap()).unwrap()).collect();
        assert_eq!(tars, [b"a tar".to_vec(), b"plain".to_vec()]);
        round(&layers, &tars).unwrap();

        fs::write(blobs.join("m"), r#"{"layers":[]}"#).unwrap();
        assert!(super::layers(dir.path()).is_err());
    }
}
