//! What the policy keeps and removes whatever the profile says.

use std::collections::BTreeSet;

use image::{ImagePath, NodeKind};
use packages::PackageDatabase;
use profile::counted;

use crate::draft::Draft;
use crate::policy::{Pattern, RuleKind};
use crate::scene::Scene;
use crate::{PlanError, Rule};

/// What the policy's `remove` rules match, with everything beneath; of packages, what no other package owns. The root
/// always stays.
pub(crate) fn removed(scene: &Scene<'_>) -> Result<BTreeSet<ImagePath>, PlanError> {
    let mut removed = BTreeSet::new();
    for text in &scene.policy.remove {
        removed.extend(Pattern::new(scene.tree(), text)?.matched(scene.tree()).beneath);
    }
    let gone: BTreeSet<&str> = scene
        .policy
        .remove_packages
        .iter()
        .map(|text| packages_named(scene.packages, text))
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .flatten()
        .collect();
    for (path, owners) in scene.packages.owned() {
        let mut names = owners.iter().filter_map(|&owner| Some(&*scene.packages.package(owner)?.name));
        if !gone.is_empty() && names.all(|name| gone.contains(name)) {
            removed.insert(path.clone());
        }
    }
    Ok(removed)
}

/// The names of the packages that a rule names, which may be a glob.
pub(crate) fn packages_named<'a>(
    packages: &'a PackageDatabase,
    text: &str,
) -> Result<BTreeSet<&'a str>, PlanError> {
    let glob = Pattern::glob(text, text)?;
    let names = packages.packages.iter().map(|package| package.name.as_str());
    Ok(names.filter(|name| glob.is_match(name)).collect())
}

/// Keeps what the policy's `keep` rules match, with everything beneath, and what matched links lead to; all beneath it
/// where the rule is a plain path. Rules that match nothing are warned about.
pub(crate) fn apply(scene: &Scene<'_>, draft: &mut Draft<'_>) -> Result<(), PlanError> {
    let policy = scene.policy;
    for (kind, rules) in [(RuleKind::Keep, &policy.keep), (RuleKind::Remove, &policy.remove)] {
        for text in rules {
            let matched = Pattern::new(scene.tree(), text)?.matched(scene.tree());
            if matched.is_idle {
                draft.warn(format!("{}{text} matches nothing in the image", policy.place(kind, text)));
            }
            if kind == RuleKind::Keep {
                let named = text.starts_with('/').then(|| scene.find(text.as_bytes())).flatten();
                let beneath: Vec<ImagePath> = named.map_or_else(Vec::new, |path| {
                    scene.tree().within(&path).map(|(path, _)| path.clone()).collect()
                });
                let all: BTreeSet<_> = matched.beneath.into_iter().chain(beneath).collect();
                all.iter().for_each(|path| keep(scene, draft, path));
            }
        }
    }
    let lists =
        [(RuleKind::KeepPackage, &policy.keep_packages), (RuleKind::RemovePackage, &policy.remove_packages)];
    for (kind, rules) in lists {
        for text in rules {
            let names = packages_named(scene.packages, text)?;
            if names.is_empty() {
                let place = policy.place(kind, text);
                draft.warn(format!("{place}the image has no package {text}"));
            }
            if kind == RuleKind::KeepPackage {
                let named = scene.packages.packages.iter().filter(|package| names.contains(&*package.name));
                let files = named.flat_map(|package| &package.files);
                files
                    .filter(|path| !packages::is_document(path) && !packages::is_licence(path))
                    .for_each(|path| keep(scene, draft, path));
            }
        }
    }
    for path in &policy.heal {
        draft.keep(path, Rule::Healed, None);
        draft.keep_way(&ImagePath::root(), &path.to_absolute(), Rule::Healed, Some(path));
    }
    let used = draft
        .removed()
        .iter()
        .filter(|path| scene.profile.usage(path).is_some_and(profile::PathUsage::is_used));
    let used = used.count();
    if used > 0 {
        draft.warn(format!(
            "the policy removes {} that the workload used",
            counted(used as u64, "path", "paths")
        ));
    }
    Ok(())
}

