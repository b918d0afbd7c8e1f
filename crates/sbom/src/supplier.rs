//! Who a component comes from.
//!
//! The one who maintains it, as its database says; where that says nothing, whoever gives out its names: the owner of a
//! module path, a scope, a group, else the index that its package URL points at, else the distribution. It is whom to
//! ask, and not a statement about where the bytes were fetched.
//!
//! Source: NTIA, "The Minimum Elements For a Software Bill of Materials", "Supplier Name"; SPDX 2.3, section 7.5.

use packages::purl::Purl;
use packages::{Ecosystem, Package};
use serde_json::{Value, json};

use crate::bill::Bill;

/// A name, and an address to write to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Supplier {
    name: String,
    mail: Option<String>,
}

impl Supplier {
    /// Whoever supplies a package.
    pub(crate) fn of(bill: &Bill<'_>, package: &Package) -> Self {
        if let Some(maintainer) = &package.maintainer {
            return Self::parse(maintainer);
        }
        let purl = Purl::parse(&package.purl);
        let namespace = purl.as_ref().map_or("", |purl| purl.namespace.as_str());
        let owner = match package.ecosystem {
            Ecosystem::Dpkg | Ecosystem::Apk | Ecosystem::Rpm => distribution(bill),
            // `github.com/acme/tool`: the host's part of the path says nothing of who it is.
            Ecosystem::Go => match namespace.split('/').collect::<Vec<_>>()[..] {
                [] | [""] => "The Go Authors".to_owned(),
                [host] => host.to_owned(),
                [host, owner, ..] => format!("{host}/{owner}"),
            },
            Ecosystem::Generic => format!("{} project", package.name),
            _ if !namespace.is_empty() => namespace.to_owned(),
            other => index(other).to_owned(),
        };
        Self { name: owner, mail: None }
    }

    /// Whoever supplies the distribution.
    pub(crate) fn of_distribution(bill: &Bill<'_>) -> Self {
        Self { name: distribution(bill), mail: None }
    }

    /// Whoever supplies the image: as the user says, else as its labels or its config say.
    pub(crate) fn of_image(bill: &Bill<'_>) -> Option<Self> {
        let labels = &bill.image.config().config.labels;
        let label = |name: &str| labels.get(&format!("org.opencontainers.image.{name}")).map(String::as_str);
        let known = [bill.supplier, label("vendor"), label("authors"), bill.image.config().author.as_deref()];
        known.into_iter().flatten().map(str::trim).find(|name| !name.is_empty()).map(Self::parse)
    }

    /// `Name <mail>`, or a name.
    pub(crate) fn parse(text: &str) -> Self {
        match text.rsplit_once('<') {
            Some((name, mail)) if !name.trim().is_empty() => Self {
                name: name.trim().to_owned(),
                mail: Some(mail.trim().trim_end_matches('>').to_owned()),
            },
            _ => Self { name: text.trim_matches(['<', '>']).to_owned(), mail: None },
        }
    }

    /// `Organization: NAME (MAIL)`.
    pub(crate) fn spdx(&self) -> String {
        match &self.mail {
            Some(mail) => format!("Organization: {} ({mail})", self.name),
            None => format!("Organization: {}", self.name),
        }
    }

    /// As an organisation that can be asked.
    pub(crate) fn cyclonedx(&self) -> Value {
        match &self.mail {
            Some(mail) => json!({"name": self.name, "contact": [{"name": self.name, "email": mail}]}),
            None => json!({"name": self.name}),
        }
    }
}

fn distribution(bill: &Bill<'_>) -> String {
    let name = bill.os.map(|os| os.pretty_name.clone().unwrap_or_else(|| os.id.clone()));
    name.unwrap_or_else(|| "the distribution".to_owned())
}

/// Where the names of an ecosystem are given out.
fn index(ecosystem: Ecosystem) -> &'static str {
    match ecosystem {
        Ecosystem::Python => "PyPI",
        Ecosystem::Npm | Ecosystem::Javascript => "npm",
        Ecosystem::Maven => "Maven Central",
        Ecosystem::Cargo => "crates.io",
        Ecosystem::Gem => "RubyGems",
        Ecosystem::Composer => "Packagist",
        Ecosystem::Nuget => "NuGet",
        Ecosystem::Hex => "Hex",
        Ecosystem::Cpan => "CPAN",
        Ecosystem::Cran => "CRAN",
        Ecosystem::Luarocks => "LuaRocks",
        Ecosystem::Nix => "Nixpkgs",
        Ecosystem::Conda => "conda",
        other => other.name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maintainers_become_suppliers() {
        for (text, spdx, cyclonedx) in [
            (
                "A <a@b>",
                "Organization: A (a@b)",
                json!({"name": "A", "contact": [{"name": "A", "email": "a@b"}]}),
            ),
            ("A", "Organization: A", json!({"name": "A"})),
            ("<a@b>", "Organization: a@b", json!({"name": "a@b"})),
        ] {
            let supplier = Supplier::parse(text);
            assert_eq!((supplier.spdx().as_str(), supplier.cyclonedx()), (spdx, cyclonedx), "{text}");
        }
    }
}
