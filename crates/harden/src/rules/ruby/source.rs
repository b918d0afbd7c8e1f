//! What Ruby source names, line by line: requires, autoloads, constants, commands and other literals.

use std::collections::BTreeSet;

/// What a file names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Code {
    /// Features as `require` names them, that loading the file loads; those of `autoload` too: they belong to the
    /// constants that the file offers.
    pub(super) eager: BTreeSet<String>,
    /// Features that only a method loads, and those named after a constant.
    pub(super) lazy: BTreeSet<String>,
    /// Strings that look like a feature.
    pub(super) named: BTreeSet<String>,
    /// Files beside this one: `require_relative`, `File.join(__dir__, …)`; `true` if loading the file loads them.
    pub(super) beside: BTreeSet<(String, bool)>,
    pub(super) commands: BTreeSet<String>,
    pub(super) shell: BTreeSet<String>,
    /// All strings.
    pub(super) literals: BTreeSet<String>,
}

/// Longest line that is read: what is longer was written by a program.
const MAX_LINE_BYTES: usize = 10_000;

/// Reads a file.
pub(super) fn read(text: &str) -> Code {
    let mut code = Code::default();
    let mut methods: Vec<usize> = Vec::new();
    let mut here_document: Option<String> = None;
    let mut in_comment = false;
    for line in text.lines() {
        if line == "__END__" {
            break;
        }
        if line.starts_with("=begin") || line.starts_with("=end") {
            in_comment = line.starts_with("=begin");
            continue;
        }
        let trimmed = line.trim();
        if let Some(end) = &here_document {
            if trimmed == end {
                here_document = None;
            }
            continue;
        }
        if in_comment || trimmed.is_empty() || trimmed.starts_with('#') || line.len() > MAX_LINE_BYTES {
            continue;
        }
        let indentation = line.len() - line.trim_start().len();
        while methods.last().is_some_and(|outer| indentation <= *outer) {
            methods.pop();
        }
        let is_method = trimmed.starts_with("def ");
        let in_method = is_method || !methods.is_empty();
        if is_method && !trimmed.ends_with("end") {
            methods.push(indentation);
        }
        let (tokens, document) = tokens(trimmed);
        here_document = document;
        statement(&tokens, in_method, &mut code);
    }
    code
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// A word, with `::`.
    Word(String),
    /// A string; in backticks a line of shell.
    Text(char, String),
    Sign(char),
}

/// The tokens of a line, and what ends the here-document that begins after it.
fn tokens(line: &str) -> (Vec<Token>, Option<String>) {
    let mut tokens = Vec::new();
    let mut document = None;
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        match c {
            '#' => break,
            '"' | '\'' | '`' => match string(after, c) {
                Some((text, remaining)) => {
                    tokens.push(Token::Text(c, text));
                    rest = remaining;
                    continue;
                }
                None => tokens.push(Token::Sign(c)),
            },
            '<' if rest.starts_with("<<") && document.is_none() => {
                let end = rest[2..].trim_start_matches(['~', '-']).trim_start_matches(['"', '\'']);
                let length = end.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(end.len());
                if end[..length].starts_with(|c: char| c.is_ascii_uppercase()) {
                    document = Some(end[..length].to_owned());
                }
            }
            c if c.is_alphabetic() || c == '_' => {
                let mut length = 0;
                while let Some(c) = rest[length..].chars().next() {
                    if rest[length..].starts_with("::") {
                        length += 2;
                    } else if c.is_alphanumeric() || c == '_' {
                        length += c.len_utf8();
                    } else {
                        break;
                    }
                }
                tokens.push(Token::Word(rest[..length].trim_end_matches(':').to_owned()));
                rest = &rest[length..];
                continue;
            }
            c if c.is_whitespace() => {}
            c => tokens.push(Token::Sign(c)),
        }
        rest = after;
    }
    (tokens, document)
}

/// A string that ends on its line, and what follows it.
fn string(text: &str, quote: char) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut characters = text.char_indices();
    let mut braces = 0usize;
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => out.extend(characters.next().map(|(_, c)| c)),
            '{' if quote != '\'' && (braces > 0 || out.ends_with('#')) => {
                braces += 1;
                out.push(c);
            }
            '}' if braces > 0 => {
                braces -= 1;
                out.push(c);
            }
            c if c == quote && braces == 0 => return Some((out, &text[at + c.len_utf8()..])),
            c => out.push(c),
        }
    }
    None
}

/// Functions that run a program.
const CALLS: [&str; 9] =
    ["capture2", "capture2e", "capture3", "exec", "popen", "popen2", "popen3", "spawn", "system"];

