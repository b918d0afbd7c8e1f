//! What goes over the wire, with a server that misbehaves on request.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use careen_registry::{BlobStore, Reference, RegistryError, Settings};
use image::{Descriptor, Digest};

use crate::server::{Reply, Request, Server};
use crate::{connect, told};

const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#;

fn reference(server: &Server, rest: &str) -> Reference {
    format!("{}/{rest}", server.host).parse().unwrap()
}

/// A registry that lets everybody in.
fn open(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
    Server::start(move |request| if request.path == "/v2/" { Reply::new(200, "{}") } else { answer(request) })
}

#[test]
fn a_redirect_never_carries_the_log_in_to_another_server() {
    let blob = b"blob".to_vec();
    let elsewhere = open(move |_| Reply::new(200, "blob"));
    let target = format!("http://{}/storage?signed=1", elsewhere.host);
    let server = Server::start(move |request| match request.header("authorization") {
        "" => Reply::new(401, "").with("WWW-Authenticate", "Basic realm=\"x\""),
        _ if request.path == "/v2/" => Reply::new(200, "{}"),
        _ => Reply::new(307, "").with("Location", &target),
    });
    let dir = tempfile::tempdir().unwrap();
    let logins = dir.path().join("auth.json");
    std::fs::write(&logins, format!(r#"{{"auths": {{"{}": {{"auth": "bWU6c2VjcmV0"}}}}}}"#, server.host))
        .unwrap();
    let registry = connect(&server.host, &Settings::default(), Some(&logins)).unwrap();
    assert_eq!(registry.small_blob("a", Digest::of(&blob), 100).unwrap(), blob);
    assert!(server.asked().iter().any(|request| request.header("authorization") == "Basic bWU6c2VjcmV0"));
    let there = elsewhere.asked();
    assert_eq!((there.len(), there[0].path.as_str()), (1, "/storage?signed=1"));
    assert_eq!(there[0].header("authorization"), "");
}

#[test]
fn a_redirect_that_goes_nowhere_or_in_circles_ends() {
    for location in ["file:///etc/passwd", "/v2/a/blobs/x", "", "http://user:pw@127.0.0.1/"] {
        let server = open(move |_| Reply::new(302, "").with("Location", location));
        let registry = connect(&server.host, &Settings::default(), None).unwrap();
        let error = registry.small_blob("a", Digest::of(b""), 100).unwrap_err();
        assert!(matches!(error, RegistryError::Redirect { .. }), "{location}: {}", told(&error));
        assert!(server.asked().len() < 10);
    }
}

#[test]
fn a_passing_trouble_is_waited_for_and_a_long_one_told() {
    let count = AtomicUsize::new(0);
    let server = open(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::new(503, ""),
        1 => Reply::new(429, "").with("Retry-After", "1"),
        _ => Reply::new(200, MANIFEST),
    });
    let registry = connect(&server.host, &Settings::default(), None).unwrap();
    let started = std::time::Instant::now();
    let fetched = registry.manifest(&reference(&server, "a:1")).unwrap();
    assert!(started.elapsed() >= std::time::Duration::from_secs(1));
    assert_eq!(fetched.descriptor.digest, Digest::of(MANIFEST.as_bytes()));

    let server = open(|_| Reply::new(429, "").with("Retry-After", "86400"));
    let registry = connect(&server.host, &Settings::default(), None).unwrap();
    let error = registry.manifest(&reference(&server, "a:1")).unwrap_err();
    assert!(told(&error).contains("asks to come back in 86400 seconds"), "{}", told(&error));
}

#[test]
fn a_blob_goes_on_where_the_line_broke_and_is_verified_as_a_whole() {
    let blob: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let (sent, parts) = (blob.clone(), AtomicUsize::new(0));
    let ranges = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&ranges);
    let server = open(move |request| {
        let range = request.header("range").to_owned();
        seen.lock().unwrap().push(range.clone());
        let from: usize =
            range.strip_prefix("bytes=").map_or(0, |r| r.trim_end_matches('-').parse().unwrap());
        let mut reply = Reply::new(if from > 0 { 206 } else { 200 }, sent[from..].to_vec());
        if from > 0 {
            reply = reply.with("Content-Range", &format!("bytes {from}-{}/{}", sent.len() - 1, sent.len()));
        }
        if parts.fetch_add(1, Ordering::SeqCst) < 2 {
            reply.cut = Some(400_000);
        }
        reply
    });
    let registry = connect(&server.host, &Settings::default(), None).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = BlobStore::at(dir.path());
    let descriptor = Descriptor::of("x", &blob);
    let told_bytes = std::sync::atomic::AtomicU64::new(0);
    let count = |bytes| {
        told_bytes.fetch_add(bytes, Ordering::SeqCst);
    };
    store.fetch(&registry, "a", &descriptor, &count).unwrap();
    assert_eq!(std::fs::read(store.path(descriptor.digest)).unwrap(), blob);
    assert_eq!(told_bytes.into_inner(), blob.len() as u64);
    let ranges = ranges.lock().unwrap();
    assert_eq!(ranges.len(), 3, "{ranges:?}");
    assert!(ranges[0].is_empty() && ranges[1].starts_with("bytes=") && ranges[2].starts_with("bytes="));
    assert_eq!(std::fs::read_dir(dir.path().join("sha256")).unwrap().count(), 1, "no part is left");
}