/// Keeps a path that a rule matched, and what it leads to.
fn keep(scene: &Scene<'_>, draft: &mut Draft<'_>, path: &ImagePath) {
    draft.keep(path, Rule::PolicyKeep, None);
    if scene.tree().get(path).is_some_and(|node| matches!(node.kind, NodeKind::Symlink { .. })) {
        draft.keep_way(&ImagePath::root(), &path.to_absolute(), Rule::PolicyKeep, Some(path));
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{Fixture, image};
    use crate::policy::RuleKind;
    use crate::{PlanError, Rule};

    fn with(keep: &[&str], remove: &[&str]) -> Fixture {
        let texts = |globs: &[&str]| globs.iter().map(|glob| (*glob).to_owned()).collect();
        image("usr/lib/a/x usr/lib/a/y usr/lib/b lib->usr/lib opt/current->/usr/lib/a bin/sh@755")
            .uses("exec:/bin/sh")
            .policy(|policy| (policy.keep, policy.remove) = (texts(keep), texts(remove)))
    }

    #[test]
    fn globs_keep_directories_whole_and_follow_links() {
        let whole = ["/usr/lib/a", "/usr/lib/a/x", "/usr/lib/a/y"];
        for glob in ["/usr/lib/a", "/usr/lib/a/", "/lib/a", "/usr/*/a", "/**/a", "/opt/current"] {
            let mut kept = with(&[glob], &[]).by(Rule::PolicyKeep);
            kept.retain(|path| path != "/opt/current");
            assert_eq!(kept, whole, "{glob}");
        }
        assert_eq!(with(&["/usr/*/x"], &[]).plan().warnings, ["/usr/*/x matches nothing in the image"]);
    }

    #[test]
    fn a_name_without_a_slash_matches_wherever_it_stands() {
        assert_eq!(with(&["x"], &[]).by(Rule::PolicyKeep), ["/usr/lib/a/x"]);
        assert_eq!(with(&["?"], &[]).by(Rule::PolicyKeep).len(), 4, "a, a/x, a/y and b");
        assert_eq!(with(&["a"], &[]).by(Rule::PolicyKeep), ["/usr/lib/a", "/usr/lib/a/x", "/usr/lib/a/y"]);
        assert_eq!(with(&[], &["[xy]"]).by(Rule::PolicyRemove), ["/usr/lib/a/x", "/usr/lib/a/y"]);
        assert_eq!(with(&["curl"], &[]).plan().warnings, ["curl matches nothing in the image"]);
    }

    #[test]
    fn packages_are_kept_and_removed_by_name() {
        let layer = crate::fixture::debian(&[
            ("curl", "/usr/bin/curl /usr/share/curl /usr/share/doc/curl/README"),
            ("libcurl4", "/usr/lib/libcurl.so.4"),
            ("perl", "/usr/bin/perl /usr/share/shared"),
            ("perl-base", "/usr/bin/perl5 /usr/share/shared"),
        ]);
        let with = |keep: &[&str], remove: &[&str]| {
            let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            image(layer.clone()).uses("/usr/bin/perl").policy(|policy| {
                (policy.keep_packages, policy.remove_packages) = (texts(keep), texts(remove));
            })
        };
        assert_eq!(with(&["curl"], &[]).by(Rule::PolicyKeep), ["/usr/bin/curl", "/usr/share/curl"]);
        assert_eq!(with(&["*curl*"], &[]).by(Rule::PolicyKeep).len(), 3);
        let fixture = with(&[], &["perl", "wget"]);
        assert_eq!(fixture.by(Rule::PolicyRemove), ["/usr/bin/perl"], "what another package owns too stays");
        let warnings = ["the image has no package wget", "the policy removes 1 path that the workload used"];
        assert_eq!(fixture.plan().warnings, warnings);
    }

    #[test]
    fn a_rule_that_matches_nothing_is_reported_with_its_place() {
        let fixture = with(&["/no"], &[]).policy(|policy| {
            policy.places.insert((RuleKind::Keep, "/no".to_owned()), "shop.toml:3:9".to_owned());
        });
        assert_eq!(fixture.plan().warnings, ["shop.toml:3:9: /no matches nothing in the image"]);
    }

    #[test]
    fn remove_wins_over_every_rule() {
        let fixture = with(&["/usr/lib"], &["/usr/lib/a", "/bin/sh"]);
        assert_eq!(fixture.by(Rule::PolicyRemove), ["/bin/sh", "/usr/lib/a", "/usr/lib/a/x", "/usr/lib/a/y"]);
        let plan = fixture.plan();
        assert_eq!(plan.warnings, ["the policy removes 1 path that the workload used"]);
        let all = with(&[], &["/**"]).plan();
        assert_eq!(all.edits.keep.iter().map(ToString::to_string).collect::<Vec<_>>(), ["/"]);
    }

    #[test]
    fn healed_paths_are_kept_alone_with_what_they_lead_to() {
        let fixture =
            with(&[], &[]).policy(|policy| policy.heal = [crate::fixture::path("/opt/current")].into());
        assert_eq!(fixture.by(Rule::Healed), ["/opt/current", "/usr/lib/a"]);
    }

    #[test]
    fn bad_globs_are_errors() {
        for (glob, is_relative) in [("usr/lib", true), ("/a[", false)] {
            let fixture = with(&[glob], &[]);
            let error = crate::plan(&fixture.image, &fixture.packages, &fixture.profile(), &fixture.policy)
                .unwrap_err();
            assert_eq!(matches!(error, PlanError::RelativeGlob { .. }), is_relative, "{error}");
            assert_eq!(matches!(error, PlanError::Glob { .. }), !is_relative, "{error}");
        }
    }
}
