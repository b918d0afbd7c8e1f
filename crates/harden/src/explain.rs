//! Why a path stays or goes, as a chain of reasons.

use std::collections::BTreeSet;
use std::fmt;

use image::ImagePath;
use profile::{AccessKind, Process};
use serde::Serialize;

use crate::{Decision, Evidence, Ledger, LedgerEntry, PathKind, Rule};

/// Longest chain that is followed; real ones have a handful of links.
const MAX_CHAIN: usize = 64;
/// How many similar names are offered for a path that the image does not have.
const MAX_NEAREST: usize = 5;

/// Why a path stays or goes. [`fmt::Display`] tells it in words, in one line for each path of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "explanation")]
pub enum Explanation {
    /// It stays: the path itself, then the path that needs it, and so on to one that stays for its own sake.
    Kept {
        /// The links of the chain; at least one.
        chain: Vec<Link>,
    },
    /// It goes.
    Removed {
        /// The path and what the ledger says of it.
        link: Link,
    },
    /// The image has no such path.
    NotInImage {
        /// What was asked for.
        path: ImagePath,
        /// The most similar paths that the image has, most similar first.
        nearest: Vec<ImagePath>,
    },
}

/// One path and what the ledger says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// The path.
    pub path: ImagePath,
    /// Its entry.
    pub entry: LedgerEntry,
}

/// Explains the decision about a path.
pub fn explain(ledger: &Ledger, path: &ImagePath) -> Explanation {
    let Some(entry) = ledger.entries.get(path) else {
        return Explanation::NotInImage { path: path.clone(), nearest: nearest(ledger, path) };
    };
    let link = Link { path: path.clone(), entry: entry.clone() };
    if entry.decision == Decision::Remove {
        return Explanation::Removed { link };
    }
    let mut seen = BTreeSet::from([path.clone()]);
    let mut chain = vec![link];
    while let Some(because) = chain.last().and_then(|link| link.entry.because.clone())
        && let Some(entry) = ledger.entries.get(&because)
        && chain.len() < MAX_CHAIN
        && seen.insert(because.clone())
    {
        chain.push(Link { path: because, entry: entry.clone() });
    }
    Explanation::Kept { chain }
}

/// Paths of the same name elsewhere, then those in the same directory (or the nearest one that exists) with the most
/// alike names.
fn nearest(ledger: &Ledger, path: &ImagePath) -> Vec<ImagePath> {
    let mut scored: Vec<(usize, &ImagePath)> = Vec::new();
    for candidate in ledger.entries.keys().filter(|candidate| !candidate.is_root()) {
        let (name, other) = (path.name(), candidate.name());
        let distance = match name == other {
            true => 0,
            false => distance(name, other),
        };
        let limit = name.len() / 3 + 1;
        if distance <= limit {
            let elsewhere = usize::from(path.parent() != candidate.parent());
            scored.push((distance * 2 + elsewhere, candidate));
        }
    }
    scored.sort();
    scored.into_iter().take(MAX_NEAREST).map(|(_, path)| path.clone()).collect()
}

/// How many bytes must be added, removed or changed to make one name of the other (Levenshtein).
fn distance(a: &[u8], b: &[u8]) -> usize {
    if a.len().abs_diff(b.len()) > a.len() / 3 + 1 {
        return usize::MAX / 4;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept { chain } => {
                for (position, link) in chain.iter().enumerate() {
                    let next = chain.get(position + 1).map(|next| &next.path);
                    match position {
                        0 => write!(f, "{} kept: {}", link.path, reason(&link.entry, next))?,
                        _ => write!(f, "\n  {}: {}", link.path, reason(&link.entry, next))?,
                    }
                }
                Ok(())
            }
            Self::Removed { link: Link { path, entry } } => {
                let why = match (entry.rule, &entry.evidence) {
                    (Rule::PolicyRemove, Some(_)) => "the policy says so, although it was used",
                    (Rule::PolicyRemove, None) => "the policy says so",
                    _ => "never used, and nothing that is kept needs it",
                };
                write!(f, "{path} removed: {why}{}", describe(entry))
            }
            Self::NotInImage { path, nearest } => {
                write!(f, "{path} is not in the image")?;
                if let Some((first, more)) = nearest.split_first() {
                    write!(f, "; did you mean {first}")?;
                    more.iter().try_for_each(|path| write!(f, " or {path}"))?;
                    write!(f, "?")?;
                }
                Ok(())
            }
        }
    }
}

