//! Names of the commands in a line of shell, as far as they can be told without running it.

/// What a POSIX shell runs itself, and its reserved words.
const BUILTINS: [&str; 40] = [
    ".", ":", "[", "alias", "bg", "break", "case", "cd", "command", "continue", "do", "done", "echo", "elif",
    "else", "esac", "eval", "exit", "export", "false", "fg", "fi", "for", "getopts", "if", "in", "printf",
    "pwd", "read", "return", "set", "shift", "test", "then", "trap", "true", "umask", "unset", "wait",
    "while",
];

/// Words after which comes another command.
const PREFIXES: [&str; 12] =
    ["!", "{", "command", "do", "elif", "else", "exec", "if", "then", "time", "until", "while"];

/// The words in command position, each once, in order; built-in commands, assignments and what the shell would first
/// have to expand are left out.
///
/// A guess in both directions, and used only to keep more: a command that it overlooks must be in the profile.
pub(crate) fn commands(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    for word in words(text) {
        let (word, is_first) = word;
        if is_first
            && !word.contains(['$', '=', '*', '?'])
            && !word.starts_with('-')
            && !BUILTINS.contains(&word.as_str())
            && !out.contains(&word)
        {
            out.push(word);
        }
    }
    out
}

/// All words, quotes removed, each with whether it is in command position.
fn words(text: &str) -> Vec<(String, bool)> {
    let mut out: Vec<(String, bool)> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut is_first = true;
    let mut characters = text.chars();
    let mut finish = |word: &mut Option<String>, is_first: &mut bool| {
        if let Some(word) = word.take() {
            let leads_on = PREFIXES.contains(&word.as_str()) || word.contains('=');
            let was_first = *is_first;
            *is_first = was_first && leads_on;
            out.push((word, was_first && !leads_on));
        }
    };
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some('\''), c) if c != '\'' => word.get_or_insert_default().push(c),
            (Some(q), c) if c == q => quote = None,
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (_, '\\') => word.get_or_insert_default().extend(characters.next()),
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, ' ' | '\t') => finish(&mut word, &mut is_first),
            (None, ';' | '&' | '|' | '\n' | '(' | ')' | '`') => {
                finish(&mut word, &mut is_first);
                is_first = true;
            }
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    finish(&mut word, &mut is_first);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_the_words_in_command_position() {
        for (text, expected) in [
            ("curl -f http://localhost/ || exit 1", &["curl"][..]),
            ("redis-cli ping | grep -q PONG", &["redis-cli", "grep"]),
            ("A=1 exec /usr/sbin/nginx -g 'daemon off; x'", &["/usr/sbin/nginx"]),
            ("if test -f /x; then cat \"/x\"; fi && wget -q -O- localhost", &["cat", "wget"]),
            ("$CMD; [ -f a ] && \"my prog\"", &["my prog"]),
            ("test $(pgrep nginx) -gt 0", &["pgrep"]),
            ("", &[]),
            ("'unfinished", &["unfinished"]),
        ] {
            assert_eq!(commands(text), expected, "{text}");
        }
    }
}
