//! One registry: asking it, logging in on the way, following it, waiting for it.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use ureq::http::StatusCode;

use crate::answer::Answer;
use crate::challenge::{self, Challenge};
use crate::connect::{Settings, agent};
use crate::error::{RegistryError, is_untrusted, tame};
use crate::logins::{Login, Logins, Secret};
use crate::reference::{is_loopback, server};
use crate::retry::{ATTEMPTS, PATIENCE, backoff, is_passing, is_transient, pause, retry_after};
use crate::token::{self, Wanted};
use crate::url::{is_same_origin, resolve};

const MAX_REDIRECTS: usize = 5;

/// A registry that answered.
pub struct Registry {
    host: String,
    /// `https://SERVER`.
    base: String,
    agent: ureq::Agent,
    logins: Arc<Logins>,
    challenge: Option<Challenge>,
    /// Tokens by scope.
    tokens: Mutex<BTreeMap<String, Secret>>,
    interrupt: Arc<AtomicBool>,
}

/// What is asked for.
pub(crate) struct Question<'a> {
    /// Beginning with `/v2/`, or a full address on this registry.
    pub(crate) path: &'a str,
    /// What it is called in an error.
    pub(crate) what: &'a str,
    /// The repository; empty for the catalog.
    pub(crate) repository: &'a str,
    pub(crate) accept: &'a str,
    /// Ask for the headers only.
    pub(crate) head: bool,
    /// Ask for what follows so many bytes.
    pub(crate) from: u64,
}

impl Registry {
    /// Connects to a registry, and finds out whether it is one.
    ///
    /// This machine itself is spoken to without TLS if it does not answer to that.
    ///
    /// # Errors
    /// [`RegistryError`] if nobody answers, or nothing that is a registry.
    pub fn connect(
        host: &str,
        settings: &Settings,
        logins: &Arc<Logins>,
        interrupt: &Arc<AtomicBool>,
    ) -> Result<Self, RegistryError> {
        let mut this = Self {
            host: host.to_owned(),
            base: String::new(),
            agent: agent(host, settings)?,
            logins: Arc::clone(logins),
            challenge: None,
            tokens: Mutex::default(),
            interrupt: Arc::clone(interrupt),
        };
        let schemes: &[&str] = match (settings.plain_http, is_loopback(host)) {
            (true, _) => &["http"],
            (false, true) => &["https", "http"],
            (false, false) => &["https"],
        };
        let mut answer = None;
        for (nth, scheme) in schemes.iter().enumerate() {
            this.base = format!("{scheme}://{}", server(host));
            let is_last = nth + 1 == schemes.len();
            match this.persist(
                &format!("{}/v2/", this.base),
                &Question::of("/v2/", "the interface", ""),
                None,
            ) {
                Ok(ping) => {
                    answer = Some(ping);
                    break;
                }
                // Somebody answered, and not in TLS.
                Err(RegistryError::Tls { source, .. }) if !is_last && !is_untrusted(&source) => {}
                Err(error) => return Err(error),
            }
        }
        let not_a_registry = |status| RegistryError::NotARegistry { host: host.to_owned(), status };
        let answer = answer.ok_or_else(|| not_a_registry(0))?;
        match answer.status {
            200 => {}
            401 => {
                this.challenge = Some(
                    best(&answer).ok_or_else(|| RegistryError::UnknownChallenge { host: host.to_owned() })?,
                );
            }
            status => return Err(not_a_registry(status)),
        }
        Ok(this)
    }

