//! YAML as a tree.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use crate::{Key, Node, Place, SyntaxError, Value};

/// Parses one YAML document. The parser's own budgets bound depth, node count and alias expansion.
///
/// # Errors
/// [`SyntaxError`]: it is no YAML, a key is none, or stands twice.
pub fn yaml(text: &str) -> Result<Node, SyntaxError> {
    let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
    let parsed: Spanned<Raw> = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let at = error.location().map_or(Place::START, place);
        // Less the place, which we show ourselves, and advice about the parser's interface.
        let mut message = error.to_string();
        for end in [" at line ", ", set ", "; use "] {
            message.truncate(message.find(end).unwrap_or(message.len()));
        }
        SyntaxError { at, message }
    })?;
    Ok(build(parsed, text))
}

/// A value as serde hands it over; numbers and truth values without their spelling.
enum Raw {
    Null,
    Bool(bool),
    Number(String, Option<i64>),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

fn place(location: serde_saphyr::Location) -> Place {
    Place { line: location.line().max(1), column: location.column().max(1) }
}

/// Adds places and spellings.
fn build(raw: Spanned<Raw>, source: &str) -> Node {
    let at = place(raw.referenced);
    let spelling = |fallback: String| {
        let span = raw.defined.span();
        let start = span.byte_offset().and_then(|start| usize::try_from(start).ok());
        let length = span.byte_len().and_then(|length| usize::try_from(length).ok());
        start
            .zip(length)
            .and_then(|(start, length)| source.get(start..start.checked_add(length)?))
            .map(|written| written.trim().to_owned())
            .filter(|written| !written.is_empty())
            .unwrap_or(fallback)
    };
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Bool(value) => Value::Bool(value, spelling(value.to_string())),
        Raw::Number(text, integer) => Value::Number(spelling(text), integer),
        Raw::Text(text) => Value::Text(text),
        Raw::List(items) => Value::List(items.into_iter().map(|item| build(item, source)).collect()),
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| {
                    (Key { at: place(key.referenced), text: key.value }, build(value, source))
                })
                .collect(),
        ),
    };
    Node { at, value }
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
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string(), Some(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string(), i64::try_from(value).ok()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string(), i64::try_from(value).ok()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string(), i64::try_from(value).ok()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string(), None))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries: Vec<(Spanned<String>, Spanned<Raw>)> = Vec::new();
        while let Some(key) = access.next_key::<Spanned<String>>()? {
            if entries.iter().any(|(known, _)| known.value == key.value) {
                return Err(A::Error::custom(format_args!("key {} stands twice", key.value)));
            }
            entries.push((key, access.next_value()?));
        }
        Ok(Raw::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry<'n>(node: &'n Node, name: &str) -> &'n Node {
        let Value::Map(entries) = &node.value else { panic!("{node:?} is no mapping") };
        &entries.iter().find(|(key, _)| key.text == name).expect("key is there").1
    }

    #[test]
    fn values_know_their_place() {
        let node = yaml("a: 1\nb:\n  - x\n  - {c: y}\n").unwrap();
        let Value::Map(entries) = &node.value else { panic!("{node:?}") };
        assert_eq!(entries[1].0.at, Place { line: 2, column: 1 });
        let Value::List(items) = &entry(&node, "b").value else { panic!("{node:?}") };
        assert_eq!(items[0].at, Place { line: 3, column: 5 });
        assert_eq!(entry(&items[1], "c").at, Place { line: 4, column: 9 });
    }

    #[test]
    fn numbers_and_truth_values_keep_their_spelling() {
        let node = yaml("[1.50, 007, 1e3, True, '2', 0x1F, 18446744073709551616, 12]").unwrap();
        let Value::List(items) = node.value else { panic!("no list") };
        let texts: Vec<_> = items
            .into_iter()
            .map(|item| match item.value {
                Value::Number(text, _) | Value::Text(text) | Value::Bool(_, text) => text,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(texts, ["1.50", "007", "1e3", "True", "2", "0x1F", "18446744073709551616", "12"]);
    }

    #[test]
    fn yes_and_no_are_texts() {
        let node = yaml("[yes, no, on]").unwrap();
        let Value::List(items) = node.value else { panic!("no list") };
        assert!(items.iter().all(|item| matches!(item.value, Value::Text(_))), "{items:?}");
    }

    #[test]
    fn broken_yaml_names_its_place() {
        for text in ["a: [1, 2", "a: 1\na: 2\n", "a: b: c\n", "a:\n\t- b\n", "a: *nothing\n", "? [x]\n: 1\n"]
        {
            let error = yaml(text).unwrap_err();
            assert!(!error.message.is_empty() && error.at.line >= 1, "{text:?}: {error:?}");
        }
    }

    #[test]
    fn alias_bombs_are_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let previous = n - 1;
            let items = vec![format!("*a{previous}"); 9].join(", ");
            text.push_str(&format!("a{n}: &a{n} [{items}]\n"));
        }
        assert!(yaml(&text).is_err());
        assert!(yaml(&"[".repeat(100_000)).is_err());
    }
}
