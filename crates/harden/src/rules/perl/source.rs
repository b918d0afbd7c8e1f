//! What Perl source names, by a tolerant reading of its text: no grammar, but comments, documentation, strings and
//! the operators that quote.

use std::collections::BTreeSet;

/// What a piece of Perl names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Code {
    /// Modules, such as `Encode::Byte`, that compiling or running the file loads.
    pub(super) eager: BTreeSet<String>,
    /// Names that may be modules, wherever they stand.
    pub(super) lazy: BTreeSet<String>,
    /// Files of the library by path: `require "x.pl"`, `do "unicore/Name.pl"`.
    pub(super) files: BTreeSet<String>,
    /// Directories of modules: `use lib "…"`.
    pub(super) libraries: BTreeSet<String>,
    pub(super) commands: BTreeSet<String>,
    pub(super) shell: BTreeSet<String>,
    pub(super) paths: BTreeSet<String>,
    /// Whether it looks for modules by listing directories.
    pub(super) lists_modules: bool,
}

/// Words of code that finds modules in directories.
const LISTING: [&str; 9] = [
    "Module::Find",
    "Module::Pluggable",
    "find_modules",
    "find_packages",
    "findallmod",
    "findsubmod",
    "load_namespaces",
    "useall",
    "usesub",
];
/// Longest string that can be a name of anything.
const MAX_TEXT_BYTES: usize = 4096;
/// A string of more lines is rather a quote that was mistaken for the start of one.
const MAX_TEXT_LINES: usize = 400;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// A word, with `::`.
    Word(String),
    /// A string, and whether variables are filled in.
    Text(String, bool),
    /// A line of shell.
    Shell(String),
    Sign(u8),
}

/// Reads a file.
pub(super) fn read(text: &str) -> Code {
    let tokens = Lexer { text: text.as_bytes(), at: 0, tokens: Vec::new() }.run();
    let mut code = Code::default();
    // Whether each open brace is that of a subroutine.
    let mut braces: Vec<bool> = Vec::new();
    let mut is_sub = false;
    for at in 0..tokens.len() {
        let is_start = at == 0 || matches!(tokens[at - 1], Token::Sign(b';' | b'{' | b'}' | b'('));
        match &tokens[at] {
            Token::Sign(b'{') => braces.push(std::mem::take(&mut is_sub)),
            Token::Sign(b'}') => drop(braces.pop()),
            Token::Sign(b';') => is_sub = false,
            Token::Word(word) if word == "sub" => is_sub = true,
            Token::Word(word) if (word == "use" || word == "no") && is_start => {
                used(&tokens[at + 1..], &mut code);
            }
            Token::Word(word) if word == "require" || word == "do" => {
                let in_sub = braces.contains(&true);
                loaded(word, &tokens[at + 1..], in_sub, &mut code);
            }
            Token::Word(word) if word == "system" || word == "exec" => run(&tokens[at + 1..], &mut code),
            Token::Word(word) if LISTING.contains(&&**word) => code.lists_modules = true,
            Token::Word(word) if word.contains("::") => {
                code.lazy.insert(word.trim_end_matches("::").to_owned());
            }
            Token::Shell(text) => {
                code.shell.insert(text.clone());
            }
            Token::Text(text, _) => {
                named(text, &mut code);
                if at > 0 && tokens[at - 1] == Token::Sign(b'[') && is_command_line(&tokens[at + 1..]) {
                    code.commands.insert(text.clone());
                }
            }
            _ => {}
        }
    }
    code
}

