//! Words: quotes, expansions and substitutions.

use super::{MAX_NESTING, Reader};
use crate::shell::{Part, Word};

/// Longest expression of numbers that is told from a subshell in a substitution.
const MAX_EXPRESSION_BYTES: usize = 4096;

impl Reader<'_, '_> {
    /// One word, up to a blank or an operator.
    pub(super) fn word(&mut self) -> Word {
        let mut word = Word::default();
        while let Some(byte) = self.peek(0) {
            match byte {
                b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>' => break,
                b'\r' if matches!(self.peek(1), None | Some(b'\n')) => break,
                b'\\' => self.escaped(&mut word),
                b'\'' => self.single_quoted(&mut word),
                b'"' => {
                    self.at += 1;
                    let quoted = self.quoted(Some(b'"'));
                    word.append(quoted);
                }
                b'$' if self.peek(1) == Some(b'\'') => {
                    self.at += 1;
                    self.single_quoted(&mut word);
                }
                b'$' if self.peek(1) == Some(b'"') => self.at += 1,
                b'$' => {
                    let part = self.expansion();
                    word.0.push(part);
                }
                b'`' => {
                    self.backtick();
                    word.0.push(Part::Unknown);
                }
                _ => self.run(&mut word, b" \t\r\n;&|()<>\\'\"$`"),
            }
        }
        self.at = self.at.min(self.text.len());
        word
    }

    /// The character after a backslash; a line that goes on gives nothing.
    fn escaped(&mut self, word: &mut Word) {
        let rest = &self.text[self.at + 1..];
        let length = rest.iter().skip(1).take_while(|&byte| byte & 0xc0 == 0x80).count() + 1;
        let length = length.min(rest.len());
        if rest.first() != Some(&b'\n') {
            word.push_text(&rest[..length]);
        }
        self.at += 1 + length;
    }

    /// Plain text up to one of these bytes; at least one character.
    fn run(&mut self, word: &mut Word, ends: &[u8]) {
        let rest = &self.text[self.at..];
        let length = rest.iter().skip(1).position(|byte| ends.contains(byte)).map_or(rest.len(), |at| at + 1);
        word.push_text(&rest[..length]);
        self.at += length;
    }

    fn single_quoted(&mut self, word: &mut Word) {
        self.at += 1;
        let rest = &self.text[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\'').unwrap_or(rest.len());
        word.push_text(&rest[..length]);
        self.at += (length + 1).min(rest.len());
    }

    /// The inside of double quotes, or a here-document.
    pub(super) fn quoted(&mut self, end: Option<u8>) -> Word {
        let mut word = Word::default();
        word.0.push(Part::Text(String::new()));
        while let Some(byte) = self.peek(0) {
            match byte {
                byte if Some(byte) == end => {
                    self.at += 1;
                    break;
                }
                b'\\' if matches!(self.peek(1), Some(b'$' | b'`' | b'"' | b'\\' | b'\n')) => {
                    self.escaped(&mut word);
                }
                b'$' => {
                    let part = self.expansion();
                    word.0.push(part);
                }
                b'`' => {
                    self.backtick();
                    word.0.push(Part::Unknown);
                }
                _ => self.run(&mut word, b"\\\"$`"),
            }
        }
        self.at = self.at.min(self.text.len());
        word
    }

    /// What begins with a dollar sign.
    fn expansion(&mut self) -> Part {
        self.at += 1;
        match self.peek(0) {
            Some(b'(') if self.peek(1) == Some(b'(') && self.is_arithmetic() => {
                self.arithmetic();
                Part::Unknown
            }
            Some(b'(') => {
                self.at += 1;
                let start = self.at;
                self.substitution();
                let inside = String::from_utf8_lossy(&self.text[start..self.at]);
                match inside.contains("dirname") && (inside.contains("$0") || inside.contains("BASH_SOURCE"))
                {
                    true => Part::ScriptDirectory,
                    false => Part::Unknown,
                }
            }
            Some(b'{') => {
                self.at += 1;
                if self.nesting >= MAX_NESTING {
                    self.at = self.text.len();
                    return Part::Unknown;
                }
                self.nesting += 1;
                let part = self.braces();
                self.nesting -= 1;
                part
            }
            Some(byte) if byte.is_ascii_alphabetic() || byte == b'_' => {
                let name = self.name();
                Part::Variable(name, None)
            }
            Some(byte) if byte.is_ascii_digit() || b"@*#?-$!".contains(&byte) => {
                self.at += 1;
                Part::Unknown
            }
            _ => Part::Text("$".to_owned()),
        }
    }

