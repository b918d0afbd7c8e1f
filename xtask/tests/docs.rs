//! The documentation hangs together: links lead to files of the repository, and lists are complete.
#![expect(clippy::unwrap_used, reason = "what cannot be read fails its test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

/// The repository's files with this ending, those to be added included.
fn files(ending: &str) -> Vec<String> {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let listing = Command::new("git").current_dir(root()).args(arguments).output().unwrap();
    assert!(listing.status.success(), "{}", String::from_utf8_lossy(&listing.stderr));
    let names = String::from_utf8(listing.stdout).unwrap();
    let names = names.split_terminator('\0').filter(|name| name.ends_with(ending));
    names.filter(|name| root().join(name).is_file()).map(str::to_owned).collect()
}

/// The files directly in a folder with this ending, by name.
fn names_in(folder: &str, ending: &str) -> Vec<String> {
    let files = files(ending);
    let names = files.iter().filter_map(|file| file.strip_prefix(folder));
    names.filter(|name| !name.contains('/')).map(str::to_owned).collect()
}

/// The targets of a page's inline links, without what stands in code.
fn links(page: &str) -> Vec<String> {
    let mut targets = Vec::new();
    let mut in_block = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        }
        if in_block || line.starts_with("    ") {
            continue;
        }
        for (index, _) in line.match_indices("](") {
            let in_code = line[..index].matches('`').count() % 2 == 1;
            let target = line[index + 2..].split(')').next().unwrap_or_default();
            if !in_code {
                targets.push(target.to_owned());
            }
        }
    }
    targets
}

/// Paths of the repository that a page names in backquotes: `docs/exit-codes.md`, `crates/profile`.
fn mentions(page: &str) -> Vec<String> {
    let code = page.split('`').skip(1).step_by(2);
    code.filter(|text| ["crates/", "docs/", "xtask/"].iter().any(|folder| text.starts_with(folder)))
        .filter(|text| !text.contains(['*', ' ', '<']))
        .map(str::to_owned)
        .collect()
}

#[test]
fn links_are_found_outside_code_only() {
    let page =
        "[a](one.md) and [`b`](two.md#part)\n\n    [c](three.md)\n`[d](four.md)`\n```\n[e](five.md)\n```\n";
    assert_eq!(links(page), ["one.md", "two.md#part"]);
}

#[test]
fn every_link_leads_to_a_file_of_the_repository() {
    let mut broken = Vec::new();
    for file in files(".md") {
        let page = read(&file);
        let folder = Path::new(&file).parent().unwrap();
        let linked = links(&page).into_iter().filter(|link| !link.contains("://") && !link.starts_with('#'));
        let linked = linked.map(|link| (folder.join(link.split('#').next().unwrap()), link));
        let named = mentions(&page).into_iter().map(|name| (PathBuf::from(&name), name));
        for (path, link) in linked.chain(named) {
            if !root().join(path).exists() {
                broken.push(format!("{file}: {link}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_decision_record_is_listed_with_its_title() {
    let list = read("docs/adr/README.md");
    let mut expected = Vec::new();
    for name in names_in("docs/adr/", ".md").into_iter().filter(|name| name != "README.md") {
        let page = read(&format!("docs/adr/{name}"));
        let heading = page.lines().next().unwrap().strip_prefix("# ").unwrap();
        let (number, title) = heading.split_once(". ").unwrap();
        assert_eq!(format!("{number:0>4}"), name[..4], "{name} and its heading number it differently");
        expected.push(format!("- {number}: [{title}]({name})"));
    }
    let listed: Vec<_> = list.lines().filter(|line| line.starts_with("- ")).collect();
    assert_eq!(listed, expected, "docs/adr/README.md");
}

#[test]
fn every_format_has_a_line_and_every_schema_a_page() {
    let list = links(&read("docs/formats/README.md"));
    let pages = names_in("docs/formats/", ".md").into_iter().filter(|name| name != "README.md");
    let schemas = names_in("docs/formats/", ".schema.json");
    for schema in &schemas {
        let page = read(&format!("docs/formats/{}", schema.replace(".schema.json", ".md")));
        assert!(links(&page).contains(schema), "{schema} is not linked from its page");
    }
    let missing: Vec<_> = pages.chain(schemas).filter(|name| !list.contains(name)).collect();
    assert!(missing.is_empty(), "docs/formats/README.md lacks {missing:?}");
}

#[test]
fn tests_that_the_documentation_names_exist() {
    let sources: String = files(".rs").iter().map(|file| read(file)).collect();
    let page = read("docs/hard-cases.md");
    let named = page.split('`').skip(1).step_by(2);
    let is_test = |text: &&str| {
        text.matches('_').count() >= 2
            && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit())
    };
    let missing: Vec<_> =
        named.filter(is_test).filter(|test| !sources.contains(&format!("fn {test}("))).collect();
    assert!(missing.is_empty(), "docs/hard-cases.md names no tests: {missing:?}");
}

#[test]
fn the_hard_cases_that_tests_are_named_after_are_in_the_table() {
    let page = read("docs/hard-cases.md");
    let mut missing = Vec::new();
    for file in files(".rs") {
        for line in read(&file).lines() {
            let Some(name) = line.trim_start().strip_prefix("fn hard_") else { continue };
            let test = format!("hard_{}", name.split('(').next().unwrap());
            let Some(number) = name.split('_').next().and_then(|text| text.parse::<u32>().ok()) else {
                continue;
            };
            let row = page.lines().find(|row| row.starts_with(&format!("| {number} |")));
            if !row.is_some_and(|row| row.contains(&format!("`{test}`"))) {
                missing.push(test);
            }
        }
    }
    assert!(missing.is_empty(), "docs/hard-cases.md lacks {missing:#?}");
}
