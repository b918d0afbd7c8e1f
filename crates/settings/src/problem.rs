//! What is wrong in a file.

use std::fmt;

use crate::Place;

/// One thing that is wrong in a file that a user wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// From 1.
    pub line: u64,
    /// From 1, in characters.
    pub column: u64,
    /// The field, such as `steps[2].exec`; empty for the whole file. Lists are counted from 0.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

impl Problem {
    /// What is wrong at a place.
    pub fn new(at: Place, field: &str, message: impl fmt::Display) -> Self {
        let (line, column) = (at.line, at.column);
        Self { line, column, field: field.to_owned(), message: message.to_string(), suggestion: None }
    }

    /// With what was probably meant.
    #[must_use]
    pub fn suggest(self, suggestion: Option<impl Into<String>>) -> Self {
        Self { suggestion: suggestion.map(Into::into), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)?;
        self.suggestion.iter().try_for_each(|suggestion| write!(f, ", did you mean {suggestion}?"))
    }
}

/// All that is wrong in the file of that name; `what` is what it should be, such as `the policy`.
pub fn list(what: &str, name: &str, problems: &[Problem]) -> String {
    match problems {
        [problem] => format!("{name}:{problem}"),
        _ => {
            let lines: Vec<_> = problems.iter().map(|problem| format!("\n  {name}:{problem}")).collect();
            format!("{what} has {} problems:{}", problems.len(), lines.concat())
        }
    }
}
