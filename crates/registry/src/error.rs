//! What goes wrong with a registry.

use std::io;
use std::path::PathBuf;

use image::Digest;

use crate::logins::LoginsError;

/// Why something was not read from a registry.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No connection, or it broke.
    #[error("cannot reach the registry {host}")]
    Connect {
        /// Which.
        host: String,
        /// Why.
        source: Box<ureq::Error>,
    },
    /// The server is not one that is trusted, or speaks no TLS.
    #[error("cannot speak TLS with the registry {host}")]
    Tls {
        /// Which.
        host: String,
        /// Why.
        source: Box<ureq::Error>,
    },
    /// The file of certificates cannot be used.
    #[error("cannot use the certificates of {}", path.display())]
    Certificates {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It answers, and not as a registry does.
    #[error("{host} is no registry: it answered {status} where version 2 of the interface should be")]
    NotARegistry {
        /// Which.
        host: String,
        /// The status.
        status: u16,
    },
    /// It wants to know who asks, or does not let this one in.
    #[error("{host} does not let us read {what}{}", said(message))]
    Unauthorized {
        /// Which registry.
        host: String,
        /// What was asked for.
        what: String,
        /// Whether we logged in.
        logged_in: bool,
        /// What it said.
        message: String,
    },
    /// It asks for a kind of log-in that is not known.
    #[error("{host} asks for a log-in of an unknown kind")]
    UnknownChallenge {
        /// Which.
        host: String,
    },
    /// The token service does not do as it should.
    #[error("cannot get a token for {host} from {service}{}", said(message))]
    Token {
        /// Which registry.
        host: String,
        /// Where the token should come from.
        service: String,
        /// What is wrong.
        message: String,
    },
    /// The files with log-ins cannot be used.
    #[error("cannot find a log-in for {host}")]
    Logins {
        /// Which registry.
        host: String,
        /// Why.
        source: LoginsError,
    },
    /// It has no such thing.
    #[error("{host} has no {what}{}", said(message))]
    NotFound {
        /// Which registry.
        host: String,
        /// What was asked for.
        what: String,
        /// What it said.
        message: String,
    },
    /// It asks to come back later than anybody waits.
    #[error("{host} asks to come back in {seconds} seconds")]
    TooBusy {
        /// Which registry.
        host: String,
        /// When.
        seconds: u64,
    },
    /// Another answer than what was asked for.
    #[error("{host} answered {status} for {what}{}", said(message))]
    Status {
        /// Which registry.
        host: String,
        /// The status.
        status: u16,
        /// What was asked for.
        what: String,
        /// What it said.
        message: String,
    },
    /// It sends us where we do not go.
    #[error("{host} redirects {what} to {location:?}, which is not followed")]
    Redirect {
        /// Which registry.
        host: String,
        /// What was asked for.
        what: String,
        /// Where to.
        location: String,
    },
    /// More bytes than are read.
    #[error("{what} has more than {limit} bytes")]
    TooLarge {
        /// What was read.
        what: String,
        /// The limit.
        limit: u64,
    },
    /// More of something than is believed.
    #[error("{host} lists more than {limit} {what}")]
    TooMany {
        /// Which registry.
        host: String,
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Not the bytes that were asked for.
    #[error("{what} has the digest {actual}, not {expected}")]
    Digest {
        /// What was read.
        what: String,
        /// What it should have.
        expected: Digest,
        /// What it has.
        actual: Digest,
    },
    /// Not as many bytes as were announced.
    #[error("{what} has {actual} bytes, not {expected}")]
    Size {
        /// What was read.
        what: String,
        /// What it should have.
        expected: u64,
        /// What came.
        actual: u64,
    },
    /// An answer that is not what the specification asks for.
    #[error("cannot understand {what} of {host}")]
    Malformed {
        /// Which registry.
        host: String,
        /// What was read.
        what: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The line broke while reading, more than once.
    #[error("cannot read {what} from {host}")]
    Read {
        /// Which registry.
        host: String,
        /// What was read.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// What came cannot be kept.
    #[error("cannot write {}", path.display())]
    Store {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

impl RegistryError {
    /// What to try next.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Connect { source, .. } => match **source {
                ureq::Error::HostNotFound => {
                    "is the name spelled right, and is there a network? A file needs a path, \
                                              such as ./image.tar or oci:DIR"
                        .to_owned()
                }
                _ => "is the registry running, and is the port right? Behind a proxy, set HTTPS_PROXY"
                    .to_owned(),
            },
            Self::Tls { source, .. } if is_untrusted(source) => {
                "a registry with a certificate of your own authority: --ca-file FILE".to_owned()
            }
            Self::Tls { .. } => {
                "a registry without TLS: --plain-http, if you trust the network to it".to_owned()
            }
            Self::Certificates { .. } => "certificates are read in PEM".to_owned(),
            Self::NotARegistry { .. } => "write HOST/REPOSITORY:TAG; is the host a registry?".to_owned(),
            Self::Unauthorized { logged_in: false, host, .. } => format!(
                "log in with `docker login {host}` or `podman login {host}`, or name the file of a log-in in \
                 REGISTRY_AUTH_FILE; registries say so too of what does not exist"
            ),
            Self::Unauthorized { host, .. } => {
                format!("this log-in may not read it, or has expired: `docker login {host}` again")
            }
            Self::Logins { source, .. } => return source.hint(),
            Self::NotFound { .. } => "is the name spelled right, and the tag?".to_owned(),
            Self::TooBusy { .. } => "log in for a higher limit, or try again later".to_owned(),
            Self::Digest { .. } | Self::Size { .. } => {
                "the registry, or a proxy on the way, sends something else than what was pushed; try again"
                    .to_owned()
            }
            Self::Read { .. } => "try again: what came already is kept".to_owned(),
            Self::Store { .. } => "choose another place with --data-dir".to_owned(),
            Self::Status { status: 500.., .. } => "the registry is out of order; try again later".to_owned(),
            _ => return None,
        })
    }
}

/// Whether TLS failed for a certificate that nobody vouches for, or that is for another name.
pub(crate) fn is_untrusted(error: &ureq::Error) -> bool {
    error.to_string().contains("certificate")
}

/// A foreign message as it may be shown: one short line without control characters.
pub(crate) fn tame(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(200).collect::<String>().trim().to_owned()
}
