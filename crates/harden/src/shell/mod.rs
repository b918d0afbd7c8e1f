//! What a piece of shell runs, sources and names, as far as that can be told without running it.
//!
//! [`read`] is a guess in both directions, and used only to keep more: a command that it overlooks must be in the
//! profile. Functions, conditionals, here-documents, substitutions and the commands that run commands are followed;
//! variables as far as the text itself gives them values.

mod lexer;
mod option;
mod word;
mod wrapper;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use self::lexer::read;

/// What a POSIX shell or bash runs itself, and its reserved words.
const BUILTINS: [&str; 75] = [
    "!",
    ".",
    ":",
    "[",
    "[[",
    "alias",
    "bg",
    "bind",
    "break",
    "builtin",
    "caller",
    "case",
    "cd",
    "command",
    "compgen",
    "complete",
    "compopt",
    "continue",
    "coproc",
    "declare",
    "dirs",
    "disown",
    "do",
    "done",
    "echo",
    "elif",
    "else",
    "enable",
    "esac",
    "eval",
    "exec",
    "exit",
    "export",
    "false",
    "fc",
    "fg",
    "fi",
    "for",
    "function",
    "getopts",
    "hash",
    "help",
    "history",
    "if",
    "in",
    "jobs",
    "kill",
    "let",
    "local",
    "logout",
    "mapfile",
    "popd",
    "printf",
    "pushd",
    "pwd",
    "read",
    "readarray",
    "readonly",
    "return",
    "select",
    "set",
    "shift",
    "shopt",
    "source",
    "test",
    "then",
    "times",
    "trap",
    "true",
    "type",
    "typeset",
    "ulimit",
    "umask",
    "unalias",
    "unset",
];
/// The rest of them.
const MORE_BUILTINS: [&str; 5] = ["until", "wait", "while", "{", "}"];
/// Most values that are tried for one word.
const MAX_VALUES: usize = 16;
/// Deepest chain of variables that is followed.
const MAX_DEPTH: usize = 8;
/// Most values of variables that are worked out for one word: options are put together from dozens of others.
const MAX_EXPANSIONS: usize = 400;

/// What a script names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Script {
    commands: Vec<Command>,
    sourced: Vec<Word>,
    words: Vec<Word>,
    functions: BTreeSet<String>,
    values: BTreeMap<String, Vec<Word>>,
}

/// A word in command position.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Command {
    word: Word,
    /// Whether another program runs it: then it is none that the shell has itself.
    is_external: bool,
}

/// A word as a shell reads it, before it expands it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Word(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// Text, quotes removed.
    Text(String),
    /// A variable, and the word that stands for it where it has no value.
    Variable(String, Option<Word>),
    /// The directory that the script lies in, as `$(dirname "$0")` gives it.
    ScriptDirectory,
    /// What only running it would tell.
    Unknown,
}

/// The external commands of a text, each once, in order.
pub(crate) fn commands(text: &str) -> Vec<String> {
    read(text).commands(&Known::default())
}

/// Values that are known from outside of a script.
#[derive(Debug, Default)]
pub(crate) struct Known<'a> {
    pub(crate) environment: Option<&'a BTreeMap<&'a str, &'a str>>,
    /// The directory that the script lies in, absolute.
    pub(crate) directory: Option<&'a str>,
}

impl Script {
    /// The external commands, each once, in order: names without a slash, and paths.
    pub(crate) fn commands(&self, known: &Known<'_>) -> Vec<String> {
        let mut out = Vec::new();
        for command in &self.commands {
            for name in self.expand(&command.word, known) {
                let is_own = !command.is_external
                    && (BUILTINS.contains(&&*name)
                        || MORE_BUILTINS.contains(&&*name)
                        || self.functions.contains(&name));
                if !is_own && is_name(&name) && !out.contains(&name) {
                    out.push(name);
                }
            }
        }
        out
    }

    /// The files that are read as part of the script, each once, in order.
    pub(crate) fn sourced(&self, known: &Known<'_>) -> Vec<String> {
        let mut out = Vec::new();
        for name in self.sourced.iter().flat_map(|word| self.expand(word, known)) {
            if is_name(&name) && !out.contains(&name) {
                out.push(name);
            }
        }
        out
    }

    /// Absolute paths that are words, or what stands behind `=` in one.
    pub(crate) fn paths(&self, known: &Known<'_>) -> BTreeSet<String> {
        let words = self.words.iter().flat_map(|word| self.expand(word, known));
        let paths = words.map(|word| match word.split_once('=') {
            Some((_, value)) if !word.starts_with('/') => value.to_owned(),
            _ => word,
        });
        paths.filter(|path| path.starts_with('/') && path.len() > 1 && is_name(path)).collect()
    }

    /// Absolute words with a wildcard, each once. Whether quotes took its meaning away is not told.
    pub(crate) fn patterns(&self, known: &Known<'_>) -> BTreeSet<String> {
        let words = self.words.iter().flat_map(|word| self.expand(word, known));
        let is_pattern = |word: &String| {
            word.starts_with('/') && word.contains(['*', '?', '[']) && is_name(&word.replace(['*', '?'], "x"))
        };
        words.filter(is_pattern).collect()
    }

    /// What a word may stand for; nothing if only running the script would tell.
    fn expand(&self, word: &Word, known: &Known<'_>) -> Vec<String> {
        self.expand_deep(word, known, &mut Vec::new(), &mut { MAX_EXPANSIONS })
    }

    /// `open` are the variables whose values are being worked out: one that stands in its own value, as in
    /// `DIR="$DIR/sub"`, has its other values there. `budget` is how many more values may be worked out.
    fn expand_deep<'a>(
        &'a self,
        word: &'a Word,
        known: &Known<'_>,
        open: &mut Vec<&'a str>,
        budget: &mut usize,
    ) -> Vec<String> {
        let mut out = vec![String::new()];
        for part in &word.0 {
            let values: Vec<String> = match part {
                Part::Text(text) => vec![text.clone()],
                Part::Unknown => Vec::new(),
                Part::ScriptDirectory => known.directory.map(ToOwned::to_owned).into_iter().collect(),
                Part::Variable(name, _) if open.len() == MAX_DEPTH || times(open, name) > 1 => Vec::new(),
                Part::Variable(name, default) => {
                    open.push(name);
                    let words = self.values.get(name).into_iter().flatten().chain(default);
                    let mut values: Vec<String> = Vec::new();
                    for word in words.take(MAX_VALUES) {
                        if *budget == 0 {
                            break;
                        }
                        *budget -= 1;
                        values.extend(self.expand_deep(word, known, open, budget));
                    }
                    open.pop();
                    let outside = known.environment.and_then(|all| all.get(name.as_str()));
                    values.extend(outside.map(|value| (*value).to_owned()));
                    values.retain(|value| !value.is_empty());
                    values.sort();
                    values.dedup();
                    values
                }
            };
            out = out
                .iter()
                .flat_map(|start| values.iter().map(move |value| start.clone() + value))
                .take(MAX_VALUES)
                .collect();
        }
        out.retain(|text| !text.is_empty());
        out
    }
}

fn times(open: &[&str], name: &str) -> usize {
    open.iter().filter(|one| **one == name).count()
}

/// Whether a word can name a file: no pattern, no option, not too long.
fn is_name(word: &str) -> bool {
    !word.is_empty()
        && word.len() <= 4096
        && !word.starts_with('-')
        && !word.contains(['$', '=', '*', '?', '\n', '\0', '<', '>', '|', '{', '"'])
        && !word.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;