/// `use Module …` and the modules that some of them take as arguments.
fn used(rest: &[Token], code: &mut Code) {
    let Some(Token::Word(module)) = rest.first() else { return };
    let rest = &rest[1..];
    let end = rest.iter().position(|token| *token == Token::Sign(b';')).unwrap_or(rest.len()).min(200);
    let arguments = || {
        rest[..end].iter().filter_map(|token| match token {
            Token::Text(text, _) => Some(text.as_str()),
            _ => None,
        })
    };
    let words = || arguments().flat_map(str::split_ascii_whitespace);
    match module.as_str() {
        "lib" => code.libraries.extend(arguments().map(ToOwned::to_owned)),
        "parent" | "base" | "fields" => {
            code.eager.extend(words().filter(|word| !word.starts_with('-')).map(ToOwned::to_owned));
        }
        "Mojo::Base" => {
            code.eager.extend(arguments().filter(|word| word.contains("::")).map(ToOwned::to_owned));
        }
        _ => {}
    }
    if LISTING.contains(&module.as_str()) {
        code.lists_modules = true;
    }
    if module.starts_with(|c: char| c.is_ascii_alphabetic()) {
        code.eager.insert(module.clone());
    }
    // `use if CONDITION, Module => …`, `use autouse 'Module'` and the like.
    code.lazy.extend(words().filter(|word| is_module(word)).map(ToOwned::to_owned));
}

/// `require Module`, `require "file"`, `do "file"`.
fn loaded(word: &str, rest: &[Token], in_sub: bool, code: &mut Code) {
    let rest = if rest.first() == Some(&Token::Sign(b'(')) { &rest[1..] } else { rest };
    match rest.first() {
        Some(Token::Word(module))
            if word == "require" && module.starts_with(|c: char| c.is_ascii_alphabetic()) =>
        {
            let modules = if in_sub { &mut code.lazy } else { &mut code.eager };
            modules.insert(module.clone());
        }
        Some(Token::Text(file, _)) => {
            code.files.insert(file.clone());
        }
        _ => {}
    }
}

/// `system "line"`, `exec "program", "argument"`.
fn run(rest: &[Token], code: &mut Code) {
    let rest = if rest.first() == Some(&Token::Sign(b'(')) { &rest[1..] } else { rest };
    match rest {
        [Token::Text(program, _), Token::Sign(b','), ..] => {
            code.commands.insert(program.clone());
        }
        [Token::Text(line, _), ..] => {
            code.shell.insert(line.clone());
        }
        _ => {}
    }
}

/// Whether a list goes on as that of a command's words does: `['gzip', '-n']`.
fn is_command_line(rest: &[Token]) -> bool {
    matches!(rest, [Token::Sign(b','), Token::Text(option, _), ..] if option.starts_with('-'))
}

/// What a string may name.
fn named(text: &str, code: &mut Code) {
    if text.starts_with('/') {
        code.paths.insert(text.to_owned());
    }
    for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')) {
        if word.contains("::") && is_module(word) {
            code.lazy.insert(word.to_owned());
        }
    }
    let mut words = text.split_ascii_whitespace();
    if let (Some("require" | "use"), Some(module)) = (words.next(), words.next()) {
        let module = module.trim_end_matches(';');
        if is_module(module) {
            code.lazy.insert(module.to_owned());
        }
    }
}

fn is_module(word: &str) -> bool {
    word.len() <= 200
        && word.split("::").all(|part| {
            part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        })
}

struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or_default()
    }

    fn run(mut self) -> Vec<Token> {
        let mut here_documents: Vec<(Vec<u8>, bool)> = Vec::new();
        while self.at < self.text.len() {
            let at_line_start = self.at == 0 || self.text[self.at - 1] == b'\n';
            if at_line_start && !here_documents.is_empty() {
                for (end, is_indented) in std::mem::take(&mut here_documents) {
                    self.skip_here_document(&end, is_indented);
                }
                continue;
            }
            let byte = self.peek(0);
            match byte {
                b'=' if at_line_start && self.peek(1).is_ascii_alphabetic() => self.skip_documentation(),
                b'#' => self.skip_line(),
                b'"' | b'\'' | b'`' => {
                    self.at += 1;
                    match self.quoted(byte, byte) {
                        Some(text) if byte == b'`' => self.tokens.push(Token::Shell(text)),
                        Some(text) => self.tokens.push(Token::Text(text, byte == b'"')),
                        None => {}
                    }
                }
                b'<' if self.peek(1) == b'<' && self.is_term() => match self.here_document() {
                    Some(document) => here_documents.push(document),
                    None => self.sign(b'<'),
                },
                b'/' if self.is_term() => {
                    self.at += 1;
                    self.quoted(b'/', b'/');
                }
                b'$' | b'@' | b'%' | b'&' => self.variable(byte),
                _ if byte.is_ascii_alphabetic() || byte == b'_' => {
                    if self.word() {
                        break;
                    }
                }
                _ if byte.is_ascii_digit() => {
                    while self.peek(0).is_ascii_alphanumeric() || self.peek(0) == b'_' {
                        self.at += 1;
                    }
                    self.tokens.push(Token::Sign(b'0'));
                }
                _ if byte.is_ascii_whitespace() => self.at += 1,
                _ => self.sign(byte),
            }
        }
        self.tokens
    }

    fn sign(&mut self, byte: u8) {
        self.at += 1;
        self.tokens.push(Token::Sign(byte));
    }

    fn skip_line(&mut self) {
        while self.at < self.text.len() && self.peek(0) != b'\n' {
            self.at += 1;
        }
    }

    fn skip_documentation(&mut self) {
        while self.at < self.text.len() {
            let is_end = self.text[self.at..].starts_with(b"=cut");
            self.skip_line();
            self.at += 1;
            if is_end {
                return;
            }
        }
    }

    /// Whether a value is expected here, so that a slash begins a pattern.
    fn is_term(&self) -> bool {
        match self.tokens.last() {
            None => true,
            Some(Token::Sign(byte)) => !matches!(byte, b')' | b']' | b'}' | b'0' | b'$'),
            Some(Token::Word(word)) => {
                matches!(
                    word.as_str(),
                    "and"
                        | "or"
                        | "not"
                        | "if"
                        | "unless"
                        | "while"
                        | "until"
                        | "split"
                        | "grep"
                        | "map"
                        | "join"
                        | "return"
                        | "x"
                        | "when"
                        | "push"
                        | "unshift"
                        | "print"
                        | "die"
                        | "warn"
                        | "eq"
                        | "ne"
                        | "cmp"
                )
            }
            Some(Token::Text(..) | Token::Shell(_)) => false,
        }
    }

    /// A variable, whose name may be a sign.
    fn variable(&mut self, sigil: u8) {
        let next = self.peek(1);
        if next.is_ascii_alphabetic() || next == b'_' || (next == b':' && self.peek(2) == b':') {
            self.at += 1;
            while self.peek(0).is_ascii_alphanumeric()
                || self.peek(0) == b'_'
                || (self.peek(0) == b':' && self.peek(1) == b':')
            {
                self.at += if self.peek(0) == b':' { 2 } else { 1 };
            }
            self.tokens.push(Token::Sign(b'$'));
        } else if sigil == b'$' && !matches!(next, b'{' | b'$' | b' ' | b'\n') {
            // `$'`, `$"`, `$/`, `$#x`.
            self.at += 2;
            self.tokens.push(Token::Sign(b'$'));
        } else {
            self.at += 1;
            if sigil != b'$' {
                self.tokens.push(Token::Sign(sigil));
            }
        }
    }

    /// A word, or what an operator quotes. Says whether the code ends here.
    fn word(&mut self) -> bool {
        let start = self.at;
        while self.peek(0).is_ascii_alphanumeric()
            || self.peek(0) == b'_'
            || (self.peek(0) == b':' && self.peek(1) == b':')
        {
            self.at += if self.peek(0) == b':' { 2 } else { 1 };
        }
        let word = String::from_utf8_lossy(&self.text[start..self.at]).into_owned();
        if word == "__END__" || word == "__DATA__" {
            return true;
        }
        let is_method = self.tokens.ends_with(&[Token::Sign(b'-'), Token::Sign(b'>')]);
        let in_braces = self.tokens.last() == Some(&Token::Sign(b'{')) && self.peek(0) == b'}';
        let parts = match word.as_str() {
            "q" | "qq" | "qw" | "qr" | "qx" | "m" => 1,
            "s" | "tr" | "y" => 2,
            _ => 0,
        };
        if parts == 0 || is_method || in_braces || !self.begins_quote() {
            self.tokens.push(Token::Word(word));
            return false;
        }
        while self.peek(0).is_ascii_whitespace() {
            self.at += 1;
        }
        let open = self.peek(0);
        self.at += 1;
        let close = closing(open);
        let text = self.quoted(open, close);
        if parts == 2 {
            if open != close {
                while self.peek(0).is_ascii_whitespace() {
                    self.at += 1;
                }
                let second = self.peek(0);
                self.at += 1;
                self.quoted(second, closing(second));
            } else {
                self.quoted(open, close);
            }
        }
        match (word.as_str(), text) {
            ("q" | "qw", Some(text)) => self.tokens.push(Token::Text(text, false)),
            ("qq", Some(text)) => self.tokens.push(Token::Text(text, true)),
            ("qx", Some(text)) => self.tokens.push(Token::Shell(text)),
            _ => self.tokens.push(Token::Sign(b'0')),
        }
        false
    }

    /// Whether what follows `q` or its kin is a delimiter, and not a fat comma, a hash key or an assignment.
    fn begins_quote(&self) -> bool {
        let mut at = self.at;
        while self.text.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        let spaced = at > self.at;
        match self.text.get(at) {
            None | Some(b',' | b';' | b')') => false,
            Some(b'=') => !spaced && self.text.get(at + 1) != Some(&b'>'),
            Some(b'#') => !spaced,
            Some(byte) => {
                !byte.is_ascii_alphanumeric()
                    && *byte != b'_'
                    && !(spaced && matches!(byte, b'-' | b'.' | b'*' | b'+' | b'?' | b':'))
            }
        }
    }

    /// What stands up to a delimiter; nested ones are counted. Nothing, and nothing read, where that is no string after
    /// all.
    fn quoted(&mut self, open: u8, close: u8) -> Option<String> {
        let start = self.at;
        let (mut depth, mut lines) = (1usize, 0);
        let mut at = start;
        while let Some(&byte) = self.text.get(at) {
            match byte {
                b'\\' => at += 1,
                b'\n' => {
                    lines += 1;
                    let line = self.text.get(at + 1..).unwrap_or_default();
                    let is_code = open == close
                        && [&b"sub "[..], b"package ", b"=head", b"=cut", b"=over", b"use "]
                            .iter()
                            .any(|word| line.starts_with(word));
                    if lines > MAX_TEXT_LINES || is_code || (open == b'/' && lines > 0) {
                        return None;
                    }
                }
                _ if byte == close => {
                    depth -= 1;
                    if depth == 0 {
                        self.at = at + 1;
                        let text = &self.text[start..at.min(start + MAX_TEXT_BYTES)];
                        return Some(String::from_utf8_lossy(text).into_owned());
                    }
                }
                _ if byte == open => depth += 1,
                _ => {}
            }
            at += 1;
        }
        None
    }

    /// `<<EOT`, `<<"EOT"`, `<<~'EOT'`: the line that ends it, and whether that may be indented.
    fn here_document(&mut self) -> Option<(Vec<u8>, bool)> {
        let mut at = self.at + 2;
        let is_indented = self.text.get(at) == Some(&b'~');
        at += usize::from(is_indented);
        let quote = self.text.get(at).copied().filter(|byte| b"'\"".contains(byte));
        at += usize::from(quote.is_some());
        let rest = self.text.get(at..)?;
        let length = rest
            .iter()
            .position(|&byte| match quote {
                Some(quote) => byte == quote,
                None => !byte.is_ascii_alphanumeric() && byte != b'_',
            })
            .unwrap_or(rest.len());
        let end = rest[..length].to_vec();
        if end.is_empty()
            || end.len() > 200
            || (quote.is_none() && !end[0].is_ascii_alphabetic() && end[0] != b'_')
        {
            return None;
        }
        self.at = at + length + usize::from(quote.is_some());
        self.tokens.push(Token::Sign(b'0'));
        Some((end, is_indented))
    }

    fn skip_here_document(&mut self, end: &[u8], is_indented: bool) {
        while self.at < self.text.len() {
            let start = self.at;
            self.skip_line();
            let line = &self.text[start..self.at];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let is_end = if is_indented { line.trim_ascii_start() == end } else { line == end };
            self.at += 1;
            if is_end {
                break;
            }
        }
        self.at = self.at.min(self.text.len());
    }
}

