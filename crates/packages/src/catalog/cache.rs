//! What layers and images hold, kept on disk.
//!
//! A file of the cache is named by what it depends on: the catalogers' source, the limits, and the diff ID of a
//! layer or the diff IDs of an image. Nothing in it depends on time, so nothing in it grows old. Its first line is the
//! digest of the rest; a file that is broken, or of another version, is as good as none.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use image::{Digest, Image, ImagePath, NodeKind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::found::Findings;
use crate::symbols::{Answer, Question};
use crate::{Limits, OsRelease, Package, PackageDatabase, Problem};

/// What wrote a file of the cache: other catalogers may find something else in the same bytes. See `build.rs`.
const CATALOGERS: &str = env!("CAREEN_CATALOGERS");
/// A larger file of the cache is not ours.
const MAX_BYTES: u64 = 1 << 30;

/// A directory that remembers what layers and images hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    directory: PathBuf,
}

/// What is known of the files of each layer: by entry and path, in the order of the image's layers.
#[derive(Debug, Default)]
pub(super) struct Known(Vec<BTreeMap<String, Findings>>);

/// A whole catalog, as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    packages: Vec<Package>,
    os_release: Option<OsRelease>,
    alternatives: BTreeMap<ImagePath, String>,
    problems: Vec<Problem>,
}

impl Cache {
    /// A cache in this directory, which is made when something is to be kept.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// The catalog of an image of the same layers.
    pub(super) fn image(&self, image: &Image, limits: &Limits) -> Option<PackageDatabase> {
        let diff_ids: Vec<Digest> = image.layers().iter().map(|layer| layer.diff_id).collect();
        self.of_layers(&diff_ids, limits)
    }

    /// The catalog of an image whose layers have these diff IDs, base first, if one of such layers was catalogued within
    /// the same limits before. None of its layers need be opened for that.
    pub fn of_layers(&self, diff_ids: &[Digest], limits: &Limits) -> Option<PackageDatabase> {
        let kept: Kept = read(&self.image_file(diff_ids, limits))?;
        Some(PackageDatabase::new(kept.packages, kept.os_release, kept.alternatives, kept.problems))
    }

    /// What programs of an image answered before: see [`crate::symbols`].
    pub fn answers(&self, diff_ids: &[Digest]) -> BTreeMap<Question, Answer> {
        let kept: Vec<(Question, Answer)> = read(&self.answers_file(diff_ids)).unwrap_or_default();
        kept.into_iter().collect()
    }

    /// Keeps what programs of an image answered.
    pub fn keep_answers(&self, diff_ids: &[Digest], answers: &BTreeMap<Question, Answer>) {
        write(&self.answers_file(diff_ids), &answers.iter().collect::<Vec<_>>());
    }

    /// Keeps the catalog of an image.
    pub(super) fn keep_image(&self, image: &Image, limits: &Limits, database: &PackageDatabase) {
        let kept = Kept {
            packages: database.packages.clone(),
            os_release: database.os_release.clone(),
            alternatives: database.alternatives.clone(),
            problems: database.problems.clone(),
        };
        let diff_ids: Vec<Digest> = image.layers().iter().map(|layer| layer.diff_id).collect();
        write(&self.image_file(&diff_ids, limits), &kept);
    }

    /// What is known of the files of an image's layers.
    pub(super) fn layers(&self, image: &Image, limits: &Limits) -> Known {
        let files = image.layers().iter().map(|layer| self.layer_file(layer.diff_id, limits));
        Known(files.map(|file| read(&file).unwrap_or_default()).collect())
    }

    /// Keeps what was found in the layers whose files were not all known.
    pub(super) fn keep_layers(
        &self,
        image: &Image,
        limits: &Limits,
        known: Known,
        all: &[(ImagePath, Findings)],
    ) {
        let mut layers = known.0;
        let mut is_new = vec![false; layers.len()];
        for (path, findings) in all {
            let Some((layer, key)) = key(image, path) else { continue };
            let (Some(known), Some(is_new)) = (layers.get_mut(layer), is_new.get_mut(layer)) else {
                continue;
            };
            if known.insert(key, findings.clone()).is_none() {
                *is_new = true;
            }
        }
        for ((layer, known), _) in image.layers().iter().zip(layers).zip(is_new).filter(|(_, is_new)| *is_new)
        {
            write(&self.layer_file(layer.diff_id, limits), &known);
        }
    }

    fn layer_file(&self, diff_id: Digest, limits: &Limits) -> PathBuf {
        self.file("layer", &diff_id.to_string(), limits)
    }

    fn image_file(&self, diff_ids: &[Digest], limits: &Limits) -> PathBuf {
        let diff_ids: Vec<String> = diff_ids.iter().map(ToString::to_string).collect();
        self.file("image", &diff_ids.join("\n"), limits)
    }

    fn answers_file(&self, diff_ids: &[Digest]) -> PathBuf {
        let diff_ids: Vec<String> = diff_ids.iter().map(ToString::to_string).collect();
        self.file("answers", &diff_ids.join("\n"), &Limits::default())
    }

    fn file(&self, kind: &str, subject: &str, limits: &Limits) -> PathBuf {
        let key = Digest::of(format!("{CATALOGERS} {limits:?} {subject}").as_bytes());
        self.directory.join(format!("{kind}-{}", key.hex()))
    }
}

impl Known {
    /// What is known of the file at this path.
    pub(super) fn get(&self, image: &Image, path: &ImagePath) -> Option<Findings> {
        let (layer, key) = key(image, path)?;
        self.0.get(layer)?.get(&key).cloned()
    }
}

/// The layer that holds a file's bytes, and what names the file there.
fn key(image: &Image, path: &ImagePath) -> Option<(usize, String)> {
    let NodeKind::File { content: (layer, entry), .. } = image.tree().get(path)?.kind else { return None };
    Some((layer, format!("{entry} {path}")))
}

fn read<T: DeserializeOwned>(file: &Path) -> Option<T> {
    if fs::metadata(file).ok()?.len() > MAX_BYTES {
        return None;
    }
    let bytes = fs::read(file).ok()?;
    let at = bytes.iter().position(|byte| *byte == b'\n')?;
    let (digest, body) = (&bytes[..at], &bytes[at + 1..]);
    (digest == Digest::of(body).to_string().as_bytes()).then(|| serde_json::from_slice(body).ok())?
}

/// Replaces a file of the cache at once. What cannot be kept is found again.
fn write(file: &Path, value: &impl Serialize) {
    let Ok(body) = serde_json::to_vec(value) else { return };
    let Some(directory) = file.parent() else { return };
    let written = || -> std::io::Result<()> {
        fs::create_dir_all(directory)?;
        let temporary = file.with_extension(format!("{}.tmp", std::process::id()));
        let mut out = fs::File::create(&temporary)?;
        out.write_all(format!("{}\n", Digest::of(&body)).as_bytes())?;
        out.write_all(&body)?;
        drop(out);
        fs::rename(&temporary, file)
    };
    if let Err(error) = written() {
        tracing::debug!(file = %file.display(), %error, "cannot keep what was found in {}", file.display());
    }
}
