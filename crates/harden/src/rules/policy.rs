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
