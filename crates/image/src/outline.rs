//! What an image is called, without a look at its layers.

use crate::pick::pick;
use crate::store::Store;
use crate::{Digest, ImageSource, OpenImageError, OpenOptions, Platform};

/// An image by its documents alone. Its layers were neither read nor verified, and may not even be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// What it is called where it is stored.
    pub name: Option<String>,
    /// Digest of the manifest.
    pub manifest_digest: Digest,
    /// Digest of the config.
    pub image_id: Digest,
    /// Its platform.
    pub platform: Platform,
    /// Diff IDs of its layers, base first, as the config lists them.
    pub diff_ids: Vec<Digest>,
}

/// Reads manifest and config of an image: milliseconds for an OCI layout. An archive is listed, or uncompressed.
///
/// # Errors
/// [`OpenImageError`]: the place or the documents cannot be read.
pub fn outline(source: &ImageSource, options: &OpenOptions<'_>) -> Result<Outline, OpenImageError> {
    let place = || source.clone();
    let store = Store::open(source, options)
        .map_err(|error| OpenImageError::Store { place: place(), source: Box::new(error) })?;
    let picked = pick(&store, source.name(), options)
        .map_err(|error| OpenImageError::Pick { place: place(), source: Box::new(error) })?;
    Ok(Outline {
        name: picked.name,
        manifest_digest: picked.descriptor.digest,
        image_id: picked.manifest.config.digest,
        platform: picked.config.platform,
        diff_ids: picked.config.rootfs.diff_ids,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Image;

    #[test]
    fn an_outline_says_what_the_opened_image_says() {
        let layout = testkit::ImageBuilder::new().layer("a b/c").layer("d").oci_layout();
        let source = ImageSource::OciLayout { dir: layout.dir().to_owned(), tag: None };
        let outline = outline(&source, &OpenOptions::new()).unwrap();
        let image = Image::open(&source, &OpenOptions::new()).unwrap();
        assert_eq!((outline.manifest_digest, outline.image_id), (image.manifest_digest(), image.image_id()));
        assert_eq!(&outline.platform, image.platform());
        let diff_ids: Vec<_> = image.layers().iter().map(|layer| layer.diff_id).collect();
        assert_eq!(outline.diff_ids, diff_ids);
        assert_eq!(outline.name.as_deref(), image.name());
    }
}
