//! From the text of a policy file to what it says, with the place of all that is wrong.

use std::fmt::Display;

use settings::{Key, Node, Place, SyntaxError, Value};

use super::{Form, Generalize, Kit, PackageDb, Pattern, PolicyFile, PolicyProblem, Preset, RuleKind};
use crate::PlanError;

/// The version of the keys that this build reads.
const VERSION: i64 = 1;

/// Every key of a policy file.
const KEYS: [&str; 13] = [
    "version",
    "keep",
    "remove",
    "keep-packages",
    "remove-packages",
    "kits",
    "generalize",
    "preset",
    "keep-packages-coherent",
    "keep-data-files",
    "keep-licenses",
    "package-db",
    "max-uncertain",
];

/// Reads a policy in any form.
pub(crate) fn decode(text: &str, name: &str, form: Form) -> Result<PolicyFile, Vec<PolicyProblem>> {
    let mut reader = Reader { name, file: PolicyFile::default(), problems: Vec::new() };
    match form {
        Form::List => reader.list_form(text),
        Form::Toml => reader.document(settings::toml(text)),
        Form::Yaml => reader.document(settings::yaml(text)),
    }
    reader.problems.sort_by_key(|problem| (problem.line, problem.column));
    if reader.problems.is_empty() { Ok(reader.file) } else { Err(reader.problems) }
}

/// What was read so far, and what was wrong.
struct Reader<'a> {
    name: &'a str,
    file: PolicyFile,
    problems: Vec<PolicyProblem>,
}

