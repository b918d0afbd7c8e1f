//! What scanners call an image that they found in a registry, so that a document about it reaches them.
//!
//! Trivy names it by package URL, with the whole repository as a qualifier; all qualifiers of a document must be among
//! its own, so the fewer the better. Grype knows another repository there, and compares the digest.
//!
//! Source: package-url specification, type "oci"; Trivy 0.68, `pkg/purl`; Grype, `grype/vex/openvex`.

use image::{Digest, Image};
use packages::purl;

/// What Trivy calls Docker Hub.
const HUB: &str = "index.docker.io";

/// Package URLs of an image, the best first: with the digest of its manifest, then with that of the index that leads to
/// it.
///
/// `name` is what people call it: `registry.example/shop:1.4`; the name of a file, without a slash, is no repository.
/// Where the index leads to other images too, the architecture tells which is meant.
pub fn image_names(image: &Image, name: &str) -> Vec<String> {
    let mut names = of(name, image.manifest_digest(), "");
    if let Some(index) = image.index_digest().filter(|index| *index != image.manifest_digest()) {
        let images = image.index().into_iter().flat_map(|index| &index.manifests);
        let is_alone = images.filter(|descriptor| !descriptor.is_companion()).count() == 1;
        let architecture = if is_alone { "" } else { image.platform().architecture.as_str() };
        names.extend(of(name, index, architecture));
    }
    names
}

fn of(name: &str, digest: Digest, architecture: &str) -> Vec<String> {
    let repository = repository(name);
    let last = repository.rsplit('/').next().unwrap_or(repository).to_ascii_lowercase();
    let one = |url: &str| {
        let qualifiers = [("arch", architecture), ("repository_url", url)];
        purl::of("oci", &[&last], &digest.to_string(), &qualifiers)
    };
    urls(repository).iter().map(|url| one(url)).collect()
}

/// The repository as scanners write it; a hub has two names.
fn urls(repository: &str) -> Vec<String> {
    let Some((host, path)) = repository.split_once('/') else { return vec![String::new()] };
    let is_host = host.contains(['.', ':']) || host == "localhost";
    let path = match host {
        "docker.io" | HUB => path,
        _ if is_host => return vec![repository.to_owned()],
        _ => repository,
    };
    let path = if path.contains('/') { path.to_owned() } else { format!("library/{path}") };
    vec![format!("{HUB}/{path}"), format!("docker.io/{path}")]
}

/// A reference without tag and digest.
pub(super) fn repository(reference: &str) -> &str {
    let reference = reference.split('@').next().unwrap_or(reference);
    match reference.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => reference,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_named_as_scanners_find_them() {
        let digest = Digest::of(b"x");
        for (name, expected) in [
            ("registry.example/acme/Shop:1.4", vec!["shop ?repository_url=registry.example/acme/Shop"]),
            ("localhost:5000/shop", vec!["shop ?repository_url=localhost:5000/shop"]),
            (
                "docker.io/redis:7",
                vec![
                    "redis ?repository_url=index.docker.io/library/redis",
                    "redis ?repository_url=docker.io/library/redis",
                ],
            ),
            (
                "acme/shop",
                vec![
                    "shop ?repository_url=index.docker.io/acme/shop",
                    "shop ?repository_url=docker.io/acme/shop",
                ],
            ),
            // A file.
            ("shop-hardened", vec!["shop-hardened "]),
        ] {
            let found: Vec<_> = of(name, digest, "")
                .iter()
                .map(|purl| purl.replace(&format!("@{digest}"), " ").replace("pkg:oci/", ""))
                .map(|purl| purl.replace("%2F", "/").replace("%3A", ":"))
                .collect();
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn an_index_of_several_images_is_named_with_the_architecture() {
        assert!(of("a.example/b", Digest::of(b"x"), "arm64")[0].contains("?arch=arm64&repository_url="));
    }
}
