//! From an image, its packages, a profile and a policy to a decision with a reason for every path.

use std::collections::{BTreeMap, BTreeSet};

use image::write::Edits;
use image::{Digest, Image, ImagePath, Node, NodeKind, ReadFileError};
use packages::{PackageDatabase, ReadPackagesError};
use profile::{ImageIdentity, Incomplete, PathUsage, Profile, Verdict};

use crate::draft::{Draft, Drafted, Reason};
use crate::ledger::{self, Decision, Evidence, Ledger, LedgerEntry, MAX_PROCESSES, PathKind};
use crate::rules::elf::Programs;
use crate::rules::symlink::Link;
use crate::rules::{self, symlink};
use crate::scene::Scene;
use crate::{Policy, Rule};

/// What to do to an image, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The decision about each path of the image.
    pub ledger: Ledger,
    /// The same for the image's writer.
    pub edits: Edits,
    /// What the user should hear about, sorted: libraries that the image lacks, globs that match nothing.
    pub warnings: Vec<String>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The profile is of another image.
    #[error("the profile is of {profile} ({profile_id}), not of the image with the ID {image_id}")]
    OtherImage {
        /// The reference that the profile names.
        profile: String,
        /// Image ID in the profile.
        profile_id: Digest,
        /// Image ID of the image.
        image_id: Digest,
    },
    /// The profile may lack something.
    #[error("the profile is incomplete: {}", list(reasons))]
    IncompleteProfile {
        /// Why it may.
        reasons: Vec<Incomplete>,
    },
    /// The profile shows no use of anything.
    #[error("the profile shows no use of any file")]
    EmptyProfile,
    /// A glob of the policy does not begin with a slash.
    #[error("{glob:?} is not an absolute path")]
    RelativeGlob {
        /// The glob.
        glob: String,
    },
    /// A glob of the policy cannot be read.
    #[error("cannot read the glob {glob:?}")]
    Glob {
        /// The glob.
        glob: String,
        /// Why.
        source: globset::Error,
    },
    /// A file of the image cannot be read.
    #[error("cannot look into the image's files")]
    ReadFile(#[from] ReadFileError),
    /// A package database cannot be read or filtered.
    #[error("cannot filter the package database")]
    Packages(#[from] ReadPackagesError),
}

impl PlanError {
    /// What the user can try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::OtherImage { .. } => Some(
                "record the coverage on this image, or harden the image that the profile is of".to_owned(),
            ),
            Self::IncompleteProfile { .. } => Some(
                "record again; or accept that a used file may be removed, with --accept-incomplete"
                    .to_owned(),
            ),
            Self::EmptyProfile => Some("record a coverage that starts the image and uses it".to_owned()),
            Self::RelativeGlob { glob } => {
                Some(format!("write it with a leading slash, such as /{glob} or /**/{glob}"))
            }
            Self::Packages(error) => error.hint(),
            Self::Glob { .. } | Self::ReadFile(_) => None,
        }
    }
}

