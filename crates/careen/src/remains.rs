//! What a hardening left of one package: whether any of it can hold code.

use advisories::heat;
use advisories::vex::{self, Remains};
use image::{Digest, Image, ImagePath, Node, NodeKind, ResolutionEnd, Tree};
use packages::{Package, is_document, is_licence};

use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::hints;

/// Most bytes of a removed file that are read for its digest.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// Places where files that nobody may execute are data; elsewhere anything may be code to somebody.
///
/// Below `/usr/lib` these are the C library's compiled locales and the descriptions of terminals: tables, read and
/// never run. Source: locale(7), terminfo(5).
const DATA_PLACES: [&[u8]; 6] =
    [b"etc/", b"usr/share/", b"var/", b"usr/lib/locale/", b"usr/lib/terminfo/", b"lib/terminfo/"];

/// Compares the files of a package in the original with the hardened image.
pub(crate) fn of(package: &Package, original: &Image, hardened: &Image) -> Result<Remains, Failure> {
    let mut remains = Remains { known: true, ..Remains::default() };
    for path in package.files.iter().filter(|path| !is_document(path) && !is_licence(path)) {
        let Some(node) = original.tree().get(path) else { continue };
        match hardened.tree().get(path) {
            None if may_run(path, node) => {
                // Claims name a few files and count the others.
                let digest =
                    if remains.removed_code.len() < vex::MAX_PATHS { digest(original, path)? } else { None };
                remains.removed_code.insert(path.clone(), digest);
            }
            None => remains.removed_other += 1,
            Some(_) if may_lead_to_code(path, hardened.tree()) => remains.kept_code += 1,
            Some(_) => remains.kept_other += 1,
        }
    }
    Ok(remains)
}

fn may_run(path: &ImagePath, node: &Node) -> bool {
    matches!(node.kind, NodeKind::File { .. })
        && (node.metadata.mode & 0o111 != 0 || heat::is_code_name(path) || is_library(path))
}

/// Whether what is left may be code, by itself or as a name of another package's file.
///
/// A link to a directory brings nothing along that is not its owner's, and a link into the void nothing at all.
fn may_lead_to_code(path: &ImagePath, tree: &Tree) -> bool {
    let end = match tree.resolve(&ImagePath::root(), &path.to_absolute(), true).end {
        ResolutionEnd::Found(end) => end,
        ResolutionEnd::Missing(_) => return false,
        _ => return true,
    };
    match tree.get(&end) {
        Some(node) if matches!(node.kind, NodeKind::Directory) => false,
        Some(node) => may_run(&end, node) || !is_in_a_data_place(&end),
        None => true,
    }
}

fn is_library(path: &ImagePath) -> bool {
    let name = path.name();
    // `libz.so.1`, and not `ld.so.conf`.
    let is_numbered = name.windows(5).any(|part| part.starts_with(b".so.") && part[4].is_ascii_digit());
    name.ends_with(b".so") || is_numbered || name.ends_with(b".a")
}

fn is_in_a_data_place(path: &ImagePath) -> bool {
    DATA_PLACES.iter().any(|place| path.as_bytes().starts_with(place))
}

fn digest(image: &Image, path: &ImagePath) -> Result<Option<Digest>, Failure> {
    let is_long = image.tree().get(path).is_some_and(
        |node| matches!(node.kind, NodeKind::File { size_bytes, .. } if size_bytes > MAX_FILE_BYTES),
    );
    if is_long {
        return Ok(None);
    }
    let bytes = image
        .read_file(path, MAX_FILE_BYTES)
        .map_err(|source| hints::plain(ExitCode::Image, format!("cannot read {path}"), source))?;
    Ok(Some(Digest::of(&bytes)))
}

#[cfg(test)]
mod tests {
    use image::OpenOptions;

    use super::*;

    #[test]
    fn links_and_tables_are_code_only_where_a_program_is_at_their_end() {
        let layout =
            testkit::image(&["usr/bin/tool@755:x usr/lib/locale/C.utf8/LC_CTYPE usr/lib/app/plugin.dat \
             usr/lib/terminfo/x/xterm etc/ssl/openssl.cnf etc/ssl/certs/ \
             usr/lib/ssl/openssl.cnf->/etc/ssl/openssl.cnf usr/lib/ssl/certs->/etc/ssl/certs \
             usr/lib/ssl/cert.pem->/etc/ssl/cert.pem usr/bin/other->tool usr/lib/ssl/loop->loop \
             usr/share/app/run.py usr/lib/app/libx.so.1"]);
        let image = Image::open(&layout.source().parse().unwrap(), &OpenOptions::new()).unwrap();
        let is_code = |path: &str| {
            let path = ImagePath::from_absolute(format!("/{path}").as_bytes()).unwrap();
            assert!(image.tree().get(&path).is_some(), "{path}");
            may_lead_to_code(&path, image.tree())
        };
        for path in [
            "usr/lib/locale/C.utf8/LC_CTYPE",
            "usr/lib/terminfo/x/xterm",
            "etc/ssl/openssl.cnf",
            "usr/lib/ssl/openssl.cnf",
            "usr/lib/ssl/certs",
            "usr/lib/ssl/cert.pem",
        ] {
            assert!(!is_code(path), "{path}");
        }
        for path in [
            "usr/bin/tool",
            "usr/bin/other",
            "usr/lib/app/plugin.dat",
            "usr/lib/ssl/loop",
            "usr/share/app/run.py",
            "usr/lib/app/libx.so.1",
        ] {
            assert!(is_code(path), "{path}");
        }
    }
}
