//! What Python source names: imports, commands and other literals, by a tolerant reading of its text.
//!
//! No grammar: logical lines of tokens, and what their first words say. What cannot be read is passed over.

use std::collections::BTreeSet;

use super::pattern;

/// What a module names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) imports: Vec<Import>,
    /// First words of argument lists: `["git", …]` as an argument of `subprocess.run` and its kin.
    pub(super) commands: BTreeSet<String>,
    /// Lines of shell: the argument of `os.system` and its kin.
    pub(super) shell: BTreeSet<String>,
    /// Strings that are no documentation.
    pub(super) literals: BTreeSet<String>,
    /// Strings with places to fill in that can be names of modules, of code that imports by such names.
    pub(super) patterns: BTreeSet<String>,
    /// Whether importing it imports something by a computed name.
    computes_names: bool,
    /// Whether anything in it does.
    computes_names_later: bool,
}

impl Code {
    /// Imports that a computed name may mean: of every string of a module that imports by such names as soon as it is
    /// imported itself, such as `for name in ("idna", "chardet"): __import__(name)`.
    pub(super) fn computed(&self) -> Vec<Import> {
        let is_name = |text: &&String| {
            text.len() < 100
                && text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        let literals = self.literals.iter().filter(|_| self.computes_names);
        literals.filter(is_name).map(|text| Import { module: text.clone(), ..Import::default() }).collect()
    }
}

/// One import: `from ..a.b import c, d` has level 2, module `a.b` and names `c` and `d`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Import {
    pub(super) level: usize,
    pub(super) module: String,
    pub(super) names: Vec<String>,
    /// Whether it is executed by a call later, and not by importing the module that holds it.
    pub(super) is_lazy: bool,
}

/// Longest string that can be a name of anything.
const MAX_LITERAL_BYTES: usize = 4096;

/// Functions of `subprocess`, `os`, `shutil` and `asyncio` whose first argument is a program or a list that begins
/// with one.
const PROGRAM_CALLS: [&str; 19] = [
    "Popen",
    "call",
    "check_call",
    "check_output",
    "create_subprocess_exec",
    "execl",
    "execlp",
    "execv",
    "execve",
    "execvp",
    "execvpe",
    "find_executable",
    "posix_spawn",
    "posix_spawnp",
    "run",
    "spawnlp",
    "spawnv",
    "spawnvp",
    "which",
];
/// Functions whose first argument is a line of shell.
const SHELL_CALLS: [&str; 5] = ["create_subprocess_shell", "getoutput", "getstatusoutput", "popen", "system"];
/// Names that a list of words is given before it is handed to one of those.
const COMMAND_NAMES: [&str; 5] = ["args", "argv", "cmd", "cmdline", "command"];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token<'a> {
    Name(&'a str),
    Text(String),
    /// A string that Python fills in by itself.
    Filled(String),
    Sign(char),
}

/// Reads a module, or a program of its own.
pub(super) fn read(text: &str) -> Code {
    read_as(text, Block::Later)
}

/// Reads a module that only others import: `if __name__ == "__main__"` never holds in it.
pub(super) fn read_library(text: &str) -> Code {
    read_as(text, Block::Never)
}

/// `as_program` is what the block is that runs where the file is a program of its own.
fn read_as(text: &str, as_program: Block) -> Code {
    let mut code = Code::default();
    // Blocks that are open, each by its indentation.
    let mut blocks: Vec<(usize, Block)> = Vec::new();
    let mut lexer = Lexer { rest: text };
    while let Some((indentation, line)) = lexer.line() {
        if line.is_empty() {
            continue;
        }
        while blocks.last().is_some_and(|(outer, _)| indentation <= *outer) {
            blocks.pop();
        }
        if blocks.iter().any(|(_, block)| *block == Block::Never) {
            continue;
        }
        let mut opened = match line[..] {
            [Token::Name("if"), Token::Name("__name__"), ..] => Some(as_program),
            _ => block(&line),
        };
        // What a module computes when it is asked for a name belongs to importing that name. Source: PEP 562.
        if indentation == 0 && line.starts_with(&[Token::Name("def"), Token::Name("__getattr__")]) {
            opened = None;
        }
        if let Some(block) = opened {
            blocks.push((indentation, block));
        }
        if opened != Some(Block::Never) {
            let is_lazy = blocks.iter().any(|(_, block)| *block == Block::Later);
            statement_line(&line, is_lazy, &mut code);
        }
    }
    if !code.computes_names_later {
        code.patterns.clear();
    }
    code
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    /// Runs when it is called, or when the file is a program of its own.
    Later,
    /// For type checkers, for other systems, or for the module's own tests.
    Never,
}

