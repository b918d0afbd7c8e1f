//! The directives of a server's configuration, each as its words.

/// The directives of an nginx configuration, flattened: blocks are entered, braces and semicolons end a directive.
pub(super) fn nginx(text: &str) -> Vec<Vec<String>> {
    let mut out = Vec::new();
    let mut line: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (_, '\\') => word.get_or_insert_default().extend(characters.next()),
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') if word.is_none() => {
                quote = Some(character);
                word = Some(String::new());
            }
            (None, '#') if word.is_none() => while characters.next().is_some_and(|c| c != '\n') {},
            (None, ';' | '{' | '}')
                if !(character == '{' && word.as_ref().is_some_and(|word| word.ends_with('$'))) =>
            {
                line.extend(word.take());
                if !line.is_empty() {
                    out.push(std::mem::take(&mut line));
                }
            }
            (None, c) if c.is_whitespace() => line.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    line.extend(word);
    out.extend(Some(line).filter(|line| !line.is_empty()));
    out
}

/// The directives of an Apache configuration: one a line, continued by a backslash; sections are entered.
pub(super) fn apache(text: &str) -> Vec<Vec<String>> {
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    let lines = joined.lines().map(str::trim).filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| split(line.trim_start_matches('<').trim_end_matches('>')))
        .filter(|line| !line.is_empty())
        .collect()
}

/// Words with quotes taken away.
fn split(line: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '"' | '\'' => rest[1..].split_once(first).unwrap_or((&rest[1..], "")),
            _ => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        out.push(word.to_owned());
        rest = after.trim_start();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read_as_the_servers_read_them() {
        let text =
            "user www; # c;\nhttp { include 'a b'; root ${x}y; location ~ \\.php$ { x \"y;z\" } } last";
        let expected: Vec<Vec<&str>> = vec![
            vec!["user", "www"],
            vec!["http"],
            vec!["include", "a b"],
            vec!["root", "${x"],
            vec!["y"],
            vec!["location", "~", ".php$"],
            vec!["x", "y;z"],
            vec!["last"],
        ];
        assert_eq!(nginx(text), expected);
        let text = "# c\n<Directory \"/var/www x\">\n  LoadModule a_module \\\n /m/a.so\nErrorDocument 404 '/e.html'\n</Directory>";
        let expected: Vec<Vec<&str>> = vec![
            vec!["Directory", "/var/www x"],
            vec!["LoadModule", "a_module", "/m/a.so"],
            vec!["ErrorDocument", "404", "/e.html"],
            vec!["/Directory"],
        ];
        assert_eq!(apache(text), expected);
    }
}
