//! Shell scripts, and the commands that they run.
//!
//! The next start of a container may take the other branch of its entrypoint: the first one initialises a data
//! directory, the second one finds it. So the commands of every script that was written for the image and that is in
//! use stay, whatever the policy. Scripts that packages bring are tools with many options: what these name stays where
//! such a script runs them, as `gunzip` runs `gzip`, and with `--generalize references`.
//!
//! What a command's options start is one of the commands (`tar -z`), and what an absolute pattern matches is named
//! (`/usr/lib/*/libnss_wrapper.so`). Names of a kept busybox that no script mentions go, although they cost no bytes:
//! a shell in the container is not to find `wget` only because the shell is busybox.

use std::collections::BTreeSet;

use globset::{GlobBuilder, GlobMatcher};
use image::{ImagePath, NodeKind};

use super::reference::{self, Reference};
use crate::draft::Draft;
use crate::scene::Scene;
use crate::shell::{self, Known};
use crate::{PlanError, Rule};

/// Longest script that is read.
const MAX_SCRIPT_BYTES: u64 = 4 << 20;
/// Most code files that a pattern may match: one that matches more is about a directory.
const MAX_MATCHES: usize = 64;
/// Most names that are held against the patterns of one script.
const MAX_COMPARED: usize = 100_000;

/// Keeps what newly kept scripts of the image's own run and source.
pub(crate) fn apply(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
    fresh: &BTreeSet<ImagePath>,
) -> Result<(), PlanError> {
    let root = ImagePath::root();
    for path in fresh {
        let may_be_script = scene.is_executable(path) || has_ending(path);
        if !may_be_script
            || scene.file_size(path).is_none_or(|size| size > MAX_SCRIPT_BYTES)
            || !scene.is_in_use(draft, path)
            || !(reference::is_own_code(scene, path) || is_run_by_script(draft, path))
        {
            continue;
        }
        let content = scene.image.read_file(path, MAX_SCRIPT_BYTES)?;
        if !is_shell(path, &content) {
            continue;
        }
        for named in names(scene, path, &content) {
            match named {
                Reference::Command(name) => {
                    if let Some(program) = scene.program(&name) {
                        draft.keep_way(&root, &program, Rule::ScriptCommand, Some(path));
                    }
                }
                Reference::Path(named) => {
                    draft.keep_way(&root, &named, Rule::ScriptCommand, Some(path));
                }
                Reference::File(_) | Reference::Library(_) | Reference::Setting(_) => {}
            }
        }
    }
    Ok(())
}

/// Whether a script runs this one: `gunzip` is a script that runs `gzip`.
fn is_run_by_script(draft: &Draft<'_>, path: &ImagePath) -> bool {
    draft.reason(path).is_some_and(|reason| reason.rule == Rule::ScriptCommand)
}

/// What a shell script names; `None` for what is no shell script.
pub(crate) fn references(scene: &Scene<'_>, path: &ImagePath, content: &[u8]) -> Option<BTreeSet<Reference>> {
    is_shell(path, content).then(|| names(scene, path, content))
}

/// The commands, sourced files and absolute paths of a script, as far as the image has them.
fn names(scene: &Scene<'_>, path: &ImagePath, content: &[u8]) -> BTreeSet<Reference> {
    let script = shell::read(&String::from_utf8_lossy(content));
    let directory = path.parent().unwrap_or_default().to_text();
    let known = Known { environment: Some(&scene.environment), directory: Some(&directory) };
    let mut out = BTreeSet::new();
    for name in script.commands(&known) {
        out.insert(Reference::Command(name.into_bytes()));
    }
    for name in script.sourced(&known) {
        let places = match name.contains('/') {
            true => vec![name],
            // A shell looks along PATH, bash then in the working directory.
            false => {
                scene.search_path().chain([&*directory]).map(|place| format!("{place}/{name}")).collect()
            }
        };
        out.extend(places.into_iter().map(|place| match place.starts_with('/') {
            true => Reference::Path(place.into_bytes()),
            false => Reference::Path(
                [&scene.working_directory().to_absolute()[..], b"/", place.as_bytes()].concat(),
            ),
        }));
    }
    out.extend(script.paths(&known).into_iter().map(|path| Reference::Path(path.into_bytes())));
    let mut compared = 0;
    for pattern in script.patterns(&known) {
        let found = matches(scene, &pattern, &mut compared);
        out.extend(found.into_iter().map(|path| Reference::Path(path.to_absolute())));
    }
    out.retain(|named| match named {
        Reference::Path(named) => scene.find(named).is_some_and(|end| !is_outside(&end)),
        _ => true,
    });
    out
}

