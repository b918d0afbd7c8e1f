//! Where Composer's autoloader finds a class.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use image::ImagePath;

use crate::scene::Scene;

/// Longest map that is read.
const MAX_BYTES: u64 = 16 << 20;

/// The autoloaders read so far, by their `vendor` directory.
#[derive(Default)]
pub(crate) struct Autoloaders(RefCell<BTreeMap<ImagePath, Option<Rc<Autoloader>>>>);

/// The maps of one `vendor/composer`.
#[derive(Debug, Default)]
pub(super) struct Autoloader {
    /// File of a class.
    classes: BTreeMap<String, ImagePath>,
    /// Directories of a namespace (PSR-4).
    namespaces: BTreeMap<String, Vec<ImagePath>>,
}

impl Autoloaders {
    /// The autoloader of the project that a file belongs to.
    pub(super) fn of(&self, scene: &Scene<'_>, path: &ImagePath) -> Option<Rc<Autoloader>> {
        path.ancestors().find_map(|directory| {
            let vendor =
                if directory.name() == b"vendor" { directory } else { directory.join(b"vendor").ok()? };
            self.in_vendor(scene, &vendor)
        })
    }

    fn in_vendor(&self, scene: &Scene<'_>, vendor: &ImagePath) -> Option<Rc<Autoloader>> {
        if let Some(known) = self.0.borrow().get(vendor) {
            return known.clone();
        }
        let found = read(scene, vendor).map(Rc::new);
        self.0.borrow_mut().insert(vendor.clone(), found.clone());
        found
    }
}

fn read(scene: &Scene<'_>, vendor: &ImagePath) -> Option<Autoloader> {
    let map = |name: &str| {
        let path = vendor.join(b"composer").ok()?.join(name.as_bytes()).ok()?;
        let bytes = scene.image.read_file(&path, MAX_BYTES).ok()?;
        Some(entries(&String::from_utf8_lossy(&bytes), vendor))
    };
    let namespaces = map("autoload_psr4.php")?;
    let classes = map("autoload_classmap.php").unwrap_or_default();
    let classes = classes.into_iter().filter_map(|(name, files)| Some((name, files.into_iter().next()?)));
    Some(Autoloader { classes: classes.collect(), namespaces })
}

/// The entries of a map as Composer writes it, one a line: `'NAME' => array($vendorDir . '/a', $baseDir . '/b'),`
fn entries(text: &str, vendor: &ImagePath) -> BTreeMap<String, Vec<ImagePath>> {
    let entry = |line: &str| {
        let (key, value) = line.trim().split_once(" => ")?;
        let name = key.strip_prefix('\'')?.strip_suffix('\'')?.replace("\\\\", "\\");
        let paths = value.split('$').skip(1).filter_map(|part| {
            let (variable, rest) = part.split_once(" . '")?;
            let base = if variable == "vendorDir" { Some(vendor.clone()) } else { vendor.parent() };
            base?.join(rest.split('\'').next()?.trim_start_matches('/').as_bytes()).ok()
        });
        Some((name, paths.collect()))
    };
    text.lines().filter_map(entry).collect()
}

impl Autoloader {
    /// The file of a class, if there is one.
    pub(super) fn find(&self, scene: &Scene<'_>, class: &str) -> Option<ImagePath> {
        let is_file = |path: &ImagePath| scene.file_size(path).is_some();
        if let Some(path) = self.classes.get(class).filter(|path| is_file(path)) {
            return Some(path.clone());
        }
        class.rmatch_indices('\\').find_map(|(at, _)| {
            let directories = self.namespaces.get(&class[..=at])?;
            let file = class[at + 1..].replace('\\', "/") + ".php";
            directories.iter().filter_map(|directory| directory.join(file.as_bytes()).ok()).find(is_file)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_read_as_composer_writes_them() {
        let text = "<?php\n$vendorDir = dirname(__DIR__);\nreturn array(\n    'A\\\\B\\\\' => array($vendorDir . '/a/b/src', $baseDir . '/src'),\n    'C' => $vendorDir . '/c.php',\n);";
        let found = entries(text, &crate::fixture::path("/app/vendor"));
        let found: Vec<(&str, Vec<String>)> = found
            .iter()
            .map(|(name, paths)| (&**name, paths.iter().map(ToString::to_string).collect()))
            .collect();
        let expected = [
            ("A\\B\\", vec!["/app/vendor/a/b/src".to_owned(), "/app/src".to_owned()]),
            ("C", vec!["/app/vendor/c.php".to_owned()]),
        ];
        assert_eq!(found, expected);
    }
}
