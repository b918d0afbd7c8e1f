//! What packages say that they need: `Depends` and `Pre-Depends`.

use image::Image;

use super::deb822::{Stanza, Stanzas};
use super::{ADMIN_DIRECTORY, merged, status_files};
use crate::dependencies::Needs;
use crate::read::{self, Limits, ReadPackagesError};

/// How many names one package may need; real ones need up to some hundred.
const MAX_NAMES: usize = 10_000;

/// The needs of every package that dpkg's database lists.
pub(crate) fn dependencies(image: &Image, limits: &Limits) -> Result<Vec<Needs>, ReadPackagesError> {
    let Some(admin) = read::directory(image, ADMIN_DIRECTORY) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for file in status_files(image, &admin) {
        let bytes = merged(image, &admin, &file, limits)?;
        found.extend(Stanzas::new(&bytes).filter_map(|stanza| needs(&stanza, &bytes)));
    }
    Ok(found)
}

fn needs(stanza: &Stanza<'_>, file: &[u8]) -> Option<Needs> {
    let text = |field: &str| stanza.value(field).map(|value| String::from_utf8_lossy(value).into_owned());
    let list = |field: &str| {
        stanza.field(field).map_or_else(Vec::new, |field| {
            let mut value = field.value.to_vec();
            for line in &field.continuation {
                value.push(b' ');
                value.extend_from_slice(&file[line.clone()]);
            }
            relations(&String::from_utf8_lossy(&value))
        })
    };
    let mut needs = list("Pre-Depends");
    needs.append(&mut list("Depends"));
    needs.truncate(MAX_NAMES);
    Some(Needs {
        name: text("Package")?,
        architecture: text("Architecture").unwrap_or_default(),
        provides: list("Provides").into_iter().flatten().collect(),
        needs,
    })
}

/// `a (>= 1), b | c:any` as names, versions and architectures left out.
///
/// Source: Debian policy 7.1.
fn relations(value: &str) -> Vec<Vec<String>> {
    let name = |relation: &str| {
        let end = relation.find(|c: char| c.is_whitespace() || "([<:".contains(c)).unwrap_or(relation.len());
        Some(relation[..end].to_owned()).filter(|name| !name.is_empty())
    };
    let alternatives = |group: &str| group.split('|').map(str::trim).filter_map(name).collect::<Vec<_>>();
    value.split(',').map(alternatives).filter(|names| !names.is_empty()).take(MAX_NAMES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_are_names_in_alternatives() {
        let expected = vec![vec!["libc6".to_owned()], vec!["debconf".to_owned(), "debconf-2.0".to_owned()]];
        assert_eq!(relations("libc6 (>= 2.36), debconf:any (>= 0.5) | debconf-2.0, ,"), expected);
        assert_eq!(relations(" | ,(,"), Vec::<Vec<String>>::new());
    }
}
