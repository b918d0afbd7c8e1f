//! The lists of advisories, `data/DSA/list` and `data/DLA/list`.
//!
//! ```text
//! [13 Feb 2025] DLA-4051-1 webkit2gtk - security update
//!         {CVE-2025-24143 CVE-2025-24150}
//!         [bullseye] - webkit2gtk 2.46.6-1~deb11u1
//! ```

use super::Release;
use super::cve_list::{Line, line};
use crate::import::kind::{DEBIAN_DLA, DEBIAN_DSA};
use crate::import::sink::{Sink, mail_day};

/// Reads a list.
pub(in crate::import) fn read(text: &str, sink: &mut Sink<'_>) {
    let mut id = "";
    let mut cves: Vec<&str> = Vec::new();
    for text in text.lines().filter(|line| !line.trim().is_empty()) {
        if let Some((date, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
            id = rest.split_whitespace().next().unwrap_or_default();
            cves.clear();
            sink.read(kind(id), mail_day(date).as_deref());
            continue;
        }
        let body = text.trim();
        if let Some(names) = body.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            cves.extend(names.split_whitespace().filter(|name| name.starts_with("CVE-")));
            continue;
        }
        match line(body) {
            Some(Line { release: Some(codename), package, word, urgency }) => {
                // Old releases are in the lists, and nobody asks for them.
                let Some(release) = Release::of_codename(codename) else { continue };
                for cve in &cves {
                    sink.debian.release(cve, package, release, word.clone(), kind(id).name, id, urgency);
                }
            }
            _ if body.starts_with("NOTE:") || body.starts_with("TODO:") => {}
            _ => sink.broken(kind(id), &format!("{id}: {body}")),
        }
    }
}

fn kind(id: &str) -> &'static crate::import::kind::Kind {
    if id.starts_with("DLA-") { &DEBIAN_DLA } else { &DEBIAN_DSA }
}
