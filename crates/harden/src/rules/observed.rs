//! What the workload used.

use crate::Rule;
use crate::draft::Draft;
use crate::scene::Scene;

/// Keeps every path of the image that the profile names, however it was used: a file that was only looked at is kept
/// whole.
///
/// A lookup that failed counts too when the image has the path: the workload had removed it by then or had no
/// permission, and it must find the same again.
///
/// A path that only runs of another version of the image used is kept as carried.
pub(crate) fn apply(scene: &Scene<'_>, draft: &mut Draft<'_>) {
    for (path, usages) in &scene.profile.paths {
        let runs = usages.0.values().flat_map(|usage| usage.runs().into_keys());
        let mut runs = runs.filter_map(|run| scene.profile.run(run));
        let is_carried = runs.all(|run| run.carried_from.is_some());
        draft.keep(path, if is_carried { Rule::Carried } else { Rule::Observed }, None);
    }
}

#[cfg(test)]
mod tests {
    use crate::Rule;
    use crate::fixture::image;

    #[test]
    fn every_kind_of_use_keeps_a_path_and_what_is_not_in_the_image_is_ignored() {
        let fixture = image("a b c d/ e->a f!p g h").uses(
            "exec:/a stat:/b access:/c readdir:/d readlink:/e connect:/f missing:/g missing:/not open-write:/gone/x",
        );
        assert_eq!(fixture.by(Rule::Observed), ["/a", "/b", "/c", "/d", "/e", "/f", "/g"]);
        assert_eq!(fixture.by(Rule::Unused), ["/h"]);
    }

    #[test]
    fn a_listed_directory_does_not_keep_what_is_in_it() {
        let fixture =
            image("etc/conf.d/a.conf etc/conf.d/b.conf").uses("readdir:/etc/conf.d /etc/conf.d/a.conf");
        assert_eq!(fixture.by(Rule::Unused), ["/etc/conf.d/b.conf"]);
    }
}
