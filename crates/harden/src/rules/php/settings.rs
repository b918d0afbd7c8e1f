//! The settings of PHP's programs, and the extensions that they name.

use std::collections::BTreeSet;

use image::ImagePath;

use crate::draft::Draft;
use crate::scene::Scene;
use crate::{PlanError, Rule};

/// Keeps the settings of a program (or server module) of PHP, and the extensions and files that these name. It reads all
/// of them when it starts, so this matters for a program that another rule kept.
pub(super) fn keep(scene: &Scene<'_>, draft: &mut Draft<'_>, program: &ImagePath) -> Result<(), PlanError> {
    let Some(interface) = interface(program.name()) else { return Ok(()) };
    let root = ImagePath::root();
    let mut files: Vec<ImagePath> = Vec::new();
    let mut directories = Vec::new();
    if let Some(versions) = scene.find(b"/etc/php") {
        for (version, _) in scene.tree().children(&versions) {
            directories.extend(version.join(interface.as_bytes()));
        }
    }
    directories.extend(
        ["/usr/local/etc", "/usr/local/etc/php", "/etc/php82", "/etc/php83", "/etc/php84"]
            .iter()
            .filter_map(|path| scene.at(path)),
    );
    for directory in directories {
        let places = ["", "conf.d", "pool.d", "php-fpm.d"].map(|name| directory.join(name.as_bytes()));
        for place in places.iter().flatten() {
            let names = scene.tree().children(place).map(|(path, _)| path);
            files.extend(names.filter(|path| is_settings(path.name())).cloned());
        }
    }
    let mut named = BTreeSet::new();
    for file in files {
        let Some(end) = draft.keep_way(&root, &file.to_absolute(), Rule::Php, Some(program)) else {
            continue;
        };
        named.extend(values(&scene.text(&end)?));
    }
    for (is_extension, value) in named {
        if value.starts_with('/') {
            draft.keep_way(&root, value.as_bytes(), Rule::Php, Some(program));
        } else if is_extension {
            let file = if value.ends_with(".so") { value } else { format!("{value}.so") };
            for directory in extension_directories(scene) {
                draft.keep_way(&directory, file.as_bytes(), Rule::Php, Some(program));
            }
        }
    }
    Ok(())
}

/// The directory of settings that a program of this name reads.
fn interface(name: &[u8]) -> Option<&'static str> {
    let name = std::str::from_utf8(name).ok()?;
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    match plain {
        "php" => Some("cli"),
        "php-cgi" => Some("cgi"),
        "php-fpm" => Some("fpm"),
        _ if name.starts_with("libphp") && name.ends_with(".so") => Some("apache2"),
        _ => None,
    }
}

fn is_settings(name: &[u8]) -> bool {
    name.ends_with(b".conf") || (name.ends_with(b".ini") && !name.starts_with(b"."))
}

/// The values that name extensions or absolute paths: whether it is an extension, and the value.
fn values(text: &str) -> BTreeSet<(bool, String)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with([';', '#', '[']));
    lines
        .filter_map(|line| {
            let (name, value) = line.split_once('=')?;
            let value = value.split(';').next()?.trim().trim_matches(['"', '\'']);
            let is_extension = matches!(name.trim(), "extension" | "zend_extension");
            (is_extension || value.starts_with('/')).then(|| (is_extension, value.to_owned()))
        })
        .filter(|(_, value)| !value.is_empty() && !value.contains('*'))
        .collect()
}

/// Each directory below these is for one version of PHP's interface to extensions.
fn extension_directories(scene: &Scene<'_>) -> Vec<ImagePath> {
    let bases = [
        "/usr/lib/php",
        "/usr/local/lib/php/extensions",
        "/usr/lib/php82",
        "/usr/lib/php83",
        "/usr/lib/php84",
    ];
    let bases = bases.iter().filter_map(|path| scene.find(path.as_bytes()));
    bases
        .flat_map(|base| {
            let inner = scene
                .tree()
                .children(&base)
                .map(|(path, _)| path.clone())
                .filter(|path| scene.is_directory(path));
            std::iter::once(base.clone()).chain(inner).collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_and_paths_are_told_from_other_values() {
        let text = "; extension=no\nextension=curl\nzend_extension = \"opcache.so\"\nopcache.preload=/app/preload.php ; x\nmemory_limit=1G\n[x]\n";
        let expected = [(false, "/app/preload.php"), (true, "curl"), (true, "opcache.so")];
        assert_eq!(values(text), expected.map(|(is, value)| (is, value.to_owned())).into());
        for (name, expected) in [
            ("php8.2", Some("cli")),
            ("php", Some("cli")),
            ("php-fpm8.2", Some("fpm")),
            ("libphp8.2.so", Some("apache2")),
            ("phpize", None),
        ] {
            assert_eq!(interface(name.as_bytes()), expected, "{name}");
        }
    }
}
