//! Packages that stay whole once an executable of theirs was used.

use std::collections::BTreeMap;

use image::ImagePath;
use packages::PackageIndex;
use profile::AccessKind;

use crate::draft::Draft;
use crate::scene::Scene;
use crate::{PlanError, Rule};

/// Keeps all files but documents and licences of each package of which the workload ran a program or mapped a
/// library, be it by a link that the package owns (`redis-server` of Debian is a link into `redis-tools`), where the
/// policy says so.
///
/// Base packages are no exception: whoever runs a shell keeps the shell's package, and everybody keeps the C library's
/// with all of its converters. What a package depends on is not kept for that.
pub(crate) fn apply(scene: &Scene<'_>, draft: &mut Draft<'_>) -> Result<(), PlanError> {
    if !scene.policy.keep_packages_coherent {
        return Ok(());
    }
    let mut whole: BTreeMap<PackageIndex, ImagePath> = BTreeMap::new();
    for path in draft.kept_paths().filter(|path| was_executed(scene, path)) {
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

/// Whether a path was executed or mapped, or is a used link to such a file: the link may be another package's.
fn was_executed(scene: &Scene<'_>, path: &ImagePath) -> bool {
    let is_used_as = |path: &ImagePath, kinds: &[AccessKind]| {
        scene.profile.usage(path).is_some_and(|usage| usage.kinds().any(|kind| kinds.contains(&kind)))
    };
    let executed = [AccessKind::Exec, AccessKind::MapExec];
    is_used_as(path, &executed)
        || (is_used_as(path, &[AccessKind::Readlink])
            && scene.find(&path.to_absolute()).is_some_and(|end| is_used_as(&end, &executed)))
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

    #[test]
    fn a_link_to_what_another_package_owns_is_an_executable_of_its_package() {
        let layer = debian(&[
            ("server", "/usr/bin/server /etc/server.conf"),
            ("tools", "/usr/bin/tool /etc/tool.conf"),
        ]);
        let upper = testkit::TarBuilder::new().entry(testkit::TarEntry::symlink("usr/bin/server", "tool"));
        let layout = testkit::ImageBuilder::new().layer(layer).layer(upper).oci_layout();
        let fixture = crate::fixture::open(&layout)
            .uses("readlink:/usr/bin/server exec:/usr/bin/tool")
            .policy(|policy| policy.keep_packages_coherent = true);
        assert_eq!(fixture.by(Rule::CoherentPackage), ["/etc/server.conf", "/etc/tool.conf"]);
    }
}
