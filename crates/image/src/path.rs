//! Paths inside an image: bytes, relative to the image's root.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest path we accept, in bytes, without the leading slash (Linux `PATH_MAX` less the final NUL and the slash).
pub const MAX_PATH_BYTES: usize = 4094;
/// Longest single name we accept, in bytes (Linux `NAME_MAX`).
pub const MAX_NAME_BYTES: usize = 255;

/// A normalised path inside an image.
///
/// Bytes as the image has them (Linux names need not be UTF-8), without a leading or trailing slash and without
/// empty, `.` or `..` components. The root itself is the empty path. Ordered by bytes, component by component, so
/// that a directory comes directly before everything beneath it. A clone shares the bytes.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct ImagePath(Arc<[u8]>);

/// Why some bytes are not a path inside an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A `..` component.
    #[error("path {0} has a `..` component")]
    Parent(String),
    /// A leading slash where a relative path is required.
    #[error("path {0} is absolute")]
    Absolute(String),
    /// A NUL byte.
    #[error("path {0} has a NUL byte")]
    Nul(String),
    /// Longer than [`MAX_PATH_BYTES`], or a name longer than [`MAX_NAME_BYTES`].
    #[error("path {0} is longer than the kernel allows")]
    TooLong(String),
    /// A backslash escape that is not one of ours in the textual form.
    #[error("{0:?} is not an escaped path")]
    BadEscape(String),
}

impl ImagePath {
    /// The root of the image.
    pub fn root() -> Self {
        Self::default()
    }

    /// Reads a name as a layer's tar has it: relative, `./` and doubled slashes tolerated.
    ///
    /// # Errors
    /// [`PathError`] for `..`, a leading slash, NUL, or a length over the kernel's limits.
    pub fn from_tar_name(name: &[u8]) -> Result<Self, PathError> {
        if name.first() == Some(&b'/') {
            return Err(PathError::Absolute(escape(name)));
        }
        Self::normalise(name)
    }

    /// Reads a path as a process or a person writes it: with or without the leading slash.
    ///
    /// # Errors
    /// As [`ImagePath::from_tar_name`], but a leading slash is welcome.
    pub fn from_absolute(path: &[u8]) -> Result<Self, PathError> {
        Self::normalise(path)
    }

    fn normalise(bytes: &[u8]) -> Result<Self, PathError> {
        if bytes.contains(&0) {
            return Err(PathError::Nul(escape(bytes)));
        }
        let mut out = Vec::with_capacity(bytes.len());
        for component in bytes.split(|&b| b == b'/') {
            match component {
                b"" | b"." => continue,
                b".." => return Err(PathError::Parent(escape(bytes))),
                name if name.len() > MAX_NAME_BYTES => return Err(PathError::TooLong(escape(bytes))),
                name => {
                    if !out.is_empty() {
                        out.push(b'/');
                    }
                    out.extend_from_slice(name);
                }
            }
        }
        if out.len() > MAX_PATH_BYTES {
            return Err(PathError::TooLong(escape(bytes)));
        }
        Ok(Self(out.into()))
    }

    /// The path without a leading slash; empty for the root.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path with a leading slash, as a process in the container writes it.
    pub fn to_absolute(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.0.len() + 1);
        out.push(b'/');
        out.extend_from_slice(&self.0);
        out
    }

    /// Whether this is the image's root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The last component; empty for the root.
    pub fn name(&self) -> &[u8] {
        &self.0[memchr::memrchr(b'/', &self.0).map_or(0, |slash| slash + 1)..]
    }

    /// The directory that holds this path; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let end = memchr::memrchr(b'/', &self.0).unwrap_or(0);
        Some(Self(self.0[..end].into()))
    }

    /// All directories above this path, nearest first, the root last.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> + use<> {
        std::iter::successors(self.parent(), Self::parent)
    }

    /// The components, outermost first.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|&b| b == b'/').filter(|c| !c.is_empty())
    }

    /// This path with one more name.
    ///
    /// # Errors
    /// [`PathError`] as [`ImagePath::from_tar_name`]; a name of several components is allowed.
    pub fn join(&self, name: &[u8]) -> Result<Self, PathError> {
        let mut bytes = self.0.to_vec();
        bytes.push(b'/');
        bytes.extend_from_slice(name);
        Self::normalise(&bytes)
    }

    /// This path with one more component, which has neither slash nor NUL and is not `.` or `..`; `None` if that is
    /// longer than the kernel allows.
    pub(crate) fn child(&self, name: &[u8]) -> Option<Self> {
        let slash = usize::from(!self.is_root());
        let length = self.0.len() + slash + name.len();
        if name.len() > MAX_NAME_BYTES || length > MAX_PATH_BYTES {
            return None;
        }
        let mut bytes = Vec::with_capacity(length);
        bytes.extend_from_slice(&self.0);
        bytes.extend_from_slice(&b"/"[..slash]);
        bytes.extend_from_slice(name);
        Some(Self(bytes.into()))
    }

    /// Whether `self` is `directory` or lies beneath it.
    pub fn is_within(&self, directory: &Self) -> bool {
        directory.is_root()
            || (self.0.starts_with(&directory.0)
                && (self.0.len() == directory.0.len() || self.0[directory.0.len()] == b'/'))
    }

    /// A bound: greater than this path and everything beneath it, smaller than every other path after them.
    pub(crate) fn after_subtree(&self) -> Self {
        Self([&self.0[..], b"\0"].concat().into())
    }

    /// The textual form used in every document of ours: leading slash, UTF-8 as it is, `\` doubled, every byte that
    /// is not UTF-8 as `\xNN`. See `docs/formats/paths.md`.
    pub fn to_text(&self) -> String {
        escape(&self.to_absolute())
    }

    /// Reads the textual form back.
    ///
    /// # Errors
    /// [`PathError::BadEscape`], or as [`ImagePath::from_absolute`].
    pub fn from_text(text: &str) -> Result<Self, PathError> {
        let bad = || PathError::BadEscape(text.to_owned());
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes().iter().copied();
        while let Some(byte) = rest.next() {
            if byte != b'\\' {
                out.push(byte);
                continue;
            }
            match rest.next().ok_or_else(bad)? {
                b'\\' => out.push(b'\\'),
                b'x' => {
                    let digits = [rest.next().ok_or_else(bad)?, rest.next().ok_or_else(bad)?];
                    let digits = std::str::from_utf8(&digits).map_err(|_| bad())?;
                    out.push(u8::from_str_radix(digits, 16).map_err(|_| bad())?);
                }
                _ => return Err(bad()),
            }
        }
        Self::from_absolute(&out)
    }
}

