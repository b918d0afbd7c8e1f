//! What people call an image in a registry.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use image::Digest;

/// Where images without a host are.
const DEFAULT_HOST: &str = "docker.io";
/// Where that one answers.
const DEFAULT_SERVER: &str = "registry-1.docker.io";
/// Longest host and repository together. Source: distribution's `reference` grammar.
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// `HOST/REPOSITORY[:TAG][@DIGEST]`, with all that Docker fills in.
///
/// `redis` is `docker.io/library/redis:latest`. Where a digest is given, the tag is only a remark.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Name and port of the registry, `docker.io` for Docker Hub.
    pub host: String,
    /// The repository in it.
    pub repository: String,
    /// The tag; `latest` where neither tag nor digest was given.
    pub tag: Option<String>,
    /// The digest of an index or a manifest.
    pub digest: Option<Digest>,
}

/// Why a text is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// The part before the first slash is no name of a server.
    #[error("{0:?} is not the name of a registry")]
    Host(String),
    /// Not the name of a repository.
    #[error("{0:?} is not the name of a repository")]
    Repository(String),
    /// Not a tag.
    #[error("{0:?} is not a tag")]
    Tag(String),
    /// Not a digest.
    #[error("cannot read the digest")]
    Digest(#[from] image::digest::DigestError),
}

impl ReferenceError {
    /// What to try next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Repository(name) if name.chars().any(char::is_uppercase) => {
                Some(format!("repositories have lower case letters only: {}", name.to_lowercase()))
            }
            _ => Some("write HOST/REPOSITORY:TAG, such as ghcr.io/shop/app:1.4".to_owned()),
        }
    }
}

impl Reference {
    /// What names the image in a request: the digest, else the tag.
    pub fn name(&self) -> String {
        let tag = || self.tag.clone().unwrap_or_else(|| "latest".to_owned());
        self.digest.map_or_else(tag, |digest| digest.to_string())
    }

    /// The last part of the repository: what a file of this image may be called.
    pub fn short_name(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or(&self.repository)
    }

    /// The same image by this digest, whatever its tag becomes.
    #[must_use]
    pub fn pinned(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }

    /// The same repository under another tag.
    #[must_use]
    pub fn tagged(&self, tag: &str) -> Self {
        Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    /// Reads a reference, with or without `docker://` before it.
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let text = text.strip_prefix("docker://").unwrap_or(text);
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse()?)),
            None => (text, None),
        };
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (name, None),
        };
        let (host, repository) = match name.split_once('/') {
            Some((host, rest)) if is_host_like(host) => (host, rest),
            _ => (DEFAULT_HOST, name),
        };
        let host = match host {
            "index.docker.io" | DEFAULT_SERVER => DEFAULT_HOST,
            other => other,
        };
        if !is_host(host) {
            return Err(ReferenceError::Host(excerpt(host)));
        }
        let repository = match (host, repository.contains('/')) {
            (DEFAULT_HOST, false) if !repository.is_empty() => format!("library/{repository}"),
            _ => repository.to_owned(),
        };
        if !is_repository(&repository) || host.len() + repository.len() > MAX_NAME {
            return Err(ReferenceError::Repository(excerpt(&repository)));
        }
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(ReferenceError::Tag(excerpt(tag)));
        }
        let tag = tag.or(if digest.is_none() { Some("latest") } else { None }).map(str::to_owned);
        Ok(Self { host: host.to_owned(), repository, tag, digest })
    }
}

/// Whether the part before the first slash is meant as a host: `docker.io/x` and `localhost/x`, but not `shop/x`.
fn is_host_like(text: &str) -> bool {
    text == "localhost" || text.contains(['.', ':']) || text.chars().any(char::is_uppercase)
}

/// Whether this is the name of a server with or without a port, `localhost:5000`, `[::1]:5000`.
pub fn is_host(text: &str) -> bool {
    let (name, port) = split_port(text);
    let is_name = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let label = |label: &str| {
                !label.is_empty()
                    && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                    && !label.starts_with('-')
                    && !label.ends_with('-')
            };
            name.len() <= MAX_NAME && name.split('.').all(label)
        }
    };
    is_name && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    }
}

