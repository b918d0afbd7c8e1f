//! Patterns over the paths of an image.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use globset::{GlobBuilder, GlobMatcher};
use image::{ImagePath, ResolutionEnd, Tree};

use crate::PlanError;

/// A pattern of a `keep` or `remove` rule: a glob over absolute paths, or, without a slash, over the names of files and
/// directories. `*` stops at slashes and `**` does not.
pub(crate) enum Pattern {
    Path(GlobMatcher),
    Name(GlobMatcher),
}

/// What a pattern matches.
pub(crate) struct Matched {
    /// The paths, and all beneath them; never the root.
    pub(crate) beneath: BTreeSet<ImagePath>,
    /// Whether no path matched.
    pub(crate) is_idle: bool,
}

impl Pattern {
    /// Compiles a pattern for an image. Links in the directories that it begins with are followed: `/lib/foo*` matches
    /// `/usr/lib/foo` on a merged system.
    pub(crate) fn new(tree: &Tree, text: &str) -> Result<Self, PlanError> {
        Self::check(text)?;
        if !text.starts_with('/') {
            return Ok(Self::Name(Self::glob(text, text.trim_end_matches('/'))?));
        }
        let components: Vec<&str> = text.split('/').filter(|component| !component.is_empty()).collect();
        let is_plain = |component: &&&str| !component.contains(['*', '?', '[', ']', '{', '}', '\\']);
        let plain = components.iter().take(components.len().saturating_sub(1)).take_while(is_plain).count();
        let directory = format!("/{}", components[..plain].join("/"));
        let resolved = match tree.resolve(&ImagePath::root(), directory.as_bytes(), true).end {
            ResolutionEnd::Found(end) if plain > 0 => Some(end),
            _ => None,
        };
        let directory = match resolved.as_ref().map(|path| std::str::from_utf8(path.as_bytes())) {
            Some(Ok(resolved)) => globset::escape(resolved),
            _ => components[..plain].join("/"),
        };
        let parts = [&[directory.as_str()][..], &components[plain..]].concat();
        let glob: String =
            parts.iter().filter(|part| !part.is_empty()).map(|part| format!("/{part}")).collect();
        Ok(Self::Path(Self::glob(text, &glob)?))
    }

    /// Whether a pattern can be used at all.
    pub(crate) fn check(text: &str) -> Result<(), PlanError> {
        let name = text.trim_end_matches('/');
        if !text.starts_with('/') && (name.is_empty() || name.contains('/')) {
            return Err(PlanError::RelativeGlob { glob: text.to_owned() });
        }
        Self::glob(text, name).map(drop)
    }

    /// Compiles a glob that the user wrote as `text`.
    pub(crate) fn glob(text: &str, glob: &str) -> Result<GlobMatcher, PlanError> {
        let glob = GlobBuilder::new(glob).literal_separator(true).backslash_escape(true).build();
        glob.map(|glob| glob.compile_matcher())
            .map_err(|source| PlanError::Glob { glob: text.to_owned(), source })
    }

    fn is_match(&self, path: &ImagePath) -> bool {
        match self {
            Self::Path(glob) => glob.is_match(OsStr::from_bytes(&path.to_absolute())),
            Self::Name(glob) => glob.is_match(OsStr::from_bytes(path.name())),
        }
    }

    /// What it matches in an image.
    pub(crate) fn matched(&self, tree: &Tree) -> Matched {
        let mut beneath: Vec<ImagePath> = Vec::new();
        // The match that was last found and is not beneath another: what is beneath it follows it at once.
        let mut above: Option<&ImagePath> = None;
        for (path, _) in tree.iter().filter(|(path, _)| !path.is_root()) {
            if above.is_some_and(|above| path.is_within(above)) {
                beneath.push(path.clone());
            } else if self.is_match(path) {
                beneath.push(path.clone());
                above = Some(path);
            }
        }
        Matched { is_idle: beneath.is_empty(), beneath: beneath.into_iter().collect() }
    }
}
