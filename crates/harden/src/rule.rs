//! The names of the rules that decide, as the ledger has them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which rule decided about a path.
///
/// In the order in which the rules run: a path carries the name of the first rule that kept it. The last two remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The profile shows a use of it.
    Observed,
    /// Another version of the image used it, as its profile shows.
    Carried,
    /// The image's settings name it.
    ImageConfig,
    /// A `keep` glob of the policy matches it.
    PolicyKeep,
    /// It belongs to a set of commands that the policy asks for.
    Kit,
    /// A verification of an earlier plan found that it is needed.
    Healed,
    /// It says which distribution this is.
    Distribution,
    /// A directory above something kept.
    Ancestor,
    /// A symbolic link on the way to something kept, or what such a link leads to.
    Symlink,
    /// A symbolic link to a kept directory: another name for all that is in it.
    DirectorySymlink,
    /// Another name of a kept file that is not a program.
    Hardlink,
    /// The dynamic loader that a kept program asks for (`PT_INTERP`).
    ElfInterpreter,
    /// A shared library that a kept program or library asks for (`DT_NEEDED`).
    ElfNeeded,
    /// What the dynamic loader itself reads.
    Loader,
    /// The interpreter that a kept script names in its first line.
    Shebang,
    /// What the C library reads to look up users, hosts and services.
    NameService,
    /// Character set converters of the C library.
    CharacterConversion,
    /// Locale data.
    Locale,
    /// Time zone data.
    TimeZone,
    /// Certificates of authorities.
    Certificates,
    /// OpenSSL's settings and the providers that they name.
    Openssl,
    /// The PAM settings and modules of a kept program.
    Pam,
    /// Descriptions of terminals.
    Terminfo,
    /// The modules of a kept program that authenticates through SASL.
    Sasl,
    /// The data of the ICU library.
    UnicodeData,
    /// A module or a setting that the configuration of a web server names.
    ServerModule,
    /// A command that a kept shell script runs.
    ScriptCommand,
    /// What a used part of Python needs beside it.
    Python,
    /// What a used part of Perl needs beside it.
    Perl,
    /// What a used part of Ruby needs beside it.
    Ruby,
    /// What a used part of PHP needs beside it.
    Php,
    /// What a used part of Node.js needs beside it.
    Node,
    /// What a used part of Lua needs beside it.
    Lua,
    /// What a used Java run time needs beside it.
    Java,
    /// What a used part of Erlang needs beside it.
    Erlang,
    /// What a used part of R needs beside it.
    R,
    /// A directory that services write to or that something is mounted on.
    RuntimeDirectory,
    /// Code that was used names it literally.
    Reference,
    /// It lies beside data of the image's own that was read: templates, static files, pages.
    OwnData,
    /// It lies in a data directory that a program of its package uses or names.
    DataDirectory,
    /// Settings of fonts, and fonts.
    Fonts,
    /// It is data of a language's package, beside code of that package that was used.
    PackageData,
    /// It is a program of the same package as one that was run, and needs nothing more.
    SiblingProgram,
    /// It belongs to a unit of a language of which a part was used, and the policy keeps such units whole.
    Unit,
    /// It belongs to a package of which an executable was used, and the policy keeps such packages whole.
    CoherentPackage,
    /// It is data, and the policy keeps data.
    DataFile,
    /// It belongs to no package that the policy's preset lets go.
    Preset,
    /// It lies in a layer that another image shares, which keeps it.
    SharedLayer,
    /// The licence of a package that is still there.
    Licence,
    /// The package database, cut down to the packages that are still there.
    PackageDatabase,
    /// A `remove` glob of the policy matches it.
    PolicyRemove,
    /// No rule keeps it.
    Unused,
}

