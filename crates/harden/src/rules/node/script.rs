//! JavaScript read as far as it takes to see what a file names: a tolerant tokenizer and the patterns over its tokens.
//!
//! No grammar is checked. Where a slash may be a division or a regular expression, the token before decides, which is
//! wrong after the parentheses of an `if`; a string ends at its line's end at the latest, so such a mistake is soon over.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Most tokens of one file; a bundle of 30 MB has fewer.
const MAX_TOKENS: usize = 4_000_000;
/// How far the clause between `import` and `from` may reach, in tokens.
const MAX_CLAUSE: usize = 2000;
/// Longest text that can be a path or a name.
const MAX_TEXT_BYTES: usize = 1024;

/// What a script names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    /// Looked up by Node.js's own rules.
    Module {
        specifier: String,
        /// By `import`, whose conditions differ from those of `require`.
        is_import: bool,
        /// Asked for as soon as the file is loaded, not only when one of its functions is called.
        is_eager: bool,
    },
    /// Modules of this directory are chosen by a computed name: `require("./dialects/" + name)`.
    Modules(String),
    /// A file or directory relative to the file's own directory.
    Beside(String),
    /// A file or directory relative to the working directory.
    Working(String),
    /// An absolute path.
    Path(String),
    /// A program, without arguments.
    Program(String),
    /// A line for a shell.
    Line(String),
}

#[derive(Debug, Clone, PartialEq)]
enum Token<'a> {
    Word(&'a str),
    Text(Cow<'a, str>),
    /// `=>` is `>`, since its first half tells nothing.
    Mark(u8),
}

/// The names in a script.
pub(super) fn names(source: &str) -> BTreeSet<Name> {
    let tokens = tokens(source);
    let mut out = BTreeSet::new();
    let mut requires: BTreeSet<&str> = BTreeSet::from(["require"]);
    let mut constants: BTreeMap<&str, &str> = BTreeMap::new();
    for (at, (token, is_eager)) in tokens.iter().enumerate() {
        let here = Here { tokens: &tokens, at };
        match token {
            Token::Word(word) => {
                if here.is_mark(1, b'=') && here.creates_require() {
                    requires.insert(word);
                }
                if here.is_mark(1, b'=')
                    && let Some(text) = here.whole(2)
                {
                    constants.insert(word, text);
                }
                out.extend(here.started(word, &constants));
                here.collect(word, *is_eager, &requires, &mut out);
            }
            Token::Text(text) => {
                if text.starts_with('/') && text[1..].contains('/') && text.len() <= MAX_TEXT_BYTES {
                    out.insert(Name::Path(text.clone().into_owned()));
                }
            }
            Token::Mark(_) => {}
        }
    }
    out
}

/// A place among the tokens.
#[derive(Clone, Copy)]
struct Here<'t, 'a> {
    tokens: &'t [(Token<'a>, bool)],
    at: usize,
}

impl<'t, 'a> Here<'t, 'a> {
    fn get(self, ahead: usize) -> Option<&'t Token<'a>> {
        self.tokens.get(self.at + ahead).map(|(token, _)| token)
    }

    fn is_mark(self, ahead: usize, mark: u8) -> bool {
        self.get(ahead) == Some(&Token::Mark(mark))
    }

    fn is_word(self, ahead: usize, word: &str) -> bool {
        matches!(self.get(ahead), Some(Token::Word(found)) if *found == word)
    }

