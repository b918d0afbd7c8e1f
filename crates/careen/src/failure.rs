//! Failures on their way to the user: what was tried, why it failed, what to try next, and the exit code.

use std::error::Error;
use std::fmt;

use crate::exit::ExitCode;

/// A step of a command that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    tried: String,
    source: Option<Box<dyn Error + Send + Sync>>,
    hint: Option<String>,
    pub(crate) code: ExitCode,
}

impl Failure {
    /// A failure without a deeper cause.
    pub(crate) fn new(code: ExitCode, tried: impl Into<String>) -> Self {
        Self { tried: tried.into(), source: None, hint: None, code }
    }

    /// A failure caused by `source`.
    pub(crate) fn caused_by(
        code: ExitCode,
        tried: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { tried: tried.into(), source: Some(source.into()), hint: None, code }
    }

    /// Adds what the user may try next.
    pub(crate) fn hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = hint.into().or(self.hint);
        self
    }

    /// The chain in one line, without the hint.
    pub(crate) fn summary(&self) -> String {
        let mut text = self.tried.clone();
        let mut cause = self.source.as_deref().map(|source| source as &dyn Error);
        while let Some(error) = cause {
            text += &format!(": {}", error.to_string().replace('\n', " "));
            cause = error.source();
        }
        text
    }

    /// What the user may try next.
    pub(crate) fn into_hint(self) -> Option<String> {
        self.hint
    }

    /// The chain as a user reads it, one line a step, ending in a newline.
    pub(crate) fn render(&self) -> String {
        let mut text = format!("error: {}\n", self.tried);
        let mut cause = self.source.as_deref().map(|source| source as &dyn Error);
        while let Some(error) = cause {
            text += &format!("  caused by: {}\n", indent(&error.to_string()));
            cause = error.source();
        }
        if let Some(hint) = &self.hint {
            text += &format!("  hint: {}\n", indent(hint));
        }
        text
    }
}

fn indent(text: &str) -> String {
    text.trim_end().replace('\n', "\n    ")
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.tried)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_stands_on_its_own_line_and_the_hint_last() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read layer")]
        struct Outer(#[source] std::io::Error);
        let failure = Failure::caused_by(
            ExitCode::Image,
            "cannot harden shop",
            Outer(std::io::Error::other("ended early\nat byte 7")),
        )
        .hint("pull the image again".to_owned());
        assert_eq!(
            failure.render(),
            "error: cannot harden shop\n  caused by: cannot read layer\n  caused by: ended early\n    at byte 7\n  \
             hint: pull the image again\n"
        );
    }
}