impl Rule {
    /// Every rule, in the order in which they run.
    pub const ALL: [Self; 52] = [
        Self::Observed,
        Self::Carried,
        Self::ImageConfig,
        Self::PolicyKeep,
        Self::Kit,
        Self::Healed,
        Self::Distribution,
        Self::Ancestor,
        Self::Symlink,
        Self::DirectorySymlink,
        Self::Hardlink,
        Self::ElfInterpreter,
        Self::ElfNeeded,
        Self::Loader,
        Self::Shebang,
        Self::NameService,
        Self::CharacterConversion,
        Self::Locale,
        Self::TimeZone,
        Self::Certificates,
        Self::Openssl,
        Self::Pam,
        Self::Terminfo,
        Self::Sasl,
        Self::UnicodeData,
        Self::ServerModule,
        Self::ScriptCommand,
        Self::Python,
        Self::Perl,
        Self::Ruby,
        Self::Php,
        Self::Node,
        Self::Lua,
        Self::Java,
        Self::Erlang,
        Self::R,
        Self::RuntimeDirectory,
        Self::Reference,
        Self::OwnData,
        Self::DataDirectory,
        Self::Fonts,
        Self::PackageData,
        Self::SiblingProgram,
        Self::Unit,
        Self::CoherentPackage,
        Self::DataFile,
        Self::Preset,
        Self::SharedLayer,
        Self::Licence,
        Self::PackageDatabase,
        Self::PolicyRemove,
        Self::Unused,
    ];