    fn text(self, ahead: usize) -> Option<&'t str> {
        match self.get(ahead) {
            Some(Token::Text(text)) if text.len() <= MAX_TEXT_BYTES && !text.is_empty() => Some(text),
            _ => None,
        }
    }

    fn before(self, mark: u8) -> bool {
        self.at.checked_sub(1).is_some_and(|at| self.tokens[at].0 == Token::Mark(mark))
    }

    /// `= createRequire(`, `= module.createRequire(`.
    fn creates_require(self) -> bool {
        (2..5).any(|ahead| self.is_word(ahead, "createRequire") && self.is_mark(ahead + 1, b'('))
    }

    /// The text at `ahead`, if nothing is added to it.
    fn whole(self, ahead: usize) -> Option<&'t str> {
        let text = self.text(ahead)?;
        matches!(self.get(ahead + 1), Some(Token::Mark(b')' | b',' | b';' | b'{' | b'}' | b']')) | None)
            .then_some(text)
    }

    fn collect(self, word: &str, is_eager: bool, requires: &BTreeSet<&str>, out: &mut BTreeSet<Name>) {
        let module = |specifier: &str, is_import, is_eager| Name::Module {
            specifier: specifier.to_owned(),
            is_import,
            is_eager,
        };
        let calls = self.is_mark(1, b'(');
        match word {
            "import" if calls => match (self.whole(2), self.text(2)) {
                (Some(text), _) => drop(out.insert(module(text, true, false))),
                (None, Some(prefix)) => out.extend(computed(prefix)),
                _ => {}
            },
            "import" | "export" => {
                if let Some(text) = self.clause(word) {
                    out.insert(module(text, true, true));
                }
            }
            _ if requires.contains(word) && (!self.before(b'.') || self.follows_module()) => {
                let ahead = match calls {
                    true => 2,
                    false if self.is_mark(1, b'.') && self.is_word(2, "resolve") && self.is_mark(3, b'(') => {
                        4
                    }
                    false => return,
                };
                match (self.whole(ahead), self.text(ahead)) {
                    (Some(text), _) => drop(out.insert(module(text, false, is_eager && ahead == 2))),
                    (None, Some(prefix)) => out.extend(computed(prefix)),
                    _ => {}
                }
            }
            "__dirname" | "dirname" => out.extend(self.joined().map(Name::Beside)),
            "Worker" | "fork" if calls => {
                if let Some(text) = self.whole(2) {
                    out.insert(Name::Working(text.to_owned()));
                    out.insert(Name::Beside(text.to_owned()));
                }
            }
            "URL" if calls => {
                let is_own = self.is_mark(3, b',') && self.is_word(4, "import") && self.is_word(6, "meta");
                if let Some(text) = self.text(2).filter(|_| is_own) {
                    out.insert(Name::Beside(text.to_owned()));
                }
            }
            "readFile" | "readFileSync" | "createReadStream" | "readdirSync" | "readdir" | "static"
            | "existsSync"
                if calls =>
            {
                out.extend(self.whole(2).map(|text| Name::Working(text.to_owned())));
            }
            // app.set("views", "templates")
            "set" if calls && self.text(2) == Some("views") && self.is_mark(3, b',') => {
                out.extend(self.whole(4).map(|text| Name::Working(text.to_owned())));
            }
            _ => {}
        }
    }

    /// The program or line that a call starts: a text, or a name that the file gave a text before.
    fn started(self, word: &str, constants: &BTreeMap<&str, &str>) -> Option<Name> {
        if !self.is_mark(1, b'(') {
            return None;
        }
        let text = || match (self.get(2)?, self.get(3)) {
            (Token::Word(name), Some(Token::Mark(b')' | b','))) => constants.get(name).copied(),
            _ => self.whole(2),
        };
        match word {
            "spawn" | "spawnSync" | "execFile" | "execFileSync" => {
                text().map(|text| Name::Program(text.to_owned()))
            }
            "exec" | "execSync" => text().map(|text| Name::Line(text.to_owned())),
            _ => None,
        }
    }

    /// `module.require`
    fn follows_module(self) -> bool {
        self.at >= 2 && matches!(self.tokens[self.at - 2].0, Token::Word("module"))
    }

    /// The text after `from` of an import or export, or the text that follows `import` at once.
    fn clause(self, word: &str) -> Option<&'t str> {
        if self.before(b'.') {
            return None;
        }
        if word == "import"
            && let Some(text) = self.text(1)
        {
            return Some(text);
        }
        let is_clause = match self.get(1)? {
            Token::Mark(mark) => matches!(mark, b'{' | b'*'),
            Token::Word(next) => word == "import" && *next != "meta",
            Token::Text(_) => false,
        };
        if !is_clause {
            return None;
        }
        for ahead in 1..MAX_CLAUSE {
            match self.get(ahead)? {
                Token::Word("from") if self.text(ahead + 1).is_some() => return self.text(ahead + 1),
                Token::Mark(b';' | b'(' | b'=') => return None,
                _ => {}
            }
        }
        None
    }

    /// What is added to `__dirname`: `, "a", "b")` of a call, or `+ "/a"`.
    fn joined(self) -> Option<String> {
        if self.is_mark(1, b'+') {
            return self
                .text(2)
                .map(|text| text.trim_start_matches('/').to_owned())
                .filter(|text| !text.is_empty());
        }
        let mut parts = Vec::new();
        let mut ahead = 1;
        while self.is_mark(ahead, b',')
            && let Some(text) = self.text(ahead + 1)
        {
            parts.push(text);
            ahead += 2;
        }
        (!parts.is_empty() && self.is_mark(ahead, b')')).then(|| parts.join("/"))
    }
}

/// The directory of a computed name, if it names one beneath the file's own.
fn computed(prefix: &str) -> Option<Name> {
    let directory = &prefix[..=prefix.rfind('/')?];
    let is_below = directory.starts_with("./") || directory.starts_with("../");
    (is_below && !directory.trim_matches(['.', '/']).is_empty()).then(|| Name::Modules(directory.to_owned()))
}

