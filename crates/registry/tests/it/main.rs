//! The client against a server that does as told, and against Debian's `docker-registry`.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on fails")]

mod real;
mod server;
mod token_service;
mod wire;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use careen_registry as registry;
use registry::{Logins, Registry, RegistryError, Settings};

/// What a test says when it cannot run here: a failure in CI, a visible skip elsewhere.
fn skip(reason: &str) {
    println!("SKIP {reason}");
    assert!(std::env::var_os("CAREEN_NO_SKIP").is_none(), "must not skip here: {reason}");
}

/// Connects with the log-ins of a file in docker's form.
fn connect(host: &str, settings: &Settings, logins: Option<&Path>) -> Result<Registry, RegistryError> {
    let variables: BTreeMap<&str, OsString> =
        logins.iter().map(|file| ("REGISTRY_AUTH_FILE", file.as_os_str().to_owned())).collect();
    let logins = Logins::of_user(&|name| variables.get(name).cloned()).unwrap();
    Registry::connect(host, settings, &Arc::new(logins), &Arc::new(AtomicBool::new(false)))
}

/// The whole chain of an error, and its hint.
fn told(error: &RegistryError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text + &error.hint().map(|hint| format!("\n  hint: {hint}")).unwrap_or_default()
}

/// Starts a real registry; none after a skip.
fn daemon(auth: &testkit::Auth, tls: Option<(&Path, &Path)>) -> Option<testkit::Registry> {
    let started = testkit::Registry::start(auth, tls);
    if started.is_none() {
        skip("docker-registry or skopeo is not installed: apt-get install docker-registry skopeo");
    }
    started
}
