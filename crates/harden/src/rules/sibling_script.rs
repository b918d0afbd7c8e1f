//! Scripts of the same package as a program that was run: `supervisorctl` beside `supervisord`.
//!
//! What a script needs is what it names, so it stays with that, where its interpreter was run as well: then the language's
//! own parts are there already. What comes with a language itself are tools for those who write in it, and go.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use image::{ImagePath, ReadFileError};
use profile::AccessKind;

use super::elf::Programs;
use super::reference::{CHEAP_BYTES, Reference};
use super::script;
use super::shebang;
use super::sibling_program::is_plain_program;
use super::suite::{self, Suite};
use crate::draft::Draft;
use crate::scene::Scene;
use crate::{Generalize, PlanError, Rule};

/// Largest script that stays beside another program for the mere case.
const SMALL_BYTES: u64 = 128 << 10;

/// Keeps the scripts beside programs that were run, the smallest first, and says that they are to work.
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
    let (mut candidates, mut reasons) = (BTreeMap::new(), BTreeMap::new());
    for suite in suite::suites(scene, draft)?.values() {
        let directories: BTreeSet<ImagePath> =
            suite.programs.keys().filter_map(ImagePath::parent).chain(commands.iter().cloned()).collect();
        for path in suite.files.keys() {
            let Some(because) = suite.runner(path) else { continue };
            let is_beside = path.parent().is_some_and(|directory| directories.contains(&directory));
            let is_small = scene.file_size(path).is_some_and(|size| size <= SMALL_BYTES);
            if is_beside
                && is_small
                && is_plain_program(scene, path)
                && !scene.is_in_use(draft, path)
                && is_for_interpreter_in_use(scene, draft, suite, path)?
            {
                candidates.insert(path.clone(), BTreeSet::new());
                reasons.insert(path.clone(), because.clone());
            }
        }
    }
    for path in suite::within(scene, suite::budget_bytes(scene, draft), &candidates) {
        if !draft.keep(&path, Rule::SiblingProgram, reasons.get(&path)) {
            continue;
        }
        let content = scene.image.read_file(&path, SMALL_BYTES)?;
        match script::references(scene, &path, &content) {
            Some(named) => keep_cheap(scene, draft, programs, &path, &named)?,
            None => draft.want(&path),
        }
    }
    Ok(())
}

/// Keeps what a shell script names, but of the commands only those that cost little: a tool for the log must not bring half
/// a system.
fn keep_cheap(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
    programs: &mut Programs<'_>,
    script: &ImagePath,
    named: &BTreeSet<Reference>,
) -> Result<(), PlanError> {
    for reference in named {
        let way = match reference {
            Reference::Command(name) => scene.program(name),
            Reference::Path(path) => Some(path.clone()),
            Reference::File(_) | Reference::Library(_) | Reference::Setting(_) => None,
        };
        let Some(way) = way else { continue };
        let Some(end) = scene.find(&way) else { continue };
        if programs.cost_bytes(scene, draft, &end)? <= CHEAP_BYTES {
            draft.keep_way(&ImagePath::root(), &way, Rule::ScriptCommand, Some(script));
        }
    }
    Ok(())
}

/// Whether the first line names an interpreter that was run and that comes from elsewhere.
fn is_for_interpreter_in_use(
    scene: &Scene<'_>,
    draft: &Draft<'_>,
    suite: &Suite,
    path: &ImagePath,
) -> Result<bool, PlanError> {
    let Some((named, end)) = interpreter_in_use(scene, draft, path)? else { return Ok(false) };
    let is_own = |path: &ImagePath| suite.files.contains_key(path);
    Ok(!is_own(&end) && !ImagePath::from_absolute(&named).is_ok_and(|path| is_own(&path)))
}

