//! How a registry is connected to: certificates, proxies, time limits.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::RegistryError;
use crate::reference::is_loopback;

const CONNECT: Duration = Duration::from_secs(20);
const ANSWER: Duration = Duration::from_secs(60);
const READ: Duration = Duration::from_secs(60);
const MAX_CERTIFICATES_BYTES: u64 = 16 << 20;
/// Where Debian and others keep the authorities that a host trusts.
const SYSTEM: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Where docker and podman look for the authority of one registry.
const PER_HOST: [&str; 2] = ["/etc/docker/certs.d", "/etc/containers/certs.d"];

/// What the user says of connections.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Speak HTTP without TLS. To this machine itself it is spoken without that, too, if TLS is not answered.
    pub plain_http: bool,
    /// Certificates of authorities that are trusted beside the usual ones, in PEM.
    pub ca_file: Option<PathBuf>,
    /// What we call ourselves.
    pub user_agent: String,
}

/// A client for one registry.
pub(crate) fn agent(host: &str, settings: &Settings) -> Result<ureq::Agent, RegistryError> {
    let mut own = Vec::new();
    if let Some(file) = &settings.ca_file {
        own.extend(certificates(file)?);
    }
    for dir in PER_HOST {
        // A name of a directory: a host has no slash.
        let Ok(entries) = fs::read_dir(Path::new(dir).join(host)) else { continue };
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        for file in files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "crt")) {
            own.extend(certificates(file)?);
        }
    }
    let mut tls = TlsConfig::builder();
    if !own.is_empty() {
        // Blobs may lie on a server that the usual authorities vouch for.
        own.extend(certificates(Path::new(SYSTEM)).unwrap_or_default());
        tls = tls.root_certs(RootCerts::new_with_certs(&own));
    }
    let mut config = ureq::Agent::config_builder()
        .tls_config(tls.build())
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(ANSWER))
        .timeout_per_read(Some(READ))
        .http_status_as_error(false)
        // Followed by us, without the log-in.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(&settings.user_agent);
    if is_loopback(host) {
        config = config.proxy(None);
    }
    Ok(config.build().into())
}

/// The authorities of a file in PEM, and those that the host trusts.
///
/// # Errors
/// [`RegistryError::Certificates`] if the file cannot be read, or has no certificate.
pub fn authorities(file: &Path) -> Result<RootCerts, RegistryError> {
    let mut all = certificates(file)?;
    all.extend(certificates(Path::new(SYSTEM)).unwrap_or_default());
    Ok(RootCerts::new_with_certs(&all))
}

fn certificates(file: &Path) -> Result<Vec<Certificate<'static>>, RegistryError> {
    let failed = |source| RegistryError::Certificates { path: file.to_owned(), source };
    let mut bytes = Vec::new();
    fs::File::open(file)
        .and_then(|open| open.take(MAX_CERTIFICATES_BYTES).read_to_end(&mut bytes))
        .map_err(failed)?;
    let found: Vec<_> = parse_pem(&bytes)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidData, "it has no certificate")));
    }
    Ok(found)
}
