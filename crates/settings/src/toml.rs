//! TOML as a tree.

use toml::de::{DeTable, DeValue};

use crate::{Key, Node, Place, SyntaxError, Value};

/// Parses TOML.
///
/// # Errors
/// [`SyntaxError`]: it is no TOML.
pub fn toml(text: &str) -> Result<Node, SyntaxError> {
    let table = DeTable::parse(text).map_err(|error| {
        let at = place(text, error.span().map_or(0, |span| span.start));
        SyntaxError { at, message: error.message().replace('\n', ", ") }
    })?;
    Ok(Node { at: Place::START, value: from_table(table.into_inner(), text) })
}

fn from_table(table: DeTable<'_>, text: &str) -> Value {
    let mut entries: Vec<_> = table
        .into_iter()
        .map(|(key, value)| {
            let at = place(text, key.span().start);
            let node =
                Node { at: place(text, value.span().start), value: from_toml(value.into_inner(), text) };
            (Key { at, text: key.into_inner().into_owned() }, node)
        })
        .collect();
    entries.sort_by_key(|(key, _)| key.at);
    Value::Map(entries)
}

fn from_toml(value: DeValue<'_>, text: &str) -> Value {
    match value {
        DeValue::String(value) => Value::Text(value.into_owned()),
        DeValue::Boolean(value) => Value::Bool(value, value.to_string()),
        DeValue::Integer(value) => {
            let integer = i64::from_str_radix(value.as_str(), value.radix()).ok();
            Value::Number(value.as_str().to_owned(), integer)
        }
        DeValue::Float(value) => Value::Number(value.as_str().to_owned(), None),
        DeValue::Datetime(_) => Value::Date,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_their_place_and_stand_in_the_order_of_the_file() {
        let node = toml("b = 0x10\na = [1.5, 'x', 1979-05-27]\n[c]\nd = 99999999999999999999\n").unwrap();
        let Value::Map(entries) = &node.value else { panic!("{node:?}") };
        let told: Vec<_> =
            entries.iter().map(|(key, node)| (&*key.text, key.at.line, node.value.kind())).collect();
        assert_eq!(told, [("b", 1, "a number"), ("a", 2, "a list"), ("c", 3, "a mapping")]);
        assert_eq!(entries[0].1.value, Value::Number("10".to_owned(), Some(16)));
        let Value::List(items) = &entries[1].1.value else { panic!("{node:?}") };
        let told: Vec<_> = items.iter().map(|item| (item.at.column, item.value.kind())).collect();
        assert_eq!(told, [(6, "a fraction"), (11, "a text"), (16, "a date")]);
        let Value::Map(entries) = &entries[2].1.value else { panic!("{node:?}") };
        assert_eq!(entries[0].1.value.kind(), "a number out of range");
    }

    #[test]
    fn broken_toml_names_its_place() {
        for (text, line) in [("a = ", 1), ("a = 1\na = 2\n", 2), ("\n\n[x\n", 3)] {
            assert_eq!(toml(text).unwrap_err().at.line, line, "{text:?}");
        }
    }
}