/// The interpreter that the first line of a script names, and the file that it is, if that was run.
pub(crate) fn interpreter_in_use(
    scene: &Scene<'_>,
    draft: &Draft<'_>,
    path: &ImagePath,
) -> Result<Option<(Vec<u8>, ImagePath)>, PlanError> {
    let mut line = Vec::new();
    let mut file = scene.image.open_file(path)?.take(shebang::MAX_LINE_BYTES);
    file.read_to_end(&mut line).map_err(|source| ReadFileError::Read { path: path.clone(), source })?;
    let Some(shebang) = shebang::parse(&line) else { return Ok(None) };
    let named = match shebang.program {
        Some(program) => scene.program(&program),
        None => Some(shebang.interpreter.to_vec()),
    };
    let Some(named) = named else { return Ok(None) };
    let Some(end) = scene.find(&named) else { return Ok(None) };
    let was_run = scene.profile.usage(&end).is_some_and(|usage| {
        usage.kinds().any(|kind| matches!(kind, AccessKind::Exec | AccessKind::MapExec))
    });
    Ok((was_run && draft.is_kept(&end)).then_some((named, end)))
}

#[cfg(test)]
mod tests {
    use crate::fixture::{Fixture, image};
    use crate::rules::suite::fixture::installed;
    use crate::{Generalize, Rule};
    use testkit::{TarBuilder, TarEntry};

    fn supervisor() -> Fixture {
        let script = |name: &str, text: &str| TarEntry::file(name, text).mode(0o755);
        let words = "usr/bin/perl@755 usr/bin/sh@755 usr/bin/date@755 usr/bin/lua@755 usr/bin/uname@755 usr/share/perl5/Job/Control.pm \
            usr/share/perl5/Job/Common.pm ballast:";
        let layer = TarBuilder::from_text(&(words.to_owned() + &"x".repeat(9000)))
            .entry(script("usr/bin/jobd", "#!/usr/bin/perl\nuse Job::Common;\n"))
            .entry(script("usr/bin/jobctl", "#!/usr/bin/perl\nuse Job::Control;\nsystem('uname');\n"))
            .entry(script("usr/bin/jobview", "#!/usr/bin/lua\n"))
            .entry(script("usr/bin/joblog", "#!/usr/bin/sh\ndate\nlogger\n"))
            .entry(script("usr/bin/logger", &"x".repeat(300 << 10)))
            .entry(script("usr/share/job/hook", "#!/usr/bin/perl\n"))
            .entry(script("usr/bin/perldoc", "#!/usr/bin/perl\n"))
            .entry(script("usr/bin/foreign", "#!/usr/bin/perl\n"));
        let packages = [
            (
                "job",
                "Source: job",
                "/usr/bin/jobd /usr/bin/jobctl /usr/bin/jobview /usr/bin/joblog /usr/share/job/hook",
            ),
            ("perl", "Source: perl", "/usr/bin/perl /usr/bin/perldoc"),
            ("foreign", "Source: foreign", "/usr/bin/foreign"),
        ];
        image(installed(layer, &packages))
    }

    #[test]
    fn hard_45_scripts_beside_one_that_was_run_stay_with_what_they_name() {
        let uses = "exec:/usr/bin/jobd exec:/usr/bin/perl exec:/usr/bin/sh /ballast";
        assert_eq!(supervisor().uses(uses).by(Rule::SiblingProgram), ["/usr/bin/jobctl", "/usr/bin/joblog"]);
        assert_eq!(supervisor().uses(uses).by(Rule::ScriptCommand), ["/usr/bin/date"]);
        let named = supervisor().uses(uses).by(Rule::Reference);
        assert!(
            ["/usr/bin/uname", "/usr/share/perl5/Job/Control.pm"]
                .iter()
                .all(|one| named.contains(&(*one).to_owned())),
            "{named:?}"
        );
        let none = supervisor().uses(uses).policy(|policy| policy.generalize = Generalize::None);
        assert_eq!(none.by(Rule::SiblingProgram), [""; 0]);
        assert_eq!(supervisor().uses("/usr/bin/jobd /ballast").by(Rule::SiblingProgram), [""; 0]);
    }
}