    /// The name used in documents and output, such as `elf-needed`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Carried => "carried",
            Self::ImageConfig => "image-config",
            Self::PolicyKeep => "policy-keep",
            Self::Kit => "kit",
            Self::Healed => "healed",
            Self::Distribution => "distribution",
            Self::Ancestor => "ancestor",
            Self::Symlink => "symlink",
            Self::DirectorySymlink => "directory-symlink",
            Self::Hardlink => "hardlink",
            Self::ElfInterpreter => "elf-interpreter",
            Self::ElfNeeded => "elf-needed",
            Self::Loader => "loader",
            Self::Shebang => "shebang",
            Self::NameService => "name-service",
            Self::CharacterConversion => "character-conversion",
            Self::Locale => "locale",
            Self::TimeZone => "time-zone",
            Self::Certificates => "certificates",
            Self::Openssl => "openssl",
            Self::Pam => "pam",
            Self::Terminfo => "terminfo",
            Self::Sasl => "sasl",
            Self::UnicodeData => "unicode-data",
            Self::ServerModule => "server-module",
            Self::ScriptCommand => "script-command",
            Self::Python => "python",
            Self::Perl => "perl",
            Self::Ruby => "ruby",
            Self::Php => "php",
            Self::Node => "node",
            Self::Lua => "lua",
            Self::Java => "java",
            Self::Erlang => "erlang",
            Self::R => "r",
            Self::RuntimeDirectory => "runtime-directory",
            Self::Reference => "reference",
            Self::OwnData => "own-data",
            Self::DataDirectory => "data-directory",
            Self::Fonts => "fonts",
            Self::PackageData => "package-data",
            Self::SiblingProgram => "sibling-program",
            Self::Unit => "unit",
            Self::CoherentPackage => "coherent-package",
            Self::DataFile => "data-file",
            Self::Preset => "preset",
            Self::SharedLayer => "shared-layer",
            Self::Licence => "licence",
            Self::PackageDatabase => "package-database",
            Self::PolicyRemove => "policy-remove",
            Self::Unused => "unused",
        }
    }

    /// What the rule does, in one sentence.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Observed => "The workload used this path while it was recorded.",
            Self::Carried => {
                "The workload used what this path stands for in the version of the image that was recorded."
            }
            Self::ImageConfig => {
                "The image's settings need it: entry point, command, health check, user, working directory or volume."
            }
            Self::PolicyKeep => "The policy says to keep it.",
            Self::Kit => "The policy asks for a set of commands that this belongs to.",
            Self::Healed => "The workload looked for it in vain when the hardened image was verified.",
            Self::Distribution => {
                "It names the distribution and its release, without which no scanner can judge the packages."
            }
            Self::Ancestor => "It is a directory above something that is kept.",
            Self::Symlink => {
                "It is a symbolic link on the way to something that is kept, or the end of such a way."
            }
            Self::DirectorySymlink => {
                "It is a symbolic link to a directory that is kept, and so another name for what lies in it."
            }
            Self::Hardlink => "It is another name of a kept file that is not a program, and costs no bytes.",
            Self::ElfInterpreter => "It is the dynamic loader that a kept program asks for.",
            Self::ElfNeeded => "A kept program or library is linked against it.",
            Self::Loader => "The dynamic loader reads it to find libraries.",
            Self::Shebang => "A kept script names it as its interpreter.",
            Self::NameService => "The C library reads it to look up users, groups, hosts and services.",
            Self::CharacterConversion => {
                "A kept program converts character sets, and the C library loads converters when asked to."
            }
            Self::Locale => {
                "A kept program sets a locale, and this is the data of one that the image provides for it."
            }
            Self::TimeZone => "It is the time zone of the image.",
            Self::Certificates => "A kept program can open TLS connections and checks certificates with it.",
            Self::Openssl => "The OpenSSL library reads it when it starts.",
            Self::Pam => "A kept program authenticates through PAM, which reads it.",
            Self::Terminfo => {
                "The workload looked up a terminal's description, and the next terminal may be another."
            }
            Self::Sasl => "A kept program authenticates through SASL, which loads it by name.",
            Self::UnicodeData => "The Unicode library ICU reads it when it starts.",
            Self::ServerModule => "The configuration of a kept server names it.",
            Self::ScriptCommand => "A shell script that is kept runs it.",
            Self::Python => "Python needs it beside a module that was used.",
            Self::Perl => "Perl needs it beside a module that was used.",
            Self::Ruby => "Ruby needs it beside a file that was used.",
            Self::Php => "PHP needs it beside a file that was used.",
            Self::Node => "Node.js needs it beside a module that was used.",
            Self::Lua => "Lua needs it beside a module that was used.",
            Self::Java => "The Java run time needs it beside a part that was used.",
            Self::Erlang => "Erlang needs it beside a module that was used.",
            Self::R => "R needs it beside a package that was used.",
            Self::RuntimeDirectory => {
                "It is a directory that services write to or that something is mounted on."
            }
            Self::Reference => "Code that was used names it, although no recorded run reached that place.",
            Self::OwnData => {
                "It lies beside a file that was read, in a directory that the author of the image filled."
            }
            Self::DataDirectory => {
                "It lies in a data directory of its package that a program of that package uses or names."
            }
            Self::Fonts => {
                "A kept program can draw text, and this is one of the fonts that it may ask for, or tells which."
            }
            Self::PackageData => {
                "It is data of a package of a language and lies with code of that package that was used."
            }
            Self::SiblingProgram => {
                "It is a program of the same package as one that was run, or as a module in use, and costs little beside it."
            }
            Self::Unit => {
                "A part of the same module or library of its language was used, and the policy keeps such units whole."
            }
            Self::CoherentPackage => {
                "An executable of its package was used, and the policy keeps such packages whole."
            }
            Self::DataFile => "It is no code, and the policy keeps data files.",
            Self::Preset => {
                "The policy removes unused packages with known vulnerabilities only, and this belongs to none of them."
            }
            Self::SharedLayer => {
                "An image that was hardened together with this one keeps it, or what it hides, in a layer that both share."
            }
            Self::Licence => "It is the licence of a package that is still there.",
            Self::PackageDatabase => {
                "It belongs to a package database: by default cut down to what is still there."
            }
            Self::PolicyRemove => "The policy says to remove it.",
            Self::Unused => "It was not used, and nothing that is kept needs it.",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_one_name_that_is_also_its_serialised_form_and_describes_itself() {
        for (position, rule) in Rule::ALL.into_iter().enumerate() {
            assert_eq!(rule as usize, position);
            assert_eq!(serde_json::to_value(rule).unwrap(), rule.name());
            let text = rule.describe();
            assert!(text.ends_with('.') && !text[..text.len() - 1].contains(". "), "{rule}: one sentence");
        }
    }
}
