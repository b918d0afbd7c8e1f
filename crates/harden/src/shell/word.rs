//! What a word says as it stands.

use super::{Part, Word};

impl Word {
    /// The word, if nothing in it is to be expanded.
    pub(super) fn literal(&self) -> Option<&str> {
        match &self.0[..] {
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// All text of it.
    pub(super) fn text(&self) -> String {
        let texts = self.0.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    /// `name=value` and `name+=value` in two.
    pub(super) fn assignment(&self) -> Option<(String, Self)> {
        let Some(Part::Text(text)) = self.0.first() else { return None };
        let (name, value) = text.split_once('=')?;
        let name = name.strip_suffix('+').unwrap_or(name);
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name {
            return None;
        }
        let mut word = Self::default();
        if !value.is_empty() {
            word.0.push(Part::Text(value.to_owned()));
        }
        word.append(Self(self.0[1..].to_vec()));
        Some((name.to_owned(), word))
    }

    pub(super) fn append(&mut self, other: Self) {
        for part in other.0 {
            match (self.0.last_mut(), part) {
                (Some(Part::Text(text)), Part::Text(more)) => text.push_str(&more),
                (_, part) => self.0.push(part),
            }
        }
    }

    pub(super) fn push_text(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        match self.0.last_mut() {
            Some(Part::Text(before)) => before.push_str(&text),
            _ => self.0.push(Part::Text(text.into_owned())),
        }
    }
}
