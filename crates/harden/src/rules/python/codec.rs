//! The character sets of Python's standard library.
//!
//! All of them together weigh 2.5 MB with their bytecode and the extensions for Asian ones; a workload that was seen
//! uses one or two. Which others may be asked for is rarely in code: it comes with requests, mails and documents.

use std::collections::BTreeMap;

use image::ImagePath;

use super::environment::{Environment, join};
use crate::scene::Scene;

/// What stays beside `encodings` as long as that is in use: 30 kB. An interpreter asks for them where the locale
/// differs, where an error message is printed, or where text goes through them by default.
pub(super) const ALWAYS: [&str; 4] = ["ascii", "iso8859_1", "latin_1", "utf_8"];

/// What requests and documents ask for by name: 150 kB.
pub(super) const COMMON: [&str; 14] = [
    "base64_codec",
    "charmap",
    "cp1252",
    "hex_codec",
    "iso8859_15",
    "raw_unicode_escape",
    "unicode_escape",
    "utf_16",
    "utf_16_be",
    "utf_16_le",
    "utf_32",
    "utf_32_be",
    "utf_32_le",
    "utf_8_sig",
];

/// Whether a module is for a character set of East Asia: with the extensions that they share, these weigh 1 MB, and
/// libraries name them in lists of all that there is.
pub(super) fn is_east_asian(module: &ImagePath) -> bool {
    let name = String::from_utf8_lossy(module.name()).into_owned();
    let starts = ["big5", "cp932", "cp949", "cp950", "euc_", "gb", "hz", "iso2022_", "johab", "shift_jis"];
    starts.iter().any(|start| name.starts_with(start))
}

/// Other names of character sets, by `encodings/aliases.py`.
#[derive(Debug, Default)]
pub(super) struct Aliases(BTreeMap<String, String>);

impl Aliases {
    pub(super) fn read(scene: &Scene<'_>, environment: &Environment) -> Self {
        let files = environment.used().filter_map(|one| join(&one.stdlib, "encodings/aliases.py"));
        let texts = files.filter_map(|file| scene.text(&file).ok());
        Self(texts.flat_map(|text| parse(&text)).collect())
    }

    /// The module for a character set of this name, as far as the image has it.
    pub(super) fn module(
        &self,
        scene: &Scene<'_>,
        environment: &Environment,
        text: &str,
    ) -> Option<ImagePath> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ' ' | '.');
        if text.len() > 30 || text.is_empty() || !text.chars().all(is_name) {
            return None;
        }
        let name = text.to_ascii_lowercase().replace(['-', ' ', '.'], "_");
        let name = self.0.get(&name).unwrap_or(&name);
        modules(scene, environment, &[name]).next()
    }
}

/// The modules of these names that the used Pythons have.
pub(super) fn modules<'a>(
    scene: &'a Scene<'_>,
    environment: &'a Environment,
    names: &'a [&'a str],
) -> impl Iterator<Item = ImagePath> + 'a {
    let directories = environment.used().filter_map(|one| join(&one.stdlib, "encodings"));
    let files = directories.flat_map(move |directory| {
        names
            .iter()
            .filter(|name| **name != "aliases")
            .filter_map(move |name| join(&directory, &format!("{name}.py")))
    });
    files.filter(|path| scene.file_size(path).is_some())
}

/// Lines `'alias' : 'codec',`.
fn parse(text: &str) -> Vec<(String, String)> {
    let pairs = text.lines().filter_map(|line| {
        let mut parts = line.split('#').next()?.split('\'');
        let (_, alias, _, codec) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        Some((alias.to_owned(), codec.to_owned()))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_are_pairs_of_names() {
        let text = "aliases = {\n    # 'x' : 'y',\n    '1252'               : 'cp1252',\n    'windows_1252' : 'cp1252',\n}";
        let expected =
            [("1252", "cp1252"), ("windows_1252", "cp1252")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(parse(text), expected);
    }
}
