//! Which files are documents or licences: they say nothing about what a package does.

use image::ImagePath;

/// Directories whose content is read by people only. Locale texts are data, not documents.
const DOCUMENT_DIRECTORIES: [&[u8]; 15] = [
    b"usr/share/doc",
    b"usr/share/doc-base",
    b"usr/share/man",
    b"usr/share/info",
    b"usr/share/gtk-doc",
    b"usr/share/devhelp",
    b"usr/share/lintian",
    b"usr/share/bug",
    b"usr/share/reportbug",
    b"usr/local/share/doc",
    b"usr/local/share/man",
    b"usr/local/share/info",
    b"usr/local/man",
    b"usr/doc",
    b"usr/man",
];

/// Directories that hold nothing but licences.
const LICENCE_DIRECTORIES: [&[u8]; 2] = [b"usr/share/common-licenses", b"usr/share/licenses"];

/// First word of a licence file's name, lower case.
const LICENCE_NAMES: [&str; 10] = [
    "license",
    "licence",
    "licenses",
    "licences",
    "unlicense",
    "copying",
    "copyright",
    "copyrights",
    "notice",
    "notices",
];

/// Beginnings of a licence's own name, as in `LICENSE-mit` or `license.apache2`, lower case.
const LICENCE_FAMILIES: [&str; 19] = [
    "agpl", "apache", "artistic", "boost", "bsd", "cc0", "cc-by", "epl", "gfdl", "gpl", "isc", "lgpl", "mit",
    "mpl", "ofl", "openssl", "psf", "unicode", "zlib",
];

/// Whether a path is documentation: below `/usr/share/doc`, manual pages, info pages, and the package checker's
/// notes. What a workload reads there is kept all the same; it only does not make a package count as present.
pub fn is_document(path: &ImagePath) -> bool {
    DOCUMENT_DIRECTORIES.iter().any(|directory| beneath(path, directory))
}

/// Whether a path is a licence text or a copyright notice: `/usr/share/doc/*/copyright*`,
/// `/usr/share/common-licenses`, `/usr/share/licenses`, or a text file named `LICENSE`, `COPYING`, `NOTICE` and the
/// like, anywhere but in a directory of programs.
pub fn is_licence(path: &ImagePath) -> bool {
    if LICENCE_DIRECTORIES.iter().any(|directory| beneath(path, directory)) {
        return true;
    }
    let in_program_directory =
        path.parent().is_some_and(|parent| matches!(parent.name(), b"bin" | b"sbin" | b"libexec"));
    !in_program_directory && std::str::from_utf8(path.name()).is_ok_and(names_licence)
}

/// Whether a file speaks for the presence of its package.
pub(crate) fn counts(path: &ImagePath) -> bool {
    !is_document(path) && !is_licence(path)
}

fn beneath(path: &ImagePath, directory: &[u8]) -> bool {
    path.as_bytes().strip_prefix(directory).is_some_and(|rest| rest.first() == Some(&b'/'))
}

/// `LICENSE`, `copying.txt.gz`, `LICENSE-MIT`, `COPYING.LESSER`, but neither `license.py` nor `licence.dat`.
fn names_licence(name: &str) -> bool {
    let strip = |name: &str, endings: &[&str]| {
        let lower = name.to_ascii_lowercase();
        let ending = endings.iter().find(|ending| lower.ends_with(*ending));
        name.get(..name.len() - ending.map_or(0, |ending| ending.len())).unwrap_or(name).to_owned()
    };
    let name = strip(name, &[".gz", ".xz", ".bz2"]);
    let name = strip(&name, &[".txt", ".md", ".rst", ".html", ".htm", ".adoc"]);
    let (first, rest) = name.split_at(name.find(['-', '_', '.']).unwrap_or(name.len()));
    if !LICENCE_NAMES.contains(&first.to_ascii_lowercase().as_str()) {
        return false;
    }
    let Some(rest) = rest.get(1..) else { return true };
    let shouted = !name.bytes().any(|byte| byte.is_ascii_lowercase());
    let lower = rest.to_ascii_lowercase();
    shouted || LICENCE_FAMILIES.iter().any(|family| lower.starts_with(family))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ImagePath {
        ImagePath::from_text(text).unwrap()
    }

    #[test]
    fn licences_are_told_from_code_and_data() {
        for licence in [
            "/usr/share/doc/libc6/copyright",
            "/usr/share/doc/bash/copyright.gz",
            "/usr/share/common-licenses/GPL-3",
            "/opt/app/LICENSE",
            "/opt/app/LICENSE-MIT",
            "/opt/app/License.txt",
            "/opt/app/COPYING.LESSER",
            "/opt/app/license-apache2.md",
            "/usr/lib/node_modules/npm/LICENSE",
            "/usr/lib/python3/dist-packages/six-1.16.dist-info/NOTICE",
        ] {
            assert!(is_licence(&path(licence)), "{licence}");
        }
        for other in [
            "/usr/share/common-licenses",
            "/opt/app/license.py",
            "/opt/app/licence.dat",
            "/opt/app/license_key.pem",
            "/opt/app/licensed",
            "/usr/bin/notice",
            "/usr/share/doc/bash/README",
            "/",
        ] {
            assert!(!is_licence(&path(other)), "{other}");
        }
    }

    #[test]
    fn locale_texts_are_not_documents() {
        for document in ["/usr/share/doc/bash/README", "/usr/share/man/man1/ls.1.gz", "/usr/share/info/dir"] {
            assert!(is_document(&path(document)), "{document}");
        }
        for other in
            ["/usr/share/doc", "/usr/share/locale/de/LC_MESSAGES/x.mo", "/usr/share/docx/a", "/srv/doc/a"]
        {
            assert!(!is_document(&path(other)), "{other}");
        }
    }
}
