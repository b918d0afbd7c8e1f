//! Programs of the same package as one that was run, where they need nothing more, and tiny ones of the same source.
//!
//! Whoever ships `psql` is asked for `pg_dump` one day: a backup, an import, a repair are exactly what no coverage runs.
//! Such a program is kept if it is small, together with the libraries that it loads and that nothing else keeps: one that
//! edits lines at a prompt brings one for that. Those of other packages of the same source have to find all libraries
//! there. Scripts have a rule of their own ([`super::sibling_script`]). All of this up to a tenth of what is kept; with
//! `--generalize package` large programs too.

use std::collections::{BTreeMap, BTreeSet};

use image::{ImagePath, NodeKind, ResolutionEnd};

use super::suite::{self, Suite};
use crate::draft::Draft;
use crate::rules::elf::Programs;
use crate::scene::Scene;
use crate::{Generalize, PlanError, Rule};

/// Largest program that stays beside another for the mere case.
const SMALL_BYTES: u64 = 1 << 20;

/// Largest program of another package of the same source that stays: `htpasswd` and `rotatelogs` come beside a server.
const TINY_BYTES: u64 = 128 << 10;

/// Keeps the siblings of programs that were run, the smallest first, until they would cost too much.
pub(crate) fn apply(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
    programs: &mut Programs<'_>,
) -> Result<(), PlanError> {
    if scene.policy.generalize < Generalize::References {
        return Ok(());
    }
    let commands: BTreeSet<ImagePath> =
        scene.search_path().filter_map(|directory| scene.find(directory.as_bytes())).collect();
    let largest = match scene.policy.generalize {
        Generalize::Package => u64::MAX,
        _ => SMALL_BYTES,
    };
    let suites = suite::suites(scene, draft)?;
    let (mut candidates, mut reasons) = (BTreeMap::new(), BTreeMap::new());
    for suite in suites.values() {
        let directories: BTreeSet<ImagePath> =
            suite.programs.keys().filter_map(ImagePath::parent).chain(commands.iter().cloned()).collect();
        for path in suite.files.keys() {
            let any = || suite.programs.keys().next().map(|program| (program, TINY_BYTES));
            let own = suite.runner(path).map(|program| (program, largest));
            let Some((because, largest)) = own.or_else(any) else { continue };
            let is_beside = path.parent().is_some_and(|directory| directories.contains(&directory));
            let is_small = scene.file_size(path).is_some_and(|size| size <= largest);
            if !is_beside || !is_small || draft.is_kept(path) || !is_plain_program(scene, path) {
                continue;
            }
            let Some(load) = programs.load(draft, path)? else { continue };
            let more: u64 = load.more.iter().filter_map(|library| scene.file_size(library)).sum();
            let costs = scene.file_size(path).unwrap_or_default().saturating_add(more);
            let is_cheap = more == 0 || largest > TINY_BYTES && costs <= largest;
            if load.is_program && !load.lacks_something && is_cheap {
                candidates.insert(path.clone(), load.more);
                reasons.insert(path.clone(), because.clone());
            }
        }
    }
    for path in suite::within(scene, suite::budget_bytes(scene, draft), &candidates) {
        draft.keep(&path, Rule::SiblingProgram, reasons.get(&path));
    }
    for suite in suites.values() {
        links(scene, draft, suite);
        alternatives(scene, draft, suite, &commands);
    }
    Ok(())
}

/// Keeps other names of kept programs that a package of the suite gives them.
fn links(scene: &Scene<'_>, draft: &mut Draft<'_>, suite: &Suite) {
    let root = ImagePath::root();
    for (path, package) in &suite.files {
        let is_link =
            scene.tree().get(path).is_some_and(|node| matches!(node.kind, NodeKind::Symlink { .. }));
        if !is_link || !suite.run.contains_key(package) {
            continue;
        }
        if let ResolutionEnd::Found(end) = scene.tree().resolve(&root, &path.to_absolute(), true).end
            && scene.is_executable(&end)
            && draft.is_kept(&end)
        {
            draft.keep(path, Rule::SiblingProgram, Some(&end));
        }
    }
}

/// Keeps the names that programs of the suite have by way of `/etc/alternatives`: links that no package owns.
fn alternatives(scene: &Scene<'_>, draft: &mut Draft<'_>, suite: &Suite, commands: &BTreeSet<ImagePath>) {
    let root = ImagePath::root();
    for (path, node) in commands.iter().flat_map(|directory| scene.tree().children(directory)) {
        if !matches!(node.kind, NodeKind::Symlink { .. }) || !scene.packages.owners(path).is_empty() {
            continue;
        }
        let resolution = scene.tree().resolve(&root, &path.to_absolute(), true);
        let is_chosen =
            resolution.symlinks.iter().any(|link| link.as_bytes().starts_with(b"etc/alternatives/"));
        if let ResolutionEnd::Found(end) = resolution.end
            && is_chosen
            && suite.runner(&end).is_some()
            && scene.is_executable(&end)
            && draft.is_kept(&end)
        {
            draft.keep(path, Rule::SiblingProgram, Some(&end));
            draft.keep_way(&root, &path.to_absolute(), Rule::SiblingProgram, Some(&end));
        }
    }
}

