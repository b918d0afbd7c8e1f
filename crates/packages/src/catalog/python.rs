//! Python distributions that databases do not list: eggs that are archives. And where a distribution came from.
//!
//! Source: setuptools, "The Internal Structure of Python Eggs"; PyPA specification "Recording the Direct URL Origin".

use image::{Image, ImagePath};
use serde_json::Value;

use super::found::{Content, Findings, Found};
use super::zip::{self, Budget};
use crate::python::{field, normal_name};
use crate::{Ecosystem, Limits, Origin, Package, purl};

const MAX_METADATA_BYTES: u64 = 4 << 20;

/// The distribution in an egg.
pub(super) fn egg(content: &mut dyn Content, limits: &Limits) -> Findings {
    let mut read = || {
        let entries = zip::entries(content, |name| name == "EGG-INFO/PKG-INFO")?;
        let mut budget = Budget::new(limits.archive_bytes);
        entries.first().map(|entry| entry.read(content, MAX_METADATA_BYTES, &mut budget)).transpose()
    };
    let metadata = match read() {
        Ok(Some(metadata)) => String::from_utf8_lossy(&metadata).into_owned(),
        Ok(None) => return Findings::problem("an egg without metadata"),
        Err(error) => return Findings::problem(error.to_string()),
    };
    let (Some(name), Some(version)) = (field(&metadata, "Name"), field(&metadata, "Version")) else {
        return Findings::problem("metadata without a name and a version");
    };
    let purl = purl::of("pypi", &[&normal_name(&name)], &version, &[]);
    let found = Found::new(Ecosystem::Python, &name, &version, purl);
    Findings::only(found.map(|found| found.licence(field(&metadata, "License"))))
}

/// Adds to a distribution's purl that it came from a repository or an address, and not from an index.
pub(super) fn add_direct_url(image: &Image, package: &mut Package) {
    let Origin::Python { place, .. } = &package.origin else { return };
    let Some(url) = place.join(b"direct_url.json").ok().and_then(|path: ImagePath| {
        serde_json::from_slice::<Value>(&image.read_file(&path, MAX_METADATA_BYTES).ok()?).ok()
    }) else {
        return;
    };
    let Some(address) = url["url"].as_str().filter(|address| address.len() <= 500) else { return };
    let vcs = &url["vcs_info"];
    let repository = vcs["vcs"]
        .as_str()
        .map(|vcs_name| format!("{vcs_name}+{address}@{}", vcs["commit_id"].as_str().unwrap_or_default()));
    // Of a directory on the machine that built the image nothing can be learnt.
    let qualifier = match &repository {
        Some(repository) => ("vcs_url", repository.as_str()),
        None if address.starts_with("http") => ("download_url", address),
        None => return,
    };
    package.purl = purl::of("pypi", &[&normal_name(&package.name)], &package.version, &[qualifier]);
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::zip::made;
    use super::*;

    #[test]
    fn an_egg_says_what_it_is() {
        let archive = made(&[("EGG-INFO/PKG-INFO", b"Name: My_Dist\nVersion: 1.0\nLicense: MIT\n", true)]);
        let found = egg(&mut Cursor::new(archive), &Limits::default()).found.remove(0);
        assert_eq!((found.purl.as_str(), found.licence.as_deref()), ("pkg:pypi/my-dist@1.0", Some("MIT")));
        assert_eq!(egg(&mut Cursor::new(b"no zip"), &Limits::default()).problems.len(), 1);
    }
}
