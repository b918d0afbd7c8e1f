//! What a database says of one ecosystem, for other scanners: `advisory_rows DATABASE ECOSYSTEM` prints the package, the
//! vulnerability and the version that fixes it (nothing if none does), between tabs. `cargo xtask bench findings` makes
//! Trivy's database of it.
#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use careen_advisories::version::{Scheme, compare};
use careen_advisories::{Database, FixState};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [database, ecosystem] = arguments.as_slice() else {
        return Err("usage: advisory_rows DATABASE ECOSYSTEM".into());
    };
    let database = Database::open(Path::new(database))?;
    for (_, package) in database.packages()?.into_iter().filter(|(known, _)| known == ecosystem) {
        // Where several sources speak of one vulnerability, what none fixes is open, and the highest fix counts.
        let mut rows: BTreeMap<String, Option<String>> = BTreeMap::new();
        for row in database.affected(ecosystem, &package)? {
            if matches!(row.affected.state, FixState::NotAffected | FixState::Undetermined) {
                continue;
            }
            let fixed = row.affected.ranges.iter().find_map(|range| range.fixed.clone());
            let known = rows.entry(row.vulnerability).or_insert_with(|| fixed.clone());
            let is_worse = match (&fixed, &*known) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(fixed), Some(known)) => compare(Scheme::Debian, fixed, known) == Ordering::Greater,
            };
            if is_worse {
                *known = fixed;
            }
        }
        for (vulnerability, fixed) in rows {
            println!("{package}\t{vulnerability}\t{}", fixed.unwrap_or_default());
        }
    }
    Ok(())
}