fn closing(open: u8) -> u8 {
    match open {
        b'(' => b')',
        b'[' => b']',
        b'{' => b'}',
        b'<' => b'>',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(set: &BTreeSet<String>) -> Vec<&str> {
        set.iter().map(String::as_str).collect()
    }

    #[test]
    fn what_is_loaded_at_once_is_told_from_what_a_subroutine_loads() {
        for (text, eager, lazy) in [
            ("use strict; use A::B qw(c D::E);", &["A::B", "strict"][..], &["D::E", "c"][..]),
            ("use parent -norequire, 'A', qw(B::C D);", &["A", "B::C", "D", "parent"], &[]),
            ("require A; sub f { require B::C; if (1) { require D } }", &["A"], &["B::C", "D"]),
            ("sub f;\nrequire A;", &["A"], &[]),
            ("my $x = 'A::B'; C::D->new; E::F::g();", &[], &["A::B", "C::D", "E::F::g"]),
            ("eval 'use A; 1'; eval { require B::C };", &["B::C"], &["A"]),
            ("# use A;\n=head1 X\n\nuse B;\n\n=cut\nuse C;", &["C"], &[]),
            ("use A;\n__END__\nuse B;", &["A"], &[]),
            ("print <<EOT . <<'X';\nuse B;\nEOT\nuse C;\nX\nuse D;", &["D"], &[]),
            ("print <<~EOT;\n  use B;\n  EOT\nuse D;", &["D"], &[]),
            ("s/'/\"/g; use A;", &["A"], &[]),
            ("s{a'}{b'}; tr/'/\"/; m#'#; use A;", &["A"], &[]),
            ("split /'/, $x; use A;", &["A"], &[]),
            ("my $y = $x / 2; use A; my $z = 1 / 3; # '", &["A"], &[]),
            ("my %h = (s => 1, y => 2); $h{s}; $h->{q}; use A;", &["A"], &[]),
            ("$o->s('x'); use A;", &["A"], &[]),
            ("print $', $\", $/; use A;", &["A"], &[]),
            ("$x = 1 << 3; use A;", &["A"], &[]),
            ("print q{it's}, q(a (b) c); use A;", &["A"], &[]),
            ("# it's\nuse A;", &["A"], &[]),
            ("no warnings; no A::B;", &["A::B", "warnings"], &[]),
            ("use 5.010; use v5.36;", &["v5"], &[]),
            ("it's\nsub x {}\nuse A;", &["A"], &[]),
        ] {
            let code = read(text);
            assert_eq!(list(&code.eager), eager, "{text}");
            let rest: Vec<&str> =
                list(&code.lazy).into_iter().filter(|name| !code.eager.contains(*name)).collect();
            assert_eq!(rest, lazy, "{text}");
        }
    }

    #[test]
    fn files_libraries_commands_and_paths_are_found() {
        let code = read(
            "use lib \"$FindBin::Bin/lib\", '/opt/lib'; require 'x.pl'; do \"unicore/Name.pl\";\n\
             system('ls -l | wc'); exec \"git\", 'log'; my $x = `uname`; my $y = qx{id -u};\n\
             open my $f, '<', '/etc/app.conf'; use Module::Find; my $z = ['gzip', '-n']; my @l = ['tar', 'gz'];",
        );
        assert_eq!(list(&code.libraries), ["$FindBin::Bin/lib", "/opt/lib"]);
        assert_eq!(list(&code.files), ["unicore/Name.pl", "x.pl"]);
        assert_eq!(list(&code.commands), ["git", "gzip"]);
        assert_eq!(list(&code.shell), ["id -u", "ls -l | wc", "uname"]);
        assert_eq!(list(&code.paths), ["/etc/app.conf", "/opt/lib"]);
        assert!(code.lists_modules);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in ".{0,200}") {
            read(&text);
        }

        #[test]
        fn any_text_of_perl_signs_is_read(text in "[\"'`$@%(){}<>#=/\\\\\nqsy;: a-c~]{0,100}") {
            read(&text);
        }
    }
}
