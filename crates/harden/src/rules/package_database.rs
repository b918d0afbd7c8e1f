//! Licences of packages that are still there, and the databases cut down to these packages.

use std::collections::{BTreeMap, BTreeSet};

use image::ImagePath;

use packages::Problem;

use crate::draft::Draft;
use crate::scene::Scene;
use crate::{PackageDb, PlanError, Rule};

/// How many broken files are told.
const MAX_WARNINGS: usize = 20;

/// Keeps the licences of packages that still own something that is kept, if the policy wants them.
pub(crate) fn licences(scene: &Scene<'_>, draft: &mut Draft<'_>) -> Result<(), PlanError> {
    if scene.policy.keep_licenses {
        let kept: BTreeSet<ImagePath> = draft.kept_paths().cloned().collect();
        for path in packages::licences(scene.packages, scene.image, &kept)? {
            draft.keep(&path, Rule::Licence, None);
        }
    }
    Ok(())
}

/// Does with the package databases what the policy says, and gives the new content of those of their files that
/// change.
///
/// Where they are dropped, what something else keeps of them is still cut down to what is there.
pub(crate) fn apply(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
) -> Result<BTreeMap<ImagePath, Vec<u8>>, PlanError> {
    warn_of_problems(scene, draft);
    let files = || packages::database_files(scene.packages, scene.image);
    if scene.policy.package_db == PackageDb::Keep {
        for path in files() {
            draft.keep(&path, Rule::PackageDatabase, None);
        }
        return Ok(BTreeMap::new());
    }
    let kept: BTreeSet<ImagePath> = draft.kept_paths().cloned().collect();
    let mut filtered = packages::filter(scene.packages, scene.image, &kept)?;
    if scene.policy.package_db == PackageDb::Filter {
        for path in filtered.keep.keys() {
            draft.keep(path, Rule::PackageDatabase, None);
        }
        filtered.warnings.into_iter().for_each(|warning| draft.warn(warning));
    } else if files().iter().any(|path| !kept.contains(path)) {
        draft.warn(
            "the package databases are dropped: scanners will not see what is in this image, and what they do not \
             report is not gone"
                .to_owned(),
        );
    }
    filtered.replace.retain(|path, _| draft.is_kept(path));
    Ok(filtered.replace)
}