impl Reader<'_> {
    fn problem(&mut self, at: Place, field: &str, message: impl Display, suggestion: Option<&str>) {
        self.problems.push(PolicyProblem::new(at, field, message).suggest(suggestion));
    }

    /// One pattern a line: kept, or removed behind `!`. A relative path is one from the root.
    fn list_form(&mut self, text: &str) {
        for (line, content) in (1..).zip(text.lines()) {
            let indent = content.chars().take_while(|c| c.is_whitespace()).count() as u64;
            let at = Place { line, column: indent + 1 };
            let content = content.trim();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let (kind, pattern) = match content.strip_prefix('!') {
                Some(pattern) => (RuleKind::Remove, pattern.trim_start()),
                None => (RuleKind::Keep, content),
            };
            let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
            let is_relative = !pattern.starts_with('/') && pattern.trim_end_matches('/').contains('/');
            let pattern = if is_relative { format!("/{pattern}") } else { pattern.to_owned() };
            self.rule(kind, at, "", &pattern);
        }
    }

    fn document(&mut self, parsed: Result<Node, SyntaxError>) {
        let root = match parsed {
            Ok(root) => root,
            Err(error) => return self.problem(error.at, "", error.message, None),
        };
        let Value::Map(entries) = &root.value else {
            let message = format!("should be keys and values, found {}", root.value.kind());
            return self.problem(root.at, "", message, None);
        };
        if !entries.iter().any(|(key, _)| key.text == "version") {
            let message = format!("is missing; this build reads version {VERSION}");
            self.problem(root.at, "version", message, None);
        }
        for (key, node) in entries {
            self.entry(key, node);
        }
    }

    fn entry(&mut self, key: &Key, node: &Node) {
        let Key { at, text: key } = key;
        match key.as_str() {
            "version" => match node.value {
                Value::Number(_, Some(VERSION)) => {}
                _ => self.problem(node.at, key, format!("should be {VERSION}"), None),
            },
            "keep" => self.list(key, node, RuleKind::Keep),
            "remove" => self.list(key, node, RuleKind::Remove),
            "keep-packages" => self.list(key, node, RuleKind::KeepPackage),
            "remove-packages" => self.list(key, node, RuleKind::RemovePackage),
            "kits" => self.list(key, node, RuleKind::Kit),
            "generalize" => {
                let known = [Generalize::None, Generalize::References, Generalize::Package];
                let names = ["none", "references", "package"];
                self.file.generalize = self.choice(key, node, &names).map(|index| known[index]);
            }
            "package-db" => {
                let known = [PackageDb::Keep, PackageDb::Filter, PackageDb::Drop];
                let names = ["keep", "filter", "drop"];
                self.file.package_db = self.choice(key, node, &names).map(|index| known[index]);
            }
            "preset" => {
                let names = Preset::ALL.map(Preset::name);
                self.file.preset = self.choice(key, node, &names).map(|index| Preset::ALL[index]);
            }
            "keep-packages-coherent" => self.file.keep_packages_coherent = self.flag(key, node),
            "keep-data-files" => self.file.keep_data_files = self.flag(key, node),
            "keep-licenses" => self.file.keep_licenses = self.flag(key, node),
            "max-uncertain" => match node.value {
                Value::Number(_, Some(percent @ 0..=100)) => {
                    self.file.max_uncertain = u8::try_from(percent).ok();
                }
                _ => self.problem(node.at, key, "should be a number from 0 to 100", None),
            },
            _ => {
                let suggestion = similar(key, &KEYS);
                let message = match suggestion {
                    Some(_) => "unknown key".to_owned(),
                    None => format!("unknown key; known are {}", KEYS.join(", ")),
                };
                self.problem(*at, key, message, suggestion);
            }
        }
    }

    fn flag(&mut self, key: &str, node: &Node) -> Option<bool> {
        if let Value::Bool(value, _) = node.value {
            return Some(value);
        }
        self.problem(node.at, key, format!("should be true or false, found {}", node.value.kind()), None);
        None
    }

    /// The position of a text among those that are known.
    fn choice(&mut self, key: &str, node: &Node, names: &[&str]) -> Option<usize> {
        let Value::Text(text) = &node.value else {
            let message = format!("should be one of {}, found {}", names.join(", "), node.value.kind());
            self.problem(node.at, key, message, None);
            return None;
        };
        let found = names.iter().position(|name| name == text);
        if found.is_none() {
            let message = format!("{text:?} is none of {}", names.join(", "));
            self.problem(node.at, key, message, similar(text, names));
        }
        found
    }

    fn list(&mut self, key: &str, node: &Node, kind: RuleKind) {
        let items = match &node.value {
            Value::List(items) => items,
            Value::Null => return,
            other => {
                let message = format!("should be a list, found {}", other.kind());
                return self.problem(node.at, key, message, None);
            }
        };
        for (index, item) in items.iter().enumerate() {
            let field = format!("{key}[{index}]");
            match (&item.value, kind) {
                (_, RuleKind::Kit) => {
                    let names = Kit::ALL.map(Kit::name);
                    if let Some(index) = self.choice(&field, item, &names) {
                        self.add(kind, item.at, names[index]);
                    }
                }
                (Value::Text(text), _) => self.rule(kind, item.at, &field, text),
                (other, _) => {
                    let message = format!("should be a text, found {}", other.kind());
                    self.problem(item.at, &field, message, None);
                }
            }
        }
    }

    /// A pattern over paths or over names of packages.
    fn rule(&mut self, kind: RuleKind, at: Place, field: &str, text: &str) {
        let checked = match kind {
            RuleKind::KeepPackage | RuleKind::RemovePackage if text.trim().is_empty() => {
                return self.problem(at, field, "is empty", None);
            }
            RuleKind::KeepPackage | RuleKind::RemovePackage => Pattern::glob(text, text).map(drop),
            _ => Pattern::check(text),
        };
        match checked {
            Ok(()) => self.add(kind, at, text),
            Err(PlanError::Glob { source, .. }) => {
                self.problem(at, field, format!("{text:?} is no pattern: {}", source.kind()), None);
            }
            Err(_) if text.trim_matches('/').is_empty() => self.problem(at, field, "is empty", None),
            Err(_) => {
                let absolute = format!("/{text}");
                let message = format!("{text:?} is neither an absolute path nor a name without slashes");
                self.problem(at, field, message, Some(&absolute));
            }
        }
    }

    fn add(&mut self, kind: RuleKind, at: Place, text: &str) {
        let place = format!("{}:{}:{}", self.name, at.line, at.column);
        self.file.rules.push((kind, text.to_owned(), place));
    }
}

