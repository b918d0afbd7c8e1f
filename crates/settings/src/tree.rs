//! The tree.

/// Where something begins in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// From 1.
    pub line: u64,
    /// From 1, in characters.
    pub column: u64,
}

impl Place {
    /// Where a file begins.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub at: Place,
    /// The value.
    pub value: Value,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `~`, `null`, nothing.
    Null,
    /// A truth value, and how it is written.
    Bool(bool, String),
    /// A number as it is written, so that `1.50` as an argument stays `1.50`; and as an integer, if it is one of 64 bits.
    Number(String, Option<i64>),
    /// A text.
    Text(String),
    /// A date or a time of TOML's.
    Date,
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the file; keys are texts and each stands once.
    Map(Vec<(Key, Node)>),
}

impl Value {
    /// The word for it in a message.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(..) => "a truth value",
            Self::Number(_, Some(_)) => "a number",
            Self::Number(text, None) if text.contains(['.', 'e', 'E']) => "a fraction",
            Self::Number(_, None) => "a number out of range",
            Self::Text(_) => "a text",
            Self::Date => "a date",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// A key of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// Where it begins.
    pub at: Place,
    /// What it is.
    pub text: String,
}

/// What is wrong with a text that is no YAML or no TOML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// Where.
    pub at: Place,
    /// What the parser says.
    pub message: String,
}