/// All tokens, each with whether it stands outside every function.
fn tokens(source: &str) -> Vec<(Token<'_>, bool)> {
    let bytes = source.as_bytes();
    let mut out: Vec<(Token<'_>, bool)> = Vec::new();
    // For each open brace: whether it opens a function's body, and whether it is that of `${`.
    let mut braces: Vec<(bool, bool)> = Vec::new();
    let mut functions = 0usize;
    let mut at = if source.starts_with("#!") { line_end(bytes, 0) } else { 0 };
    while at < bytes.len() && out.len() < MAX_TOKENS {
        let byte = bytes[at];
        let eager = functions == 0;
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => at += 1,
            b'/' if bytes.get(at + 1) == Some(&b'/') => at = line_end(bytes, at),
            b'/' if bytes.get(at + 1) == Some(&b'*') => at = comment_end(bytes, at + 2),
            b'/' if starts_expression(out.last()) => at = regex_end(bytes, at + 1),
            b'"' | b'\'' => {
                let (end, is_closed) = string_end(bytes, at + 1, byte);
                if is_closed && let Some(text) = source.get(at + 1..end) {
                    out.push((Token::Text(unescape(text)), eager));
                }
                at = end + 1;
            }
            b'`' => at = template(source, at + 1, &mut out, &mut braces, eager),
            b'{' => {
                let is_function =
                    matches!(out.last(), Some((Token::Mark(b')' | b'>'), _))) && !is_called_at_once(&out);
                functions += usize::from(is_function);
                braces.push((is_function, false));
                out.push((Token::Mark(byte), eager));
                at += 1;
            }
            b'}' => {
                let (is_function, is_template) = braces.pop().unwrap_or_default();
                functions = functions.saturating_sub(usize::from(is_function));
                let eager = functions == 0;
                if is_template {
                    out.push((Token::Mark(b'+'), eager));
                    at = template(source, at + 1, &mut out, &mut braces, eager);
                } else {
                    out.push((Token::Mark(byte), eager));
                    at += 1;
                }
            }
            _ if is_word(byte) => {
                let end =
                    at + bytes[at..].iter().position(|&byte| !is_word(byte)).unwrap_or(bytes.len() - at);
                if let Some(word) = source.get(at..end) {
                    out.push((Token::Word(word), eager));
                }
                at = end;
            }
            _ => {
                out.push((Token::Mark(byte), eager));
                at += 1;
            }
        }
    }
    out
}

