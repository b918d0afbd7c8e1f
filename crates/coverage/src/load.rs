//! Finding a coverage and recognising its form.

use std::io::{self, Read as _};
use std::path::Path;

use crate::coverage::{Coverage, Origin};
use crate::{LoadCoverageError, builtin, decode, script};

/// Largest coverage file.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// Loads a coverage: a built-in by its name, else the file at this path. A file named like a built-in is reached as
/// `./redis`.
///
/// # Errors
/// [`LoadCoverageError`]; for a broken YAML file each problem carries its line and column.
pub fn load(reference: &str) -> Result<Coverage, LoadCoverageError> {
    if let Ok(builtin) = builtin::show(reference) {
        return builtin.load();
    }
    match check(Path::new(reference)) {
        Err(LoadCoverageError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Err(builtin::not_found(reference))
        }
        result => result,
    }
}

/// Loads the coverage file at this path, whatever its name.
///
/// # Errors
/// As [`load`].
pub fn check(path: &Path) -> Result<Coverage, LoadCoverageError> {
    let bytes = read_limited(path, MAX_FILE_BYTES).map_err(|error| match error {
        LimitedReadError::Read(source) => LoadCoverageError::Read { path: path.into(), source },
        LimitedReadError::TooLarge(limit_bytes) => {
            LoadCoverageError::TooLarge { path: path.into(), limit_bytes }
        }
    })?;
    let text = String::from_utf8(bytes).map_err(|error| LoadCoverageError::Read {
        path: path.into(),
        source: io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()),
    })?;
    let origin = Origin::File(path.to_owned());
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "yaml" | "yml" => {
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            decode::decode(&text, origin.clone(), directory.unwrap_or(Path::new(".")))
                .map_err(|problems| LoadCoverageError::Invalid { origin: origin.to_string(), problems })
        }
        "redis" => script::redis(&text, path),
        "sh" => script::shell(&text, path),
        _ if text.starts_with("#!") => script::shell(&text, path),
        _ if script::is_redis_commands(&text) => script::redis(&text, path),
        _ => Err(LoadCoverageError::UnknownForm { path: path.into() }),
    }
}

/// Why a file was not read.
#[derive(Debug)]
pub(crate) enum LimitedReadError {
    Read(io::Error),
    TooLarge(u64),
}

impl LimitedReadError {
    /// One line, for a problem of the file that names this one.
    pub(crate) fn with_cause(&self) -> String {
        match self {
            Self::Read(error) => format!("cannot be read: {error}"),
            Self::TooLarge(limit_bytes) => format!("is larger than {limit_bytes} bytes"),
        }
    }
}

/// Reads a whole file of at most `limit_bytes`.
pub(crate) fn read_limited(path: &Path, limit_bytes: u64) -> Result<Vec<u8>, LimitedReadError> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(limit_bytes.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(LimitedReadError::Read)?;
    if bytes.len() as u64 > limit_bytes { Err(LimitedReadError::TooLarge(limit_bytes)) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_size_limit_holds_at_the_bound_and_one_past_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, [b'x'; 10]).unwrap();
        assert_eq!(read_limited(&path, 10).unwrap().len(), 10);
        assert!(matches!(read_limited(&path, 9), Err(LimitedReadError::TooLarge(9))));
    }

    #[test]
    fn what_is_neither_built_in_nor_a_file_is_said_so() {
        let error = load("rediss").unwrap_err();
        assert_eq!(error.to_string(), r#"there is neither a built-in coverage nor a file "rediss""#);
        assert_eq!(error.hint().unwrap(), "did you mean the built-in coverage redis?");
        let hint = load("postgres.yaml").unwrap_err().hint().unwrap();
        assert_eq!(hint, "built-in coverages are nginx, redis; anything else is the path of a file");
    }

    #[test]
    fn forms_are_recognised_by_name_and_content() {
        let directory = tempfile::tempdir().unwrap();
        let form = |name: &str, content: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, content).unwrap();
            match check(&path) {
                Ok(coverage) => crate::coverage::display_args(match &coverage.steps[0].action {
                    crate::Action::Exec { args, .. } => &args[..2],
                    other => panic!("{other:?}"),
                }),
                Err(LoadCoverageError::UnknownForm { .. }) => "unknown".to_owned(),
                Err(LoadCoverageError::Script { .. }) => "script".to_owned(),
                Err(LoadCoverageError::Read { .. }) => "read".to_owned(),
                Err(error) => panic!("{error}"),
            }
        };
        for (name, content, expected) in [
            ("a.yaml", "version: 1\nsteps: [{exec: prog arg}]\n", "prog arg"),
            ("a.YML", "version: 1\nsteps: [{exec: prog arg}]\n", "prog arg"),
            ("a.sh", "true\n", "sh -e"),
            ("b.sh", "#!/bin/bash\ntrue\n", "/bin/bash -e"),
            ("script", "#!/usr/bin/env bash\ntrue\n", "/usr/bin/env bash"),
            ("python", "#!/usr/bin/python3\n", "script"),
            ("a.redis", "SET a b\n", "redis-cli --no-raw"),
            ("commands", "# fill\nSET a b\nget a\n", "redis-cli --no-raw"),
            ("prose", "Get going.\nAll well?\n", "unknown"),
            ("empty", "", "unknown"),
        ] {
            assert_eq!(form(name, content), expected, "{name}");
        }
        std::fs::write(directory.path().join("latin1.sh"), b"echo \xe4\n").unwrap();
        assert!(matches!(check(&directory.path().join("latin1.sh")), Err(LoadCoverageError::Read { .. })));
    }
}
