//! Locale data of the GNU C library.

use image::ImagePath;

use crate::Rule;
use crate::draft::Draft;
use crate::rules::elf::Programs;
use crate::scene::Scene;

const DIRECTORY: &str = "/usr/lib/locale";

/// Keeps the `C.UTF-8` locale and those that the image's environment names, if a program in use sets a locale.
///
/// `C.UTF-8` because it is what a production environment sets most (`LC_ALL=C.UTF-8`). The archive, which may have
/// hundreds of megabytes, is kept only where the environment names a locale that is not in a directory of its own.
pub(crate) fn apply(scene: &Scene<'_>, draft: &mut Draft<'_>, programs: &Programs<'_>) {
    let Some(user) = programs.caller_of(scene, draft, &["setlocale", "newlocale"]) else { return };
    let Some(base) = scene.find(DIRECTORY.as_bytes()).filter(|base| scene.is_directory(base)) else { return };
    let mut wanted = names(scene);
    wanted.push("C.UTF-8".to_owned());
    for name in wanted.iter().map(|name| normalise(name)) {
        let directories: Vec<&ImagePath> = scene
            .tree()
            .children(&base)
            .map(|(path, _)| path)
            .filter(|path| {
                scene.is_directory(path) && normalise(&String::from_utf8_lossy(path.name())) == name
            })
            .collect();
        for directory in &directories {
            for (path, _) in scene.tree().within(directory) {
                draft.keep(path, Rule::Locale, Some(&user));
            }
        }
        if directories.is_empty() && !matches!(name.as_str(), "C" | "POSIX" | "C.utf8") {
            draft.keep_way(&base, b"locale-archive", Rule::Locale, Some(&user));
        }
    }
}

/// The locales that the image's environment names.
pub(crate) fn names(scene: &Scene<'_>) -> Vec<String> {
    let variables = scene.environment.iter().filter(|(name, _)| **name == "LANG" || name.starts_with("LC_"));
    variables.map(|(_, value)| (*value).to_owned()).filter(|value| !value.is_empty()).collect()
}

/// `C.utf8` of `C.UTF-8`: the character set in lower case without punctuation, as the C library compares it.
fn normalise(name: &str) -> String {
    let Some((language, rest)) = name.split_once('.') else { return name.to_owned() };
    let (charset, modifier) =
        rest.split_once('@').map_or((rest, None), |(charset, rest)| (charset, Some(rest)));
    let charset: String = charset.chars().filter(char::is_ascii_alphanumeric).collect();
    let modifier = modifier.map(|modifier| format!("@{modifier}")).unwrap_or_default();
    format!("{language}.{}{modifier}", charset.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_compare_as_in_the_c_library() {
        for (name, expected) in [
            ("C.UTF-8", "C.utf8"),
            ("C.utf8", "C.utf8"),
            ("de_DE.ISO-8859-15@euro", "de_DE.iso885915@euro"),
            ("C", "C"),
        ] {
            assert_eq!(normalise(name), expected);
        }
    }

    #[test]
    fn hard_38_the_named_locales_and_c_utf8_are_kept() {
        use crate::fixture::{Elf, configured, layer};
        let base = "usr/lib/locale";
        let words = format!(
            "{base}/C.utf8/LC_CTYPE {base}/de_DE.utf8/LC_TIME {base}/fr_FR/LC_TIME {base}/locale-archive"
        );
        let kept = |functions: &[&str], env: &str| {
            let app = Elf { functions, ..Elf::default() };
            let config = serde_json::json!({"Env": [env]});
            configured(layer(&words, &[("app", app)]), config).uses("exec:/app").by(Rule::Locale)
        };
        let c = ["/usr/lib/locale/C.utf8", "/usr/lib/locale/C.utf8/LC_CTYPE"];
        let german = ["/usr/lib/locale/de_DE.utf8", "/usr/lib/locale/de_DE.utf8/LC_TIME"];
        assert_eq!(kept(&["open"], "LANG=de_DE.UTF-8"), [""; 0]);
        assert_eq!(kept(&["setlocale"], "LANG=C"), c);
        assert_eq!(kept(&["setlocale"], "LC_ALL=de_DE.UTF-8"), [c, german].concat());
        assert_eq!(
            kept(&["newlocale"], "LANG=ja_JP.UTF-8"),
            [&c[..], &["/usr/lib/locale/locale-archive"]].concat()
        );
    }
}
