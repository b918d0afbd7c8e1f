//! Lock files of Yarn and pnpm: what should be installed, where nothing is.
//!
//! Both are read line by line for the keys that name a package with its version; a file of another form gives nothing.
//!
//! Source: Yarn, "yarn.lock" (versions 1 and 2); pnpm, "pnpm-lock.yaml" (5 to 9).

use image::ImagePath;

use super::found::Findings;
use super::json::npm;

/// `yarn.lock`: a key in the first column, `"NAME@RANGE, …":`, and `version` beneath it.
pub(super) fn yarn(_path: &ImagePath, bytes: &[u8]) -> Findings {
    let text = String::from_utf8_lossy(bytes);
    let mut name: Option<String> = None;
    let mut findings = Findings::default();
    for line in text.lines() {
        if !line.starts_with([' ', '#']) && line.ends_with(':') {
            let key = line.trim_end_matches(':').trim_matches('"');
            let first = key.split(", ").next().unwrap_or(key).trim_matches('"');
            let is_local = first.contains("@workspace:") || first.contains("@link:");
            let at = first.get(1..).and_then(|rest| rest.find('@')).map(|at| at + 1);
            let plain = at.and_then(|at| first.get(..at)).map(|name| alias(first).unwrap_or(name));
            name = plain.filter(|_| !is_local).map(str::to_owned);
        } else if let Some(version) = line.trim_start().strip_prefix("version")
            && line.starts_with("  ")
            && !line.starts_with("   ")
            && let Some(name) = name.take()
        {
            let version = version.trim_start_matches(':').trim().trim_matches('"');
            findings.found.extend(npm(&name, version, None));
        }
    }
    findings
}

/// What a key stands for that gives a package another name: `left-pad` of `pad@npm:left-pad@1.2.0`.
fn alias(key: &str) -> Option<&str> {
    let (_, target) = key.split_once("@npm:")?;
    let at = target.get(1..)?.find('@')? + 1;
    target.get(..at)
}

/// `pnpm-lock.yaml`: the keys beneath `packages:`, `/NAME/VERSION`, `/NAME@VERSION` or `NAME@VERSION`.
pub(super) fn pnpm(_path: &ImagePath, bytes: &[u8]) -> Findings {
    let text = String::from_utf8_lossy(bytes);
    let mut is_inside = false;
    let mut findings = Findings::default();
    for line in text.lines() {
        if !line.starts_with(' ') {
            if !line.is_empty() {
                is_inside = line.trim_end() == "packages:";
            }
            continue;
        }
        let key = line.strip_prefix("  ").filter(|key| is_inside && !key.starts_with(' '));
        let Some(key) = key.and_then(|key| key.trim_end().strip_suffix(':')) else { continue };
        let key = key.trim_matches(['\'', '"']).trim_start_matches('/');
        // What follows in brackets, or after an underscore, are the peers that it was resolved with.
        let key = key.split('(').next().unwrap_or(key);
        let at = key.get(1..).and_then(|rest| rest.rfind('@')).map(|at| at + 1).or_else(|| key.rfind('/'));
        let Some((name, version)) = at.map(|at| (&key[..at], &key[at + 1..])) else { continue };
        findings.found.extend(npm(name, version.split('_').next().unwrap_or(version), None));
    }
    findings
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn purls(read: fn(&ImagePath, &[u8]) -> Findings, text: &str) -> Vec<String> {
        read(&ImagePath::root(), text.as_bytes()).found.into_iter().map(|found| found.purl).collect()
    }

    #[test]
    fn both_versions_of_yarn_are_read() {
        let first = "# yarn lockfile v1\n\n\"@s/a@^1.0.0\", \"@s/a@~1.0\":\n  version \"1.0.2\"\n  dependencies:\n    version \"9\"\n\nb@1:\n  version \"1.0.0\"\n";
        assert_eq!(purls(yarn, first), ["pkg:npm/%40s/a@1.0.2", "pkg:npm/b@1.0.0"]);
        let renamed =
            "\"pad@npm:left-pad@1.2.0\":\n  version \"1.2.0\"\n\n\"p@npm:@s/q@^1\":\n  version: 1.3.0\n";
        assert_eq!(purls(yarn, renamed), ["pkg:npm/left-pad@1.2.0", "pkg:npm/%40s/q@1.3.0"]);
        let second = "__metadata:\n  version: 6\n\n\"b@npm:^1.0.0\":\n  version: 1.0.0\n\n\"app@workspace:.\":\n  version: 0.0.0-use.local\n";
        assert_eq!(purls(yarn, second), ["pkg:npm/b@1.0.0"]);
    }

    #[test]
    fn keys_of_all_versions_of_pnpm_are_read() {
        let text = "lockfileVersion: '9.0'\n\nimporters:\n  x@1.0.0:\n\npackages:\n\n  /a/1.0.0:\n    dev: true\n  /@s/b@2.0.0(peer@1.0.0):\n  '@s/c@3.0.0':\n  /d/4.0.0_x@1.0.0:\n\nsnapshots:\n  e@1.0.0:\n";
        let found = purls(pnpm, text);
        assert_eq!(
            found[..3],
            ["pkg:npm/a@1.0.0", "pkg:npm/%40s/b@2.0.0", "pkg:npm/%40s/c@3.0.0"],
            "{found:?}"
        );
    }

    proptest! {
        #[test]
        fn any_text_gives_packages_or_none(text in "([ :@/\"',(_#a-c1.é\n]|packages:\n){0,200}") {
            let _ = (purls(yarn, &text), purls(pnpm, &text));
        }
    }
}