#[test]
fn bytes_that_are_not_those_asked_for_are_never_kept() {
    for (body, expected) in [
        (&b"other"[..], "has the digest"),
        (b"hello and more", "more than 5 bytes"),
        (b"hel", "bytes, not 5"),
    ] {
        let server = open(move |_| Reply::new(200, body));
        let registry = connect(&server.host, &Settings::default(), None).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let store = BlobStore::at(dir.path());
        let descriptor = Descriptor::of("x", b"hello");
        let error = store.fetch(&registry, "a", &descriptor, &|_| ()).unwrap_err();
        assert!(told(&error).contains(expected), "{expected}: {}", told(&error));
        assert!(!store.path(descriptor.digest).exists());
        // Neither is what came before an attack of the next one.
        let good = open(|_| Reply::new(200, "hello"));
        let registry = connect(&good.host, &Settings::default(), None).unwrap();
        store.fetch(&registry, "a", &descriptor, &|_| ()).unwrap();
        assert!(store.has(&descriptor));
    }
}

#[test]
fn several_who_want_one_blob_fetch_it_once() {
    let blob = vec![7_u8; 2_000_000];
    let sent = blob.clone();
    let server = open(move |_| {
        std::thread::sleep(std::time::Duration::from_millis(200));
        Reply::new(200, sent.clone())
    });
    let registry = connect(&server.host, &Settings::default(), None).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = BlobStore::at(dir.path());
    let descriptor = Descriptor::of("x", &blob);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| store.fetch(&registry, "a", &descriptor, &|_| ()).unwrap());
        }
    });
    let blobs = server.asked().iter().filter(|request| request.path.contains("/blobs/")).count();
    assert_eq!(blobs, 1);
    assert!(store.has(&descriptor) && !store.is_damaged(descriptor.digest).unwrap());
}

#[test]
fn a_manifest_is_held_against_the_digest_that_was_asked_for_or_told() {
    let server = open(|request| match request.path.contains("sha256") {
        true => Reply::new(200, MANIFEST),
        false => Reply::new(200, MANIFEST).with("Docker-Content-Digest", &Digest::of(b"other").to_string()),
    });
    let registry = connect(&server.host, &Settings::default(), None).unwrap();
    for rest in ["a:1".to_owned(), format!("a@{}", Digest::of(b"else"))] {
        let error = registry.manifest(&reference(&server, &rest)).unwrap_err();
        assert!(matches!(error, RegistryError::Digest { .. }), "{rest}: {}", told(&error));
    }
    let right = format!("a@{}", Digest::of(MANIFEST.as_bytes()));
    assert!(registry.manifest(&reference(&server, &right)).is_ok());
    assert!(
        server.asked().iter().skip(1).all(|request| request.header("accept").contains("image.index.v1+json"))
    );
}