    /// Name and port, as in a reference.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn interrupt(&self) -> &AtomicBool {
        &self.interrupt
    }

    /// The answer to a question, whatever its status, after logging in where that is asked for.
    pub(crate) fn ask(&self, question: &Question<'_>) -> Result<Answer, RegistryError> {
        let url = match question.path.starts_with('/') {
            true => format!("{}{}", self.base, question.path),
            false => question.path.to_owned(),
        };
        let scope = match question.repository {
            "" => "registry:catalog:*".to_owned(),
            name => format!("repository:{name}:pull"),
        };
        let login = self.login(question.repository)?;
        let first = match &self.challenge {
            Some(challenge) => self.authorization(challenge, &scope, login.as_ref(), false)?,
            None => None,
        };
        let answer = self.persist(&url, question, first.as_deref())?;
        if answer.status != 401 {
            return Ok(answer);
        }
        // A token grows old, and some repositories want one where the registry does not.
        let Some(challenge) = best(&answer).or_else(|| self.challenge.clone()) else { return Ok(answer) };
        match self.authorization(&challenge, &scope, login.as_ref(), true)? {
            Some(again) if Some(&again) != first.as_ref() => self.persist(&url, question, Some(&again)),
            _ => Ok(answer),
        }
    }

    /// As [`Registry::ask`], with every status but success as an error.
    pub(crate) fn get(&self, question: &Question<'_>) -> Result<Answer, RegistryError> {
        let answer = self.ask(question)?;
        let (host, what) = (self.host.clone(), question.what.to_owned());
        match answer.status {
            200 | 206 => Ok(answer),
            401 | 403 => Err(RegistryError::Unauthorized {
                host,
                what,
                logged_in: self.login(question.repository)?.is_some(),
                message: answer.message(),
            }),
            404 => Err(RegistryError::NotFound { host, what, message: answer.message() }),
            429 => {
                let seconds = retry_after(answer.header("retry-after")).unwrap_or(PATIENCE).as_secs();
                Err(RegistryError::TooBusy { host, seconds })
            }
            status => Err(RegistryError::Status { host, status, what, message: answer.message() }),
        }
    }

    fn login(&self, repository: &str) -> Result<Option<Login>, RegistryError> {
        let found = self.logins.find(&self.host, repository);
        found.map_err(|source| RegistryError::Logins { host: self.host.clone(), source })
    }

    /// The header that answers a challenge; none where there is nothing to answer with.
    fn authorization(
        &self,
        challenge: &Challenge,
        scope: &str,
        login: Option<&Login>,
        renew: bool,
    ) -> Result<Option<String>, RegistryError> {
        if let Some(Login::Bearer(token)) = login {
            return Ok(Some(format!("Bearer {}", token.reveal())));
        }
        let (realm, service, asked) = match challenge {
            Challenge::Basic => {
                return Ok(match login {
                    Some(Login::Password { user, password }) => Some(token::basic(user, password)),
                    _ => None,
                });
            }
            Challenge::Bearer { realm, service, scope } => (realm, service, scope),
        };
        let known = || self.tokens.lock().unwrap_or_else(PoisonError::into_inner).get(scope).cloned();
        let token = match known().filter(|_| !renew) {
            Some(token) => token,
            None => {
                // A registry may name what it wants; that of the ping is about nothing.
                let scope = if renew && !asked.is_empty() { asked } else { scope };
                let is_plain = self.base.starts_with("http://");
                let wanted = Wanted { host: &self.host, is_plain, realm, service, scope };
                token::fetch(&self.agent, &wanted, login)?
            }
        };
        let header = format!("Bearer {}", token.reveal());
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).insert(scope.to_owned(), token);
        Ok(Some(header))
    }

    /// Asks until there is an answer that is more than a passing trouble.
    fn persist(
        &self,
        url: &str,
        question: &Question<'_>,
        authorization: Option<&str>,
    ) -> Result<Answer, RegistryError> {
        for attempt in 0.. {
            pause(std::time::Duration::ZERO, &self.interrupt)?;
            let is_last = attempt + 1 >= ATTEMPTS;
            let wait = match self.follow(url, question, authorization) {
                Ok(answer) if !is_passing(answer.status) || is_last => return Ok(answer),
                Ok(answer) => {
                    let asked = retry_after(answer.header("retry-after"));
                    if let Some(asked) = asked.filter(|asked| *asked > PATIENCE) {
                        return Err(RegistryError::TooBusy {
                            host: self.host.clone(),
                            seconds: asked.as_secs(),
                        });
                    }
                    asked.unwrap_or_else(|| backoff(attempt))
                }
                Err(RegistryError::Connect { source, .. }) if !is_last && is_transient(&source) => {
                    backoff(attempt)
                }
                Err(error) => return Err(error),
            };
            tracing::debug!(host = %self.host, attempt, "asking {} for {} again", self.host, question.what);
            pause(wait, &self.interrupt)?;
        }
        Err(RegistryError::Interrupted)
    }

    /// Asks once, and follows redirects. Only the registry itself sees the log-in.
    fn follow(
        &self,
        url: &str,
        question: &Question<'_>,
        authorization: Option<&str>,
    ) -> Result<Answer, RegistryError> {
        let mut url = url.to_owned();
        for _ in 0..=MAX_REDIRECTS {
            let mut request = match question.head {
                true => self.agent.head(&url),
                false => self.agent.get(&url),
            };
            if !question.accept.is_empty() {
                request = request.header("Accept", question.accept);
            }
            if question.from > 0 {
                request = request.header("Range", format!("bytes={}-", question.from));
            }
            if let Some(authorization) = authorization.filter(|_| is_same_origin(&url, &self.base)) {
                request = request.header("Authorization", authorization);
            }
            let answer = Answer::new(url.clone(), request.call().map_err(|error| self.failed(error))?);
            if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            let location = answer.header("location").unwrap_or_default().to_owned();
            let refused = || RegistryError::Redirect {
                host: self.host.clone(),
                what: question.what.to_owned(),
                location: tame(&location),
            };
            let next = resolve(&url, &location).ok_or_else(refused)?;
            if url.starts_with("https://") && !next.starts_with("https://") {
                return Err(refused());
            }
            url = next;
        }
        Err(RegistryError::Redirect {
            host: self.host.clone(),
            what: question.what.to_owned(),
            location: tame(&url),
        })
    }

    fn failed(&self, error: ureq::Error) -> RegistryError {
        let (host, text) = (self.host.clone(), error.to_string());
        let is_tls = matches!(error, ureq::Error::Tls(_) | ureq::Error::Rustls(_))
            || [
                "certificate",
                "corrupt message",
                "InvalidContentType",
                "InvalidMessage",
                "TLS",
                "tls handshake",
            ]
            .iter()
            .any(|word| text.contains(word));
        let source = Box::new(error);
        if is_tls { RegistryError::Tls { host, source } } else { RegistryError::Connect { host, source } }
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("base", &self.base).finish_non_exhaustive()
    }
}

impl<'a> Question<'a> {
    /// A plain question.
    pub(crate) fn of(path: &'a str, what: &'a str, repository: &'a str) -> Self {
        Self { path, what, repository, accept: "", head: false, from: 0 }
    }
}

/// The challenge of an answer that is best answered: a token rather than a password.
fn best(answer: &Answer) -> Option<Challenge> {
    debug_assert_eq!(answer.status, StatusCode::UNAUTHORIZED.as_u16());
    let all: Vec<_> = answer.headers("www-authenticate").into_iter().flat_map(challenge::parse).collect();
    let bearer = all.iter().find(|challenge| matches!(challenge, Challenge::Bearer { .. }));
    bearer.or(all.first()).cloned()
}
