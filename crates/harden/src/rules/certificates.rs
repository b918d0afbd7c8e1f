//! Certificates of authorities.

use image::ImagePath;

use crate::Rule;
use crate::draft::Draft;
use crate::rules::elf::Programs;
use crate::scene::Scene;

/// Bundles of all certificates in one file; the second and third are where OpenSSL looks unless told otherwise.
const BUNDLES: [&str; 8] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/usr/lib/ssl/cert.pem",
    "/usr/local/ssl/cert.pem",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
];
/// Directories of single certificates, with links named by their hash.
const DIRECTORIES: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];
/// Libraries that speak TLS, as their names begin.
const LIBRARIES: [&str; 5] = ["libssl.so", "libgnutls.so", "libmbedtls.so", "libnss3.so", "libssl3.so"];

/// Keeps the bundle if a program in use can speak TLS: it is linked against such a library, or it is a static Go program
/// that ships with a bundle. The directory of single certificates is kept whole once the workload looked for any
/// there, since the next server has another authority. With a Java virtual machine goes its own store.
pub(crate) fn apply(scene: &Scene<'_>, draft: &mut Draft<'_>, programs: &Programs<'_>) {
    let root = ImagePath::root();
    let go = || {
        let mut programs = programs.in_use(scene, draft);
        programs.find(|(_, file)| file.is_go).map(|(path, _)| path.clone())
    };
    let user = LIBRARIES.iter().find_map(|library| programs.user_of(scene, draft, library)).or_else(go);
    if let Some(user) = user {
        for bundle in BUNDLES.iter().chain(scene.environment.get("SSL_CERT_FILE")) {
            if draft.find_file(&root, bundle.as_bytes()).is_some() {
                draft.keep_way(&root, bundle.as_bytes(), Rule::Certificates, Some(&user));
            }
        }
    }
    for directory in DIRECTORIES.iter().chain(scene.environment.get("SSL_CERT_DIR")) {
        let Some(directory) = scene.find(directory.as_bytes()).filter(|path| scene.is_directory(path)) else {
            continue;
        };
        if is_searched(scene, &directory) {
            keep_directory(scene, draft, &directory);
        }
    }
    let machines: Vec<ImagePath> =
        programs.files().map(|(path, _)| path).filter(|path| path.name() == b"libjvm.so").cloned().collect();
    for machine in machines {
        // HOME/lib/server/libjvm.so
        if let Some(home) = machine.ancestors().nth(2) {
            draft.keep_way(&home, b"lib/security/cacerts", Rule::Certificates, Some(&machine));
        }
    }
}

/// Whether the workload looked for certificates here: for the directory itself, or for one by its hash.
fn is_searched(scene: &Scene<'_>, directory: &ImagePath) -> bool {
    let is_hash = |path: &ImagePath| {
        let name = path.name();
        name.len() > 9 && name[8] == b'.' && name[..8].iter().all(u8::is_ascii_hexdigit)
    };
    let paths = scene.profile.paths.range(directory.clone()..);
    let mut paths = paths.take_while(|(path, _)| path.is_within(directory));
    paths.any(|(path, usage)| match path == directory {
        true => usage.0.contains_key(&profile::AccessKind::Readdir),
        false => is_hash(path),
    })
}

fn keep_directory(scene: &Scene<'_>, draft: &mut Draft<'_>, directory: &ImagePath) {
    for (path, _) in scene.tree().children(directory) {
        if draft.find_file(&ImagePath::root(), &path.to_absolute()).is_some() {
            draft.keep_way(&ImagePath::root(), &path.to_absolute(), Rule::Certificates, Some(directory));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Rule;
    use crate::fixture::{Elf, Fixture, image, layer};

    fn with(needed: &[&str]) -> Fixture {
        let words = "etc/ssl/certs/ca-certificates.crt:all etc/ssl/certs/ca.pem->/usr/share/ca.crt usr/share/ca.crt \
            etc/ssl/certs/0123abcd.0->ca.pem";
        image(layer(words, &[("app", Elf { needed, ..Elf::default() })]))
    }

    #[test]
    fn hard_40_the_bundle_goes_with_those_who_speak_tls() {
        let bundle = ["/etc/ssl/certs/ca-certificates.crt"];
        assert_eq!(with(&["libssl.so.3"]).uses("exec:/app").by(Rule::Certificates), bundle);
        assert_eq!(with(&["libssl.so.3"]).uses("stat:/app").by(Rule::Certificates), [""; 0]);
        assert_eq!(with(&["libz.so.1"]).uses("exec:/app").by(Rule::Certificates), [""; 0]);
    }

    #[test]
    fn hard_40_the_file_that_openssl_looks_for_unasked_is_kept() {
        let words =
            "etc/ssl/certs/ca-certificates.crt:all usr/lib/ssl/cert.pem->/etc/ssl/certs/ca-certificates.crt";
        let image = image(layer(words, &[("app", Elf { needed: &["libssl.so.3"], ..Elf::default() })]));
        let kept = image.uses("exec:/app").plan().edits.keep;
        for path in ["/usr/lib/ssl/cert.pem", "/etc/ssl/certs/ca-certificates.crt"] {
            assert!(kept.contains(&crate::fixture::path(path)), "{path}");
        }
    }

    #[test]
    fn hard_40_the_directory_is_kept_whole_once_one_certificate_was_looked_for() {
        for uses in [
            "missing:/etc/ssl/certs/ffffffff.0",
            "readdir:/etc/ssl/certs",
            "readlink:/etc/ssl/certs/0123abcd.0",
        ] {
            let fixture = with(&[]).uses(uses).uses("stat:/app");
            let kept = fixture.plan().edits.keep;
            for path in ["/etc/ssl/certs/0123abcd.0", "/etc/ssl/certs/ca.pem", "/usr/share/ca.crt"] {
                assert!(kept.contains(&crate::fixture::path(path)), "{uses}: {path}");
            }
        }
        let untouched = with(&[]).uses("stat:/etc/ssl/certs");
        assert_eq!(untouched.by(Rule::Certificates), [""; 0]);
    }
}
