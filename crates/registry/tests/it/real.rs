//! A real registry: open, with passwords, with tokens, with TLS.

use std::fs;
use std::path::Path;

use careen_registry::{BlobStore, Puller, Reference, Registry, RegistryError, Settings, at_hand};
use image::{Image, ImageSource, OpenOptions};
use testkit::Auth;

use crate::token_service;
use crate::{connect, daemon, told};

/// Brings an image to a directory, and opens it.
fn pull(registry: &Registry, name: &str, dir: &Path) -> Image {
    let reference: Reference = format!("{}/{name}", registry.host()).parse().unwrap();
    let blobs = BlobStore::at(dir.join("blobs"));
    let layouts = dir.join("pulled");
    let puller = Puller { registry, blobs: &blobs, layouts: &layouts };
    let options = OpenOptions::new();
    let pulled = puller.documents(&reference, &options).unwrap();
    assert!(Image::open(&pulled.source, &options).is_err(), "its layers are not there yet");
    let missing = puller.missing(&pulled.layers);
    puller.fetch(&reference.repository, &missing, &options.limits, &|_| ()).unwrap();
    assert!(puller.missing(&pulled.layers).is_empty());
    // By digest it is found again without anybody being asked.
    let pinned = reference.pinned(pulled.top.digest);
    let again = at_hand(&blobs, &layouts, &pinned, &options).unwrap();
    assert_eq!(again.outline.image_id, pulled.outline.image_id);
    Image::open(&pulled.source, &options).unwrap()
}

fn logins(dir: &Path, host: &str, auth: &str) -> std::path::PathBuf {
    let file = dir.join("auth.json");
    fs::write(&file, format!(r#"{{"auths": {{"{host}": {auth}}}}}"#)).unwrap();
    file
}

#[test]
fn an_image_comes_back_as_it_was_pushed() {
    let Some(daemon) = daemon(&Auth::None, None) else { return };
    let dir = tempfile::tempdir().unwrap();
    let layout = testkit::ImageBuilder::new().layer("a/b:hello").layer("c").oci_layout();
    let pushed = ImageSource::OciLayout { dir: layout.dir().to_owned(), tag: None };
    let pushed = Image::open(&pushed, &OpenOptions::new()).unwrap();
    daemon.push(layout.dir(), "shop/app:1.4", None);
    daemon.push(layout.dir(), "shop/app:1.5", None);
    daemon.push(layout.dir(), "other:x", None);
    let registry = connect(&daemon.host, &Settings::default(), None).unwrap();
    let image = pull(&registry, "shop/app:1.4", dir.path());
    assert_eq!((image.manifest_digest(), image.image_id()), (pushed.manifest_digest(), pushed.image_id()));
    assert_eq!(image.name(), Some(format!("{}/shop/app:1.4", daemon.host).as_str()));
    assert_eq!(image.source().to_string(), format!("{}/shop/app:1.4", daemon.host));
    assert_eq!(registry.tags("shop/app").unwrap().into_iter().collect::<Vec<_>>(), ["1.4", "1.5"]);
    assert_eq!(registry.catalog().unwrap().into_iter().collect::<Vec<_>>(), ["other", "shop/app"]);
    let reference: Reference = format!("{}/shop/app:1.5", daemon.host).parse().unwrap();
    assert_eq!(registry.digest(&reference).unwrap(), Some(pushed.manifest_digest()));
    let error = registry.manifest(&reference.tagged("9")).unwrap_err();
    assert!(matches!(error, RegistryError::NotFound { .. }), "{}", told(&error));
    assert!(registry.referrers("shop/app", pushed.manifest_digest()).unwrap().is_empty());
}

#[test]
fn a_password_opens_a_registry_and_a_wrong_one_does_not() {
    let Some(daemon) = daemon(&Auth::Htpasswd, None) else { return };
    let dir = tempfile::tempdir().unwrap();
    let layout = testkit::image(&["a"]);
    daemon.push(layout.dir(), "shop:1", Some("me:secret"));
    // me:secret and me:wrong
    let right = logins(dir.path(), &daemon.host, r#"{"auth": "bWU6c2VjcmV0"}"#);
    let registry = connect(&daemon.host, &Settings::default(), Some(&right)).unwrap();
    pull(&registry, "shop:1", dir.path());
    let reference: Reference = format!("{}/shop:1", daemon.host).parse().unwrap();
    let wrong = logins(dir.path(), &daemon.host, r#"{"auth": "bWU6d3Jvbmc="}"#);
    for (file, hint) in
        [(Some(wrong.as_path()), "this log-in may not read it"), (None, "docker login localhost:")]
    {
        let registry = connect(&daemon.host, &Settings::default(), file).unwrap();
        let error = registry.manifest(&reference).unwrap_err();
        assert!(
            matches!(error, RegistryError::Unauthorized { .. }) && told(&error).contains(hint),
            "{}",
            told(&error)
        );
    }
}

#[test]
fn a_token_service_opens_a_registry() {
    let dir = tempfile::tempdir().unwrap();
    let service = token_service::start(dir.path());
    let certificate = dir.path().join("token.crt").display().to_string();
    let auth = Auth::Token { realm: format!("http://{}/token", service.host), certificate };
    let Some(daemon) = daemon(&auth, None) else { return };
    daemon.push(testkit::image(&["a"]).dir(), "deep/shop:1", Some("me:secret"));
    let right = logins(dir.path(), &daemon.host, r#"{"auth": "bWU6c2VjcmV0"}"#);
    let registry = connect(&daemon.host, &Settings::default(), Some(&right)).unwrap();
    pull(&registry, "deep/shop:1", dir.path());
    assert_eq!(registry.tags("deep/shop").unwrap().len(), 1);
    assert_eq!(registry.catalog().unwrap().len(), 1);
    let reference: Reference = format!("{}/deep/shop:1", daemon.host).parse().unwrap();
    let wrong = logins(dir.path(), &daemon.host, r#"{"auth": "bWU6d3Jvbmc="}"#);
    for (file, part) in [(Some(wrong.as_path()), "wrong password"), (None, "hint: log in with")] {
        let registry = connect(&daemon.host, &Settings::default(), file).unwrap();
        let error = registry.manifest(&reference).unwrap_err();
        assert!(told(&error).contains(part), "{part}: {}", told(&error));
    }
}

#[test]
fn a_registry_of_an_own_authority_is_trusted_when_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let testkit::Authority { authority, certificate, key } = testkit::Authority::new(dir.path());
    let Some(daemon) = daemon(&Auth::None, Some((&certificate, &key))) else { return };
    daemon.push(testkit::image(&["a"]).dir(), "shop:1", None);
    let settings = Settings { ca_file: Some(authority), ..Settings::default() };
    let registry = connect(&daemon.host, &settings, None).unwrap();
    pull(&registry, "shop:1", dir.path());
    // Who is not trusted is not spoken to, in TLS or without.
    let error = connect(&daemon.host, &Settings::default(), None).unwrap_err();
    assert!(matches!(error, RegistryError::Tls { .. }), "{}", told(&error));
    assert!(told(&error).contains("--ca-file"), "{}", told(&error));
    let settings = Settings { ca_file: Some(key), ..Settings::default() };
    assert!(told(&connect(&daemon.host, &settings, None).unwrap_err()).contains("it has no certificate"));
}