/// The libraries, programs and scripts that an absolute pattern matches: `/usr/lib/*/libnss_wrapper.so`. At least two
/// of its parts must be plain; one that matches many files tells nothing of any.
fn matches(scene: &Scene<'_>, pattern: &str, compared: &mut usize) -> BTreeSet<ImagePath> {
    let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
    let is_plain = |part: &&str| !part.contains(['*', '?', '[']);
    if parts.iter().filter(|part| is_plain(part)).count() < 2 {
        return BTreeSet::new();
    }
    let mut reached = BTreeSet::from([ImagePath::root()]);
    for part in parts {
        let mut next = BTreeSet::new();
        if is_plain(&part) {
            let steps = reached.iter().filter_map(|directory| directory.join(part.as_bytes()).ok());
            next.extend(steps.filter(|path| scene.find(&path.to_absolute()).is_some()));
        } else {
            let Some(glob) = glob(part) else { return BTreeSet::new() };
            for directory in &reached {
                let Some(directory) = scene.find(&directory.to_absolute()) else { continue };
                for (path, _) in scene.tree().children(&directory) {
                    *compared += 1;
                    if *compared > MAX_COMPARED {
                        return BTreeSet::new();
                    }
                    let is_shown = !path.name().starts_with(b".") || part.starts_with('.');
                    let name = std::str::from_utf8(path.name());
                    if is_shown && name.is_ok_and(|name| glob.is_match(name)) {
                        next.insert(path.clone());
                    }
                }
            }
        }
        reached = next;
    }
    reached.retain(|path| scene.find(&path.to_absolute()).is_some_and(|end| is_code(scene, &end)));
    if reached.len() > MAX_MATCHES { BTreeSet::new() } else { reached }
}

fn glob(part: &str) -> Option<GlobMatcher> {
    // `[!a]` of the shell is spelt the same in globset; braces never come here.
    GlobBuilder::new(part).literal_separator(true).build().ok().map(|glob| glob.compile_matcher())
}

/// Whether a path is a regular file that a script would load or run.
fn is_code(scene: &Scene<'_>, path: &ImagePath) -> bool {
    let name = path.name();
    let is_library = name.ends_with(b".so") || name.windows(4).any(|part| part == b".so.");
    let is_file = scene.tree().get(path).is_some_and(|node| matches!(node.kind, NodeKind::File { .. }));
    is_file && (is_library || has_ending(path) || scene.is_executable(path))
}

/// Whether a path tells nothing of a use: everything is beneath it, or the kernel provides it.
fn is_outside(path: &ImagePath) -> bool {
    path.is_root() || path.components().next().is_some_and(|first| matches!(first, b"proc" | b"sys" | b"dev"))
}

fn has_ending(path: &ImagePath) -> bool {
    [&b".sh"[..], b".bash", b".envsh"].iter().any(|ending| path.name().ends_with(ending))
}

