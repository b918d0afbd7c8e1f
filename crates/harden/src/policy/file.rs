//! A policy in a file: TOML, YAML, or a plain list of what to keep.

use std::io::{self, Read as _};
use std::path::Path;

use super::decode;
use super::{Generalize, Kit, LoadPolicyError, PackageDb, Policy, PolicyProblem, Preset, RuleKind};

/// Largest policy file.
pub const MAX_FILE_BYTES: u64 = 4 << 20;

/// How a policy file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Keys and values in TOML.
    Toml,
    /// Keys and values in YAML, of which JSON is a part.
    Yaml,
    /// One pattern a line.
    List,
}

/// What a policy file says; what it does not say is left to the command line and to the defaults.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PolicyFile {
    /// Each rule of a list, with its place in the file, in the order of the file.
    pub rules: Vec<(RuleKind, String, String)>,
    /// [`Policy::generalize`].
    pub generalize: Option<Generalize>,
    /// [`Policy::keep_packages_coherent`].
    pub keep_packages_coherent: Option<bool>,
    /// [`Policy::keep_data_files`].
    pub keep_data_files: Option<bool>,
    /// [`Policy::preset`].
    pub preset: Option<Preset>,
    /// [`Policy::keep_licenses`].
    pub keep_licenses: Option<bool>,
    /// [`Policy::package_db`].
    pub package_db: Option<PackageDb>,
    /// [`Policy::max_uncertain`].
    pub max_uncertain: Option<u8>,
}

impl PolicyFile {
    /// Reads a policy file. Its ending says how it is written, else its first line that is no comment.
    ///
    /// # Errors
    /// [`LoadPolicyError`]; each problem carries its line and column.
    pub fn read(path: &Path) -> Result<Self, LoadPolicyError> {
        let failed = |source| LoadPolicyError::Read { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
            .map_err(failed)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(LoadPolicyError::TooLarge { path: path.to_owned(), limit_bytes: MAX_FILE_BYTES });
        }
        let text = String::from_utf8(bytes)
            .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error.utf8_error())))?;
        let name = path.display().to_string();
        Self::parse(&text, &name, Form::of(path, &text))
            .map_err(|problems| LoadPolicyError::Invalid { name, problems })
    }

    /// Reads a policy's text; `name` stands before the places of its rules.
    ///
    /// # Errors
    /// All that is wrong, in the order of the file.
    pub fn parse(text: &str, name: &str, form: Form) -> Result<Self, Vec<PolicyProblem>> {
        decode::decode(text.strip_prefix('\u{feff}').unwrap_or(text), name, form)
    }

    /// Lays what the file says over a policy: lists grow, and what is said once is replaced.
    pub fn lay_over(&self, policy: &mut Policy) {
        for (kind, text, place) in &self.rules {
            let list = match kind {
                RuleKind::Keep => &mut policy.keep,
                RuleKind::Remove => &mut policy.remove,
                RuleKind::KeepPackage => &mut policy.keep_packages,
                RuleKind::RemovePackage => &mut policy.remove_packages,
                RuleKind::Kit => {
                    policy.kits.extend(Kit::ALL.into_iter().find(|kit| kit.name() == text));
                    policy.places.insert((*kind, text.clone()), place.clone());
                    continue;
                }
            };
            if !list.contains(text) {
                list.push(text.clone());
                policy.places.insert((*kind, text.clone()), place.clone());
            }
        }
        policy.generalize = self.generalize.unwrap_or(policy.generalize);
        policy.keep_packages_coherent = self.keep_packages_coherent.unwrap_or(policy.keep_packages_coherent);
        policy.keep_data_files = self.keep_data_files.unwrap_or(policy.keep_data_files);
        policy.keep_licenses = self.keep_licenses.unwrap_or(policy.keep_licenses);
        policy.preset = self.preset.unwrap_or(policy.preset);
        policy.package_db = self.package_db.unwrap_or(policy.package_db);
        policy.max_uncertain = self.max_uncertain.unwrap_or(policy.max_uncertain);
    }
}

impl Form {
    /// How a file is written, by its ending, else by its first line that is no comment.
    pub fn of(path: &Path, text: &str) -> Self {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        match ending.to_ascii_lowercase().as_str() {
            "toml" => Self::Toml,
            "yaml" | "yml" | "json" => Self::Yaml,
            "list" | "txt" => Self::List,
            _ => Self::of_text(text),
        }
    }

    fn of_text(text: &str) -> Self {
        let lines = text.lines().map(str::trim);
        let first = lines.into_iter().find(|line| !line.is_empty() && !line.starts_with('#'));
        let first = first.unwrap_or_default();
        let key = first.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "-_\"".contains(c));
        match key.trim_start().chars().next() {
            _ if first.starts_with('{') || first == "---" => Self::Yaml,
            Some('=') => Self::Toml,
            Some(':') => Self::Yaml,
            _ => Self::List,
        }
    }
}
