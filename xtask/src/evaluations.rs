//! The leave-one-out table of `docs/results.md`: how the steps of each coverage fare on images hardened without them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{command, images, workspace};

const TITLE: &str = "## Steps that nobody wrote";

/// The part of `careen evaluate --output json` that the table shows.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Evaluation {
    policies: Vec<Policy>,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, Deserialize)]
struct Policy {
    generalize: String,
    kept: Total,
    works: u64,
    lacks: u64,
    broken: u64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Total {
    bytes: u64,
}

#[derive(Debug, Clone, Deserialize)]
struct Step {
    name: String,
    cannot: Option<String>,
}

impl Policy {
    fn tried(&self) -> u64 {
        self.works + self.lacks + self.broken
    }
}

/// Evaluates the images of these names (all that are declared if there is none, no one for `--page-only`), and writes the section of the page with
/// what this and earlier calls measured; the rest of the page stays.
///
/// # Errors
/// If an image cannot be built, or the page not be written.
pub(crate) fn main(names: &[String]) -> Result<()> {
    let declared = images::declared()?;
    let dir = workspace::target_dir()?.join("image-results");
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    if names != ["--page-only"] {
        let names = if names.is_empty() { &declared } else { names };
        images::build(names, false)?;
        run(names, &dir)?;
    }
    let page = workspace::root().join("docs/results.md");
    let text = fs::read_to_string(&page).with_context(|| format!("cannot read {}", page.display()))?;
    fs::write(&page, with_section(&text, &table(&read(&dir, &declared)?)))
        .with_context(|| format!("cannot write {}", page.display()))
}

/// The page with its last section replaced, or added.
fn with_section(page: &str, section: &str) -> String {
    let before = page.split_once(TITLE).map_or(page, |(before, _)| before);
    format!("{}\n{section}", before.trim_end())
}

/// Evaluates each image with its own coverage, one after the other, and leaves the documents in `dir`.
///
/// # Errors
/// If the program cannot be built. An evaluation that fails is told, and has no row.
pub(crate) fn run(names: &[String], dir: &Path) -> Result<()> {
    let careen = workspace::build_careen()?;
    let images = workspace::root().join("images");
    for name in names {
        let file = images.join(name).join("coverage.yaml");
        let coverage = if file.exists() { file.into_os_string() } else { name.into() };
        eprintln!("evaluating {name}");
        let part = dir.join(format!("{name}.evaluation.part"));
        let out = File::create(&part).with_context(|| format!("cannot make {}", part.display()))?;
        let mut evaluate = Command::new(&careen);
        evaluate.current_dir(workspace::root()).args(["--quiet", "--output", "json", "evaluate"]);
        evaluate.arg(format!("oci:target/images/{name}")).arg("--coverage").arg(coverage).stdout(out);
        match command::run(&mut evaluate) {
            Ok(()) => fs::rename(&part, document(dir, name)).context("cannot name an evaluation")?,
            Err(error) => eprintln!("{name}: {error:#}"),
        }
    }
    Ok(())
}

fn document(dir: &Path, name: &str) -> std::path::PathBuf {
    dir.join(format!("{name}.evaluation.json"))
}

/// What [`run`] left behind, by image.
///
/// # Errors
/// If a document is none.
pub(crate) fn read(dir: &Path, names: &[String]) -> Result<BTreeMap<String, Evaluation>> {
    let mut found = BTreeMap::new();
    for name in names {
        let file = document(dir, name);
        match fs::read(&file) {
            Ok(text) => {
                let evaluation = serde_json::from_slice(&text)
                    .with_context(|| format!("{} holds something else", file.display()))?;
                found.insert(name.clone(), evaluation);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }
    Ok(found)
}

/// The section of the page; empty where nothing was evaluated.
pub(crate) fn table(all: &BTreeMap<String, Evaluation>) -> String {
    let Some(policies) = all.values().map(|one| &one.policies).find(|policies| !policies.is_empty()) else {
        return String::new();
    };
    let names: Vec<&str> = policies.iter().map(|policy| policy.generalize.as_str()).collect();
    let mut page = format!("\n{TITLE}\n\n");
    page += "Each step of each coverage was left out once, the image hardened with the others, and the whole coverage run on\n\
        the result: how many of the left-out steps work as on the original, beside the bytes that stay with the whole\n\
        coverage, under each `--generalize` policy. A step *works* only if nothing that was removed was looked for.\n\n";
    page += "| image |";
    for name in &names {
        let _ = write!(page, " {name}: steps | MB |");
    }
    page += "\n|---|";
    page += &"---|---|".repeat(names.len());
    page.push('\n');
    let mut sums: BTreeMap<&str, (u64, u64, u64)> = BTreeMap::new();
    for (image, evaluation) in all {
        let _ = write!(page, "| {image} |");
        for name in &names {
            let Some(policy) = evaluation.policies.iter().find(|policy| policy.generalize == *name) else {
                page += " – | – |";
                continue;
            };
            let sum = sums.entry(name).or_default();
            *sum = (sum.0 + policy.works, sum.1 + policy.tried(), sum.2 + policy.kept.bytes);
            let _ = write!(page, " {}/{} | {} |", policy.works, policy.tried(), megabytes(policy.kept.bytes));
        }
        page.push('\n');
    }
    page += "| **all** |";
    for name in &names {
        let (works, tried, bytes) = sums.get(name).copied().unwrap_or_default();
        let _ = write!(page, " **{works}/{tried}** | **{}** |", megabytes(bytes));
    }
    page.push('\n');
    let cannot: Vec<_> = all
        .iter()
        .flat_map(|(image, evaluation)| evaluation.steps.iter().map(move |step| (image, step)))
        .filter_map(|(image, step)| Some(format!("- {image}: {}: {}", step.name, step.cannot.as_ref()?)))
        .collect();
    if !cannot.is_empty() {
        page += "\nSteps that cannot be left out, since others need them:\n\n";
        page += &cannot.join("\n");
        page.push('\n');
    }
    page
}

fn megabytes(bytes: u64) -> String {
    let tenths = (bytes + 50_000) / 100_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_steps_and_bytes_under_each_policy() {
        let policy = |generalize: &str, works, broken, bytes| Policy {
            generalize: generalize.to_owned(),
            kept: Total { bytes },
            works,
            lacks: 1,
            broken,
        };
        let steps = vec![Step { name: "set".to_owned(), cannot: Some("get fails".to_owned()) }];
        let of = |policies| Evaluation { policies, steps: Vec::new() };
        let one = Evaluation {
            steps,
            ..of(vec![policy("none", 4, 2, 1_000_000), policy("package", 6, 0, 2_040_000)])
        };
        let two = of(vec![policy("none", 1, 0, 500_000), policy("package", 1, 0, 500_000)]);
        let page = table(&BTreeMap::from([("a".to_owned(), one), ("b".to_owned(), two)]));
        assert!(
            page.contains("| image | none: steps | MB | package: steps | MB |\n|---|---|---|---|---|\n"),
            "{page}"
        );
        assert!(page.contains("| a | 4/7 | 1.0 | 6/7 | 2.0 |\n| b | 1/2 | 0.5 | 1/2 | 0.5 |\n"), "{page}");
        assert!(page.contains("| **all** | **5/9** | **1.5** | **7/9** | **2.5** |\n"), "{page}");
        assert!(page.ends_with("- a: set: get fails\n"), "{page}");
        assert_eq!(table(&BTreeMap::new()), "");
        let with = |text: &str| with_section(text, &page);
        assert_eq!(with("# Results\n\nrows\n"), format!("# Results\n\nrows\n{page}"));
        assert_eq!(with(&with("# Results\n\nrows\n")), with("# Results\n\nrows\n"));
    }
}
