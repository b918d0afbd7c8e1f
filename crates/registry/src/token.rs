//! Tokens of a token service.
//!
//! Source: distribution's "Token Authentication Specification" and "OAuth2 Token Authentication".

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::answer::Answer;
use crate::error::{RegistryError, tame};
use crate::logins::{Login, Secret};
use crate::url::{encode, origin};

const MAX_BYTES: u64 = 1 << 20;

/// Where a token is to be had, and what for.
pub(crate) struct Wanted<'a> {
    pub(crate) host: &'a str,
    /// Whether the registry itself is spoken to without TLS.
    pub(crate) is_plain: bool,
    pub(crate) realm: &'a str,
    pub(crate) service: &'a str,
    pub(crate) scope: &'a str,
}

#[derive(Deserialize)]
struct Given {
    token: Option<String>,
    access_token: Option<String>,
}

/// Gets a token; one for everybody without a log-in.
pub(crate) fn fetch(
    agent: &ureq::Agent,
    wanted: &Wanted<'_>,
    login: Option<&Login>,
) -> Result<Secret, RegistryError> {
    let failed = |message: &str| RegistryError::Token {
        host: wanted.host.to_owned(),
        service: tame(wanted.realm),
        message: tame(message),
    };
    match origin(wanted.realm) {
        Some((scheme, ..)) if scheme == "https" || wanted.is_plain => {}
        _ => return Err(failed("a log-in is only sent over TLS")),
    }
    let sent = match login {
        Some(Login::Identity(token)) => agent.post(wanted.realm).send_form([
            ("grant_type", "refresh_token"),
            ("client_id", "careen"),
            ("service", wanted.service),
            ("scope", wanted.scope),
            ("refresh_token", token.reveal()),
        ]),
        _ => {
            let separator = if wanted.realm.contains('?') { '&' } else { '?' };
            let mut url = format!("{}{separator}service={}", wanted.realm, encode(wanted.service));
            for scope in wanted.scope.split(' ').filter(|scope| !scope.is_empty()) {
                url += &format!("&scope={}", encode(scope));
            }
            let mut request = agent.get(&url);
            if let Some(Login::Password { user, password }) = login {
                request = request.header("Authorization", basic(user, password));
            }
            request.call()
        }
    };
    let answer = Answer::new(wanted.realm.to_owned(), sent.map_err(|error| failed(&error.to_string()))?);
    match answer.status {
        200 => {}
        401 | 403 => {
            return Err(RegistryError::Unauthorized {
                host: wanted.host.to_owned(),
                what: scope_text(wanted.scope),
                logged_in: login.is_some(),
                message: answer.message(),
            });
        }
        status => return Err(failed(&format!("it answered {status} {}", answer.message()))),
    }
    let bytes = answer.bytes(wanted.host, "the token", MAX_BYTES)?;
    let given: Given = serde_json::from_slice(&bytes).map_err(|_| failed("its answer is no token"))?;
    let token = given.token.or(given.access_token).filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| failed("its answer has no token"))?;
    if token.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return Err(failed("its token cannot be sent"));
    }
    Ok(Secret::new(token))
}

/// The header of a name and a password.
pub(crate) fn basic(user: &str, password: &Secret) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.reveal())))
}

/// What a scope is about, for people.
fn scope_text(scope: &str) -> String {
    match scope.split(':').collect::<Vec<_>>().as_slice() {
        ["repository", name, _] => (*name).to_owned(),
        ["registry", ..] => "the catalog".to_owned(),
        _ => "it".to_owned(),
    }
}
