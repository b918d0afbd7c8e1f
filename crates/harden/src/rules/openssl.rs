//! OpenSSL's settings and providers.

use image::ImagePath;

use crate::draft::Draft;
use crate::rules::elf::Programs;
use crate::scene::Scene;
use crate::{PlanError, Rule};

/// Where distributions put the settings.
const FILES: [&str; 4] = [
    "/usr/lib/ssl/openssl.cnf",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/openssl.cnf",
    "/usr/local/ssl/openssl.cnf",
];

/// Keeps the settings if a program in use is linked against OpenSSL, which reads them when it starts, and those
/// providers (`ossl-modules`) that the settings name.
pub(crate) fn apply(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
    programs: &Programs<'_>,
) -> Result<(), PlanError> {
    let root = ImagePath::root();
    let user =
        ["libcrypto.so", "libssl.so"].iter().find_map(|library| programs.user_of(scene, draft, library));
    let Some(user) = user else { return Ok(()) };
    let mut text = String::new();
    for file in FILES.iter().chain(scene.environment.get("OPENSSL_CONF")) {
        if draft.find_file(&root, file.as_bytes()).is_some()
            && let Some(path) = draft.keep_way(&root, file.as_bytes(), Rule::Openssl, Some(&user))
        {
            text += &scene.text(&path)?;
        }
    }
    let libraries = programs.files().filter(|(path, _)| path.name().starts_with(b"libcrypto.so"));
    let libraries: Vec<ImagePath> = libraries.map(|(path, _)| path.clone()).collect();
    for library in libraries {
        let directory = library.parent().and_then(|parent| parent.join(b"ossl-modules").ok());
        let Some(directory) = directory.filter(|path| scene.is_directory(path)) else { continue };
        for (path, _) in scene.tree().children(&directory) {
            let name = String::from_utf8_lossy(path.name());
            if names_provider(&text, name.trim_end_matches(".so")) {
                draft.keep(path, Rule::Openssl, Some(&library));
            }
        }
    }
    Ok(())
}

/// Whether a line that is no comment has this word: `legacy = legacy_sect`, `providers = legacy`.
fn names_provider(text: &str, provider: &str) -> bool {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines
        .flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-'))
        .any(|word| word == provider)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_counts_when_a_setting_names_it() {
        for (text, expected) in [
            ("[provider_sect]\ndefault = default_sect\nlegacy = legacy_sect\n", true),
            ("# legacy = legacy_sect\ndefault = default_sect", false),
            ("[sect]\nactivate = 1", false),
        ] {
            assert_eq!(names_provider(text, "legacy"), expected, "{text}");
        }
    }

    #[test]
    fn settings_and_the_providers_they_name_are_kept_for_users_of_openssl() {
        use crate::fixture::{Elf, image, layer};
        let files = [
            ("app", Elf { needed: &["libcrypto.so.3"], ..Elf::default() }),
            ("usr/lib/libcrypto.so.3", Elf::default()),
            ("usr/lib/ossl-modules/legacy.so", Elf::default()),
            ("usr/lib/ossl-modules/fips.so", Elf::default()),
        ];
        let layer = layer("usr/lib/ssl/openssl.cnf->/etc/ssl/openssl.cnf", &files)
            .entry(testkit::TarEntry::file("etc/ssl/openssl.cnf", "[providers]\nlegacy = legacy_sect\n"));
        let fixture = image(layer).uses("exec:/app");
        assert_eq!(fixture.by(Rule::Openssl), ["/etc/ssl/openssl.cnf", "/usr/lib/ossl-modules/legacy.so"]);
    }
}
