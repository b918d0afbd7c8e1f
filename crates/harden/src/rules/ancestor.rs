//! Directories above what is kept.

use std::collections::BTreeSet;

use image::ImagePath;

use crate::Rule;
use crate::draft::Draft;

/// Keeps every directory above a newly kept path; an image without them would not be one.
pub(crate) fn apply(draft: &mut Draft<'_>, fresh: &BTreeSet<ImagePath>) {
    for path in fresh {
        for directory in path.ancestors() {
            if draft.is_kept(&directory) {
                break;
            }
            draft.keep(&directory, Rule::Ancestor, Some(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::image;

    #[test]
    fn all_directories_above_a_kept_path_are_kept() {
        let plan = image("opt/a/b/c opt/a/x!p").uses("/opt/a/b/c").plan();
        let keep: Vec<_> = plan.edits.keep.iter().map(ToString::to_string).collect();
        assert_eq!(keep, ["/", "/opt", "/opt/a", "/opt/a/b", "/opt/a/b/c"]);
    }
}
