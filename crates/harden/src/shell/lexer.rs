//! Reading shell: operators, and what stands in command position.
//!
//! One pass over the text. Substitutions are read by the same code, one level deeper.

mod expansion;
mod simple;

use super::{Part, Script, Word, wrapper};

/// Deepest nesting that is followed.
const MAX_NESTING: usize = 24;
/// Longest text that is read: what is longer was written by a program.
const MAX_TEXT_BYTES: usize = 4 << 20;

/// Reads a script.
pub(crate) fn read(text: &str) -> Script {
    let mut script = Script::default();
    if text.len() <= MAX_TEXT_BYTES {
        Reader::new(text, &mut script, 0).commands(false);
    }
    script
}

struct Reader<'t, 's> {
    text: &'t [u8],
    at: usize,
    script: &'s mut Script,
    nesting: usize,
    /// The words of the command that is being read.
    words: Vec<Word>,
    here_documents: Vec<HereDocument>,
    /// Open `case` commands, innermost last.
    cases: Vec<Case>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    /// Between `case` and `in`.
    Subject,
    /// Before the parenthesis that ends a pattern.
    Pattern,
    /// The commands after it.
    Body,
}

struct HereDocument {
    end: String,
    strips_tabs: bool,
    is_quoted: bool,
    is_script: bool,
}

