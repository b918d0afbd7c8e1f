//! Reading shell: words, operators, and what stands in command position.
//!
//! One pass over the text. Substitutions are read by the same code, one level deeper.

use super::{Command, Part, Script, Word, option, wrapper};

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

/// Longest expression of numbers that is told from a subshell in a substitution.
const MAX_EXPRESSION_BYTES: usize = 4096;

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

    /// The end of a simple command.
    fn finish(&mut self) {
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

    /// One word, up to a blank or an operator.
    fn word(&mut self) -> Word {
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
    fn quoted(&mut self, end: Option<u8>) -> Word {
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
    fn substitution(&mut self) {
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
    fn arithmetic(&mut self) {
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

impl Word {
    /// The word, if nothing in it is to be expanded.
    fn literal(&self) -> Option<&str> {
        match &self.0[..] {
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// All text of it.
    fn text(&self) -> String {
        let texts = self.0.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    /// `name=value` and `name+=value` in two.
    fn assignment(&self) -> Option<(String, Self)> {
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

    fn append(&mut self, other: Self) {
        for part in other.0 {
            match (self.0.last_mut(), part) {
                (Some(Part::Text(text)), Part::Text(more)) => text.push_str(&more),
                (_, part) => self.0.push(part),
            }
        }
    }

    fn push_text(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        match self.0.last_mut() {
            Some(Part::Text(before)) => before.push_str(&text),
            _ => self.0.push(Part::Text(text.into_owned())),
        }
    }
}
