//! Log-ins as `docker login` and `podman login` leave them.
//!
//! Source: docker's `config.json`; `containers-auth.json(5)`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::helper;

/// A larger file of log-ins is none.
const MAX_BYTES: u64 = 8 << 20;
/// What Docker Hub is called in these files.
const HUB: [&str; 5] = [
    "https://index.docker.io/v1/",
    "docker.io",
    "index.docker.io",
    "registry-1.docker.io",
    "index.docker.io/v1",
];

/// A text that nobody should see.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for who must send it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

/// How somebody shows who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// By name and password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// By a token that the token service gave out, and gives others for.
    Identity(Secret),
    /// By a token that the registry takes as it is.
    Bearer(Secret),
}

/// Why the log-ins cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoginsError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what docker or podman write. What is wrong is not shown: it may be a password.
    #[error("{} is no file of log-ins: line {line}, column {column}", path.display())]
    Json {
        /// Which.
        path: PathBuf,
        /// Where.
        line: usize,
        /// Where in the line.
        column: usize,
    },
    /// The name of a helper is none.
    #[error("{0:?} is not the name of a credential helper")]
    HelperName(String),
    /// A helper cannot be run, or fails.
    #[error("the credential helper docker-credential-{name} fails")]
    Helper {
        /// Which.
        name: String,
        /// Why.
        source: io::Error,
    },
}

impl LoginsError {
    /// What to try next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Helper { name, source } if source.kind() == io::ErrorKind::NotFound => {
                Some(format!("install docker-credential-{name}, or put it on the PATH"))
            }
            Self::Json { .. } => Some("log in again with `docker login` or `podman login`".to_owned()),
            _ => None,
        }
    }
}

