//! Reading values out of the YAML tree; what is wrong is noted with its place, and reading goes on.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use settings::{Key, Node, Place, Problem, Value};

use crate::coverage::Pattern;
use crate::duration;

/// Collects problems; where files are relative to.
pub(crate) struct Reader<'a> {
    pub(crate) directory: &'a Path,
    pub(crate) problems: Vec<Problem>,
}

/// A mapping whose keys are all known.
pub(crate) struct Fields<'n> {
    pub(crate) at: Place,
    path: String,
    entries: &'n [(Key, Node)],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(directory: &'a Path) -> Self {
        Self { directory, problems: Vec::new() }
    }

    /// Notes a problem.
    pub(crate) fn problem(&mut self, at: Place, field: &str, message: String) {
        self.suggest(at, field, message, None);
    }

    fn suggest(&mut self, at: Place, field: &str, message: String, suggestion: Option<String>) {
        self.problems.push(Problem::new(at, field, message).suggest(suggestion));
    }

    fn expected<T>(&mut self, node: &Node, path: &str, expected: &str) -> Option<T> {
        let found = node.value.kind();
        self.problem(node.at, path, format!("should be {expected}, found {found}"));
        None
    }

    /// A mapping; keys not in `known` are problems, with the most similar known key as suggestion.
    pub(crate) fn fields<'n>(&mut self, node: &'n Node, path: &str, known: &[&str]) -> Option<Fields<'n>> {
        let Value::Map(entries) = &node.value else { return self.expected(node, path, "a mapping") };
        let fields = Fields { at: node.at, path: path.to_owned(), entries };
        for (key, _) in entries.iter().filter(|(key, _)| !known.contains(&key.text.as_str())) {
            let suggestion = similar(&key.text, known.iter().copied()).map(str::to_owned);
            let mut message = "unknown key".to_owned();
            if suggestion.is_none() {
                message = format!("unknown key; known are {}", known.join(", "));
            }
            self.suggest(key.at, &fields.path(&key.text), message, suggestion);
        }
        Some(fields)
    }

    /// A list; nothing at all is an empty one.
    pub(crate) fn list<'n>(&mut self, node: &'n Node, path: &str) -> &'n [Node] {
        match &node.value {
            Value::List(items) => items,
            Value::Null => &[],
            _ => self.expected(node, path, "a list").unwrap_or_default(),
        }
    }

    /// A text; numbers and truth values as they are written.
    pub(crate) fn text(&mut self, node: &Node, path: &str) -> Option<String> {
        let text = match &node.value {
            Value::Text(text) | Value::Number(text, _) | Value::Bool(_, text) => text.clone(),
            _ => return self.expected(node, path, "a text"),
        };
        if text.contains('\0') {
            self.problem(node.at, path, "has a NUL character".to_owned());
            return None;
        }
        Some(text)
    }

    pub(crate) fn flag(&mut self, node: &Node, path: &str) -> Option<bool> {
        match &node.value {
            Value::Bool(value, _) => Some(*value),
            _ => self.expected(node, path, "true or false"),
        }
    }

    pub(crate) fn duration(&mut self, node: &Node, path: &str) -> Option<Duration> {
        let text = self.text(node, path)?;
        duration::parse(&text).map_err(|problem| self.problem(node.at, path, problem)).ok()
    }

    pub(crate) fn pattern(&mut self, node: &Node, path: &str) -> Option<Pattern> {
        let text = self.text(node, path)?;
        let compiled = Pattern::new(&text);
        let reason = |error: &regex::Error| {
            error
                .to_string()
                .lines()
                .last()
                .unwrap_or_default()
                .trim()
                .trim_start_matches("error: ")
                .to_owned()
        };
        compiled
            .map_err(|error| {
                let message = format!("{text:?} is not a regular expression: {}", reason(&error));
                self.problem(node.at, path, message);
            })
            .ok()
    }

    pub(crate) fn absolute(&mut self, node: &Node, path: &str) -> Option<String> {
        let text = self.text(node, path)?;
        if text.starts_with('/') {
            return Some(text);
        }
        self.problem(node.at, path, format!("{text:?} is not an absolute path in the container"));
        None
    }

    /// Program and arguments: a list, or one text split as a shell splits words.
    pub(crate) fn args(&mut self, node: &Node, path: &str) -> Option<Vec<String>> {
        let args = match &node.value {
            Value::List(_) => self.texts(node, path)?,
            _ => {
                let text = self.text(node, path)?;
                let Some(words) = shlex::split(&text) else {
                    self.problem(node.at, path, "has a quote that is not closed".to_owned());
                    return None;
                };
                let operator = words
                    .iter()
                    .find(|word| matches!(word.as_str(), "|" | "&&" | "||" | ";" | ">" | "<" | ">>" | "&"));
                if let Some(operator) = operator {
                    let message = format!("has {operator:?}, but no shell runs it: write [sh, -c, …]");
                    self.problem(node.at, path, message);
                    return None;
                }
                words
            }
        };
        if args.is_empty() {
            self.problem(node.at, path, "is empty".to_owned());
            return None;
        }
        Some(args)
    }

    fn texts(&mut self, node: &Node, path: &str) -> Option<Vec<String>> {
        let Value::List(items) = &node.value else { return self.expected(node, path, "a list") };
        let texts: Vec<_> = items
            .iter()
            .enumerate()
            .filter_map(|(n, item)| self.text(item, &format!("{path}[{n}]")))
            .collect();
        (texts.len() == items.len()).then_some(texts)
    }

    /// One of some words.
    pub(crate) fn choice<T: Copy>(&mut self, node: &Node, path: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(node, path)?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
            return Some(*value);
        }
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        let suggestion = similar(&text, names.iter().copied()).map(str::to_owned);
        self.suggest(node.at, path, format!("{text:?} is none of {}", names.join(", ")), suggestion);
        None
    }
}