/// Whether a file is a script for a shell with the grammar of the Bourne shell.
fn is_shell(path: &ImagePath, content: &[u8]) -> bool {
    let Some(line) = content.strip_prefix(b"#!") else { return has_ending(path) };
    let line = line.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(&line[..line.len().min(256)]).into_owned();
    let mut words = line.split_ascii_whitespace().map(|word| word.rsplit('/').next().unwrap_or(word));
    let mut word = words.next();
    while matches!(word, Some("env" | "busybox"))
        || word.is_some_and(|word| word.starts_with('-') || word.contains('='))
    {
        word = words.next();
    }
    matches!(word, Some("sh" | "ash" | "bash" | "dash" | "ksh" | "ksh93" | "mksh" | "rbash" | "zsh"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, configured};
    use testkit::{TarBuilder, TarEntry};

    const ENTRYPOINT: &str = "#!/bin/sh\nset -e\n. /etc/default/app\n. \"$(dirname \"$0\")/lib.sh\"\n\
        if [ -d /data/db ]; then\n  exec gosu app \"$@\"\nelse\n  mkdir -p /data/db | tee\n  initdb \"$X\"\nfi\n\
        cp /usr/share/app/template /data\nmissing-command\n";

    fn image() -> Fixture {
        let script = |name: &str, text: &str| TarEntry::file(name, text).mode(0o755);
        let words = "bin/sh@755 usr/bin/gosu@755 usr/bin/initdb@755 usr/bin/mkdir->/bin/busybox usr/bin/tee@755 \
            bin/busybox@755 usr/bin/less@755 usr/bin/uname@755 usr/share/app/template usr/share/app/other \
            etc/default/app etc/passwd usr/bin/jq@755";
        let layer = TarBuilder::from_text(words)
            .entry(script("usr/local/bin/entrypoint.sh", ENTRYPOINT))
            .entry(script("usr/local/bin/lib.sh", "page() { less; }; helper"))
            .entry(script("usr/local/bin/helper", "#!/usr/bin/env -S bash -e\nuname"))
            .entry(script("usr/local/bin/unused.sh", "#!/bin/sh\njq"));
        configured(layer, serde_json::json!({ "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"] }))
    }

    #[test]
    fn hard_47_every_command_of_a_used_script_of_the_image_stays_whatever_the_policy() {
        let fixture = image()
            .uses("exec:/usr/local/bin/entrypoint.sh stat:/usr/local/bin/unused.sh")
            .policy(|policy| policy.generalize = crate::Generalize::None);
        assert_eq!(
            fixture.by(Rule::ScriptCommand),
            [
                "/bin/busybox",
                "/etc/default/app",
                "/usr/bin/gosu",
                "/usr/bin/initdb",
                "/usr/bin/less",
                "/usr/bin/tee",
                "/usr/bin/uname",
                "/usr/local/bin/helper",
                "/usr/local/bin/lib.sh",
                "/usr/share/app/template",
            ]
        );
        assert!(fixture.kept().contains(&"symlink /usr/bin/mkdir < /usr/local/bin/entrypoint.sh".to_owned()));
    }

    #[test]
    fn hard_63_a_pattern_that_a_used_script_tries_keeps_the_code_that_it_matches() {
        let many: String = (0..65).map(|n| format!("opt/many/l{n}.so ")).collect();
        let words = "bin/sh@755 usr/lib/x86_64/libwrap.so usr/lib/x86_64/libwrap.so.1->libwrap.so \
            usr/lib/x86_64/libother.so usr/lib/.hidden/libwrap.so lib->usr/lib opt/hooks/a.sh opt/hooks/b.txt \
            opt/hooks/run@755 hooks/c.sh "
            .to_owned()
            + &many;
        let text = "#!/bin/sh\nfor l in /lib/*/libwrap.so /lib/libwrap.so; do LD_PRELOAD=$l; done\n\
            for h in /opt/hooks/*; do $h; done; for h in /hooks/*; do $h; done; ls /opt/many/*.so\n";
        let layer =
            TarBuilder::from_text(&words).entry(TarEntry::file("usr/local/bin/entry", text).mode(0o755));
        let fixture = configured(layer, serde_json::json!({ "Env": ["PATH=/bin"] }));
        let fixture = fixture.uses("exec:/usr/local/bin/entry");
        assert_eq!(
            fixture.by(Rule::ScriptCommand),
            ["/opt/hooks/a.sh", "/opt/hooks/run", "/usr/lib/x86_64/libwrap.so"]
        );
    }

    #[test]
    fn shells_are_told_by_the_first_line() {
        let path = crate::fixture::path("/x");
        for (text, expected) in [
            ("#!/bin/sh", true),
            ("#! /usr/bin/env bash\n", true),
            ("#!/usr/bin/env -S A=b bash -e\n", true),
            ("#!/bin/busybox sh\n", true),
            ("#!/usr/bin/python3\n", false),
            ("echo", false),
            ("#!/bin/csh", false),
        ] {
            assert_eq!(is_shell(&path, text.as_bytes()), expected, "{text}");
        }
        assert!(is_shell(&crate::fixture::path("/lib.sh"), b"echo"));
    }
}