/// The block that a line opens, if it is of interest.
fn block(line: &[Token<'_>]) -> Option<Block> {
    use Token::{Name, Sign, Text};
    if line.last() != Some(&Sign(':')) && !line.contains(&Sign(':')) {
        return None;
    }
    match line {
        [Name("def"), Name(name), ..] if *name == "_test" || name.starts_with("_test_") => Some(Block::Never),
        [Name("def"), ..] | [Name("async"), Name("def"), ..] => Some(Block::Later),
        [Name("if"), Name("TYPE_CHECKING"), Sign(':'), ..]
        | [Name("if"), Name(_), Sign('.'), Name("TYPE_CHECKING"), Sign(':'), ..] => Some(Block::Never),
        [
            Name("if" | "elif"),
            Name("sys"),
            Sign('.'),
            Name("platform"),
            Sign('='),
            Sign('='),
            Text(system),
            ..,
        ]
        | [
            Name("if" | "elif"),
            Name("os"),
            Sign('.'),
            Name("name"),
            Sign('='),
            Sign('='),
            Text(system),
            ..,
        ] => {
            ["win32", "cygwin", "darwin", "nt", "ios", "vxworks"].contains(&&**system).then_some(Block::Never)
        }
        _ => None,
    }
}

/// Reads one logical line: the statements in it, and the calls and strings in these.
fn statement_line(line: &[Token<'_>], is_lazy: bool, code: &mut Code) {
    let mut depth = 0usize;
    let mut start = 0;
    for (at, token) in line.iter().enumerate() {
        match token {
            Token::Sign('(' | '[' | '{') => depth += 1,
            Token::Sign(')' | ']' | '}') => depth = depth.saturating_sub(1),
            Token::Sign(';' | ':') if depth == 0 => {
                statement(&line[start..at], is_lazy, code);
                start = at + 1;
            }
            _ => {}
        }
    }
    statement(&line[start..], is_lazy, code);
    expressions(line, is_lazy, code);
}

fn statement(words: &[Token<'_>], is_lazy: bool, code: &mut Code) {
    match words {
        [Token::Name("import"), rest @ ..] => {
            for part in rest.split(|token| *token == Token::Sign(',')) {
                let (level, module, _) = dotted(part);
                if level == 0 && !module.is_empty() {
                    code.imports.push(Import { module, is_lazy, ..Import::default() });
                }
            }
        }
        [Token::Name("from"), rest @ ..] => {
            let (level, module, rest) = dotted(rest);
            let [Token::Name("import"), rest @ ..] = rest else { return };
            let names = rest
                .split(|token| matches!(token, Token::Sign(',' | '(' | ')')))
                .filter_map(|part| match part {
                    [Token::Name(name), ..] => Some((*name).to_owned()),
                    _ => None,
                })
                .collect();
            if level > 0 || !module.is_empty() {
                code.imports.push(Import { level, module, names, is_lazy });
            }
        }
        _ => {}
    }
}

/// The leading dots and the dotted name at the start, and what follows.
fn dotted<'t, 'a>(mut words: &'t [Token<'a>]) -> (usize, String, &'t [Token<'a>]) {
    let mut level = 0;
    while let [Token::Sign('.'), rest @ ..] = words {
        level += 1;
        words = rest;
    }
    let mut name = String::new();
    while let [Token::Name(part), rest @ ..] = words {
        if *part == "import" {
            break;
        }
        name += part;
        words = rest;
        let [Token::Sign('.'), rest @ ..] = words else { break };
        name.push('.');
        words = rest;
    }
    (level, name, words)
}

/// Calls with a literal first argument, and strings.
fn expressions(line: &[Token<'_>], is_lazy: bool, code: &mut Code) {
    use Token::{Filled, Name, Sign, Text};
    for at in 0..line.len() {
        if let Text(text) = &line[at]
            && at > 0
        {
            code.literals.insert(text.clone());
        }
        if let Text(text) | Filled(text) = &line[at] {
            code.patterns.extend(pattern::of(text));
        }
        match &line[at..] {
            [Name("import_module" | "__import__"), Sign('('), Text(text), ..] => {
                code.computes_names_later |= pattern::of(text).is_some();
                let module = text.trim_start_matches('.');
                let level = text.len() - module.len();
                code.imports.push(Import { level, module: module.to_owned(), names: Vec::new(), is_lazy });
            }
            [Name("import_module" | "__import__"), Sign('('), second, ..] => {
                code.computes_names |= !is_lazy && !matches!(second, Filled(_));
                code.computes_names_later = true;
            }
            [Name(call), Sign('('), Text(text), ..] if SHELL_CALLS.contains(call) => {
                code.shell.insert(text.clone());
            }
            [Name(call), Sign('('), Sign('[' | '('), Text(text), ..]
            | [Name(call), Sign('('), Text(text), ..]
                if PROGRAM_CALLS.contains(call) && !is_method_of_another(line, at, call) =>
            {
                match text.contains(' ') {
                    true => code.shell.insert(text.clone()),
                    false => code.commands.insert(text.clone()),
                };
            }
            [Name(name), Sign('='), Sign('[' | '('), Text(text), ..] if COMMAND_NAMES.contains(name) => {
                code.commands.insert(text.clone());
            }
            _ => {}
        }
    }
}

/// `run` and `call` are names of many methods; those of `subprocess` alone start programs.
fn is_method_of_another(line: &[Token<'_>], at: usize, call: &str) -> bool {
    let Some([Token::Name(object), Token::Sign('.')]) = at.checked_sub(2).map(|start| &line[start..at])
    else {
        return at > 0 && line[at - 1] == Token::Sign('.');
    };
    matches!(call, "run" | "call") && !matches!(*object, "subprocess" | "sp")
}

struct Lexer<'a> {
    rest: &'a str,
}

impl<'a> Lexer<'a> {
    /// The next logical line: its indentation (a tab counts as eight blanks) and its tokens.
    fn line(&mut self) -> Option<(usize, Vec<Token<'a>>)> {
        if self.rest.is_empty() {
            return None;
        }
        let mut indentation = 0;
        while let Some(blank) = self.rest.chars().next().filter(|c| matches!(c, ' ' | '\t' | '\u{c}')) {
            indentation += if blank == '\t' { 8 } else { 1 };
            self.rest = &self.rest[1..];
        }
        let mut tokens = Vec::new();
        let mut depth = 0usize;
        while let Some(first) = self.rest.chars().next() {
            match first {
                '\n' => {
                    self.rest = &self.rest[1..];
                    if depth == 0 {
                        break;
                    }
                }
                '#' => self.skip(|c| c != '\n'),
                '\\' => {
                    self.rest = &self.rest[1..];
                    self.rest = self.rest.strip_prefix('\r').unwrap_or(self.rest);
                    self.rest = self.rest.strip_prefix('\n').unwrap_or(self.rest);
                }
                c if c.is_whitespace() || c == '\u{feff}' => self.rest = &self.rest[c.len_utf8()..],
                '"' | '\'' => tokens.push(self.string("")),
                c if c.is_alphanumeric() || c == '_' => {
                    let word = self.take(|c| c.is_alphanumeric() || c == '_');
                    let is_prefix = word.len() <= 2 && word.chars().all(|c| "rRbBuUfFtT".contains(c));
                    if is_prefix && self.rest.starts_with(['"', '\'']) {
                        tokens.push(self.string(word));
                    } else {
                        tokens.push(Token::Name(word));
                    }
                }
                c => {
                    match c {
                        '(' | '[' | '{' => depth += 1,
                        ')' | ']' | '}' => depth = depth.saturating_sub(1),
                        _ => {}
                    }
                    self.rest = &self.rest[c.len_utf8()..];
                    tokens.push(Token::Sign(c));
                }
            }
        }
        Some((indentation, tokens))
    }

    fn take(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !keep(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn skip(&mut self, over: impl Fn(char) -> bool) {
        self.take(over);
    }

    /// The string that begins here. One that fills in values is no literal.
    fn string(&mut self, prefix: &str) -> Token<'a> {
        let is_raw = prefix.contains(['r', 'R']);
        let quote = self.rest.chars().next().unwrap_or('"');
        let triple: String = std::iter::repeat_n(quote, 3).collect();
        let is_long = self.rest.starts_with(&triple);
        self.rest = &self.rest[if is_long { 3 } else { 1 }..];
        let mut text = String::new();
        loop {
            if is_long && let Some(rest) = self.rest.strip_prefix(&triple) {
                self.rest = rest;
                break;
            }
            let Some(c) = self.rest.chars().next() else { break };
            if !is_long && c == '\n' {
                // Unfinished: the line ends here.
                break;
            }
            self.rest = &self.rest[c.len_utf8()..];
            if !is_long && c == quote {
                break;
            }
            let mut value = Some(c);
            if c == '\\' {
                let next = self.rest.chars().next();
                self.rest = &self.rest[next.map_or(0, char::len_utf8)..];
                if is_raw {
                    text.push(c);
                    value = next;
                } else {
                    value = match next {
                        Some('\n') => None,
                        Some('n') => Some('\n'),
                        Some('t') => Some('\t'),
                        other => other,
                    };
                }
            }
            if text.len() < MAX_LITERAL_BYTES {
                text.extend(value);
            }
        }
        match prefix.contains(['f', 'F', 't', 'T']) && text.contains('{') {
            true => Token::Filled(text),
            false => Token::Text(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Imports as `[lazy ]LEVEL:MODULE[:NAME,NAME]`.
    fn imports(text: &str) -> Vec<String> {
        read(text)
            .imports
            .iter()
            .map(|import| {
                let lazy = if import.is_lazy { "lazy " } else { "" };
                let names = if import.names.is_empty() {
                    String::new()
                } else {
                    ":".to_owned() + &import.names.join(",")
                };
                format!("{lazy}{}:{}{names}", import.level, import.module)
            })
            .collect()
    }

    #[test]
    fn what_a_library_does_as_a_program_is_no_part_of_it() {
        let text = "import a\nif __name__ == '__main__':\n    import doctest\n    open('/etc/x')\nimport b\n";
        let modules = |code: Code| code.imports.into_iter().map(|import| import.module).collect::<Vec<_>>();
        assert_eq!(modules(read_library(text)), ["a", "b"]);
        assert!(!read_library(text).literals.contains("/etc/x"));
        assert_eq!(modules(read(text)), ["a", "doctest", "b"]);
    }

    #[test]
    fn imports_are_found_wherever_they_stand() {
        for (text, expected) in [
            ("import a", &["0:a"][..]),
            ("import a.b as c, d", &["0:a.b", "0:d"]),
            ("from a.b import c as d, e", &["0:a.b:c,e"]),
            ("from . import x", &["1::x"]),
            ("from ..up.x import (\n  y,  # why\n  z,\n)\nimport after", &["2:up.x:y,z", "0:after"]),
            ("from ... import a\n", &["3::a"]),
            ("from a import *", &["0:a"]),
            ("from a import b; import c", &["0:a:b", "0:c"]),
            ("try: import a\nexcept ImportError: import b", &["0:a", "0:b"]),
            ("import a, \\\n  b", &["0:a", "0:b"]),
            ("def f():\n    import a\nimport b", &["lazy 0:a", "0:b"]),
            ("def f(): import a", &["lazy 0:a"]),
            ("def __getattr__(name):\n    from .a import b", &["1:a:b"]),
            ("class C:\n  def __getattr__(name):\n    import a", &["lazy 0:a"]),
            (
                "class C:\n  import a\n  async def f(\n self):\n    if x:\n      import b\n  import c",
                &["0:a", "lazy 0:b", "0:c"],
            ),
            ("if __name__ == '__main__':\n\timport a\n", &["lazy 0:a"]),
            ("def _test():\n  import a\nimport b", &["0:b"]),
            ("if TYPE_CHECKING:\n  import a\nelse:\n  import b", &["0:b"]),
            ("if typing.TYPE_CHECKING:\n  import a", &[]),
            ("if sys.platform == 'win32':\n  import a\nelif os.name == 'posix':\n  import b", &["0:b"]),
            ("'''\nimport a\n'''\nimport b", &["0:b"]),
            ("# import a\ns = 'import b'", &[]),
            ("x = importlib.import_module('a.b')", &["0:a.b"]),
            ("def f():\n  return __import__(\"a\")", &["lazy 0:a"]),
            ("import_module('.sub', __package__)", &["1:sub"]),
            ("import a\r\nimport b\r\n", &["0:a", "0:b"]),
            ("\u{feff}import a", &["0:a"]),
            ("s = 'open\nimport a", &["0:a"]),
            ("f(((\nimport a", &[]),
            ("from", &[]),
            ("import", &[]),
        ] {
            assert_eq!(imports(text), expected, "{text}");
        }
    }

    #[test]
    fn strings_are_imports_where_importing_a_module_imports_by_computed_names() {
        let computed =
            |text| read(text).computed().into_iter().map(|import| import.module).collect::<Vec<_>>();
        assert_eq!(computed("for p in ('idna', 'a b'):\n  __import__(p)"), ["idna"]);
        assert_eq!(computed("x = ('idna',)\ndef f(p):\n  __import__(p)"), Vec::<String>::new());
    }

    #[test]
    fn commands_are_first_words_of_calls_that_start_programs() {
        for (text, commands, shell) in [
            ("subprocess.run(['git', 'log'], check=True)", &["git"][..], &[][..]),
            ("Popen(('ls', '-l'))", &["ls"], &[]),
            ("check_output(\"uname\")", &["uname"], &[]),
            ("subprocess.call('ls -l | wc', shell=True)", &[], &["ls -l | wc"]),
            ("os.system('echo $(id -u)')", &[], &["echo $(id -u)"]),
            ("os.execvp('sh', args)", &["sh"], &[]),
            ("shutil.which('gcc')", &["gcc"], &[]),
            ("cmd = ['tar', 'x']\nsubprocess.run(cmd)", &["tar"], &[]),
            ("await asyncio.create_subprocess_exec(\n  'ping', '-c1')", &["ping"], &[]),
            ("app.run('id')", &[], &[]),
            ("x().call('id')", &[], &[]),
            ("f(['id'])", &[], &[]),
        ] {
            let code = read(text);
            assert_eq!(Vec::from_iter(&code.commands), commands, "{text}");
            assert_eq!(Vec::from_iter(&code.shell), shell, "{text}");
        }
    }

    #[test]
    fn strings_are_taken_and_documentation_is_not() {
        for (text, expected) in [
            ("'''doc'''\nx = 'a' \"b\"", &["a", "b"][..]),
            (r#"x = r'\d', '\'', b"\n""#, &["\n", "'", r"\d"]),
            ("x = f'/a/{b}', f'/plain'", &["/plain"]),
            ("x = '''long\n'' one'''", &["long\n'' one"]),
            ("x = 'a\\\nb'", &["ab"]),
        ] {
            assert_eq!(Vec::from_iter(&read(text).literals), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in ".{0,200}") {
            read(&text);
        }

        #[test]
        fn any_text_of_python_signs_is_read(text in "[\"'\\\\\n :;#(){}a-c.if]{0,80}") {
            read(&text);
        }
    }
}
