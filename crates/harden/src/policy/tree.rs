//! TOML and YAML as one tree, in which every value knows its line and column.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use toml::de::{DeTable, DeValue};

/// Where something begins in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// From 1.
    pub(crate) line: u64,
    /// From 1, in characters.
    pub(crate) column: u64,
}

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) at: Place,
    pub(crate) value: Value,
}

/// A value, as far as a policy can say something with it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Bool(bool),
    Integer(i64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Place, Node)>),
    /// Anything else, by the word for it.
    Other(&'static str),
}

impl Value {
    /// The word for it in a message.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "a truth value",
            Self::Integer(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
            Self::Other(kind) => kind,
        }
    }
}

/// Parses TOML. The error is the place and the parser's message.
pub(crate) fn toml(text: &str) -> Result<Node, (Place, String)> {
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        (place(text, at), error.message().replace('\n', ", "))
    })?;
    Ok(Node { at: Place { line: 1, column: 1 }, value: from_table(table.into_inner(), text) })
}

fn from_table(table: DeTable<'_>, text: &str) -> Value {
    let mut entries: Vec<_> = table
        .into_iter()
        .map(|(key, value)| {
            let at = place(text, key.span().start);
            let node =
                Node { at: place(text, value.span().start), value: from_toml(value.into_inner(), text) };
            (key.into_inner().into_owned(), at, node)
        })
        .collect();
    entries.sort_by_key(|(_, at, _)| *at);
    Value::Map(entries)
}

fn from_toml(value: DeValue<'_>, text: &str) -> Value {
    match value {
        DeValue::String(value) => Value::Text(value.into_owned()),
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Integer(value) => i64::from_str_radix(value.as_str(), value.radix())
            .map_or(Value::Other("a number out of range"), Value::Integer),
        DeValue::Float(_) => Value::Other("a fraction"),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(items) => {
            let node = |span: std::ops::Range<usize>, value| Node {
                at: place(text, span.start),
                value: from_toml(value, text),
            };
            Value::List(items.into_iter().map(|item| node(item.span(), item.into_inner())).collect())
        }
        DeValue::Table(table) => from_table(table, text),
    }
}

/// Line and column of a byte.
fn place(text: &str, at: usize) -> Place {
    let before = text.get(..at).unwrap_or(text);
    let line = before.bytes().filter(|&byte| byte == b'\n').count() as u64 + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() as u64 + 1;
    Place { line, column }
}

/// Parses one YAML document. The parser's own budgets bound depth, node count and alias expansion.
pub(crate) fn yaml(text: &str) -> Result<Node, (Place, String)> {
    let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
    let parsed: serde_saphyr::Spanned<Raw> =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let at = error.location().map_or(Place { line: 1, column: 1 }, located);
            // Less the place, which we show ourselves, and advice about the parser's interface.
            let mut message = error.to_string();
            for end in [" at line ", ", set ", "; use "] {
                message.truncate(message.find(end).unwrap_or(message.len()));
            }
            (at, message)
        })?;
    Ok(from_yaml(parsed))
}

fn located(location: serde_saphyr::Location) -> Place {
    Place { line: location.line().max(1), column: location.column().max(1) }
}

fn from_yaml(raw: serde_saphyr::Spanned<Raw>) -> Node {
    let at = located(raw.referenced);
    let value = match raw.value {
        Raw::Plain(value) => value,
        Raw::List(items) => Value::List(items.into_iter().map(from_yaml).collect()),
        Raw::Map(entries) => {
            let entry = |(key, value): (serde_saphyr::Spanned<String>, _)| {
                (key.value, located(key.referenced), from_yaml(value))
            };
            Value::Map(entries.into_iter().map(entry).collect())
        }
    };
    Node { at, value }
}

/// YAML as serde hands it over.
enum Raw {
    Plain(Value),
    List(Vec<serde_saphyr::Spanned<Raw>>),
    Map(Vec<(serde_saphyr::Spanned<String>, serde_saphyr::Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Plain(Value::Other("nothing")))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Plain(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Plain(Value::Integer(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        let value = i64::try_from(value).map_or(Value::Other("a number out of range"), Value::Integer);
        Ok(Raw::Plain(value))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Plain(Value::Other("a fraction")))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Plain(Value::Text(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries: Vec<(serde_saphyr::Spanned<String>, serde_saphyr::Spanned<Raw>)> = Vec::new();
        while let Some(key) = access.next_key::<serde_saphyr::Spanned<String>>()? {
            if entries.iter().any(|(known, _)| known.value == key.value) {
                return Err(A::Error::custom(format_args!("key {} stands twice", key.value)));
            }
            entries.push((key, access.next_value()?));
        }
        Ok(Raw::Map(entries))
    }
}
