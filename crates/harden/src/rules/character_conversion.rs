//! Character set converters of the GNU C library (gconv).

use image::ImagePath;

use crate::Rule;
use crate::draft::Draft;
use crate::rules::elf::Programs;
use crate::rules::locale;
use crate::scene::Scene;

/// The converters that `iconv` users ask for most, Cyrillic and Central European ones among them; UTF-8, ASCII and UCS are
/// built in. About 15 KB each.
const COMMON: [&str; 12] = [
    "UTF-7.so",
    "UTF-16.so",
    "UTF-32.so",
    "UNICODE.so",
    "ISO8859-1.so",
    "ISO8859-2.so",
    "ISO8859-15.so",
    "CP1250.so",
    "CP1251.so",
    "CP1252.so",
    "KOI8-R.so",
    "KOI8-U.so",
];

/// Keeps the lists of converters, the common ones, and those of the image's own locales, if a program in use calls
/// `iconv_open`. Which converter it asks for may depend on a client.
pub(crate) fn apply(scene: &Scene<'_>, draft: &mut Draft<'_>, programs: &Programs<'_>) {
    let Some(user) = programs.caller_of(scene, draft, &["iconv_open"]) else { return };
    let own: Vec<String> = locale::names(scene).iter().filter_map(|name| module(name)).collect();
    for directory in directories(scene) {
        for (path, _) in scene.tree().children(&directory) {
            let name = String::from_utf8_lossy(path.name());
            let is_list = name.starts_with("gconv-modules");
            if is_list || COMMON.contains(&&*name) || own.contains(&name.to_uppercase().replace(".SO", ".so"))
            {
                draft.keep(path, Rule::CharacterConversion, Some(&user));
                if is_list && scene.is_directory(path) {
                    for (path, _) in scene.tree().children(path) {
                        draft.keep(path, Rule::CharacterConversion, Some(&user));
                    }
                }
            }
        }
    }
}

/// The directories that hold converters: `gconv` beside or one below the C library's.
fn directories(scene: &Scene<'_>) -> Vec<ImagePath> {
    let tree = scene.tree();
    let mut out = Vec::new();
    for base in ["/usr/lib", "/usr/lib64", "/usr/lib32", "/lib"] {
        let Some(base) = scene.at(base).filter(|base| scene.is_directory(base)) else { continue };
        let subdirectories = tree.children(&base).map(|(path, _)| path.clone());
        for directory in std::iter::once(base.clone()).chain(subdirectories) {
            out.extend(directory.join(b"gconv").ok().filter(|path| scene.is_directory(path)));
        }
    }
    out
}

/// The converter of a locale's character set: `ISO8859-15.so` of `de_DE.ISO-8859-15@euro`.
fn module(locale: &str) -> Option<String> {
    let (_, charset) = locale.split_once('.')?;
    let charset = charset.split('@').next()?.to_ascii_uppercase();
    let charset = charset.strip_prefix("ISO-8859").map_or(charset.clone(), |rest| format!("ISO8859{rest}"));
    Some(charset + ".so")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_converter_of_a_locale_is_named_after_its_character_set() {
        for (locale, expected) in [
            ("de_DE.ISO-8859-15@euro", Some("ISO8859-15.so")),
            ("ja_JP.EUC-JP", Some("EUC-JP.so")),
            ("C", None),
        ] {
            assert_eq!(module(locale).as_deref(), expected, "{locale}");
        }
    }

    #[test]
    fn converters_are_kept_for_those_who_call_iconv() {
        use crate::fixture::{Elf, configured, layer, libc};
        let gconv = "usr/lib/x86_64-linux-gnu/gconv";
        let words: String = ["gconv-modules", "gconv-modules.cache", "UTF-16.so", "EUC-JP.so", "BIG5.so"]
            .map(|name| format!("{gconv}/{name} "))
            .concat();
        let kept = |functions: &[&str], config: serde_json::Value| {
            let [ld, libc] = libc();
            let app = Elf { needed: &["libc.so.6"], functions, ..Elf::default() };
            let fixture = configured(layer(&words, &[("app", app), ld, libc]), config).uses("exec:/app");
            fixture
                .by(Rule::CharacterConversion)
                .iter()
                .map(|path| path.rsplit('/').next().unwrap().to_owned())
                .collect()
        };
        let (none, some): (Vec<String>, Vec<String>) = (
            kept(&["open"], serde_json::json!({})),
            kept(&["iconv_open"], serde_json::json!({"Env": ["LANG=ja_JP.EUC-JP"]})),
        );
        assert_eq!(none, Vec::<String>::new());
        assert_eq!(some, ["EUC-JP.so", "UTF-16.so", "gconv-modules", "gconv-modules.cache"]);
    }
}