impl<'t, 's> Reader<'t, 's> {
    fn new(text: &'t str, script: &'s mut Script, nesting: usize) -> Self {
        let (words, here_documents, cases) = Default::default();
        Self { text: text.as_bytes(), at: 0, script, nesting, words, here_documents, cases }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    fn starts_with(&self, text: &str) -> bool {
        self.text[self.at.min(self.text.len())..].starts_with(text.as_bytes())
    }

    /// Reads commands to the end of the text, or to the parenthesis that closes a substitution.
    fn commands(&mut self, is_substitution: bool) {
        let mut open = 0usize;
        while let Some(byte) = self.peek(0) {
            let in_pattern = self.cases.last() == Some(&Case::Pattern);
            if self.words.first().and_then(Word::literal) == Some("[[") && b"&|()<>;".contains(&byte) {
                self.at += 1;
                continue;
            }
            match byte {
                b'(' if !in_pattern && self.starts_with("((") && self.words.is_empty() => self.arithmetic(),
                b'(' if !in_pattern => {
                    self.at += 1;
                    open += 1;
                    self.parenthesis();
                }
                b')' if !in_pattern => {
                    self.at += 1;
                    self.finish();
                    if is_substitution && open == 0 {
                        return;
                    }
                    open = open.saturating_sub(1);
                }
                byte => self.token(byte, in_pattern),
            }
        }
        self.finish();
    }

    /// One token that is no parenthesis of commands.
    fn token(&mut self, byte: u8, in_pattern: bool) {
        match byte {
            b')' => {
                self.at += 1;
                self.words.clear();
                self.set_case(Case::Body);
            }
            b'(' => self.at += 1,
            b'|' if in_pattern => self.at += 1,
            b' ' | b'\t' | b'\r' => self.at += 1,
            b'\\' if self.peek(1) == Some(b'\n') => self.at += 2,
            b'#' => self.skip_line(),
            b'\n' => {
                self.at += 1;
                if !in_pattern {
                    self.finish();
                }
                self.here_documents();
            }
            b';' => {
                let ends_case = matches!(self.peek(1), Some(b';' | b'&'));
                self.finish();
                while matches!(self.peek(0), Some(b';' | b'&')) {
                    self.at += 1;
                }
                if ends_case && self.cases.last() == Some(&Case::Body) {
                    self.set_case(Case::Pattern);
                }
            }
            b'&' if self.peek(1) == Some(b'>') => self.at += 1,
            b'&' | b'|' => {
                self.at += 1;
                self.finish();
            }
            b'<' | b'>' => self.redirection(),
            b'0'..=b'9' if self.is_descriptor() => self.redirection(),
            _ => {
                let start = self.at;
                let word = self.word();
                if self.at == start {
                    // Nothing that belongs to a word: passed over.
                    self.at += 1;
                } else {
                    self.push(word);
                }
            }
        }
    }

    fn set_case(&mut self, state: Case) {
        if let Some(case) = self.cases.last_mut() {
            *case = state;
        }
    }

    /// A parenthesis in command position: a subshell, whose commands follow, or `name()`, the start of a function.
    fn parenthesis(&mut self) {
        if let [word] = &self.words[..]
            && let Some(name) = word.literal()
        {
            self.script.functions.insert(name.to_owned());
            self.words.clear();
        } else {
            self.finish();
        }
    }

    /// Takes one word into the command that is being read. Reserved words end what was before them.
    fn push(&mut self, word: Word) {
        match self.cases.last() {
            Some(Case::Subject) if word.literal() == Some("in") => {
                self.words.clear();
                return self.set_case(Case::Pattern);
            }
            Some(Case::Subject) => return,
            Some(Case::Pattern) if word.literal() == Some("esac") => {
                self.cases.pop();
                return;
            }
            Some(Case::Pattern) => return,
            _ => {}
        }
        if word.literal() == Some("{") && self.words.len() == 2 && self.words[0].literal() == Some("function")
        {
            return self.finish();
        }
        if word.literal() == Some("]]") {
            self.words.clear();
            return;
        }
        if self.words.is_empty() {
            match word.literal() {
                Some("case") => return self.cases.push(Case::Subject),
                Some("esac") => {
                    self.cases.pop();
                    return;
                }
                Some(
                    "if" | "then" | "elif" | "else" | "while" | "until" | "do" | "{" | "}" | "!" | "fi"
                    | "done",
                ) => {
                    return;
                }
                _ => {}
            }
            if let Some((name, value)) = word.assignment() {
                if self.peek(0) == Some(b'(') && value.0.is_empty() {
                    self.at += 1;
                    self.list(&name);
                } else {
                    self.script.values.entry(name).or_default().push(value.clone());
                    self.script.words.push(value);
                }
                return;
            }
        }
        self.words.push(word);
    }

    /// The words of `name=(…)`.
    fn list(&mut self, name: &str) {
        while let Some(byte) = self.peek(0) {
            match byte {
                b')' => {
                    self.at += 1;
                    return;
                }
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                b'#' => self.skip_line(),
                _ => {
                    let start = self.at;
                    let word = self.word();
                    self.at += usize::from(self.at == start);
                    self.script.values.entry(name.to_owned()).or_default().push(word.clone());
                    self.script.words.push(word);
                }
            }
        }
    }

    /// Reads a piece of shell within this one, whose words belong to it.
    fn nested(&mut self, text: &str) {
        if self.nesting < MAX_NESTING {
            Reader::new(text, self.script, self.nesting + 1).commands(false);
        }
    }

    fn skip_line(&mut self) {
        while self.peek(0).is_some_and(|byte| byte != b'\n') {
            self.at += 1;
        }
    }

    fn is_descriptor(&self) -> bool {
        let digits = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        matches!(self.peek(digits), Some(b'<' | b'>'))
    }

    fn redirection(&mut self) {
        while self.peek(0).is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if matches!(self.peek(0), Some(b'<' | b'>')) && self.peek(1) == Some(b'(') {
            self.at += 2;
            self.substitution();
            self.words.push(Word(vec![Part::Unknown]));
            return;
        }
        let reads = self.peek(0) == Some(b'<');
        let is_here_document = self.starts_with("<<") && !self.starts_with("<<<");
        let strips_tabs = self.starts_with("<<-");
        while matches!(self.peek(0), Some(b'<' | b'>' | b'&' | b'|' | b'-')) {
            self.at += 1;
        }
        while matches!(self.peek(0), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        let start = self.at;
        let word = self.word();
        if is_here_document {
            let is_quoted = self.text[start..self.at].iter().any(|byte| b"'\"\\".contains(byte));
            let is_script = self.words.first().and_then(Word::literal).is_some_and(wrapper::is_shell);
            let end = word.text();
            self.here_documents.push(HereDocument { end, strips_tabs, is_quoted, is_script });
        } else if reads {
            self.script.words.push(word);
        }
    }

    /// Reads the here-documents that begin after this line.
    fn here_documents(&mut self) {
        for document in std::mem::take(&mut self.here_documents) {
            let mut body = Vec::new();
            while self.at < self.text.len() {
                let rest = &self.text[self.at..];
                let length = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
                let mut line = &rest[..length];
                self.at += (length + 1).min(rest.len());
                while document.strips_tabs && line.first() == Some(&b'\t') {
                    line = &line[1..];
                }
                if line == document.end.as_bytes() {
                    break;
                }
                body.extend_from_slice(line);
                body.push(b'\n');
            }
            let body = String::from_utf8_lossy(&body).into_owned();
            if document.is_script {
                self.nested(&body);
            } else if !document.is_quoted && self.nesting < MAX_NESTING {
                Reader::new(&body, self.script, self.nesting + 1).quoted(None);
            }
        }
    }
}
