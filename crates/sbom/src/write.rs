//! Writing a bill in a format.

use std::cell::RefCell;
use std::io::{self, Write};

use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};
use serde_json::Value;

use crate::bill::Bill;
use crate::{cyclonedx, native, spdx2, spdx3, table};

/// The forms of a bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// CycloneDX 1.6, JSON.
    CycloneDx,
    /// SPDX 2.3, JSON.
    Spdx2,
    /// SPDX 3.0.1, JSON-LD.
    Spdx3,
    /// Our own JSON.
    Json,
    /// Lines for people.
    Table,
}

/// Writes a bill; the same bill gives the same bytes.
///
/// # Errors
/// What the writer says.
pub fn write(bill: &Bill<'_>, format: Format, mut out: impl Write) -> io::Result<()> {
    let document = match format {
        Format::CycloneDx => cyclonedx::document(bill),
        Format::Spdx2 => spdx2::document(bill),
        Format::Spdx3 => spdx3::document(bill),
        Format::Json => native::document(bill),
        Format::Table => return out.write_all(table::text(bill).as_bytes()),
    };
    serde_json::to_writer_pretty(&mut out, &document)?;
    out.write_all(b"\n")
}

/// A JSON object whose long lists are made while they are written.
pub(crate) struct Document<'b>(pub(crate) Vec<(&'static str, Part<'b>)>);

/// One value of a document.
pub(crate) enum Part<'b> {
    Value(Value),
    List(RefCell<Box<dyn Iterator<Item = Value> + 'b>>),
}

impl<'b> Part<'b> {
    pub(crate) fn list(items: impl Iterator<Item = Value> + 'b) -> Self {
        Self::List(RefCell::new(Box::new(items)))
    }
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, part) in &self.0 {
            map.serialize_entry(name, part)?;
        }
        map.end()
    }
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => value.serialize(serializer),
            Self::List(items) => {
                let mut list = serializer.serialize_seq(None)?;
                for item in items.borrow_mut().by_ref() {
                    list.serialize_element(&item)?;
                }
                list.end()
            }
        }
    }
}

/// An object without the members that say nothing: nulls, empty texts, lists and objects.
pub(crate) fn compact(mut value: Value) -> Value {
    if let Value::Object(members) = &mut value {
        members.retain(|_, member| match member {
            Value::Null => false,
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Object(members) => !members.is_empty(),
            _ => true,
        });
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn empty_members_go_and_others_keep_their_order() {
        let value = compact(json!({"b": 1, "a": null, "c": [], "d": "", "e": {}, "f": false}));
        assert_eq!(value.to_string(), r#"{"b":1,"f":false}"#);
    }

    #[test]
    fn lists_are_written_in_their_place() {
        let items = [json!(1), json!({"x": 2})];
        let document = Document(vec![("a", Part::Value(json!(0))), ("b", Part::list(items.into_iter()))]);
        assert_eq!(serde_json::to_string(&document).unwrap(), r#"{"a":0,"b":[1,{"x":2}]}"#);
    }
}
