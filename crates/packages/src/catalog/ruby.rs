//! Ruby gems: the specifications that RubyGems writes when it installs one, those of default gems, and lock files of
//! Bundler where nothing is installed.
//!
//! Source: RubyGems guides, "Specification Reference"; `Gem::Specification#to_ruby`.

use std::sync::OnceLock;

use image::ImagePath;
use regex::Regex;

use super::found::{Findings, Found, Owned};
use crate::{Ecosystem, purl};

/// Whether this is the specification of an installed gem.
pub(super) fn is_specification(path: &ImagePath) -> bool {
    let in_directory =
        |path: &ImagePath, name: &[u8]| path.parent().is_some_and(|above| above.name() == name);
    let default = || path.parent().is_some_and(|above| in_directory(&above, b"specifications"));
    path.name().ends_with(b".gemspec")
        && (in_directory(path, b"specifications") || (in_directory(path, b"default") && default()))
}

/// The gem of a specification: Ruby source, of which simple assignments are read.
pub(super) fn specification(path: &ImagePath, bytes: &[u8]) -> Findings {
    static PATTERN: OnceLock<Regex> = OnceLock::new();
    let pattern = PATTERN.get_or_init(|| {
        let text = r#"(?m)^\s*\w+\.(name|version|platform|licenses?)\s*=\s*\[?\s*(?:Gem::Version\.new\()?["']([^"'\r\n]*)["']"#;
        Regex::new(text).expect("a pattern of ours is right")
    });
    let text = String::from_utf8_lossy(bytes);
    let field = |name: &str| {
        let mut all = pattern.captures_iter(&text).filter(|found| found[1].trim_end_matches('s') == name);
        all.next().map(|found| found[2].to_owned())
    };
    let (Some(name), Some(version)) = (field("name"), field("version")) else {
        return Findings::problem("a specification without a name and a version that are plain text");
    };
    let platform = field("platform").filter(|platform| platform != "ruby").unwrap_or_default();
    let purl = purl::of("gem", &[&name], &version, &[("platform", &platform)]);
    let Some(found) = Found::new(Ecosystem::Gem, &name, &version, purl) else { return Findings::default() };
    Findings::only(Some(found.licence(field("license")).owning(directories(path))))
}

/// What a gem has besides its specification: its files, and what was compiled for it.
fn directories(path: &ImagePath) -> Vec<Owned> {
    let Some(stem) = path.name().strip_suffix(b".gemspec") else { return Vec::new() };
    let home =
        path.ancestors().find(|above| above.name() == b"specifications").and_then(|above| above.parent());
    let Some(home) = home else { return Vec::new() };
    let gem = home.join(b"gems").and_then(|gems| gems.join(stem));
    gem.into_iter().map(Owned::Path).collect()
}

/// The gems of a lock file of Bundler's: lines of four spaces, `NAME (VERSION)`, in its sections of sources.
pub(super) fn lock(_path: &ImagePath, bytes: &[u8]) -> Findings {
    let text = String::from_utf8_lossy(bytes);
    let mut is_source = false;
    let mut findings = Findings::default();
    for line in text.lines() {
        if !line.starts_with(' ') {
            is_source = matches!(line.trim_end(), "GEM" | "GIT" | "PATH");
            continue;
        }
        let Some(gem) = line.strip_prefix("    ").filter(|gem| is_source && !gem.starts_with(' ')) else {
            continue;
        };
        let Some((name, version)) =
            gem.split_once(" (").and_then(|(name, rest)| Some((name, rest.strip_suffix(')')?)))
        else {
            continue;
        };
        let purl = purl::of("gem", &[name], version, &[]);
        findings.found.extend(Found::new(Ecosystem::Gem, name, version, purl));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifications_give_name_version_licence_and_place() {
        let path =
            ImagePath::from_text("/var/lib/gems/3.1.0/specifications/nokogiri-1.15.0-x86_64-linux.gemspec")
                .unwrap();
        assert!(is_specification(&path));
        let text = "Gem::Specification.new do |s|\n  s.name = \"nokogiri\".freeze\n  s.version = \"1.15.0\"\n  s.platform = \"x86_64-linux\".freeze\n\n  s.required_ruby_version = Gem::Requirement.new(\">= 2\".freeze)\n  s.licenses = [\"MIT\".freeze]\nend\n";
        let found = specification(&path, text.as_bytes()).found.remove(0);
        assert_eq!(found.purl, "pkg:gem/nokogiri@1.15.0?platform=x86_64-linux");
        assert_eq!(found.licence.as_deref(), Some("MIT"));
        let gem = ImagePath::from_text("/var/lib/gems/3.1.0/gems/nokogiri-1.15.0-x86_64-linux").unwrap();
        assert_eq!(found.owns, [Owned::Path(gem)]);
        assert_eq!(specification(&path, b"s.version = VERSION").problems.len(), 1);
    }

    #[test]
    fn lock_files_give_the_gems_and_not_what_they_need() {
        let text = "GEM\n  remote: https://rubygems.org/\n  specs:\n    rack (2.2.8)\n    sinatra (3.0.6)\n      rack (~> 2.2)\n\nPLATFORMS\n  ruby\n\nDEPENDENCIES\n    rake (1)\n";
        let path = ImagePath::from_text("/app/Gemfile.lock").unwrap();
        let purls: Vec<_> = lock(&path, text.as_bytes()).found.into_iter().map(|found| found.purl).collect();
        assert_eq!(purls, ["pkg:gem/rack@2.2.8", "pkg:gem/sinatra@3.0.6"]);
    }
}
