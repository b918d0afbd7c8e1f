//! What a simple command runs, names and sets.

use super::Reader;
use crate::shell::{Command, Part, Word, option, wrapper};

impl Reader<'_, '_> {
    /// The end of a simple command.
    pub(super) fn finish(&mut self) {
        let words = std::mem::take(&mut self.words);
        if !words.is_empty() {
            self.simple(&words, false);
        }
    }

    fn simple(&mut self, words: &[Word], is_external: bool) {
        let Some((first, arguments)) = words.split_first() else { return };
        let name = first.literal().unwrap_or_default().to_owned();
        let literals = || arguments.iter().map(Word::literal).collect::<Vec<_>>();
        match name.as_str() {
            "for" | "select" => {
                if let [Some(variable), Some("in"), ..] = literals()[..] {
                    let variable = variable.to_owned();
                    self.script.values.entry(variable).or_default().extend_from_slice(&arguments[2..]);
                }
                self.script.words.extend_from_slice(arguments);
                return;
            }
            "function" => {
                self.script.functions.extend(literals().first().copied().flatten().map(ToOwned::to_owned));
                return;
            }
            "." | "source" => {
                self.script.sourced.extend(arguments.first().cloned());
                return;
            }
            "eval" | "trap" => {
                let text = arguments.first().and_then(Word::literal).map(ToOwned::to_owned);
                text.iter().for_each(|text| self.nested(text));
                return;
            }
            "export" | "readonly" | "local" | "declare" | "typeset" => {
                for (name, value) in arguments.iter().filter_map(Word::assignment) {
                    self.script.values.entry(name).or_default().push(value.clone());
                    self.script.words.push(value);
                }
                return;
            }
            _ => {}
        }
        self.script.words.extend_from_slice(arguments);
        self.script.commands.push(Command { word: first.clone(), is_external });
        for started in option::started(&name, &literals()) {
            let word = Word(vec![Part::Text(started)]);
            self.script.commands.push(Command { word, is_external: true });
        }
        if let Some(wrapper) = wrapper::find(&name) {
            if let Some(at) = wrapper.command(&literals()) {
                if matches!(wrapper.name, "which" | "hash" | "type") {
                    for word in &arguments[at..] {
                        self.script.commands.push(Command { word: word.clone(), is_external: false });
                    }
                } else {
                    self.simple(&arguments[at..], !wrapper.is_builtin);
                }
            }
        } else if name == "find" || name.ends_with("/find") {
            let starts = literals();
            for at in 0..starts.len() {
                if matches!(starts[at], Some("-exec" | "-execdir" | "-ok" | "-okdir")) {
                    self.simple(&arguments[at + 1..], true);
                }
            }
        } else if name.ends_with("start-stop-daemon") {
            let starts = literals();
            for at in 0..starts.len() {
                if matches!(starts[at], Some("-x" | "--exec" | "-a" | "--startas"))
                    && at + 1 < arguments.len()
                {
                    let word = arguments[at + 1].clone();
                    self.script.commands.push(Command { word, is_external: true });
                }
            }
        }
        if wrapper::is_shell(&name) {
            let starts = literals();
            for at in 1..starts.len() {
                let is_option = starts[at - 1].is_some_and(|option| {
                    option == "--command"
                        || (option.starts_with('-') && !option.starts_with("--") && option.ends_with('c'))
                });
                if is_option && let Some(text) = starts[at].map(ToOwned::to_owned) {
                    self.nested(&text);
                }
            }
        }
    }
}
