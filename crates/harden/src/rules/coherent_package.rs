//! Packages that stay whole once an executable of theirs was used.

use std::collections::BTreeMap;

use image::ImagePath;
use packages::PackageIndex;
use profile::AccessKind;

use crate::draft::Draft;
use crate::scene::Scene;
use crate::{PlanError, Rule};

/// Keeps all files but documents and licences of each package of which the workload ran a program or mapped a
/// library, where the policy says so.
///
/// Base packages are no exception: whoever runs a shell keeps the shell's package, and everybody keeps the C library's
/// with all of its converters. What a package depends on is not kept for that.
pub(crate) fn apply(scene: &Scene<'_>, draft: &mut Draft<'_>) -> Result<(), PlanError> {
    if !scene.policy.keep_packages_coherent {
        return Ok(());
    }
    let mut whole: BTreeMap<PackageIndex, ImagePath> = BTreeMap::new();
    for path in draft.kept().keys().filter(|path| was_executed(scene, path)) {
        for &owner in scene.packages.owners(path) {
            whole.entry(owner).or_insert_with(|| path.clone());
        }
    }
    for (index, because) in &whole {
        for file in scene.packages.package(*index).iter().flat_map(|package| &package.files) {
            if !packages::is_document(file) && !packages::is_licence(file) {
                draft.keep(file, Rule::CoherentPackage, Some(because));
            }
        }
    }
    Ok(())
}

fn was_executed(scene: &Scene<'_>, path: &ImagePath) -> bool {
    let usage = scene.profile.usage(path);
    usage
        .is_some_and(|usage| usage.kinds().any(|kind| matches!(kind, AccessKind::Exec | AccessKind::MapExec)))
}

#[cfg(test)]
mod tests {
    use crate::Rule;
    use crate::fixture::{debian, image};

    #[test]
    fn one_executed_file_keeps_its_package_but_for_documents() {
        let tool = "/usr/bin/tool /usr/bin/toolctl /usr/share/tool/data /usr/share/doc/tool/README \
                    /usr/share/doc/tool/copyright /usr/share/man/man1/tool.1";
        let layer = debian(&[("tool", tool), ("other", "/usr/bin/other /usr/share/other")]);
        let with = |uses: &str, coherent| {
            image(layer.clone()).uses(uses).policy(|policy| policy.keep_packages_coherent = coherent)
        };
        let fixture = with("exec:/usr/bin/tool /usr/share/other", true);
        assert_eq!(fixture.by(Rule::CoherentPackage), ["/usr/bin/toolctl", "/usr/share/tool/data"]);
        assert!(fixture.kept().contains(&"coherent-package /usr/bin/toolctl < /usr/bin/tool".to_owned()));
        for (uses, coherent) in [("exec:/usr/bin/tool", false), ("/usr/share/tool/data", true)] {
            assert_eq!(with(uses, coherent).by(Rule::CoherentPackage), [""; 0], "{uses}");
        }
    }
}