/// Escapes bytes for people and JSON: see [`ImagePath::to_text`].
pub fn escape(bytes: &[u8]) -> String {
    use fmt::Write as _;
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' {
                out.push('\\');
            }
            out.push(c);
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

impl fmt::Display for ImagePath {
    /// The textual form with control characters made visible, safe for a terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.to_text().chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        Ok(())
    }
}

impl fmt::Debug for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Ord for ImagePath {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        if Arc::ptr_eq(&self.0, &other.0) {
            return std::cmp::Ordering::Equal;
        }
        // Component by component is the same as byte by byte with the slash before all other bytes.
        let rank = |byte: u8| (byte != b'/', byte);
        match first_difference(&self.0, &other.0) {
            Some(at) => rank(self.0[at]).cmp(&rank(other.0[at])),
            None => self.0.len().cmp(&other.0.len()),
        }
    }
}

/// Where two strings of bytes differ first, as far as the shorter one goes.
fn first_difference(one: &[u8], other: &[u8]) -> Option<usize> {
    const WIDTH: usize = 8;
    let chunks = one.as_chunks::<WIDTH>().0.iter().zip(other.as_chunks::<WIDTH>().0);
    let mut equal = 0;
    for (one, other) in chunks {
        let different = u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        if different != 0 {
            return Some(equal + (different.trailing_zeros() / 8) as usize);
        }
        equal += WIDTH;
    }
    let rest = one[equal..].iter().zip(&other[equal..]);
    rest.into_iter().position(|(one, other)| one != other).map(|at| equal + at)
}

impl PartialOrd for ImagePath {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for ImagePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl<'de> Deserialize<'de> for ImagePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_text(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_leave_the_image_are_refused() {
        for (name, error) in [
            (&b"../etc/passwd"[..], PathError::Parent("../etc/passwd".into())),
            (b"a/../b", PathError::Parent("a/../b".into())),
            (b"/etc/passwd", PathError::Absolute("/etc/passwd".into())),
            (b"a\0b", PathError::Nul("a\0b".into())),
        ] {
            assert_eq!(ImagePath::from_tar_name(name), Err(error));
        }
    }

    #[test]
    fn length_limits_hold_at_the_bound_and_one_past_it() {
        let name = vec![b'a'; MAX_NAME_BYTES];
        assert!(ImagePath::from_tar_name(&name).is_ok());
        assert!(ImagePath::from_tar_name(&[&name[..], b"a"].concat()).is_err());
        let long = b"ab/".repeat(MAX_PATH_BYTES / 3 + 1);
        assert!(ImagePath::from_tar_name(&long[..MAX_PATH_BYTES]).is_ok());
        assert!(ImagePath::from_tar_name(&[&long[..MAX_PATH_BYTES], b"cd"].concat()).is_err());
    }

    #[test]
    fn a_directory_sorts_directly_before_what_it_holds() {
        let mut paths: Vec<_> = ["a-b", "a/b", "a", "a/b/c", ""]
            .map(|p| ImagePath::from_absolute(p.as_bytes()).unwrap())
            .to_vec();
        paths.sort();
        let texts: Vec<_> = paths.iter().map(ImagePath::to_text).collect();
        assert_eq!(texts, ["/", "/a", "/a/b", "/a/b/c", "/a-b"]);
    }

    #[test]
    fn within_respects_component_borders() {
        let path = |p: &str| ImagePath::from_absolute(p.as_bytes()).unwrap();
        assert!(path("/usr/lib").is_within(&path("/usr")));
        assert!(path("/usr").is_within(&path("/usr")));
        assert!(!path("/usrlib").is_within(&path("/usr")));
        assert!(path("/usr").is_within(&ImagePath::root()));
    }

    /// Paths that often share a beginning, and whose bytes lie on both sides of the slash.
    fn related_paths() -> impl Strategy<Value = (ImagePath, ImagePath)> {
        let bytes = || proptest::collection::vec(proptest::sample::select(&b"/a-\x01\xff"[..]), 0..40);
        (bytes(), 0..3_usize, bytes(), bytes()).prop_map(|(start, times, one, other)| {
            let path = |end: &[u8]| ImagePath::from_absolute(&[&start.repeat(times), end].concat()).unwrap();
            (path(&one), path(&other))
        })
    }

    proptest! {
        #[test]
        fn order_is_that_of_the_components((one, other) in related_paths()) {
            let expected = one.components().cmp(other.components());
            prop_assert_eq!(one.cmp(&other), expected);
            prop_assert_eq!(other.cmp(&one), expected.reverse());
        }

        #[test]
        fn textual_form_round_trips(bytes in proptest::collection::vec(1u8.., 0..80)) {
            if let Ok(path) = ImagePath::from_absolute(&bytes) {
                prop_assert_eq!(ImagePath::from_text(&path.to_text()), Ok(path));
            }
        }
    }
}