fn statement(tokens: &[Token], in_method: bool, code: &mut Code) {
    use Token::{Sign, Text, Word};
    let is_word = |name: &str| tokens.iter().any(|token| matches!(token, Word(word) if word == name));
    let names_file = is_word("__dir__") || is_word("__FILE__");
    let loads = tokens.iter().any(
        |token| matches!(token, Word(word) if word == "require" || word == "autoload" || word == "load"),
    );
    let offers = is_word("autoload");
    for (at, token) in tokens.iter().enumerate() {
        let next = tokens[at + 1..].iter().find(|token| **token != Sign('('));
        let is_list = |text: &Token| {
            let after =
                tokens.iter().position(|other| std::ptr::eq(other, text)).and_then(|at| tokens.get(at + 1));
            after == Some(&Sign(','))
        };
        match (token, next) {
            (Word(word), Some(Text(_, text))) if word == "require" || word == "load" => {
                let features = if in_method { &mut code.lazy } else { &mut code.eager };
                features.extend((!names_file).then(|| text.clone()));
            }
            (Word(word), Some(Text(_, text))) if word == "require_relative" => {
                code.beside.insert((text.clone(), !in_method));
            }
            (Word(word), Some(text @ Text('"' | '\'', line))) if CALLS.contains(&word.as_str()) => {
                match is_list(text) && !line.contains(' ') {
                    true => code.commands.insert(line.clone()),
                    false => code.shell.insert(line.clone()),
                };
            }
            (Text('`', line), _) => {
                code.shell.insert(line.clone());
            }
            (Text(_, text), _) => {
                if names_file && !text.is_empty() {
                    let text =
                        if is_word("__FILE__") { text.strip_prefix("../").unwrap_or(text) } else { text };
                    code.beside.insert((text.to_owned(), loads && (offers || !in_method)));
                } else if offers {
                    code.eager.insert(text.clone());
                } else if text.contains('/') && !text.starts_with('/') {
                    code.named.insert(text.clone());
                }
                code.literals.insert(text.clone());
            }
            (Word(word), _) if word.contains("::") && word.starts_with(|c: char| c.is_ascii_uppercase()) => {
                code.lazy.extend(features_of(word));
            }
            _ => {}
        }
    }
}

/// The files that a constant is in by convention: `Net::HTTPStatus` in `net/http_status` or `net/httpstatus`.
fn features_of(constant: &str) -> Vec<String> {
    let plain = constant.replace("::", "/").to_ascii_lowercase();
    let mut divided = String::new();
    let characters: Vec<char> = constant.replace("::", "/").chars().collect();
    for (at, c) in characters.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| characters[at]);
        let after = characters.get(at + 1);
        let begins = c.is_ascii_uppercase()
            && before.is_some_and(|before| before != '/' && before != '_')
            && (before.is_some_and(|before| before.is_ascii_lowercase() || before.is_ascii_digit())
                || after.is_some_and(char::is_ascii_lowercase));
        if begins {
            divided.push('_');
        }
        divided.push(c.to_ascii_lowercase());
    }
    let mut out = vec![plain];
    if !out.contains(&divided) {
        out.push(divided);
    }
    // What `Digest` itself does when it is asked for one.
    if constant.starts_with("Digest::SHA") && constant != "Digest::SHA1" {
        out.push("digest/sha2".to_owned());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(set: &BTreeSet<String>) -> Vec<&str> {
        set.iter().map(String::as_str).collect()
    }

    #[test]
    fn what_is_loaded_at_once_is_told_from_what_a_method_loads() {
        let text = "require 'a'\nrequire(\"b/c\") # require 'no'\n=begin\nrequire 'no'\n=end\n\
            class X\n  autoload :Y, 'x/y'\n  def f\n    require 'd'\n  end\n  require 'e'\n  def g; require 'h'; end\n\
            \n  x = <<~EOS\n    require 'no'\n  EOS\n  load 'f.rb'\nend\n__END__\nrequire 'no'\n";
        let code = read(text);
        assert_eq!(list(&code.eager), ["a", "b/c", "e", "f.rb", "x/y"]);
        assert_eq!(list(&code.lazy), ["d", "h"]);
    }

    #[test]
    fn files_beside_constants_and_commands_are_found() {
        let text = "require_relative 'a'\nautoload :R, File.expand_path('lib/r', __dir__)\n\
            require File.expand_path('../b', __FILE__)\ndef f\n  Digest::SHA256.new; Rack::MethodOverride.new\n  \
            system('git', 'log'); system \"ls -l\"; `uname -s`; spawn('x')\n  y = \"a#{b[\"c\"]}/d\"\nend\n";
        let code = read(text);
        let beside: Vec<(&str, bool)> =
            code.beside.iter().map(|(name, eager)| (name.as_str(), *eager)).collect();
        assert_eq!(beside, [("a", true), ("b", true), ("lib/r", true)]);
        assert_eq!(
            list(&code.lazy),
            ["digest/sha2", "digest/sha256", "rack/method_override", "rack/methodoverride"]
        );
        assert_eq!(list(&code.commands), ["git"]);
        assert_eq!(list(&code.shell), ["ls -l", "uname -s", "x"]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in "(.{0,40}\n){0,5}") {
            read(&text);
        }

        #[test]
        fn any_text_of_ruby_signs_is_read(text in "[\"'`#{}<>~A:: a-c\\\\\n,()=]{0,100}") {
            read(&text);
        }
    }
}