/// Whether this is a program that gives nobody more rights than he has.
pub(crate) fn is_plain_program(scene: &Scene<'_>, path: &ImagePath) -> bool {
    scene.is_executable(path)
        && scene.tree().get(path).is_some_and(|node| {
            node.metadata.mode & 0o6000 == 0
                && !node.metadata.xattrs.contains_key(&b"security.capability"[..])
        })
}

#[cfg(test)]
mod tests {
    use crate::fixture::{Elf, Fixture, LOADER, MERGED, image, layer, libc};
    use crate::rules::suite::fixture::installed;
    use crate::{Generalize, Rule};

    fn database() -> Fixture {
        let program = |needed| Elf { interpreter: LOADER, needed, ..Elf::default() };
        let [ld, c] = libc();
        let plain: &[&str] = &["libc.so.6"];
        let (large, huge) = ("x".repeat(128 << 10), "x".repeat(1 << 20));
        let files = [
            ld,
            c,
            ("usr/lib/db/bin/serve", program(plain)),
            ("usr/lib/db/bin/dump", program(plain)),
            ("usr/lib/db/bin/view", program(&["libwindow.so", "libc.so.6"])),
            ("usr/lib/db/bin/broken", program(&["libgone.so"])),
            // Too large beside a program, and small enough.
            (
                "usr/lib/x86_64-linux-gnu/libwindow.so",
                Elf { needed: plain, runpath: &huge, ..Elf::default() },
            ),
            ("usr/lib/db/bin/edit", program(&["libline.so", "libc.so.6"])),
            ("usr/lib/x86_64-linux-gnu/libline.so", Elf { needed: plain, ..Elf::default() }),
            ("usr/bin/db-query", program(plain)),
            ("usr/bin/db-tool", Elf { runpath: &large, ..program(plain) }),
            ("usr/bin/ls", program(plain)),
            ("usr/bin/cat", program(plain)),
            ("usr/bin/other", program(plain)),
        ];
        let words = MERGED.to_owned()
            + "usr/bin/db-dump->../lib/db/bin/dump usr/bin/db-view->../lib/db/bin/view usr/bin/db-script@755 \
            usr/bin/backup->/etc/alternatives/backup etc/alternatives/backup->/usr/lib/db/bin/dump \
            usr/bin/look->/etc/alternatives/look etc/alternatives/look->/usr/lib/db/bin/view";
        let ballast = testkit::TarEntry::file("ballast", "x".repeat(1 << 20));
        let tar = layer(&words, &files)
            .entry(ballast)
            .entry(testkit::TarEntry::file("usr/bin/db-root", program(plain).bytes()).mode(0o4755));
        let packages = [
            (
                "db",
                "Source: database",
                "/usr/lib/db/bin/serve /usr/lib/db/bin/dump /usr/lib/db/bin/view /usr/lib/db/bin/edit \
                /usr/lib/db/bin/broken /usr/bin/db-dump /usr/bin/db-view /usr/bin/db-script /usr/bin/db-root",
            ),
            ("db-client", "Source: database", "/usr/bin/db-query /usr/bin/db-tool"),
            ("coreutils", "Essential: yes", "/usr/bin/ls /usr/bin/cat"),
            ("other", "Priority: optional", "/usr/bin/other"),
        ];
        image(installed(tar, &packages))
    }

    #[test]
    fn programs_beside_one_that_was_run_stay_if_all_that_they_load_is_there() {
        let fixture = database().uses("exec:/usr/lib/db/bin/serve exec:/usr/bin/cat /ballast");
        let expected = [
            "/usr/bin/backup",
            "/usr/bin/db-dump",
            "/usr/bin/db-query",
            "/usr/lib/db/bin/dump",
            "/usr/lib/db/bin/edit",
        ];
        assert_eq!(fixture.by(Rule::SiblingProgram), expected);
        let library = "/usr/lib/x86_64-linux-gnu/libline.so".to_owned();
        assert!(fixture.by(Rule::ElfNeeded).contains(&library));
        let text = crate::explain(&fixture.plan().ledger, &crate::fixture::path("/usr/lib/db/bin/dump"));
        let expected = "/usr/lib/db/bin/dump kept: program of the same package as /usr/lib/db/bin/serve\n";
        assert!(text.to_string().starts_with(expected), "{text}");
    }

    #[test]
    fn nothing_is_kept_beside_what_was_only_read_or_where_the_policy_wants_no_more_than_was_seen() {
        assert_eq!(database().uses("/usr/lib/db/bin/serve").by(Rule::SiblingProgram), [""; 0]);
        let fixture = database()
            .uses("exec:/usr/lib/db/bin/serve")
            .policy(|policy| policy.generalize = Generalize::None);
        assert_eq!(fixture.by(Rule::SiblingProgram), [""; 0]);
    }
}