/// The known word closest to this one, if it is close enough to be what was meant.
fn similar<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let word = word.to_lowercase().replace('_', "-");
    known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(&word, known), *known))
        .filter(|(distance, known)| *distance <= 2.min(known.len() / 2))
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Policy;

    const TOML: &str = "# of the shop\nversion = 1\nkeep = [\n  \"/srv/**\", # pages\n  \"curl\",\n]\n\
        remove = ['/usr/share/perl*']\nkeep-packages = [\"ca-*\"]\nkits = [\"shell\"]\n\
        generalize = \"package\"\nkeep-licenses = false\nmax-uncertain = 25\n";
    const YAML: &str = "# of the shop\nversion: 1\nkeep:\n  - /srv/** # pages\n  - curl\n\
        remove: [/usr/share/perl*]\nkeep-packages: ['ca-*']\nkits:\n- shell\n\
        generalize: package\nkeep-licenses: false\nmax-uncertain: 25\n";
    const LIST: &str = "# of the shop\n\n/srv/**\r\n  curl\n!/usr/share/perl*\nusr/bin/ls\n./opt/x\n*.conf\n";

    fn parse(text: &str, form: Form) -> PolicyFile {
        PolicyFile::parse(text, "f", form).unwrap()
    }

    fn problems(text: &str, form: Form) -> Vec<String> {
        let problems = PolicyFile::parse(text, "f", form).unwrap_err();
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn toml_and_yaml_say_the_same() {
        let (toml, yaml) = (parse(TOML, Form::Toml), parse(YAML, Form::Yaml));
        let mut policies = [Policy::default(), Policy::default()];
        toml.lay_over(&mut policies[0]);
        yaml.lay_over(&mut policies[1]);
        for policy in &mut policies {
            assert!(policy.places.values().all(|place| place.starts_with("f:")));
            policy.places.clear();
        }
        assert_eq!(policies[0], policies[1]);
        let policy = &policies[0];
        assert_eq!((&policy.keep[..], policy.max_uncertain), (&["/srv/**".into(), "curl".into()][..], 25));
        assert!(!policy.keep_licenses && policy.kits.contains(&Kit::Shell));
        assert_eq!(toml.rules[0].2, "f:4:3");
        assert_eq!(yaml.rules[1].2, "f:5:5");
    }

    #[test]
    fn a_list_keeps_names_and_paths_and_removes_behind_an_exclamation_mark() {
        let rules = parse(LIST, Form::List).rules;
        let rules: Vec<_> = rules.iter().map(|(kind, text, place)| (*kind, &**text, &**place)).collect();
        let expected = [
            (RuleKind::Keep, "/srv/**", "f:3:1"),
            (RuleKind::Keep, "curl", "f:4:3"),
            (RuleKind::Remove, "/usr/share/perl*", "f:5:1"),
            (RuleKind::Keep, "/usr/bin/ls", "f:6:1"),
            (RuleKind::Keep, "/opt/x", "f:7:1"),
            (RuleKind::Keep, "*.conf", "f:8:1"),
        ];
        assert_eq!(rules, expected);
    }

    #[test]
    fn lists_are_joined_and_settings_replaced() {
        let mut policy = Policy { keep: vec!["curl".into(), "/x".into()], ..Policy::default() };
        parse("version = 1\nkeep = ['/y', '/x']\nkeep-data-files = true\n", Form::Toml).lay_over(&mut policy);
        assert_eq!(policy.keep, ["curl", "/x", "/y"]);
        assert!(policy.keep_data_files && policy.keep_licenses);
        assert_eq!(policy.places.len(), 1, "only what the file added: {:?}", policy.places);
    }

    #[test]
    fn mistakes_are_told_with_place_and_what_was_meant() {
        let yaml = "version: 1\nkeeep: [/a]\nkits: [shel, gui]\ngeneralize: refs\nremove: /x\n\
                    keep: [usr/lib, '/a[', 7, '']\nkeep_licenses: true\nkeep-data-files: yes\nfoo: 1\nmax-uncertain: 200\n";
        insta::assert_snapshot!(problems(yaml, Form::Yaml).join("\n"));
        let toml = "keep = [\"/a\"]\nkept = 1\npackage-db = \"filtre\"\nkeep-packages = ['', 'a[']\n";
        insta::assert_snapshot!(problems(toml, Form::Toml).join("\n"));
        assert_eq!(
            problems("/a\n  /b[\n", Form::List),
            ["2:3: \"/b[\" is no pattern: unclosed character class; missing ']'"]
        );
    }

    #[test]
    fn broken_documents_name_their_place() {
        for (text, form) in [
            ("version = 1\nkeep = [\n", Form::Toml),
            ("version = 1\nversion = 1\n", Form::Toml),
            ("version: 1\nkeep: [a\n", Form::Yaml),
            ("- a\n", Form::Yaml),
            ("", Form::Yaml),
            ("version: 2\n", Form::Yaml),
        ] {
            let problems = PolicyFile::parse(text, "f", form).unwrap_err();
            assert!(problems[0].line >= 1 && !problems[0].message.is_empty(), "{text:?}: {problems:?}");
        }
    }

    #[test]
    fn the_form_is_told_by_ending_and_content() {
        for (name, text, form) in [
            ("a.toml", "", Form::Toml),
            ("a.YML", "", Form::Yaml),
            ("a.json", "{}", Form::Yaml),
            (".rfignore", "# x\ncurl\n", Form::List),
            ("rules", "# x\n/usr/bin/x\n", Form::List),
            ("rules", "version = 1", Form::Toml),
            ("rules", "\nversion: 1", Form::Yaml),
            ("rules", "keep-packages:\n  - curl", Form::Yaml),
            ("rules.txt", "a: b", Form::List),
            ("rules", "", Form::List),
        ] {
            assert_eq!(Form::of(Path::new(name), text), form, "{name} {text:?}");
        }
    }

    #[test]
    fn hostile_text_is_an_error_never_a_panic() {
        for text in
            ["[".repeat(100_000), "{".repeat(10_000), "a: *b".to_owned(), "\0".to_owned(), "=".to_owned()]
        {
            for form in [Form::Toml, Form::Yaml, Form::List] {
                let _ = PolicyFile::parse(&text, "f", form);
            }
        }
    }
}
