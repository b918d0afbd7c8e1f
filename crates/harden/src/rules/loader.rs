//! What the dynamic loader itself reads.

use crate::draft::Draft;
use crate::rules::elf::Programs;
use crate::scene::Scene;
use crate::{PlanError, Rule};

/// Keeps the loader's cache, its list of preloaded libraries with these, and musl's search path.
///
/// The cache is kept as it is: where it names a file that is gone, the loader goes on to the default directories.
pub(crate) fn apply(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
    programs: &mut Programs<'_>,
) -> Result<(), PlanError> {
    let Some(user) =
        programs.files().find(|(_, file)| file.interpreter.is_some()).map(|(path, _)| path.clone())
    else {
        return Ok(());
    };
    let root = image::ImagePath::root();
    draft.keep_way(&root, b"/etc/ld.so.cache", Rule::Loader, Some(&user));
    if let Some(etc) = scene.find(b"/etc") {
        for (path, _) in scene.tree().children(&etc) {
            if path.name().starts_with(b"ld-musl-") && path.name().ends_with(b".path") {
                draft.keep_way(&root, &path.to_absolute(), Rule::Loader, Some(&user));
            }
        }
    }
    let mut preloaded = scene.environment.get("LD_PRELOAD").copied().unwrap_or_default().to_owned();
    if let Some(list) = draft.keep_way(&root, b"/etc/ld.so.preload", Rule::Loader, Some(&user)) {
        let text = scene.text(&list)?;
        let lines = text.lines().filter_map(|line| line.split('#').next());
        preloaded = lines.fold(preloaded, |all, line| all + " " + line);
    }
    for name in preloaded.split([' ', '\t', ':']).filter(|name| !name.is_empty()) {
        programs.keep_library(draft, name.as_bytes(), Rule::Loader, None)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::Rule;
    use crate::fixture::{Elf, LOADER, image, layer};

    #[test]
    fn preloaded_libraries_are_kept_with_the_list_and_the_cache() {
        let files = [
            ("app", Elf { interpreter: LOADER, ..Elf::default() }),
            ("usr/lib/libpre.so", Elf::default()),
            ("opt/other.so", Elf::default()),
        ];
        let layer = layer("etc/ld.so.cache", &files)
            .entry(testkit::TarEntry::file("etc/ld.so.preload", "libpre.so # comment\n/opt/other.so\n"));
        let fixture = image(layer).uses("exec:/app");
        let expected = ["/etc/ld.so.cache", "/etc/ld.so.preload", "/opt/other.so", "/usr/lib/libpre.so"];
        assert_eq!(fixture.by(Rule::Loader), expected);
    }

    #[test]
    fn without_a_dynamic_program_the_loader_reads_nothing() {
        let fixture = image(layer("etc/ld.so.cache", &[("app", Elf::default())])).uses("exec:/app");
        assert_eq!(fixture.by(Rule::Loader), Vec::<String>::new());
    }
}
