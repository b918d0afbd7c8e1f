//! PHP read as far as it takes to see what a file names: a tolerant tokenizer and the patterns over its tokens.

use std::collections::{BTreeMap, BTreeSet};

/// Most tokens of one file.
const MAX_TOKENS: usize = 1_000_000;
/// Longest text that can be a path or a name.
const MAX_TEXT_BYTES: usize = 1024;

/// What a file names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Source {
    /// Files that it includes, the first part of each telling from where.
    pub(super) includes: BTreeSet<Include>,
    /// Other files, beside it.
    pub(super) beside: BTreeSet<String>,
    /// Classes by full name, without a leading backslash; those of the own namespace are guesses.
    pub(super) classes: BTreeSet<String>,
    /// Those of the classes that one of this file extends, implements or is made of: loaded with it.
    pub(super) parents: BTreeSet<String>,
    /// Absolute paths.
    pub(super) paths: BTreeSet<String>,
    /// Lines for a shell.
    pub(super) lines: BTreeSet<String>,
}

/// One `include` or `require`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Include {
    pub(super) path: String,
    /// How many directories above its own file `path` begins; `None` where a constant, a variable or the include path
    /// says where.
    pub(super) above: Option<usize>,
    /// It happens as soon as the file is run, not only when one of its functions is called.
    pub(super) is_eager: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token<'a> {
    /// A name, with its namespace; a variable with its dollar.
    Word(&'a str),
    Text(String),
    Mark(u8),
}

/// What a file names; nothing for a file without code.
pub(super) fn read(text: &str) -> Source {
    let tokens = tokens(text);
    let mut out = Source::default();
    let mut namespace = String::new();
    let mut imports: BTreeMap<String, String> = BTreeMap::new();
    let mut names: BTreeSet<&str> = BTreeSet::new();
    let mut parents: BTreeSet<&str> = BTreeSet::new();
    let mut has_class = false;
    for at in 0..tokens.len() {
        let next = tokens.get(at + 1).map(|(token, _)| token);
        match &tokens[at].0 {
            Token::Word(word) => match word.to_ascii_lowercase().as_str() {
                "namespace" => {
                    if let Some(Token::Word(name)) = next {
                        namespace = (*name).to_owned();
                    }
                }
                "use" if !has_class => imported(&tokens[at + 1..], &mut imports),
                "use" | "extends" | "implements" => {
                    let listed = tokens[at + 1..].iter().map_while(|(token, _)| match token {
                        Token::Word(word) => Some(Some(*word)),
                        Token::Mark(b',') => Some(None),
                        _ => None,
                    });
                    parents.extend(listed.flatten());
                }
                "class" | "trait" | "enum" => has_class = true,
                "include" | "include_once" | "require" | "require_once" => {
                    out.includes.extend(include(&tokens[at + 1..], tokens[at].1));
                }
                "__dir__" | "dirname" => {
                    if let Some((Some(0), path)) = place(&tokens[at..]) {
                        out.beside.insert(path);
                    }
                }
                "exec" | "shell_exec" | "system" | "passthru" | "popen" | "proc_open"
                    if next == Some(&Token::Mark(b'(')) =>
                {
                    if let Some((Token::Text(line), _)) = tokens.get(at + 2) {
                        out.lines.insert(line.clone());
                    }
                }
                _ if !word.starts_with('$') => drop(names.insert(word)),
                _ => {}
            },
            Token::Text(text) if text.starts_with('/') && text[1..].contains('/') => {
                out.paths.extend([text.clone()]);
            }
            Token::Text(text) if text.contains('\\') => {
                out.classes.extend([text.trim_start_matches('\\').to_owned()]);
            }
            _ => {}
        }
    }
    let full = |name: &str| {
        let (first, rest) = name.split_once('\\').map_or((name, None), |(first, rest)| (first, Some(rest)));
        match (first, imports.get(&first.to_ascii_lowercase())) {
            ("", _) => name.trim_start_matches('\\').to_owned(),
            (_, Some(import)) => rest.map_or(import.clone(), |rest| format!("{import}\\{rest}")),
            _ if namespace.is_empty() => name.to_owned(),
            _ => format!("{namespace}\\{name}"),
        }
    };
    out.parents = parents.iter().map(|name| full(name)).collect();
    out.classes.extend(names.into_iter().map(full));
    out.classes.extend(out.parents.iter().cloned());
    out.classes.extend(imports.into_values());
    out
}

