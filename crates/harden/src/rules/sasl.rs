//! SASL modules.

use image::ImagePath;

use crate::draft::Draft;
use crate::rules::elf::Programs;
use crate::scene::Scene;
use crate::{PlanError, Rule};

/// Directories of settings that Cyrus SASL searches beside its modules' own.
const SETTINGS: [&str; 2] = ["/etc/sasl2", "/etc/sasl"];

/// Keeps the modules and settings of Cyrus SASL if a program in use is linked against it. The library loads every module
/// in its directory when a session begins, and a client chooses among them.
pub(crate) fn apply(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
    programs: &Programs<'_>,
) -> Result<(), PlanError> {
    let Some(user) = programs.user_of(scene, draft, "libsasl2.so") else { return Ok(()) };
    let libraries: Vec<ImagePath> = programs
        .files()
        .map(|(path, _)| path)
        .filter(|path| path.name().starts_with(b"libsasl2.so"))
        .cloned()
        .collect();
    let beside = libraries.iter().filter_map(|library| library.parent()?.join(b"sasl2").ok());
    let settings = SETTINGS.iter().filter_map(|path| scene.find(path.as_bytes()));
    let further = scene.environment.get("SASL_PATH").copied().unwrap_or_default().split(':');
    let further = further.filter_map(|path| scene.find(path.as_bytes()).filter(|_| path.starts_with('/')));
    let directories: Vec<ImagePath> = beside.chain(settings).chain(further).collect();
    for directory in directories.iter().filter(|directory| scene.is_directory(directory)) {
        for (path, _) in scene.tree().children(directory) {
            draft.keep_way(&ImagePath::root(), &path.to_absolute(), Rule::Sasl, Some(&user));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::Rule;
    use crate::fixture::{Elf, image, layer};

    #[test]
    fn hard_36_sasl_modules_stay_with_who_authenticates_by_them() {
        let words = "usr/lib/sasl2/libplain.so->libplain.so.2 etc/sasl2/memcached.conf";
        let kept = |needed: &[&str]| {
            let files = [
                ("app", Elf { needed, ..Elf::default() }),
                ("usr/lib/libsasl2.so.2", Elf::default()),
                ("usr/lib/sasl2/libplain.so.2", Elf { needed: &["libcrypt.so.1"], ..Elf::default() }),
                ("usr/lib/libcrypt.so.1", Elf::default()),
            ];
            image(layer(words, &files)).uses("exec:/app")
        };
        let with = kept(&["libsasl2.so.2"]);
        assert_eq!(with.by(Rule::Sasl), ["/etc/sasl2/memcached.conf", "/usr/lib/sasl2/libplain.so.2"]);
        assert_eq!(with.by(Rule::ElfNeeded), ["/usr/lib/libcrypt.so.1", "/usr/lib/libsasl2.so.2"]);
        assert_eq!(kept(&[]).by(Rule::Sasl), [""; 0]);
    }
}