/// Package and size in parentheses.
fn describe(entry: &LedgerEntry) -> String {
    let mut parts = Vec::new();
    match &entry.packages[..] {
        [] => {}
        [package] => parts.push(format!("package {package}")),
        packages => parts.push(format!("packages {}", packages.join(", "))),
    }
    if entry.kind == PathKind::File {
        parts.push(format!("{} bytes", entry.size_bytes));
    }
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

fn reason(entry: &LedgerEntry, next: Option<&ImagePath>) -> String {
    let by = |text: &str, without: &str| match next {
        Some(next) => format!("{text} {next}"),
        None => without.to_owned(),
    };
    let why = match entry.rule {
        Rule::Observed => match &entry.evidence {
            Some(evidence) => return used(evidence),
            None => "used by the workload".to_owned(),
        },
        Rule::Carried => match &entry.evidence {
            Some(Evidence { carried_from: Some(old), .. }) => {
                format!("used in another version of the image, as {old}")
            }
            _ => "used in another version of the image".to_owned(),
        },
        Rule::ImageConfig => "named by the image's settings".to_owned(),
        Rule::PolicyKeep => by("the policy says so, by way of", "the policy says so"),
        Rule::Kit => "in a set of commands that the policy asks for".to_owned(),
        Rule::Healed => "looked for in vain by the workload when the hardened image was verified".to_owned(),
        Rule::Distribution => "names the distribution".to_owned(),
        Rule::Ancestor => by("directory above", "directory above something kept"),
        Rule::Symlink => by("link on the way from or to", "link on the way to something kept"),
        Rule::DirectorySymlink => by("link to", "link to a kept directory"),
        Rule::Hardlink => by("another name of", "another name of a kept file"),
        Rule::ElfInterpreter => by("dynamic loader (PT_INTERP) of", "dynamic loader"),
        Rule::ElfNeeded => by("needed (DT_NEEDED) by", "needed by a kept program"),
        Rule::Loader => by("read by the dynamic loader of", "read by the dynamic loader"),
        Rule::Shebang => by("interpreter of", "interpreter of a kept script"),
        Rule::NameService => by("users, hosts and services are looked up in it by", "name service"),
        Rule::CharacterConversion => by("converts character sets for", "converts character sets"),
        Rule::Locale => by("locale data for", "locale data"),
        Rule::TimeZone => by("time zone, by way of", "time zone of the image"),
        Rule::Certificates => by("certificates of authorities for", "certificates of authorities"),
        Rule::Openssl => by("OpenSSL's settings for", "OpenSSL's settings"),
        Rule::Pam => by("authentication (PAM) for", "authentication (PAM)"),
        Rule::Terminfo => "description of a common terminal".to_owned(),
        Rule::Sasl => by("authentication (SASL) for", "authentication (SASL)"),
        Rule::UnicodeData => by("Unicode data (ICU) for", "Unicode data (ICU)"),
        Rule::ServerModule => by("named by the configuration", "named by a server's configuration"),
        Rule::ScriptCommand => by("run by the script", "run by a kept script"),
        Rule::Python => by("needed by Python beside", "needed by Python"),
        Rule::Perl => by("needed by Perl beside", "needed by Perl"),
        Rule::Ruby => by("needed by Ruby beside", "needed by Ruby"),
        Rule::Php => by("needed by PHP beside", "needed by PHP"),
        Rule::Node => by("needed by Node.js beside", "needed by Node.js"),
        Rule::Lua => by("needed by Lua beside", "needed by Lua"),
        Rule::Java => by("needed by Java beside", "needed by Java"),
        Rule::Erlang => by("needed by Erlang beside", "needed by Erlang"),
        Rule::R => by("needed by R beside", "needed by R"),
        Rule::Reference => by("named by code that was used:", "named by code that was used"),
        Rule::OwnData => {
            by("in a directory of the image's own data with", "in a directory of the image's own data")
        }
        Rule::DataDirectory => by("in a data directory used or named by", "in a data directory in use"),
        Rule::Fonts => by("fonts and their settings for", "fonts and their settings"),
        Rule::PackageData => by("data of the package of", "data of a package in use"),
        Rule::SiblingProgram => by("program of the same package as", "program of a package in use"),
        Rule::Unit => by("of the same unit as", "of a unit that is kept whole"),
        Rule::CoherentPackage => by("of the same package as", "of a package that is kept whole"),
        Rule::DataFile => "data, which the policy keeps".to_owned(),
        Rule::Preset => "of no package that the policy's preset lets go".to_owned(),
        Rule::SharedLayer => {
            "another image that was hardened together with this one needs it in a layer that both share"
                .to_owned()
        }
        Rule::RuntimeDirectory => {
            "directory that services write to or that something is mounted on".to_owned()
        }
        Rule::Licence => "licence of a package that is still there".to_owned(),
        Rule::PackageDatabase => "package database of what is still there".to_owned(),
        Rule::PolicyRemove | Rule::Unused => "never used".to_owned(),
    };
    match &entry.evidence {
        Some(evidence) => format!("{why}; also {}", used(evidence)),
        None => why,
    }
}

/// `executed by /usr/bin/x (x) in step 'start' of redis`.
fn used(evidence: &Evidence) -> String {
    let verb = |kind: &AccessKind| match kind {
        AccessKind::Exec => "executed",
        AccessKind::MapExec => "mapped as code",
        AccessKind::OpenRead => "read",
        AccessKind::OpenWrite => "written",
        AccessKind::Stat => "looked at (stat)",
        AccessKind::Readlink => "followed as a link",
        AccessKind::Readdir => "listed",
        AccessKind::Access => "checked for permission",
        AccessKind::Xattr => "asked for attributes",
        AccessKind::Watch => "watched",
        AccessKind::Connect => "connected to",
        AccessKind::Missing => "looked up in vain",
    };
    let verbs: Vec<&str> = evidence.kinds.iter().map(verb).collect();
    let process = |process: &Process| match process.argv0.is_empty() || process.argv0 == process.exe {
        true => process.exe.clone(),
        false => format!("{} ({})", process.exe, process.argv0),
    };
    let mut text = verbs.join(", ");
    if let Some(first) = evidence.processes.first() {
        text += &format!(" by {}", process(first));
        match evidence.processes.len() {
            1 => {}
            2 => text += " and another program",
            more => text += &format!(" and {} other programs", more - 1),
        }
    }
    text + &format!(", first in step '{}' of {}", evidence.step, evidence.coverage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{ledger, path};

    #[test]
    fn the_chain_leads_to_what_was_used() {
        let text = explain(&ledger(), &path("/lib/libssl.so.3")).to_string();
        insta::assert_snapshot!(text, @r"
        /lib/libssl.so.3 kept: needed (DT_NEEDED) by /usr/bin/redis-server
          /usr/bin/redis-server: executed by /usr/local/bin/docker-entrypoint.sh (docker-entrypoint.sh), first in step 'start' of redis
        ");
    }

    #[test]
    fn a_removed_path_tells_package_and_size() {
        insta::assert_snapshot!(
            explain(&ledger(), &path("/usr/bin/perl")),
            @"/usr/bin/perl removed: never used, and nothing that is kept needs it (package perl-base, 4000 bytes)"
        );
    }

    #[test]
    fn an_unknown_path_is_answered_with_the_nearest_names() {
        insta::assert_snapshot!(
            explain(&ledger(), &path("/usr/sbin/redis-serve")),
            @"/usr/sbin/redis-serve is not in the image; did you mean /usr/bin/redis-server?"
        );
        insta::assert_snapshot!(explain(&ledger(), &path("/zzzzzz")), @"/zzzzzz is not in the image");
    }

    #[test]
    fn a_ledger_that_goes_in_circles_is_explained_all_the_same() {
        let mut ledger = ledger();
        let entry = ledger.entries.get_mut(&path("/usr/bin/redis-server")).unwrap();
        entry.because = Some(path("/lib/libssl.so.3"));
        let Explanation::Kept { chain } = explain(&ledger, &path("/lib/libssl.so.3")) else { panic!() };
        assert_eq!(chain.len(), 2);
    }
}
