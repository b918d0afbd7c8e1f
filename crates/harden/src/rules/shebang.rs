//! Interpreters of scripts.

use std::collections::BTreeSet;
use std::io::Read;

use image::{ImagePath, ReadFileError};

use crate::draft::Draft;
use crate::scene::Scene;
use crate::{PlanError, Rule};

/// The kernel reads this much of a script (`BINPRM_BUF_SIZE`).
pub(super) const MAX_LINE_BYTES: u64 = 256;

/// Keeps the interpreter of each newly kept script, and what `env` finds for it. A script that serves as interpreter
/// is kept by this rule and so followed in turn.
///
/// A script counts if it may be executed and its content is in use: the kernel itself reads the first line.
pub(crate) fn apply(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
    fresh: &BTreeSet<ImagePath>,
) -> Result<(), PlanError> {
    for path in fresh {
        if !scene.is_executable(path) || !scene.is_in_use(draft, path) {
            continue;
        }
        let mut line = Vec::new();
        let mut file = scene.image.open_file(path)?.take(MAX_LINE_BYTES);
        file.read_to_end(&mut line).map_err(|source| ReadFileError::Read { path: path.clone(), source })?;
        let Some(shebang) = parse(&line) else { continue };
        if shebang.interpreter.ends_with(b"\r") {
            draft.warn(format!("{path} cannot start: its first line ends in a carriage return"));
            continue;
        }
        let base = scene.working_directory();
        if draft.keep_way(&base, shebang.interpreter, Rule::Shebang, Some(path)).is_none() {
            let interpreter = image::path::escape(shebang.interpreter);
            draft.warn(format!("{path} names an interpreter that the image lacks: {interpreter}"));
        }
        if let Some(program) = shebang.program.and_then(|program| scene.program(&program)) {
            draft.keep_way(&base, &program, Rule::Shebang, Some(path));
        }
    }
    Ok(())
}

/// The first line of a script.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shebang<'a> {
    pub(super) interpreter: &'a [u8],
    /// What `env` looks up along `PATH`, if `env` is the interpreter.
    pub(super) program: Option<Vec<u8>>,
}

/// Reads `#!INTERPRETER [ARGUMENT]`. Source: execve(2), "Interpreter scripts".
pub(super) fn parse(line: &[u8]) -> Option<Shebang<'_>> {
    let line = line.strip_prefix(b"#!")?;
    let line = line.split(|&byte| byte == b'\n' || byte == 0).next()?;
    let line = trim(line);
    let end = line.iter().position(|byte| b" \t".contains(byte)).unwrap_or(line.len());
    let (interpreter, argument) = line.split_at(end);
    if interpreter.is_empty() {
        return None;
    }
    let is_env = interpreter.rsplit(|&byte| byte == b'/').next() == Some(b"env");
    Some(Shebang { interpreter, program: if is_env { env_program(trim(argument)) } else { None } })
}

/// The program that `env ARGUMENT` runs; the kernel hands the argument over in one piece, which `-S` splits.
/// Source: env(1) of GNU coreutils.
fn env_program(argument: &[u8]) -> Option<Vec<u8>> {
    let Some(rest) = argument.strip_prefix(b"-S").or_else(|| argument.strip_prefix(b"--split-string="))
    else {
        let is_program = !argument.is_empty() && argument[0] != b'-' && !argument.contains(&b'=');
        return is_program.then(|| argument.to_vec());
    };
    let text = std::str::from_utf8(rest).ok()?;
    let mut words = text.split_ascii_whitespace().map(|word| word.trim_matches(['"', '\'']));
    loop {
        match words.next()? {
            "-u" | "--unset" | "-C" | "--chdir" => {
                words.next();
            }
            word if word.starts_with('-') || word.contains('=') => {}
            word => return Some(word.as_bytes().to_vec()),
        }
    }
}

fn trim(text: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let start = text.iter().position(|byte| !is_blank(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
    &text[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines_name_an_interpreter_and_perhaps_a_program() {
        for (line, interpreter, program) in [
            ("#!/bin/sh", "/bin/sh", None),
            ("#! /bin/sh -e\nexit", "/bin/sh", None),
            ("#!/usr/bin/env python3\n", "/usr/bin/env", Some("python3")),
            ("#!/usr/bin/env -S python3 -u\n", "/usr/bin/env", Some("python3")),
            ("#!/usr/bin/env -S -i -u HOME A=b node --x\n", "/usr/bin/env", Some("node")),
            ("#!/usr/bin/env -i\n", "/usr/bin/env", None),
            ("#!/bin/sh\r\n", "/bin/sh\r", None),
        ] {
            let shebang = parse(line.as_bytes()).unwrap();
            assert_eq!(String::from_utf8_lossy(shebang.interpreter), interpreter, "{line:?}");
            assert_eq!(shebang.program.as_deref(), program.map(str::as_bytes), "{line:?}");
        }
        for line in ["", "#", "#!", "#! \n", "echo"] {
            assert_eq!(parse(line.as_bytes()), None, "{line:?}");
        }
    }

    #[test]
    fn hard_14_interpreters_are_followed_through_env_links_and_scripts() {
        let script = |name: &str, text: &str| testkit::TarEntry::file(name, text).mode(0o755);
        let layer = testkit::TarBuilder::from_text(
            "usr/bin/env@755 usr/bin/python3->python3.11 usr/bin/python3.11@755",
        )
        .entry(script("app", "#!/usr/bin/env python3\n"))
        .entry(script("nested", "#!/usr/bin/wrapper -x\n"))
        .entry(script("usr/bin/wrapper", "#! /bin/sh"))
        .entry(script("bin/sh", "binary"))
        .entry(script("seen", "#!/usr/bin/perl"))
        .entry(script("usr/bin/perl", "binary"));
        let fixture = crate::fixture::image(layer).uses("exec:/app exec:/nested stat:/seen");
        let expected = [
            "observed /app",
            "shebang /bin/sh < /usr/bin/wrapper",
            "observed /nested",
            "observed /seen",
            "shebang /usr/bin/env < /app",
            "symlink /usr/bin/python3 < /app",
            "shebang /usr/bin/python3.11 < /app",
            "shebang /usr/bin/wrapper < /nested",
        ];
        assert_eq!(fixture.kept(), expected);
    }

    #[test]
    fn a_script_that_cannot_start_is_warned_about() {
        let script = |name: &str, text: &str| testkit::TarEntry::file(name, text).mode(0o755);
        let layer =
            testkit::TarBuilder::new().entry(script("a", "#!/bin/sh\r\n")).entry(script("b", "#!/no\n"));
        assert_eq!(
            crate::fixture::image(layer).uses("exec:/a exec:/b").plan().warnings,
            [
                "/a cannot start: its first line ends in a carriage return",
                "/b names an interpreter that the image lacks: /no",
            ]
        );
    }
}
