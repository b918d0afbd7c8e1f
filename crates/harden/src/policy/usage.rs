//! What each rule of a policy matches in an image.

use std::collections::BTreeSet;

use image::{Image, ImagePath, NodeKind};
use packages::PackageDatabase;
use serde::Serialize;

use super::{Pattern, Policy, RuleKind};
use crate::PlanError;
use crate::rules::{kit, policy::packages_named};

/// What one rule matches, whether or not another rule decides otherwise about some of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleUse {
    /// What the rule is.
    pub kind: RuleKind,
    /// As the user wrote it.
    pub rule: String,
    /// Where it stands, if it comes from a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// How many paths other than directories it matches.
    pub paths: u64,
    /// The sizes of the regular files among them.
    pub bytes: u64,
}

/// Each rule that the policy lists with what it matches, in the order of the policy.
///
/// # Errors
/// As [`Policy::check`].
pub fn rule_uses(
    image: &Image,
    packages: &PackageDatabase,
    policy: &Policy,
) -> Result<Vec<RuleUse>, PlanError> {
    let tree = image.tree();
    let mut uses = Vec::new();
    let mut add = |kind: RuleKind, rule: &str, matched: BTreeSet<ImagePath>| {
        let (mut paths, mut bytes) = (0, 0u64);
        for node in matched.iter().filter_map(|path| tree.get(path)) {
            match node.kind {
                NodeKind::Directory => continue,
                NodeKind::File { size_bytes, .. } => bytes = bytes.saturating_add(size_bytes),
                _ => {}
            }
            paths += 1;
        }
        let place = policy.places.get(&(kind, rule.to_owned())).cloned();
        uses.push(RuleUse { kind, rule: rule.to_owned(), place, paths, bytes });
    };
    for (kind, rules) in [(RuleKind::Keep, &policy.keep), (RuleKind::Remove, &policy.remove)] {
        for text in rules {
            add(kind, text, Pattern::new(tree, text)?.matched(tree).beneath);
        }
    }
    let lists =
        [(RuleKind::KeepPackage, &policy.keep_packages), (RuleKind::RemovePackage, &policy.remove_packages)];
    for (kind, rules) in lists {
        for text in rules {
            let names = packages_named(packages, text)?;
            let named = packages.packages.iter().filter(|package| names.contains(&*package.name));
            add(kind, text, named.flat_map(|package| package.files.iter().cloned()).collect());
        }
    }
    for &kit in &policy.kits {
        add(RuleKind::Kit, kit.name(), kit::commands_of(image, kit));
    }
    Ok(uses)
}
