//! What the policy keeps and removes whatever the profile says.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use globset::{Glob, GlobBuilder, GlobMatcher};
use image::{ImagePath, NodeKind};

use crate::draft::Draft;
use crate::scene::Scene;
use crate::{PlanError, Rule};

/// What the policy's `remove` globs match, with everything beneath. The root always stays.
pub(crate) fn removed(scene: &Scene<'_>) -> Result<BTreeSet<ImagePath>, PlanError> {
    let (matched, _) = matches(scene, &scene.policy.remove)?;
    Ok(matched)
}

/// Keeps what the policy's `keep` globs match, with everything beneath, and what matched links lead to; all beneath it
/// where the glob is a plain path. Globs of either list that match nothing are warned about.
pub(crate) fn apply(scene: &Scene<'_>, draft: &mut Draft<'_>) -> Result<(), PlanError> {
    let (kept, idle) = matches(scene, &scene.policy.keep)?;
    let (_, idle_removals) = matches(scene, &scene.policy.remove)?;
    for glob in idle.iter().chain(&idle_removals) {
        draft.warn(format!("{glob} matches nothing in the image"));
    }
    let named = scene.policy.keep.iter().filter_map(|glob| scene.find(glob.as_bytes()));
    let beneath =
        named.flat_map(|path| scene.tree().within(&path).map(|(path, _)| path.clone()).collect::<Vec<_>>());
    for path in kept.iter().cloned().chain(beneath).collect::<BTreeSet<_>>().iter() {
        draft.keep(path, Rule::PolicyKeep, None);
        if scene.tree().get(path).is_some_and(|node| matches!(node.kind, NodeKind::Symlink { .. })) {
            draft.keep_way(&ImagePath::root(), &path.to_absolute(), Rule::PolicyKeep, Some(path));
        }
    }
    for path in &scene.policy.heal {
        draft.keep(path, Rule::Healed, None);
        draft.keep_way(&ImagePath::root(), &path.to_absolute(), Rule::Healed, Some(path));
    }
    let used = draft
        .removed()
        .iter()
        .filter(|path| scene.profile.usage(path).is_some_and(profile::PathUsage::is_used));
    let used = used.count();
    if used > 0 {
        draft.warn(format!("the policy removes {used} paths that the workload used"));
    }
    Ok(())
}

/// The paths that these globs match, with all beneath them, and the globs that match none.
fn matches<'a>(
    scene: &Scene<'_>,
    globs: &'a [String],
) -> Result<(BTreeSet<ImagePath>, Vec<&'a str>), PlanError> {
    let mut matched = BTreeSet::new();
    let mut idle = Vec::new();
    for text in globs {
        let matcher = compile(scene, text)?;
        let mut any = false;
        for (path, _) in scene.tree().iter().filter(|(path, _)| !path.is_root()) {
            let beneath = path.parent().is_some_and(|parent| matched.contains(&parent));
            let hit = matcher.is_match(OsStr::from_bytes(&path.to_absolute()));
            any |= hit;
            if hit || beneath {
                matched.insert(path.clone());
            }
        }
        if !any {
            idle.push(text.as_str());
        }
    }
    Ok((matched, idle))
}

/// Compiles a glob over absolute paths, where `*` stops at slashes and `**` does not. Links in the directories that it
/// begins with are followed: `/lib/foo*` matches `/usr/lib/foo` on a merged system.
fn compile(scene: &Scene<'_>, text: &str) -> Result<GlobMatcher, PlanError> {
    let Some(relative) = text.strip_prefix('/') else {
        return Err(PlanError::RelativeGlob { glob: text.to_owned() });
    };
    let components: Vec<&str> = relative.split('/').filter(|component| !component.is_empty()).collect();
    let is_plain = |component: &&&str| !component.contains(['*', '?', '[', ']', '{', '}', '\\']);
    let plain = components.iter().take(components.len().saturating_sub(1)).take_while(is_plain).count();
    let directory = format!("/{}", components[..plain].join("/"));
    let directory = scene.find(directory.as_bytes()).filter(|_| plain > 0);
    let directory = match directory.as_ref().map(|path| std::str::from_utf8(path.as_bytes())) {
        Some(Ok(resolved)) => globset::escape(resolved),
        _ => components[..plain].join("/"),
    };
    let glob = [&[directory.as_str()][..], &components[plain..]].concat();
    let glob =
        glob.iter().fold(String::new(), |all, part| if part.is_empty() { all } else { all + "/" + part });
    let glob: Glob = GlobBuilder::new(&glob)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .map_err(|source| PlanError::Glob { glob: text.to_owned(), source })?;
    Ok(glob.compile_matcher())
}

#[cfg(test)]
mod tests {
    use crate::fixture::{Fixture, image};
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
    fn remove_wins_over_every_rule() {
        let fixture = with(&["/usr/lib"], &["/usr/lib/a", "/bin/sh"]);
        assert_eq!(fixture.by(Rule::PolicyRemove), ["/bin/sh", "/usr/lib/a", "/usr/lib/a/x", "/usr/lib/a/y"]);
        let plan = fixture.plan();
        assert_eq!(plan.warnings, ["the policy removes 1 paths that the workload used"]);
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
