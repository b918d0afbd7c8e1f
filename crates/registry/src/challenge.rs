//! What a registry asks for before it answers: `WWW-Authenticate`.
//!
//! Source: RFC 9110, section 11.6.1; distribution's token authentication specification.

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// A name and a password with each request.
    Basic,
    /// A token of a service.
    Bearer {
        /// Where the service is.
        realm: String,
        /// What it calls the registry.
        service: String,
        /// What the token must allow; empty where it is not said.
        scope: String,
    },
}

/// Reads the challenges of a header; what is not understood is left out.
pub(crate) fn parse(header: &str) -> Vec<Challenge> {
    let mut rest = header.get(..8192).unwrap_or(header);
    let mut found = Vec::new();
    while let Some((scheme, after)) = word(rest) {
        let mut parameters = Vec::new();
        rest = after;
        while let Some((name, value, after)) = parameter(rest) {
            parameters.push((name.to_ascii_lowercase(), value));
            rest = after;
        }
        let mut get = |wanted: &str| {
            let at = parameters.iter().position(|(name, _)| name == wanted)?;
            Some(parameters.swap_remove(at).1)
        };
        if scheme.eq_ignore_ascii_case("basic") {
            found.push(Challenge::Basic);
        } else if scheme.eq_ignore_ascii_case("bearer")
            && let Some(realm) = get("realm")
        {
            let service = get("service").unwrap_or_default();
            found.push(Challenge::Bearer { realm, service, scope: get("scope").unwrap_or_default() });
        }
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// The next word, and what follows.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start_matches([' ', '\t', ',']);
    let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// The next `name=value`, and what follows.
fn parameter(text: &str) -> Option<(&str, String, &str)> {
    let (name, rest) = word(text)?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let Some(quoted) = rest.strip_prefix('"') else {
        let (value, rest) = word(rest)?;
        return Some((name, value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((name, value, &quoted[at + 1..])),
            '\\' => value.extend(characters.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: &str, scope: &str) -> Challenge {
        Challenge::Bearer { realm: realm.into(), service: service.into(), scope: scope.into() }
    }

    #[test]
    fn challenges_of_all_shapes_are_read() {
        for (header, expected) in [
            (
                "Bearer realm=\"https://auth.example/token\",service=\"reg\",scope=\"repository:a:pull,push\"",
                vec![bearer("https://auth.example/token", "reg", "repository:a:pull,push")],
            ),
            ("bearer Realm=\"https://a\" , error=\"invalid\\\"token\"", vec![bearer("https://a", "", "")]),
            (
                "Basic realm=\"x\", Bearer realm=\"https://a\"",
                vec![Challenge::Basic, bearer("https://a", "", "")],
            ),
            ("Basic", vec![Challenge::Basic]),
            ("Negotiate, Basic realm=x", vec![Challenge::Basic]),
            ("Bearer service=\"reg\"", vec![]),
            ("Bearer realm=\"unterminated", vec![]),
            ("", vec![]),
            ("\"\"==,,", vec![]),
        ] {
            assert_eq!(parse(header), expected, "{header}");
        }
    }
}