#[test]
fn lists_are_read_page_by_page_and_have_an_end() {
    let server = open(|request| match request.path.as_str() {
        "/v2/a/tags/list?n=1000" => Reply::new(200, r#"{"tags":["2","1"]}"#)
            .with("Link", "</v2/a/tags/list?n=1000&last=2>; rel=\"next\""),
        "/v2/a/tags/list?n=1000&last=2" => Reply::new(200, r#"{"tags":["3","../../x",""]}"#),
        "/v2/empty/tags/list?n=1000" => Reply::new(200, r#"{"tags":null}"#),
        "/v2/loop/tags/list?n=1000" => {
            Reply::new(200, r#"{"tags":["1"]}"#).with("Link", "</v2/loop/tags/list?n=1000>; rel=next")
        }
        "/v2/away/tags/list?n=1000" => {
            Reply::new(200, r#"{"tags":["1"]}"#).with("Link", "<https://elsewhere.example/>; rel=next")
        }
        "/v2/broken/tags/list?n=1000" => Reply::new(200, "<html>"),
        "/v2/_catalog?n=1000" => Reply::new(200, r#"{"repositories":["b","a/c","../x"]}"#),
        _ => Reply::new(404, r#"{"errors":[{"code":"NAME_UNKNOWN","message":"repository\u0007 unknown"}]}"#),
    });
    let registry = connect(&server.host, &Settings::default(), None).unwrap();
    let tags = |name| registry.tags(name).map(|tags| tags.into_iter().collect::<Vec<_>>().join(" "));
    assert_eq!(tags("a").unwrap(), "1 2 3");
    assert_eq!(tags("empty").unwrap(), "");
    assert_eq!(tags("loop").unwrap(), "1");
    assert_eq!(tags("away").unwrap(), "1");
    assert!(matches!(tags("broken"), Err(RegistryError::Malformed { .. })));
    let error = tags("none").unwrap_err();
    assert!(
        told(&error).contains(": repository  unknown\n  hint: is the name spelled right"),
        "{}",
        told(&error)
    );
    assert_eq!(registry.catalog().unwrap().into_iter().collect::<Vec<_>>(), ["a/c", "b"]);
}

#[test]
fn referrers_are_listed_by_the_registry_or_by_a_tag() {
    let subject = Digest::of(b"subject");
    let entry = |name: &str| {
        let digest = Digest::of(name.as_bytes());
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":1,"artifactType":"{name}"}}"#
        )
    };
    let index = |entry: String| {
        format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{entry}]}}"#
        )
    };
    let (native, by_tag) = (index(entry("native")), index(entry("tag")));
    let fallback = format!("/v2/old/manifests/sha256-{}", subject.hex());
    let server = open(move |request| match request.path.as_str() {
        path if path == format!("/v2/new/referrers/{subject}") => Reply::new(200, native.clone()),
        path if path == fallback => Reply::new(200, by_tag.clone()),
        _ => Reply::new(404, ""),
    });
    let registry = connect(&server.host, &Settings::default(), None).unwrap();
    let types = |repository| -> Vec<String> {
        let found = registry.referrers(repository, subject).unwrap();
        found.iter().map(|one| one.extra["artifactType"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(types("new"), ["native"]);
    assert_eq!(types("old"), ["tag"]);
    assert_eq!(types("none"), Vec::<String>::new());
    assert!(registry.attestations("old", subject).unwrap().is_empty());
}

#[test]
fn whoever_is_no_registry_is_told_apart() {
    let server = Server::start(|_| Reply::new(404, "<html>not here</html>"));
    let error = connect(&server.host, &Settings::default(), None).unwrap_err();
    assert!(told(&error).contains("is no registry: it answered 404"), "{}", told(&error));
    // Nobody listens there.
    let error = connect("127.0.0.1:1", &Settings::default(), None).unwrap_err();
    assert!(matches!(error, RegistryError::Connect { .. }), "{}", told(&error));
    assert!(told(&error).contains("hint: is the registry running"), "{}", told(&error));
}

#[test]
fn a_log_in_is_not_sent_to_a_token_service_without_tls_where_the_registry_has_it() {
    // A registry without TLS may name one without: that is this machine, or what the user asked for.
    let server = Server::start(|request| match request.path.starts_with("/token") {
        true => Reply::new(200, r#"{"access_token":"t","expires_in":60}"#),
        false if request.header("authorization") == "Bearer t" => Reply::new(200, MANIFEST),
        false => {
            let realm = format!("http://{}/token", request.header("host"));
            let challenge = format!("Bearer realm=\"{realm}\",service=\"s\"");
            Reply::new(401, "").with("WWW-Authenticate", &challenge)
        }
    });
    let registry = connect(&server.host, &Settings::default(), None).unwrap();
    assert!(registry.manifest(&reference(&server, "a/b:1")).is_ok());
    assert!(registry.manifest(&reference(&server, "a/b:2")).is_ok());
    let tokens: Vec<String> = server
        .asked()
        .into_iter()
        .map(|request| request.path)
        .filter(|path| path.starts_with("/token"))
        .collect();
    assert_eq!(tokens, ["/token?service=s&scope=repository:a/b:pull"], "a token is asked for once");
}