/// Tells which databases could not be understood, one line for each file.
fn warn_of_problems(scene: &Scene<'_>, draft: &mut Draft<'_>) {
    let mut problems: BTreeMap<&ImagePath, Vec<&Problem>> = BTreeMap::new();
    for problem in &scene.packages.problems {
        problems.entry(&problem.file).or_default().push(problem);
    }
    for (file, problems) in problems.into_iter().take(MAX_WARNINGS) {
        let Some(first) = problems.first() else { continue };
        let place = if first.line == 0 { String::new() } else { format!(", line {}", first.line) };
        let more = match problems.len() {
            1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        draft.warn(format!("package database {file}{place}: {}{more}", first.message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Decision;
    use crate::fixture::{Fixture, image, path};
    use testkit::{TarBuilder, TarEntry};

    const STATUS: &str = "Package: a\nVersion: 1\n\nPackage: b\nVersion: 2\n";

    /// Two packages of dpkg's, of which one is used, and a Python distribution, of which a part is.
    fn fixture(package_db: PackageDb, uses: &str) -> Fixture {
        let record = "six.py,sha256=x,1\nmore.py,sha256=y,1\nsix-1.0.dist-info/METADATA,,\n\
            six-1.0.dist-info/RECORD,,\n";
        let layer = TarBuilder::new()
            .entry(TarEntry::file("bin/a", "a"))
            .entry(TarEntry::file("bin/b", "b"))
            .entry(TarEntry::file("var/lib/dpkg/status", STATUS))
            .entry(TarEntry::file("var/lib/dpkg/status-old", STATUS))
            .entry(TarEntry::file("var/lib/dpkg/info/a.list", "/bin/a\n"))
            .entry(TarEntry::file("var/lib/dpkg/info/a.postinst", "#!/bin/sh\n").mode(0o755))
            .entry(TarEntry::file("bin/sh", "sh").mode(0o755))
            .entry(TarEntry::file("var/lib/dpkg/info/b.list", "/bin/b\n"))
            .entry(TarEntry::file("lib/site/six.py", ""))
            .entry(TarEntry::file("lib/site/more.py", ""))
            .entry(TarEntry::file("lib/site/six-1.0.dist-info/METADATA", "Name: six\nVersion: 1.0\n"))
            .entry(TarEntry::file("lib/site/six-1.0.dist-info/RECORD", record));
        image(layer)
            .uses("/bin/a /lib/site/six.py")
            .uses(uses)
            .policy(|policy| policy.package_db = package_db)
    }

    const DISTRIBUTION: [&str; 2] =
        ["/lib/site/six-1.0.dist-info/METADATA", "/lib/site/six-1.0.dist-info/RECORD"];

    #[test]
    fn by_default_the_databases_list_what_is_there() {
        let fixture = fixture(PackageDb::Filter, "");
        let stays = ["/var/lib/dpkg/info/a.list", "/var/lib/dpkg/status"];
        assert_eq!(fixture.by(Rule::PackageDatabase), [&DISTRIBUTION[..], &stays].concat());
        let plan = fixture.plan();
        assert_eq!(plan.edits.replace[&path("/var/lib/dpkg/status")], b"Package: a\nVersion: 1\n\n");
        let record = String::from_utf8_lossy(&plan.edits.replace[&path(DISTRIBUTION[1])]).into_owned();
        assert!(record.starts_with("six.py,sha256=x,1\nsix-1.0.dist-info/METADATA"), "{record}");
        assert_eq!(plan.warnings, [""; 0]);
    }

    #[test]
    fn kept_databases_stay_byte_for_byte_with_all_their_files() {
        let fixture = fixture(PackageDb::Keep, "");
        let plan = fixture.plan();
        assert!(plan.edits.replace.is_empty());
        let admin = path("/var/lib/dpkg");
        let database = fixture.image.tree().within(&admin).map(|(path, _)| path.clone());
        for file in database.chain(DISTRIBUTION.map(path)) {
            assert_eq!(plan.ledger.entries[&file].decision, Decision::Keep, "{file}");
        }
        assert_eq!(plan.ledger.entries[&path("/bin/b")].decision, Decision::Remove);
        // A maintainer script does nothing here, so it needs no shell.
        assert_eq!(plan.ledger.entries[&path("/bin/sh")].decision, Decision::Remove);
    }

    #[test]
    fn dropped_databases_go_with_a_warning_but_for_what_was_used() {
        let dropped = fixture(PackageDb::Drop, "").plan();
        assert!(
            dropped.ledger.kept().all(|path| !path.to_text().contains("dpkg/")),
            "{:?}",
            dropped.edits.keep
        );
        assert!(dropped.warnings[0].contains("scanners will not see"), "{:?}", dropped.warnings);
        // What the workload reads stays, and tells no lies.
        let used = fixture(PackageDb::Drop, "/var/lib/dpkg/status").plan();
        assert_eq!(used.edits.replace[&path("/var/lib/dpkg/status")], b"Package: a\nVersion: 1\n\n");
        assert_eq!(used.ledger.entries[&path("/var/lib/dpkg/info/a.list")].decision, Decision::Remove);
        // An image without databases loses none.
        let without = image("bin/a").uses("/bin/a").policy(|policy| policy.package_db = PackageDb::Drop);
        assert_eq!(without.plan().warnings, [""; 0]);
    }

    #[test]
    fn a_broken_database_is_named_and_stays_whole() {
        let layer = TarBuilder::new()
            .entry(TarEntry::file("bin/a", "a"))
            .entry(TarEntry::file("usr/lib/sysimage/rpm/rpmdb.sqlite", "SQLite format 3\0 and no more"))
            .entry(TarEntry::file("usr/lib/sysimage/rpm/rpmdb.sqlite-wal", "log"))
            .entry(TarEntry::file("var/lib/dpkg/status", "no stanza\n"));
        let fixture = image(layer).uses("/bin/a");
        let plan = fixture.plan();
        for file in ["/usr/lib/sysimage/rpm/rpmdb.sqlite", "/usr/lib/sysimage/rpm/rpmdb.sqlite-wal"] {
            assert_eq!(plan.ledger.entries[&path(file)].decision, Decision::Keep, "{file}");
        }
        assert!(plan.edits.replace.is_empty(), "{:?}", plan.edits.replace);
        let warned = |file: &str| plan.warnings.iter().filter(|warning| warning.contains(file)).count();
        assert_eq!((warned("rpmdb.sqlite"), warned("/var/lib/dpkg/status")), (2, 1), "{:?}", plan.warnings);
    }
}
