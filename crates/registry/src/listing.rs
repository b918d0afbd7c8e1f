//! Lists that come in pages: the tags of a repository, the repositories of a registry.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::reference::{is_repository, is_tag};
use crate::registry::Question;
use crate::url::{is_same_origin, resolve};
use crate::{Registry, RegistryError};

const MAX_PAGE_BYTES: u64 = 16 << 20;
const MAX_PAGES: usize = 10_000;
const MAX_NAMES: usize = 1_000_000;

#[derive(Deserialize)]
struct Tags {
    /// `null` where there is none.
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Catalog {
    repositories: Option<Vec<String>>,
}

impl Registry {
    /// The tags of a repository, in the order of text; what can be no tag is left out.
    ///
    /// # Errors
    /// [`RegistryError`]
    pub fn tags(&self, repository: &str) -> Result<BTreeSet<String>, RegistryError> {
        let mut all = BTreeSet::new();
        let what = format!("list of tags of {}/{repository}", self.host());
        self.pages(&format!("/v2/{repository}/tags/list?n=1000"), &what, repository, &mut |page: Tags| {
            all.extend(page.tags.unwrap_or_default().into_iter().filter(|tag| is_tag(tag)));
            all.len()
        })?;
        Ok(all)
    }

    /// The repositories of the registry that this log-in may list, in the order of text.
    ///
    /// # Errors
    /// [`RegistryError`]; many public registries have no catalog.
    pub fn catalog(&self) -> Result<BTreeSet<String>, RegistryError> {
        let mut all = BTreeSet::new();
        let what = format!("catalog of {}", self.host());
        self.pages("/v2/_catalog?n=1000", &what, "", &mut |page: Catalog| {
            all.extend(page.repositories.unwrap_or_default().into_iter().filter(|name| is_repository(name)));
            all.len()
        })?;
        Ok(all)
    }

    /// Reads pages until the last; `add` takes one, and tells how many names there are by now.
    pub(crate) fn pages<T: DeserializeOwned>(
        &self,
        first: &str,
        what: &str,
        repository: &str,
        add: &mut dyn FnMut(T) -> usize,
    ) -> Result<(), RegistryError> {
        let too_many = |what, limit| RegistryError::TooMany { host: self.host().to_owned(), what, limit };
        let mut next = Some(first.to_owned());
        let mut pages = 0;
        while let Some(path) = next {
            pages += 1;
            if pages > MAX_PAGES {
                return Err(too_many("pages", MAX_PAGES));
            }
            let answer = self.get(&Question::of(&path, what, repository))?;
            let url = answer.url.clone();
            let link = answer.headers("link").into_iter().find_map(next_page);
            next = link
                .and_then(|link| resolve(&url, &link))
                .filter(|next| is_same_origin(&url, next) && *next != url);
            let bytes = answer.bytes(self.host(), what, MAX_PAGE_BYTES)?;
            let page = serde_json::from_slice(&bytes).map_err(|error| RegistryError::Malformed {
                host: self.host().to_owned(),
                what: what.to_owned(),
                source: Box::new(error),
            })?;
            if add(page) > MAX_NAMES {
                return Err(too_many("names", MAX_NAMES));
            }
        }
        Ok(())
    }
}

/// The address of the next page. Source: RFC 8288, section 3.
fn next_page(header: &str) -> Option<String> {
    header.split('<').skip(1).find_map(|link| {
        let (target, parameters) = link.split_once('>')?;
        let is_next = parameters.split([';', ',']).any(|parameter| {
            let Some((name, value)) = parameter.split_once('=') else { return false };
            name.trim().eq_ignore_ascii_case("rel")
                && value.trim().trim_matches('"').eq_ignore_ascii_case("next")
        });
        is_next.then(|| target.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_links() {
        for (header, expected) in [
            ("</v2/_catalog?last=b&n=2>; rel=\"next\"", Some("/v2/_catalog?last=b&n=2")),
            ("</a>; rel=prev, </b>; title=\"x\"; rel=next", Some("/b")),
            ("</a>; rel=\"prev\"", None),
            ("garbage", None),
            ("<unterminated", None),
            ("", None),
        ] {
            assert_eq!(next_page(header).as_deref(), expected, "{header}");
        }
    }
}