/// Whether a host is this machine itself, so that nobody listens in between.
pub(crate) fn is_loopback(host: &str) -> bool {
    let name = split_port(host).0.trim_matches(['[', ']']);
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// The server behind a host.
pub(crate) fn server(host: &str) -> &str {
    if host == DEFAULT_HOST { DEFAULT_SERVER } else { host }
}

/// Source: distribution-spec 1.1, "Pulling manifests".
pub(crate) fn is_repository(text: &str) -> bool {
    text.len() <= MAX_NAME && text.split('/').all(is_component)
}

/// Words of lower case letters and digits, with `.`, `_`, `__` or dashes between them.
fn is_component(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = bytes.first().copied().is_some_and(is_word) && bytes.last().copied().is_some_and(is_word);
    let is_separator = |part: &str| matches!(part, "" | "." | "_" | "__") || part.bytes().all(|b| b == b'-');
    ends && text.split(|c: char| c.is_ascii() && is_word(c as u8)).all(is_separator)
}

/// Source: distribution-spec 1.1, "Pulling manifests".
pub(crate) fn is_tag(text: &str) -> bool {
    let ok = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    !text.is_empty() && text.len() <= MAX_TAG && text.bytes().all(ok) && !text.starts_with(['.', '-'])
}

fn excerpt(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_filled_in_as_docker_does() {
        let digest = Digest::of(b"x");
        for (typed, full) in [
            ("redis", "docker.io/library/redis:latest".to_owned()),
            ("redis:7", "docker.io/library/redis:7".to_owned()),
            ("shop/app", "docker.io/shop/app:latest".to_owned()),
            ("index.docker.io/redis", "docker.io/library/redis:latest".to_owned()),
            ("docker://docker.io/library/redis:7", "docker.io/library/redis:7".to_owned()),
            ("localhost/app", "localhost/app:latest".to_owned()),
            ("localhost:5000/shop:1", "localhost:5000/shop:1".to_owned()),
            ("[::1]:5000/a/b", "[::1]:5000/a/b:latest".to_owned()),
            ("ghcr.io/a/b__c.d-e--f:V_1.2-3", "ghcr.io/a/b__c.d-e--f:V_1.2-3".to_owned()),
            (&format!("ghcr.io/a/b@{digest}"), format!("ghcr.io/a/b@{digest}")),
            (&format!("redis:7@{digest}"), format!("docker.io/library/redis:7@{digest}")),
        ] {
            let reference: Reference = typed.parse().unwrap();
            assert_eq!(reference.to_string(), full, "{typed}");
            assert_eq!(full.parse::<Reference>().unwrap(), reference, "{typed}");
        }
    }

    #[test]
    fn what_is_no_reference_is_told_with_a_hint() {
        for (text, part) in [
            ("", "\"\" is not the name of a repository"),
            ("Shop", "\"library/Shop\" is not the name of a repository"),
            ("a//b", "repository"),
            ("../../etc", "registry"),
            ("ghcr.io/../x", "repository"),
            ("ghcr.io/a:b c", "tag"),
            ("ghcr.io/a:", "tag"),
            ("ghcr.io/a@sha256:0", "digest"),
            ("exa mple.io/a", "registry"),
            ("user@host.io/a", "digest"),
            ("host:99999/a", "registry"),
            ("ghcr.io/a___b", "repository"),
        ] {
            let error = text.parse::<Reference>().unwrap_err();
            assert!(error.to_string().contains(part), "{text}: {error}");
            assert!(error.hint().is_some());
        }
        let long = format!("ghcr.io/{}", "a/".repeat(200) + "a");
        assert!(long.parse::<Reference>().is_err());
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (host, expected) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("[::1]:5000", true),
            ("registry.localhost", true),
            ("localhost.example", false),
            ("127.0.0.1.example", false),
            ("10.0.0.1:5000", false),
        ] {
            assert_eq!(is_loopback(host), expected, "{host}");
        }
    }
}