/// `use A\B, C as D;`, `use A\{B, C as D};`; not the list of variables of a closure.
fn imported(tokens: &[(Token<'_>, bool)], imports: &mut BTreeMap<String, String>) {
    let (mut prefix, mut name, mut alias) = (String::new(), None::<String>, None::<String>);
    let mut finish = |prefix: &str, name: Option<String>, alias: Option<String>| {
        let Some(name) = name else { return };
        let full = format!("{prefix}{name}").trim_matches('\\').to_owned();
        let short = alias.unwrap_or_else(|| full.rsplit('\\').next().unwrap_or_default().to_owned());
        imports.insert(short.to_ascii_lowercase(), full);
    };
    for (token, _) in tokens.iter().take(200) {
        match token {
            Token::Word("function" | "const") => {}
            Token::Word("as") => alias = Some(String::new()),
            Token::Word(word) if alias.as_deref() == Some("") => alias = Some((*word).to_owned()),
            Token::Word(word) => name = Some((*word).to_owned()),
            Token::Mark(b'{') => prefix = name.take().unwrap_or_default(),
            Token::Mark(b',') => finish(&prefix, name.take(), alias.take()),
            Token::Mark(b';' | b'}') => break,
            _ => return,
        }
    }
    finish(&prefix, name, alias);
}

fn include(tokens: &[(Token<'_>, bool)], is_eager: bool) -> Option<Include> {
    let open = tokens.iter().take_while(|(token, _)| *token == Token::Mark(b'(')).count();
    let (above, path) = place(&tokens[open..])?;
    Some(Include { path, above, is_eager })
}

/// A path in an expression: `'x'`, `__DIR__ . '/x'`, `dirname(__FILE__, 2) . '/x'`, `NAME . 'x'`, `$name . 'x'`.
fn place(tokens: &[(Token<'_>, bool)]) -> Option<(Option<usize>, String)> {
    let get = |at: usize| tokens.get(at).map(|(token, _)| token);
    let is_mark = |at: usize, mark: u8| get(at) == Some(&Token::Mark(mark));
    let literal = |at: usize| match get(at) {
        Some(Token::Text(text)) if !is_mark(at + 1, b'.') => Some(text.trim_start_matches('/').to_owned()),
        _ => None,
    };
    if let Some(Token::Text(text)) = get(0) {
        return (!is_mark(1, b'.')).then(|| (None, text.clone()));
    }
    let (mut above, mut at) = (0usize, 0);
    while matches!(get(at), Some(Token::Word(word)) if word.trim_start_matches('\\').eq_ignore_ascii_case("dirname"))
        && is_mark(at + 1, b'(')
    {
        (above, at) = (above + 1, at + 2);
    }
    let Some(Token::Word(word)) = get(at) else { return None };
    let above = match word.to_ascii_uppercase().as_str() {
        "__DIR__" => Some(above),
        "__FILE__" => Some(above.checked_sub(1)?),
        _ => None,
    };
    let mut levels = 0;
    at += 1;
    if is_mark(at, b',')
        && let Some(Token::Word(number)) = get(at + 1)
    {
        levels = number.parse::<usize>().ok()?.saturating_sub(1);
        at += 2;
    }
    while is_mark(at, b')') {
        at += 1;
    }
    is_mark(at, b'.').then(|| literal(at + 1))?.map(|path| (above.map(|above| above + levels), path))
}

/// The tokens of the code between `<?php` and `?>`, each with whether it stands outside every function.
fn tokens(text: &str) -> Vec<(Token<'_>, bool)> {
    let bytes = text.as_bytes();
    let mut out: Vec<(Token<'_>, bool)> = Vec::new();
    let mut braces: Vec<bool> = Vec::new();
    let mut functions = 0usize;
    let mut awaits_body = false;
    let mut at = next_code(bytes, 0);
    while at < bytes.len() && out.len() < MAX_TOKENS {
        let byte = bytes[at];
        let eager = functions == 0;
        match byte {
            b'?' if bytes.get(at + 1) == Some(&b'>') => {
                out.push((Token::Mark(b';'), eager));
                at = next_code(bytes, at + 2);
            }
            b'#' if bytes.get(at + 1) != Some(&b'[') => at = line_end(bytes, at),
            b'/' if bytes.get(at + 1) == Some(&b'/') => at = line_end(bytes, at),
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                let rest = bytes.get(at + 2..).unwrap_or_default();
                at = rest
                    .windows(2)
                    .position(|pair| pair == b"*/")
                    .map_or(bytes.len(), |length| at + length + 4);
            }
            b'\'' | b'"' => {
                let end = string_end(bytes, at + 1, byte);
                if let Some(inner) = text.get(at + 1..end)
                    && inner.len() <= MAX_TEXT_BYTES
                    && (byte == b'\'' || !inner.contains('$'))
                {
                    out.push((Token::Text(inner.replace("\\\\", "\\")), eager));
                } else {
                    out.push((Token::Mark(b'?'), eager));
                }
                at = end + 1;
            }
            b'<' if bytes[at..].starts_with(b"<<<") => at = heredoc_end(bytes, at),
            b'{' => {
                braces.push(awaits_body);
                functions += usize::from(awaits_body);
                awaits_body = false;
                out.push((Token::Mark(byte), eager));
                at += 1;
            }
            b'}' => {
                functions -= usize::from(braces.pop().unwrap_or_default() && functions > 0);
                out.push((Token::Mark(byte), functions == 0));
                at += 1;
            }
            _ if byte == b'$' || is_word(byte) => {
                let end = at
                    + 1
                    + bytes[at + 1..].iter().position(|&byte| !is_word(byte)).unwrap_or(bytes.len() - at - 1);
                if let Some(word) = text.get(at..end) {
                    awaits_body |= word.eq_ignore_ascii_case("function");
                    out.push((Token::Word(word), eager));
                }
                at = end;
            }
            _ => {
                // A declaration without a body, as in an interface.
                awaits_body &= byte != b';';
                if !byte.is_ascii_whitespace() {
                    out.push((Token::Mark(byte), eager));
                }
                at += 1;
            }
        }
    }
    out
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'\\' || byte >= 0x80
}

/// Behind the next `<?php` or `<?=`.
fn next_code(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    let is_open = |window: &[u8]| window.starts_with(b"<?=") || window.eq_ignore_ascii_case(b"<?php");
    match rest.windows(5).position(is_open) {
        Some(length) if rest[length..].starts_with(b"<?=") => at + length + 3,
        Some(length) => at + length + 5,
        None => bytes.len(),
    }
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let end = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
    // A closing tag ends a comment of one line.
    at + rest[..end].windows(2).position(|pair| pair == b"?>").unwrap_or(end)
}

fn string_end(bytes: &[u8], mut at: usize, quote: u8) -> usize {
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at.min(bytes.len())
}

/// Behind the line that closes `<<<LABEL`.
fn heredoc_end(bytes: &[u8], at: usize) -> usize {
    let label: Vec<u8> = bytes[at + 3..]
        .iter()
        .copied()
        .skip_while(|byte| b" \t'\"".contains(byte))
        .take_while(|&byte| is_word(byte))
        .collect();
    if label.is_empty() {
        return at + 3;
    }
    let mut line = at + 3;
    while let Some(length) = bytes.get(line..).and_then(|rest| rest.iter().position(|&byte| byte == b'\n')) {
        line += length + 1;
        let indent = bytes[line..].iter().take_while(|byte| b" \t".contains(byte)).count();
        if bytes[line + indent..].starts_with(&label) {
            return line + indent + label.len();
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn includes_are_read_with_their_place_and_time() {
        for (code, path, above, is_eager) in [
            ("require 'a.php';", "a.php", None, true),
            ("require_once(__DIR__ . '/a.php');", "a.php", Some(0), true),
            ("include dirname(__FILE__) . '/a.php';", "a.php", Some(0), true),
            ("require dirname(__DIR__) . '/a.php';", "a.php", Some(1), true),
            ("require dirname(__DIR__, 2) . '/a.php';", "a.php", Some(2), true),
            ("require ABSPATH . 'inc/a.php';", "inc/a.php", None, true),
            ("require $dir . '/a.php';", "a.php", None, true),
            ("function f(): int { if (x) { require __DIR__ . '/a.php'; } }", "a.php", Some(0), false),
            ("class A { function f(); } require __DIR__.'/a.php';", "a.php", Some(0), true),
        ] {
            let expected = BTreeSet::from([Include { path: path.into(), above, is_eager }]);
            assert_eq!(read(&format!("<html><?php {code} ?> '")).includes, expected, "{code}");
        }
        for code in [
            "// require 'a';\n# require 'b';\n/* require 'c' */",
            "$a = <<<X\nrequire 'a';\nX;",
            "require $name;",
            "require 'a' . $b;",
        ] {
            assert_eq!(read(&format!("<?php {code}")).includes, BTreeSet::new(), "{code}");
        }
        assert_eq!(read("require 'a.php';"), Source::default());
    }

    #[test]
    fn classes_are_named_through_imports_and_namespaces() {
        let code = "<?php namespace App\\Web; use Lib\\{Db, Log as L}; use Other\\Thing;\n\
            class A extends Base { function f() { new Db; L::x(); new \\Root\\One; return Thing\\Deep::class; } }\n\
            $name = 'Vendor\\\\Named';";
        let classes = read(code).classes;
        for name in
            ["App\\Web\\Base", "Lib\\Db", "Lib\\Log", "Root\\One", "Other\\Thing\\Deep", "Vendor\\Named"]
        {
            assert!(classes.contains(name), "{name}: {classes:?}");
        }
        let parents = read("<?php namespace A; use B\\C; class D extends C implements E { use F; }").parents;
        assert_eq!(parents, ["A\\E", "A\\F", "B\\C", "A\\implements"].map(str::to_owned).into());
    }

    #[test]
    fn files_beside_and_commands_are_seen() {
        let source = read(
            "<?php file_get_contents(__DIR__ . '/data.json'); exec('convert a b'); fopen('/etc/app/x', 'r');",
        );
        assert!(source.beside.contains("data.json"), "{source:?}");
        assert!(source.lines.contains("convert a b"));
        assert!(source.paths.contains("/etc/app/x"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(code in "[a-z'\"<?{}()/\\\\*\\n .é$#,]{0,80}") {
            let _ = read(&format!("<?php {code}"));
        }
    }
}
