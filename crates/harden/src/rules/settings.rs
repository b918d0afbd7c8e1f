//! What settings that were read name: helper programs, modules, certificates, pages.
//!
//! A daemon reads all of its settings when it starts, and runs the helper that they name when the first client needs it:
//! the program that checks a password, the subsystem that serves files. Whatever the form of the settings, such things
//! stand there by absolute path.

use std::collections::BTreeSet;

use image::ImagePath;

use super::reference::{Reference, is_own_code};
use crate::scene::Scene;

/// Where settings lie, whoever brought them.
const PLACES: [&[u8]; 3] = [b"etc/", b"usr/local/etc/", b"opt/etc/"];
/// Endings of settings elsewhere, where they are the image's own.
const ENDINGS: [&[u8]; 12] = [
    b".cfg",
    b".cnf",
    b".conf",
    b".config",
    b".env",
    b".ini",
    b".json",
    b".properties",
    b".toml",
    b".xml",
    b".yaml",
    b".yml",
];
/// What names programs for people who log in, for a desktop, or for the tools that read it and have rules of their own.
const IDLE: [&[u8]; 22] = [
    b"etc/alternatives/",
    b"etc/apt/",
    b"etc/bash_completion.d/",
    b"etc/cron",
    b"etc/debconf.conf",
    b"etc/default/useradd",
    b"etc/dpkg/",
    b"etc/fstab",
    b"etc/group",
    b"etc/gshadow",
    b"etc/init.d/",
    b"etc/ld.so.",
    b"etc/login.defs",
    b"etc/logrotate",
    b"etc/mailcap",
    b"etc/manpath.config",
    b"etc/passwd",
    b"etc/profile",
    b"etc/shadow",
    b"etc/shells",
    b"etc/skel/",
    b"etc/ucf.conf",
];
/// Directories of which a name tells nothing.
const ELSEWHERE: [&str; 8] =
    ["/dev/", "/proc/", "/run/", "/sys/", "/tmp/", "/usr/share/doc/", "/usr/share/man/", "/var/log/"];
/// Longest settings that are read, and most names that count.
const MAX_BYTES: usize = 1 << 20;
const MAX_NAMES: usize = 1000;

/// The files that settings name by absolute path; `None` for what are no settings.
pub(crate) fn references(scene: &Scene<'_>, path: &ImagePath, content: &[u8]) -> Option<BTreeSet<Reference>> {
    let is_there = PLACES.iter().any(|place| path.as_bytes().starts_with(place));
    let has_ending = || ENDINGS.iter().any(|ending| path.name().ends_with(ending));
    if !(is_there || has_ending() && is_own_code(scene, path))
        || IDLE.iter().any(|idle| path.as_bytes().starts_with(idle))
        || content.starts_with(b"#!")
        || content.len() > MAX_BYTES
    {
        return None;
    }
    let text = std::str::from_utf8(content).ok()?;
    let is_file = |name: &&str| {
        !ELSEWHERE.iter().any(|place| name.starts_with(place))
            && scene.find(name.as_bytes()).is_some_and(|end| scene.file_size(&end).is_some())
    };
    let names = paths(text).filter(is_file).take(MAX_NAMES);
    Some(names.map(|name| Reference::Setting(name.as_bytes().to_vec())).collect())
}