/// The log-ins of a user.
#[derive(Debug, Default)]
pub struct Logins {
    files: Vec<LoginFile>,
    /// What helpers said of a host, so that each is asked once.
    asked: Mutex<BTreeMap<(String, String), Option<Login>>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct LoginFile {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

impl fmt::Debug for LoginFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginFile").field("hosts", &self.auths.keys()).finish_non_exhaustive()
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

impl Logins {
    /// The log-ins where docker and podman keep them: `REGISTRY_AUTH_FILE` alone if it is set, else podman's files and
    /// then docker's (`DOCKER_CONFIG`). What is not there is left out.
    ///
    /// # Errors
    /// A file that cannot be read, or that was named and is not there.
    pub fn of_user(variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, LoginsError> {
        let path = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(named) = path("REGISTRY_AUTH_FILE") {
            return Self::read(&[named], true);
        }
        let home = path("HOME");
        let beneath = |dir: &str| home.as_ref().map(|home| home.join(dir));
        let files = [
            path("XDG_RUNTIME_DIR").map(|dir| dir.join("containers/auth.json")),
            path("XDG_CONFIG_HOME")
                .or_else(|| beneath(".config"))
                .map(|dir| dir.join("containers/auth.json")),
            path("DOCKER_CONFIG").or_else(|| beneath(".docker")).map(|dir| dir.join("config.json")),
        ];
        let files: Vec<PathBuf> = files.into_iter().flatten().collect();
        Self::read(&files, false)
    }

    fn read(paths: &[PathBuf], must_exist: bool) -> Result<Self, LoginsError> {
        let mut files = Vec::new();
        for path in paths {
            let failed = |source| LoginsError::Read { path: path.clone(), source };
            let mut bytes = Vec::new();
            match fs::File::open(path) {
                Ok(file) => file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?,
                Err(error) if !must_exist && error.kind() == io::ErrorKind::NotFound => continue,
                // Another user's file is not ours to use.
                Err(error) if !must_exist && error.kind() == io::ErrorKind::PermissionDenied => continue,
                Err(error) => return Err(failed(error)),
            };
            if bytes.len() as u64 > MAX_BYTES {
                return Err(failed(io::Error::other(format!("it has more than {MAX_BYTES} bytes"))));
            }
            files.push(parse(path, &bytes)?);
        }
        Ok(Self { files, asked: Mutex::default() })
    }

    /// The log-in for a repository, the most special one of the first file that has any.
    ///
    /// # Errors
    /// A credential helper that fails.
    pub fn find(&self, host: &str, repository: &str) -> Result<Option<Login>, LoginsError> {
        for file in &self.files {
            let names: Vec<&str> = if host == "docker.io" { HUB.to_vec() } else { vec![host] };
            let first = names.first().copied().unwrap_or(host);
            if let Some(helper) = names.iter().find_map(|name| file.cred_helpers.get(*name))
                && let Some(login) = self.ask(helper, first)?
            {
                return Ok(Some(login));
            }
            if let Some(login) = names.iter().find_map(|name| file.entry(name, repository)?.login()) {
                return Ok(Some(login));
            }
            if let Some(helper) = &file.creds_store
                && let Some(login) = self.ask(helper, first)?
            {
                return Ok(Some(login));
            }
        }
        Ok(None)
    }

    fn ask(&self, name: &str, host: &str) -> Result<Option<Login>, LoginsError> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (name.to_owned(), host.to_owned());
        if let Some(known) = asked.get(&key) {
            return Ok(known.clone());
        }
        let login = helper::ask(name, host)?;
        asked.insert(key, login.clone());
        Ok(login)
    }
}

impl LoginFile {
    /// The entry of a repository, of one of the directories above it, or of the host.
    fn entry(&self, host: &str, repository: &str) -> Option<&Entry> {
        let mut key = format!("{host}/{repository}");
        loop {
            if let Some(entry) = self.auths.get(&key) {
                return Some(entry);
            }
            match key.rfind('/').filter(|at| *at >= host.len()) {
                Some(at) => key.truncate(at),
                None => break,
            }
        }
        // Old entries are addresses.
        let is_host = |key: &str| {
            let name = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
            name.is_some_and(|name| name.split('/').next() == Some(host))
        };
        self.auths.iter().find(|(key, _)| is_host(key)).map(|(_, entry)| entry)
    }
}

impl Entry {
    fn login(&self) -> Option<Login> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = given(&self.registrytoken) {
            return Some(Login::Bearer(Secret(token)));
        }
        if let Some(token) = given(&self.identitytoken) {
            return Some(Login::Identity(Secret(token)));
        }
        let decoded = given(&self.auth).and_then(|auth| STANDARD.decode(auth.trim()).ok());
        let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
        let (user, password) = match pair {
            Some((user, password)) => (user.to_owned(), password.trim_end_matches('\0').to_owned()),
            None => (given(&self.username)?, given(&self.password)?),
        };
        Some(Login::Password { user, password: Secret(password) })
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<LoginFile, LoginsError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(LoginFile::default());
    }
    serde_json::from_slice(bytes).map_err(|error| LoginsError::Json {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logins(text: &str) -> Logins {
        Logins { files: vec![parse(Path::new("x"), text.as_bytes()).unwrap()], asked: Mutex::default() }
    }

    fn password(user: &str, password: &str) -> Option<Login> {
        Some(Login::Password { user: user.into(), password: Secret::new(password) })
    }

    #[test]
    fn the_most_special_entry_of_a_repository_is_taken() {
        let auth = |text: &str| STANDARD.encode(text);
        let logins = logins(&format!(
            r#"{{"auths": {{
                "https://index.docker.io/v1/": {{"auth": "{}"}},
                "reg.example:5000": {{"auth": "{}"}},
                "reg.example:5000/shop": {{"auth": "{}"}},
                "https://old.example/v2/": {{"username": "o", "password": "p"}},
                "token.example": {{"auth": "{}", "identitytoken": "t"}},
                "empty.example": {{}}
            }}, "other": 7}}"#,
            auth("hub:a:b"),
            auth("host:x"),
            auth("shop:y"),
            auth("<token>:")
        ));
        for (host, repository, expected) in [
            ("docker.io", "library/redis", password("hub", "a:b")),
            ("reg.example:5000", "other", password("host", "x")),
            ("reg.example:5000", "shop/app", password("shop", "y")),
            ("reg.example:5000", "shopping", password("host", "x")),
            ("reg.example", "shop/app", None),
            ("old.example", "a", password("o", "p")),
            ("token.example", "a", Some(Login::Identity(Secret::new("t")))),
            ("empty.example", "a", None),
        ] {
            assert_eq!(logins.find(host, repository).unwrap(), expected, "{host}/{repository}");
        }
    }

    #[test]
    fn no_secret_is_ever_printed() {
        let login = password("me", "hunter2").unwrap();
        assert_eq!(format!("{login:?}"), "Password { user: \"me\", password: **** }");
        let logins = logins(r#"{"auths": {"a": {"password": "hunter2", "username": "me"}}}"#);
        assert!(!format!("{logins:?}").contains("hunter2"));
        let error = parse(Path::new("x"), br#"{"auths": {"a": "hunter2"}}"#).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn a_named_file_must_be_there_and_others_need_not() {
        let none = |_: &str| None;
        assert_eq!(Logins::of_user(&none).unwrap().find("a.example", "b").unwrap(), None);
        let named = |name: &str| (name == "REGISTRY_AUTH_FILE").then(|| "/nowhere/auth.json".into());
        assert!(matches!(Logins::of_user(&named), Err(LoginsError::Read { .. })));
        let home = |name: &str| (name == "HOME").then(|| "/nowhere".into());
        assert!(Logins::of_user(&home).is_ok());
    }
}