fn list(reasons: &[Incomplete]) -> String {
    reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Decides about every path of the image.
///
/// The rules run in a fixed order until none of them keeps more; see [`Rule`]. The result depends on the values given
/// alone, and not on the order in which uses were observed or profiles merged, except that [`Evidence::coverage`] and
/// [`Evidence::step`] name the run that comes first in the profile.
///
/// # Errors
/// [`PlanError`] for a profile of another image, one that is empty or incomplete, a bad glob, or an image that cannot
/// be read.
pub fn plan(
    image: &Image,
    packages: &PackageDatabase,
    profile: &Profile,
    policy: &Policy,
) -> Result<Plan, PlanError> {
    plan_beside(image, packages, profile, policy, &BTreeSet::new())
}

/// The same for an image that shares layers with others: `shared` are the paths that stay for their sake.
pub(crate) fn plan_beside(
    image: &Image,
    packages: &PackageDatabase,
    profile: &Profile,
    policy: &Policy,
    shared: &BTreeSet<ImagePath>,
) -> Result<Plan, PlanError> {
    check(image, profile, policy)?;
    let scene = Scene::new(image, packages, profile, policy);
    let mut draft = Draft::new(image.tree(), rules::policy::removed(&scene)?);
    let links = symlink::links(&scene);
    let mut programs = Programs::new(&scene)?;

    rules::observed::apply(&scene, &mut draft);
    rules::image_config::apply(&scene, &mut draft);
    rules::policy::apply(&scene, &mut draft)?;
    rules::kit::apply(&scene, &mut draft)?;
    rules::distribution::apply(&mut draft);
    close(&scene, &mut draft, &links, &mut programs)?;
    rules::own_data::apply(&scene, &mut draft)?;
    close(&scene, &mut draft, &links, &mut programs)?;
    let mut references = rules::reference::References::default();
    while references.apply(&scene, &mut draft, &mut programs)? {
        close(&scene, &mut draft, &links, &mut programs)?;
    }
    rules::data_directory::apply(&scene, &mut draft, &mut programs)?;
    rules::fonts::apply(&scene, &mut draft, &programs)?;
    rules::package_data::apply(&scene, &mut draft)?;
    rules::sibling_program::apply(&scene, &mut draft, &mut programs)?;
    rules::sibling_script::apply(&scene, &mut draft, &mut programs)?;
    rules::python::console_script::apply(&scene, &mut draft)?;
    close(&scene, &mut draft, &links, &mut programs)?;
    while references.apply(&scene, &mut draft, &mut programs)? {
        close(&scene, &mut draft, &links, &mut programs)?;
    }
    rules::unit::apply(&scene, &mut draft)?;
    rules::coherent_package::apply(&scene, &mut draft)?;
    rules::data_file::apply(&scene, &mut draft)?;
    close(&scene, &mut draft, &links, &mut programs)?;
    rules::preset::apply(&scene, &mut draft)?;
    rules::shared_layer::apply(&mut draft, shared);
    rules::package_database::licences(&scene, &mut draft)?;
    let replace = rules::package_database::apply(&scene, &mut draft)?;
    close(&scene, &mut draft, &links, &mut programs)?;
    programs.warn(&mut draft);

    let Drafted { kept, removed, warnings } = draft.finish();
    let entries = entries(&scene, &kept, &removed);
    let reasons = image.tree().iter().zip(&kept);
    let keep: BTreeSet<ImagePath> =
        reasons.filter(|(_, reason)| reason.is_some()).map(|((path, _), _)| path.clone()).collect();
    let ledger = Ledger {
        format_version: ledger::FORMAT_VERSION,
        image: ImageIdentity {
            reference: profile.image.reference.clone(),
            manifest_digest: image.manifest_digest(),
            image_id: image.image_id(),
            platform: image.platform().clone(),
        },
        policy: policy.clone(),
        entries,
    };
    let total = ledger.entries.len();
    tracing::info!(kept = keep.len(), total, "the plan keeps {} of {total} paths", keep.len());
    Ok(Plan { ledger, edits: Edits { keep, replace }, warnings })
}

fn check(image: &Image, profile: &Profile, policy: &Policy) -> Result<(), PlanError> {
    if profile.image.image_id != image.image_id() {
        return Err(PlanError::OtherImage {
            profile: profile.image.reference.clone(),
            profile_id: profile.image.image_id,
            image_id: image.image_id(),
        });
    }
    if let Verdict::Incomplete { reasons } = profile.verdict()
        && !policy.accept_incomplete
    {
        return Err(PlanError::IncompleteProfile { reasons });
    }
    if profile.used().next().is_none() {
        return Err(PlanError::EmptyProfile);
    }
    Ok(())
}

/// Runs the rules that follow from what is kept, until they keep nothing more.
fn close(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
    links: &[Link],
    programs: &mut Programs<'_>,
) -> Result<(), PlanError> {
    loop {
        let fresh = draft.take_fresh();
        if fresh.is_empty() {
            return Ok(());
        }
        rules::ancestor::apply(draft, &fresh);
        symlink::chains(draft, links);
        symlink::directories(draft, links);
        rules::hardlink::apply(scene, draft, &fresh);
        programs.apply(draft, &fresh)?;
        rules::loader::apply(scene, draft, programs)?;
        rules::shebang::apply(scene, draft, &fresh)?;
        rules::name_service::apply(scene, draft, programs)?;
        rules::character_conversion::apply(scene, draft, programs);
        rules::locale::apply(scene, draft, programs);
        rules::time_zone::apply(scene, draft);
        rules::certificates::apply(scene, draft, programs);
        rules::openssl::apply(scene, draft, programs)?;
        rules::pam::apply(scene, draft, programs)?;
        rules::terminfo::apply(scene, draft);
        rules::sasl::apply(scene, draft, programs)?;
        rules::unicode_data::apply(scene, draft, programs)?;
        rules::server_module::apply(scene, draft, &fresh)?;
        rules::script::apply(scene, draft, &fresh)?;
        rules::python::apply(scene, draft, &fresh)?;
        rules::perl::apply(scene, draft, &fresh)?;
        rules::ruby::apply(scene, draft, &fresh)?;
        rules::php::apply(scene, draft, &fresh)?;
        rules::node::apply(scene, draft, &fresh)?;
        rules::lua::apply(scene, draft, &fresh)?;
        rules::java::apply(scene, draft, &fresh)?;
        rules::erlang::apply(scene, draft, &fresh)?;
        rules::r::apply(scene, draft, &fresh)?;
        rules::runtime_directory::apply(scene, draft)?;
    }
}

fn entries(
    scene: &Scene<'_>,
    kept: &[Option<Reason>],
    removed: &BTreeSet<ImagePath>,
) -> BTreeMap<ImagePath, LedgerEntry> {
    let mut counted = BTreeSet::new();
    let mut size_bytes = |node: &Node| match node.kind {
        NodeKind::File { size_bytes, content } if counted.insert(content) => size_bytes,
        _ => 0,
    };
    // A file's bytes count where it is kept, whichever of its names that is.
    let tree = scene.tree();
    let mut sizes = vec![0; kept.len()];
    for wanted in [true, false] {
        for (nth, (_, node)) in tree.iter().enumerate().filter(|(nth, _)| kept[*nth].is_some() == wanted) {
            sizes[nth] = size_bytes(node);
        }
    }
    let labels: Vec<String> = scene.packages.packages.iter().map(packages::Package::label).collect();
    let mut removed = InOrder::new(removed.iter().map(|path| (path, ())));
    let mut usages = InOrder::new(scene.profile.paths.iter());
    tree.iter()
        .zip(kept.iter().zip(sizes))
        .map(|((path, node), (reason, size_bytes))| {
            let (decision, rule, because) = match (reason, removed.at(path)) {
                (Some(reason), _) => (Decision::Keep, reason.rule, reason.because.clone()),
                (None, Some(())) => (Decision::Remove, Rule::PolicyRemove, None),
                (None, None) => (Decision::Remove, Rule::Unused, None),
            };
            let owners = scene.packages.owners(path).iter();
            let mut packages: Vec<String> = owners.filter_map(|owner| labels.get(owner.0).cloned()).collect();
            packages.sort();
            packages.dedup();
            let entry = LedgerEntry {
                decision,
                rule,
                because,
                evidence: usages.at(path).and_then(|usage| evidence(scene.profile, path, usage)),
                packages,
                kind: PathKind::from(&node.kind),
                size_bytes,
                layer: node.layer,
            };
            (path.clone(), entry)
        })
        .collect()
}

/// What an ordered list has for each of the paths that are asked for in the same order: one walk along both in place
/// of a search for every path.
struct InOrder<I: Iterator> {
    rest: std::iter::Peekable<I>,
}

impl<'a, V, I: Iterator<Item = (&'a ImagePath, V)>> InOrder<I> {
    fn new(list: I) -> Self {
        Self { rest: list.peekable() }
    }