/// Whether the last tokens are `(function (…)` at the start of a statement: a body that is run as soon as it is read.
fn is_called_at_once(tokens: &[(Token<'_>, bool)]) -> bool {
    let marks =
        |at: usize, wanted: &[u8]| matches!(tokens[at].0, Token::Mark(mark) if wanted.contains(&mark));
    let Some(open) = tokens.iter().rposition(|(token, _)| *token == Token::Mark(b'(')) else { return false };
    let is_function = open.checked_sub(1).is_some_and(|at| tokens[at].0 == Token::Word("function"));
    is_function && open >= 2 && marks(open - 2, b"(!") && (open == 2 || marks(open - 3, b";}"))
}

/// Reads a template on from `at`: up to its end or its next `${`. `a${b}c` gives the tokens of `"a" + b + "c"`.
fn template<'a>(
    source: &'a str,
    at: usize,
    out: &mut Vec<(Token<'a>, bool)>,
    braces: &mut Vec<(bool, bool)>,
    eager: bool,
) -> usize {
    let bytes = source.as_bytes();
    let mut end = at;
    while end < bytes.len() {
        match bytes[end] {
            b'\\' => end += 2,
            b'`' => {
                out.extend(source.get(at..end).map(|text| (Token::Text(unescape(text)), eager)));
                return end + 1;
            }
            b'$' if bytes.get(end + 1) == Some(&b'{') => {
                if end > at {
                    out.extend(source.get(at..end).map(|text| (Token::Text(unescape(text)), eager)));
                    out.push((Token::Mark(b'+'), eager));
                }
                braces.push((false, true));
                return end + 2;
            }
            _ => end += 1,
        }
    }
    bytes.len()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// Whether an operand is to come after this token, so that a slash begins a regular expression.
fn starts_expression(last: Option<&(Token<'_>, bool)>) -> bool {
    match last {
        None => true,
        Some((Token::Text(_), _)) => false,
        Some((Token::Mark(mark), _)) => !matches!(mark, b')' | b']' | b'}'),
        Some((Token::Word(word), _)) => matches!(
            *word,
            "return"
                | "typeof"
                | "case"
                | "in"
                | "of"
                | "delete"
                | "void"
                | "throw"
                | "new"
                | "instanceof"
                | "else"
                | "do"
                | "yield"
                | "await"
        ),
    }
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |length| at + length)
}

fn comment_end(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.windows(2).position(|pair| pair == b"*/").map_or(bytes.len(), |length| at + length + 2)
}

/// The end of a regular expression, or of its line.
fn regex_end(bytes: &[u8], mut at: usize) -> usize {
    let mut in_class = false;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'[' => in_class = true,
            b']' => in_class = false,
            b'/' if !in_class => return at + 1,
            b'\n' => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// Where a string ends, and whether by its quote.
fn string_end(bytes: &[u8], mut at: usize, quote: u8) -> (usize, bool) {
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'\n' => return (at, false),
            byte if byte == quote => return (at, true),
            _ => {}
        }
        at += 1;
    }
    (bytes.len(), false)
}

/// Takes the backslashes away; `\n`, `\x41` and their like occur in no path that matters.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut characters = text.chars();
    let mut out = String::with_capacity(text.len());
    while let Some(character) = characters.next() {
        out.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules(source: &str) -> Vec<String> {
        let kept = names(source).into_iter().filter_map(|name| match name {
            Name::Module { specifier, is_import, is_eager } => {
                let (import, lazy) = (if is_import { "i:" } else { "" }, if is_eager { "" } else { "~" });
                Some(format!("{lazy}{import}{specifier}"))
            }
            _ => None,
        });
        kept.collect()
    }

    #[test]
    fn every_way_to_name_a_module_is_seen() {
        for (source, expected) in [
            ("const a = require('a'), b = require(\"./b\")", &["./b", "a"][..]),
            ("function f() { return require('a') }", &["~a"]),
            ("const f = () => { require('a') }; if (x) { require('b') }", &["~a", "~b"]),
            ("module.exports = { a: require('a') }; try { require('b') } catch (e) {}", &["a", "b"]),
            ("(function() { require('a'); function f() { require('b') } }).call(this)", &["a", "~b"]),
            ("class A { m() { require('a') } } require('b')", &["~a", "b"]),
            ("require.resolve('a/package.json')", &["~a/package.json"]),
            (
                "import a from 'a'; import {b, c as d} from \"b\"; import * as e from 'e'; import 'f'",
                &["i:a", "i:b", "i:e", "i:f"],
            ),
            (
                "export * from './a'; export { b } from './b.mjs'; export const from = 'c'",
                &["i:./a", "i:./b.mjs"],
            ),
            ("await import('a'); import.meta.url; import(`b`)", &["~i:a", "~i:b"]),
            ("const r = module.createRequire(import.meta.url); r('a')", &["a"]),
            ("// require('a')\n/* require('b') */ 'require(\"c\")'", &[]),
            ("x = a / require('a') / 2; y = /require('b')/; z = [/[/'\"]/, require('c')]", &["a", "c"]),
            ("`${require('a')}${`${require('b')}`}` + require('c')", &["a", "b", "c"]),
            ("x.require('a'); module.require('b')", &["b"]),
            ("#!/usr/bin/env node require('a')\nrequire('b')", &["b"]),
            ("'unfinished\nrequire('a')", &["a"]),
        ] {
            assert_eq!(modules(source), expected, "{source}");
        }
    }

    #[test]
    fn other_names_are_seen() {
        use Name::{Beside, Line, Modules, Path, Program, Working};
        let own = |text: &str| text.to_owned();
        for (source, expected) in [
            ("require('./locale/' + name)", Modules(own("./locale/"))),
            ("require(`../dialects/${name}/index.js`)", Modules(own("../dialects/"))),
            ("path.join(__dirname, 'views', 'a.ejs')", Beside(own("views/a.ejs"))),
            ("fs.readFileSync(__dirname + '/a.txt')", Beside(own("a.txt"))),
            ("f(`${__dirname}/a.txt`)", Beside(own("a.txt"))),
            ("new Worker(new URL('./w.js', import.meta.url))", Beside(own("./w.js"))),
            ("new Worker('./w.js')", Beside(own("./w.js"))),
            ("app.use(express.static('public'))", Working(own("public"))),
            ("app.set('views', './templates')", Working(own("./templates"))),
            ("spawn('git', ['log'])", Program(own("git"))),
            ("execSync('tar cf - .')", Line(own("tar cf - ."))),
            (
                "const c = 'ldd --version || true'; cp.exec(c, (e, o) => {})",
                Line(own("ldd --version || true")),
            ),
            ("c = 'git'; spawnSync(c)", Program(own("git"))),
            ("open('/etc/app.conf')", Path(own("/etc/app.conf"))),
        ] {
            assert!(names(source).contains(&expected), "{source}: {:?}", names(source));
        }
        assert!(names("require('./' + name); require(name); app.get('/users'); exec(x, y)").is_empty());
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(source in "[a-z'\"`${}()/\\\\*\\n .é]{0,80}") {
            let _ = names(&source);
        }
    }
}
