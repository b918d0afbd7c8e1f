//! Shell scripts, and the commands that they run.
//!
//! The next start of a container may take the other branch of its entrypoint: the first one initialises a data
//! directory, the second one finds it. So the commands of every script that was written for the image and that is in
//! use stay, whatever the policy. Scripts that packages bring are tools with many options: what these name stays where
//! such a script runs them, as `gunzip` runs `gzip`, and with `--generalize references`.

use std::collections::BTreeSet;

use image::ImagePath;

use super::reference::{self, Reference};
use crate::draft::Draft;
use crate::scene::Scene;
use crate::shell::{self, Known};
use crate::{PlanError, Rule};

/// Longest script that is read.
const MAX_SCRIPT_BYTES: u64 = 4 << 20;

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
                Reference::File(_) | Reference::Library(_) => {}
            }
        }
    }
    Ok(())
}

/// Whether a script runs this one: `gunzip` is a script that runs `gzip`.
fn is_run_by_script(draft: &Draft<'_>, path: &ImagePath) -> bool {
    draft.kept().get(path).is_some_and(|reason| reason.rule == Rule::ScriptCommand)
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
    out.retain(|named| match named {
        Reference::Path(named) => scene.find(named).is_some_and(|end| !is_outside(&end)),
        _ => true,
    });
    out
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
