//! What one file says that it is or holds: values that a cache can keep.

use std::io::{Read, Seek};

use image::ImagePath;
use serde::{Deserialize, Serialize};

use crate::{Ecosystem, FileList};

/// A file's content.
pub(crate) trait Content: Read + Seek {}
impl<T: Read + Seek> Content for T {}

/// Everything that one file says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Findings {
    /// The components, in the order found.
    pub(super) found: Vec<Found>,
    /// What could not be understood of it.
    pub(super) problems: Vec<String>,
}

/// A component that a file names or embeds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Found {
    pub(super) ecosystem: Ecosystem,
    pub(super) name: String,
    /// Empty where the file says none.
    pub(super) version: String,
    pub(super) licence: Option<String>,
    pub(super) purl: String,
    /// Entries of an archive that lead there, outermost first.
    pub(super) within: Vec<String>,
    /// What belongs to it besides the file itself.
    pub(super) owns: Vec<Owned>,
    pub(super) file_list: FileList,
}

/// What belongs to a component. What is not in the tree is passed over.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Owned {
    /// A file, or a directory with everything beneath it.
    Path(ImagePath),
    /// Every path that this file lists, one a line, the file included.
    ListedIn(ImagePath),
}

impl Findings {
    /// Nothing but a problem.
    pub(super) fn problem(message: impl Into<String>) -> Self {
        Self { found: Vec::new(), problems: vec![message.into()] }
    }

    pub(super) fn only(found: Option<Found>) -> Self {
        Self { found: found.into_iter().collect(), problems: Vec::new() }
    }
}

impl Found {
    /// A component that is the file; none if its name or version is not one.
    pub(super) fn new(ecosystem: Ecosystem, name: &str, version: &str, purl: String) -> Option<Self> {
        (!name.is_empty() && is_word(name) && is_word(version)).then(|| Self {
            ecosystem,
            name: name.to_owned(),
            version: version.to_owned(),
            licence: None,
            purl,
            within: Vec::new(),
            owns: Vec::new(),
            file_list: FileList::Directory,
        })
    }

    pub(super) fn licence(mut self, licence: Option<String>) -> Self {
        self.licence = licence.map(|text| text.trim().to_owned()).filter(|text| is_licence(text));
        self
    }

    pub(super) fn owning(mut self, owns: impl IntoIterator<Item = Owned>) -> Self {
        self.owns.extend(owns);
        self
    }
}

/// Names and versions are short and of one line. Spaces occur in names of manifests.
fn is_word(text: &str) -> bool {
    text.len() <= 500 && !text.chars().any(char::is_control)
}

fn is_licence(text: &str) -> bool {
    !text.is_empty() && text.len() <= 300 && !text.chars().any(char::is_control)
}
