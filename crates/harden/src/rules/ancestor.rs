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