    fn name(&mut self) -> String {
        let start = self.at;
        while self.peek(0).is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            self.at += 1;
        }
        String::from_utf8_lossy(self.text.get(start..self.at).unwrap_or_default()).into_owned()
    }

    /// `${name}`, `${name:-word}` and their kin, after the brace.
    fn braces(&mut self) -> Part {
        let is_plain = self.peek(0).is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        let script = self.peek(0) == Some(b'0');
        if !is_plain && !script {
            self.at += usize::from(self.peek(0) != Some(b'}'));
        }
        let name = self.name();
        while self.peek(0) == Some(b'[') && self.peek(1).is_some() {
            while self.peek(0).is_some_and(|byte| byte != b']') {
                self.at += 1;
            }
            self.at += 1;
        }
        let start = self.at;
        while self.peek(0).is_some_and(|byte| b":-=?+".contains(&byte)) {
            self.at += 1;
        }
        let operator =
            String::from_utf8_lossy(&self.text[start.min(self.text.len())..self.at.min(self.text.len())])
                .into_owned();
        let from = self.at;
        let default = self.brace_word();
        let inside = self.text.get(from..self.at).unwrap_or_default();
        if script || name == "BASH_SOURCE" {
            return if inside.starts_with(b"%/*") { Part::ScriptDirectory } else { Part::Unknown };
        }
        match operator.as_str() {
            _ if !is_plain => Part::Unknown,
            "" if inside == b"}" => Part::Variable(name, None),
            ":-" | "-" | ":=" | "=" => Part::Variable(name, Some(default)),
            ":+" | "+" => Part::Variable(String::new(), Some(default)),
            // Cut or replaced: what the variable itself stands for is as good a guess as any for `${x%%/}`.
            _ => Part::Unknown,
        }
    }

    /// The rest of an expansion in braces, with the closing one.
    fn brace_word(&mut self) -> Word {
        let mut word = Word::default();
        while let Some(byte) = self.peek(0) {
            match byte {
                b'}' => {
                    self.at += 1;
                    break;
                }
                b'\\' => self.escaped(&mut word),
                b'\'' => self.single_quoted(&mut word),
                b'"' => {
                    self.at += 1;
                    let quoted = self.quoted(Some(b'"'));
                    word.append(quoted);
                }
                b'$' => {
                    let part = self.expansion();
                    word.0.push(part);
                }
                b'`' => {
                    self.backtick();
                    word.0.push(Part::Unknown);
                }
                _ => self.run(&mut word, b"}\\'\"$`"),
            }
        }
        self.at = self.at.min(self.text.len());
        word
    }

    /// Commands up to the closing parenthesis.
    pub(super) fn substitution(&mut self) {
        if self.nesting >= MAX_NESTING {
            self.at = self.text.len();
            return;
        }
        let mut inner = Reader {
            text: self.text,
            at: self.at,
            script: &mut *self.script,
            nesting: self.nesting + 1,
            words: Vec::new(),
            here_documents: Vec::new(),
            cases: Vec::new(),
        };
        inner.commands(true);
        self.at = inner.at.min(self.text.len());
    }

    /// Commands in backticks.
    fn backtick(&mut self) {
        self.at += 1;
        let mut inside = Vec::new();
        while let Some(byte) = self.peek(0) {
            self.at += 1;
            match byte {
                b'`' => break,
                b'\\' if matches!(self.peek(0), Some(b'`' | b'\\' | b'$')) => {
                    inside.extend(self.peek(0));
                    self.at += 1;
                }
                _ => inside.push(byte),
            }
        }
        self.nested(&String::from_utf8_lossy(&inside));
    }

    /// Whether `$((` begins an expression and not a subshell in a substitution: whether `))` closes it.
    fn is_arithmetic(&self) -> bool {
        let mut open = 0usize;
        for at in self.at..self.text.len().min(self.at + MAX_EXPRESSION_BYTES) {
            match self.text[at] {
                b'(' => open += 1,
                b')' => {
                    open = open.saturating_sub(1);
                    if open <= 1 {
                        return self.text.get(at + 1) == Some(&b')') && open == 1;
                    }
                }
                b'\n' | b'"' | b'\'' => return false,
                _ => {}
            }
        }
        false
    }

    /// Skips an expression in parentheses, reading the substitutions in it.
    pub(super) fn arithmetic(&mut self) {
        let mut open = 0usize;
        while let Some(byte) = self.peek(0) {
            match byte {
                b'(' => open += 1,
                b')' => open = open.saturating_sub(1),
                b'$' => {
                    self.expansion();
                    continue;
                }
                _ => {}
            }
            self.at += 1;
            if open == 0 {
                return;
            }
        }
    }
}