    /// What the list has for this path, which must come after those asked for before.
    fn at(&mut self, path: &ImagePath) -> Option<V> {
        while self.rest.next_if(|(listed, _)| *listed < path).is_some() {}
        self.rest.next_if(|(listed, _)| *listed == path).map(|(_, value)| value)
    }
}

fn evidence(profile: &Profile, path: &ImagePath, usage: &PathUsage) -> Option<Evidence> {
    let missing = usage.0.get(&profile::AccessKind::Missing);
    let first = usage.first().map(|(_, usage)| usage).or(missing)?;
    let processes: BTreeSet<_> =
        usage.0.values().flat_map(|usage| profile.processes_of(usage)).cloned().collect();
    Some(Evidence {
        kinds: usage.kinds().collect(),
        processes: processes.into_iter().take(MAX_PROCESSES).collect(),
        coverage: profile.run(first.first_run).map(|run| run.coverage.clone()).unwrap_or_default(),
        step: profile.first_step_name(first).to_owned(),
        carried_from: profile.carried.get(path).cloned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Elf, Fixture, LOADER, MERGED, identity, image, layer, libc, path, run};
    use profile::{AccessKind, Observation, Process, Step};
    use proptest::prelude::*;

    fn refuse(fixture: &Fixture, profile: &Profile) -> PlanError {
        plan(&fixture.image, &fixture.packages, profile, &fixture.policy).unwrap_err()
    }

    #[test]
    fn profiles_that_prove_nothing_are_refused_with_a_hint() {
        let fixture = image("a").uses("/a");
        let mut other = fixture.profile();
        other.image.image_id = Digest::of(b"other");
        let empty = image("a").profile();
        let mut incomplete = fixture.profile();
        incomplete.runs[0].sensor.counters.dropped = 3;
        for (profile, expected) in [
            (&other, "the profile is of oci:fixture"),
            (&empty, "the profile shows no use of any file"),
            (&incomplete, "the profile is incomplete: 3 events were dropped"),
        ] {
            let error = refuse(&fixture, profile);
            assert!(error.to_string().starts_with(expected), "{error}");
            assert!(error.hint().is_some());
        }
        let accepting = image("a").uses("/a").policy(|policy| policy.accept_incomplete = true);
        assert!(plan(&accepting.image, &accepting.packages, &incomplete, &accepting.policy).is_ok());
    }

    #[test]
    fn every_path_of_the_image_has_an_entry_and_a_kept_one_is_an_edit() {
        let fixture = image("a b/c:123 d->a e!p dev/null!c1,3").uses("/a readlink:/d");
        let plan = fixture.plan();
        assert_eq!(plan.ledger.entries.len(), fixture.image.tree().len());
        assert!(plan.ledger.kept().eq(&plan.edits.keep));
        let entry = &plan.ledger.entries[&path("/b/c")];
        assert_eq!((entry.kind, entry.size_bytes, entry.rule), (PathKind::File, 3, Rule::Unused));
        assert_eq!(plan.ledger.entries[&path("/e")].kind, PathKind::Fifo);
        assert_eq!(plan.ledger.entries[&path("/dev/null")].kind, PathKind::CharDevice);
    }

    #[test]
    fn evidence_tells_kinds_program_coverage_and_step() {
        let plan = image("a").uses("exec:/a stat:/a").plan();
        let evidence = plan.ledger.entries[&path("/a")].evidence.clone().unwrap();
        assert_eq!(evidence.kinds, BTreeSet::from([AccessKind::Exec, AccessKind::Stat]));
        assert_eq!(evidence.processes.first().unwrap().exe, "/usr/bin/app");
        assert_eq!((evidence.coverage.as_str(), evidence.step.as_str()), ("fixture", "start"));
    }

    /// A system with links, libraries, scripts and data, all paths of which may be used.
    fn system() -> Fixture {
        let [ld, c] = libc();
        let library = |needed| Elf { needed, ..Elf::default() };
        let files = [
            ld,
            c,
            (
                "usr/bin/app",
                Elf { interpreter: LOADER, needed: &["liba.so.1", "libc.so.6"], ..Elf::default() },
            ),
            ("usr/bin/dash", Elf { interpreter: LOADER, needed: &["libc.so.6"], ..Elf::default() }),
            ("usr/lib/liba.so.1.0", library(&["libb.so"])),
            ("usr/lib/libb.so", library(&["libc.so.6"])),
            ("opt/plugin.so", library(&["libb.so"])),
        ];
        let words = MERGED.to_owned()
            + "usr/lib/liba.so.1->liba.so.1.0 usr/bin/sh->dash etc/passwd etc/alternatives/x->/usr/bin/app \
               usr/bin/x->/etc/alternatives/x data/a data/b=>data/a var/run->/run run/ etc/localtime->../data/a";
        let layer = layer(&words, &files).entry(testkit::TarEntry::file("run.sh", "#!/bin/sh\n").mode(0o755));
        image(layer)
    }

    fn observation(path: &ImagePath, kind: AccessKind, step: u32, exe: &str) -> Observation {
        let process = Process { exe: exe.into(), argv0: exe.into() }.into();
        Observation { path: path.clone(), kind, errno: 0, process, step: Step(step) }
    }

    #[test]
    fn the_order_of_merging_profiles_changes_no_decision() {
        let fixture = system();
        let paths: Vec<ImagePath> = fixture.image.tree().iter().map(|(path, _)| path.clone()).collect();
        let profiles: Vec<Profile> = (0..3)
            .map(|n| {
                let used = paths.iter().skip(n * 3).step_by(7);
                let uses =
                    used.map(|path| observation(path, AccessKind::Exec, 1, &format!("/bin/{n}"))).collect();
                Profile::from_run(identity(&fixture.image), run(), &uses)
            })
            .collect();
        let plans: Vec<Plan> = [[0, 1, 2], [2, 0, 1], [1, 2, 0]]
            .map(|order| profile::merge(&order.map(|n| profiles[n].clone())).unwrap())
            .iter()
            .map(|merged| plan(&fixture.image, &fixture.packages, merged, &fixture.policy).unwrap())
            .collect();
        assert_eq!(plans[0], plans[1]);
        assert_eq!(plans[0], plans[2]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn hard_61_the_order_of_observations_changes_nothing_and_the_result_is_closed(
            picks in proptest::collection::vec((0usize..1000, 0usize..4, 0u32..2), 1..12),
        ) {
            let fixture = system();
            let tree = fixture.image.tree();
            let paths: Vec<ImagePath> = tree.iter().map(|(path, _)| path.clone()).collect();
            let kinds = [AccessKind::Exec, AccessKind::Stat, AccessKind::OpenRead, AccessKind::Readlink];
            let uses: Vec<Observation> = picks
                .iter()
                .map(|&(path, kind, step)| observation(&paths[path % paths.len()], kinds[kind], step, "/bin/x"))
                .collect();
            let make = |uses: Vec<Observation>| {
                let profile = Profile::from_run(identity(&fixture.image), run(), &uses.into_iter().collect());
                plan(&fixture.image, &fixture.packages, &profile, &fixture.policy).unwrap()
            };
            let plan = make(uses.clone());
            prop_assert_eq!(&plan, &make(uses.iter().rev().cloned().collect()));

            let keep = &plan.edits.keep;
            let mut searcher = crate::elf::search::Searcher::new(&fixture.image, "").unwrap();
            for path in keep {
                prop_assert!(path.parent().is_none_or(|parent| keep.contains(&parent)), "parent of {}", path);
                let resolution = tree.resolve(&ImagePath::root(), &path.to_absolute(), true);
                if let image::ResolutionEnd::Found(end) = resolution.end
                    && keep.contains(&end)
                {
                    prop_assert!(resolution.symlinks.iter().all(|link| keep.contains(link)), "links of {}", path);
                }
                for needed in searcher.closure(path).unwrap() {
                    for library in needed.at {
                        let resolution = tree.resolve(&ImagePath::root(), &library, true);
                        prop_assert!(resolution.symlinks.iter().all(|link| keep.contains(link)), "{}", path);
                        let image::ResolutionEnd::Found(end) = resolution.end else { panic!() };
                        prop_assert!(keep.contains(&end), "{} needs {}", path, end);
                    }
                }
            }
        }
    }
}