impl<'n> Fields<'n> {
    /// The field's path from the root of the file.
    pub(crate) fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(key, _)| key.text == name).map(|(_, node)| node)
    }

    /// The only one of these fields that is there; none and several are problems.
    pub(crate) fn exactly_one<'k>(
        &self,
        reader: &mut Reader<'_>,
        names: &[&'k str],
    ) -> Option<(&'k str, &'n Node)> {
        let present: Vec<_> = names.iter().filter_map(|&name| Some((name, self.get(name)?))).collect();
        match present.as_slice() {
            [one] => return Some(*one),
            [] => {
                // A typo'd key was reported already.
                let reported = reader.problems.iter().any(|problem| {
                    problem.suggestion.as_ref().is_some_and(|name| {
                        names.contains(&name.as_str()) && problem.field.starts_with(&self.path)
                    })
                });
                if !reported {
                    let message = format!("needs one of {}", names.join(", "));
                    reader.problem(self.at, &self.path, message);
                }
            }
            several => {
                let present: Vec<_> = several.iter().map(|(name, _)| *name).collect();
                reader.problem(self.at, &self.path, format!("has {}: one of them", present.join(" and ")));
            }
        }
        None
    }

    pub(crate) fn text(&self, reader: &mut Reader<'_>, name: &str) -> Option<String> {
        reader.text(self.get(name)?, &self.path(name))
    }

    pub(crate) fn required_text(&self, reader: &mut Reader<'_>, name: &str) -> Option<String> {
        if self.get(name).is_none() {
            reader.problem(self.at, &self.path(name), "is missing".to_owned());
        }
        self.text(reader, name)
    }

    pub(crate) fn texts(&self, reader: &mut Reader<'_>, name: &str) -> Option<Vec<String>> {
        reader.texts(self.get(name)?, &self.path(name))
    }

    pub(crate) fn args(&self, reader: &mut Reader<'_>, name: &str) -> Option<Vec<String>> {
        let node = self.get(name)?;
        match &node.value {
            Value::List(items) if items.is_empty() => Some(Vec::new()),
            _ => reader.args(node, &self.path(name)),
        }
    }

    pub(crate) fn flag(&self, reader: &mut Reader<'_>, name: &str) -> bool {
        self.get(name).and_then(|node| reader.flag(node, &self.path(name))).unwrap_or(false)
    }

    pub(crate) fn duration(&self, reader: &mut Reader<'_>, name: &str) -> Option<Duration> {
        reader.duration(self.get(name)?, &self.path(name))
    }

    pub(crate) fn pattern(&self, reader: &mut Reader<'_>, name: &str) -> Option<Pattern> {
        reader.pattern(self.get(name)?, &self.path(name))
    }

    pub(crate) fn absolute(&self, reader: &mut Reader<'_>, name: &str) -> Option<String> {
        reader.absolute(self.get(name)?, &self.path(name))
    }

    /// A mapping from names to texts, such as an environment.
    pub(crate) fn texts_by_name(&self, reader: &mut Reader<'_>, name: &str) -> BTreeMap<String, String> {
        let Some(node) = self.get(name) else { return BTreeMap::new() };
        let path = self.path(name);
        let Value::Map(entries) = &node.value else {
            return reader.expected(node, &path, "a mapping").unwrap_or_default();
        };
        let mut texts = BTreeMap::new();
        for (key, value) in entries {
            let path = format!("{path}.{}", key.text);
            if key.text.is_empty() || key.text.contains(['=', '\0']) {
                reader.problem(key.at, &path, "is not a name of a variable".to_owned());
            } else if let Some(text) = reader.text(value, &path) {
                texts.insert(key.text.clone(), text);
            }
        }
        texts
    }
}

/// The candidate closest to a word, if it is close enough to be what was meant.
pub(crate) fn similar<'k>(word: &str, candidates: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let word = word.to_lowercase().replace('-', "_");
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(&word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 2.min(candidate.len() / 2))
        .min()
        .map(|(_, candidate)| candidate)
}