/// The words of lines that are no comments which are absolute paths of at least two parts.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    let is_comment =
        |line: &str| ["#", ";", "//", "!", "--", "<!--"].iter().any(|sign| line.starts_with(sign));
    let lines = text.lines().map(str::trim_start).filter(move |line| !is_comment(line));
    let lines = lines.map(|line| line.split_once(" #").map_or(line, |(before, _)| before));
    let ends = |c: char| c.is_whitespace() || "\"'`,;=<>()[]{}|&".contains(c);
    lines.flat_map(move |line| line.split(ends)).filter_map(|word| {
        // `hash:/x` and `@/x` name a path, `%h/x` and `http://x` do not.
        let (before, _) = word.split_once('/')?;
        let is_start = before.is_empty() || before.ends_with([':', '@', '!']);
        let word = word[before.len()..].trim_end_matches([':', '.', '/']);
        let is_path = is_start
            && word.len() > 3
            && word.len() < 512
            && !word.starts_with("//")
            && word[1..].contains('/');
        (is_path && !word.contains(['*', '$', '%', ':'])).then_some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::paths;
    use crate::Rule;
    use crate::fixture::image;
    use testkit::{TarBuilder, TarEntry};

    #[test]
    fn paths_are_words_outside_of_comments() {
        let text = "# see /usr/share/a\nprogram /usr/lib/x/auth /etc/x/passwords # or /usr/lib/y\n\
            subsystem=\"/usr/lib/z\", hash:/etc/maps, url http://host/path/x\n<file>/srv/a.xml</file> key </etc/k.pem\n\
            ; /etc/no\n/one %h/etc/x /a/* $HOME/b/c\n";
        let expected =
            ["/usr/lib/x/auth", "/etc/x/passwords", "/usr/lib/z", "/etc/maps", "/srv/a.xml", "/etc/k.pem"];
        assert_eq!(paths(text).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn hard_36_helpers_that_settings_name_stay_although_no_client_needed_them() {
        let words = "usr/lib/proxy/check@755 usr/lib/proxy/other@755 etc/proxy/passwords srv/app/mail.tmpl srv/app/x.tmpl \
            usr/lib/link->proxy/other bin/sh@755";
        let layer = TarBuilder::from_text(words)
            .entry(TarEntry::file("etc/proxy.conf", "auth /usr/lib/proxy/check /etc/proxy/passwords\n"))
            .entry(TarEntry::file("etc/unread.conf", "auth /usr/lib/proxy/other\n"))
            .entry(TarEntry::file("etc/passwd", "root:x:0:0::/root:/bin/sh\n"))
            .entry(TarEntry::file("srv/app/app.yaml", "mail: /srv/app/mail.tmpl\n"))
            .entry(TarEntry::file("srv/app/code.c", "/srv/app/x.tmpl\n"));
        let uses = "/etc/proxy.conf /etc/passwd /srv/app/app.yaml /srv/app/code.c";
        let expected = ["/etc/proxy/passwords", "/srv/app/mail.tmpl", "/usr/lib/proxy/check"];
        let kept = |uses: &str| {
            let fixture = image(layer.clone()).uses(uses);
            let kept = fixture.plan().ledger.entries;
            let is_named = |name: &&str| kept[&crate::fixture::path(name)].decision == crate::Decision::Keep;
            let all = ["/usr/lib/proxy/other", "/bin/sh", "/srv/app/x.tmpl"];
            expected
                .iter()
                .chain(&all)
                .filter(|name| is_named(name))
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(kept(uses), expected);
        let fixture = image(layer.clone()).uses(uses);
        assert!(fixture.by(Rule::Reference).contains(&"/usr/lib/proxy/check".to_owned()));
        assert_eq!(kept("/srv/app/code.c stat:/etc/proxy.conf"), [""; 0]);
        let looked_at = image(
            layer
                .clone()
                .entry(TarEntry::file("etc/x.conf", "run /srv/rewrite\n"))
                .entry(TarEntry::file("srv/rewrite", "#!/bin/sh\n").mode(0o755)),
        );
        let looked_at = looked_at.uses("/etc/x.conf stat:/srv/rewrite");
        assert!(looked_at.by(Rule::Shebang).contains(&"/bin/sh".to_owned()));
    }

    #[test]
    fn hard_45_a_script_that_settings_name_stays_with_the_modules_that_it_asks_for() {
        let words = "usr/bin/perl@755 usr/share/perl5/Url/Parts.pm usr/share/perl5/Url/Late.pm usr/share/perl5/Other.pm";
        let layer = TarBuilder::from_text(words)
            .entry(TarEntry::file("etc/proxy.conf", "rewrite /usr/local/bin/rewrite\n"))
            .entry(TarEntry::file("usr/share/perl5/Url.pm", "package Url;\nuse Url::Parts;\n"))
            .entry(
                TarEntry::file(
                    "usr/local/bin/rewrite",
                    "#!/usr/bin/perl\nuse Url;\nsub f { require Url::Late }\n",
                )
                .mode(0o755),
            );
        let kept = |uses: &str| {
            let kept = image(layer.clone()).uses(uses).plan().edits.keep;
            let modules = kept.into_iter().filter(|path| path.name().ends_with(b".pm"));
            modules.map(|path| path.to_string()).collect::<Vec<_>>()
        };
        let all = ["Url/Late.pm", "Url/Parts.pm", "Url.pm"].map(|name| format!("/usr/share/perl5/{name}"));
        assert_eq!(kept("/etc/proxy.conf stat:/usr/local/bin/rewrite"), all);
        assert_eq!(kept("/etc/proxy.conf"), all);
        assert_eq!(kept("stat:/usr/local/bin/rewrite"), [""; 0]);
    }
}
