//! Policy files against their schema.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use careen_harden as harden;
use harden::policy::{Form, PolicyFile};
use serde_json::json;

fn schema() -> jsonschema::Validator {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats/policy.schema.json");
    jsonschema::validator_for(&serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()).unwrap()
}

#[test]
fn the_schema_and_the_reader_agree() {
    let schema = schema();
    for (document, is_good) in [
        (json!({"version": 1}), true),
        (
            json!({
                "version": 1, "keep": ["/srv/**", "curl", "*.pem", "lib/"], "remove": ["/usr"], "kits": ["shell", "debug"],
                "keep-packages": ["tz*"], "remove-packages": ["apt"], "generalize": "package",
                "keep-packages-coherent": true, "keep-data-files": false, "keep-licenses": false,
                "package-db": "drop", "max-uncertain": 0, "preset": "light"
            }),
            true,
        ),
        (json!({"version": 1, "keep": null}), true),
        (json!({}), false),
        (json!([]), false),
        (json!({"version": 2}), false),
        (json!({"version": 1, "keeps": []}), false),
        (json!({"version": 1, "keep": "/a"}), false),
        (json!({"version": 1, "keep": ["usr/lib"]}), false),
        (json!({"version": 1, "keep": [""]}), false),
        (json!({"version": 1, "remove": [1]}), false),
        (json!({"version": 1, "keep-packages": [""]}), false),
        (json!({"version": 1, "kits": ["gui"]}), false),
        (json!({"version": 1, "generalize": "all"}), false),
        (json!({"version": 1, "package-db": true}), false),
        (json!({"version": 1, "preset": "heavy"}), false),
        (json!({"version": 1, "keep-licenses": "no"}), false),
        (json!({"version": 1, "max-uncertain": 101}), false),
    ] {
        let read = PolicyFile::parse(&document.to_string(), "f", Form::Yaml);
        assert_eq!(read.is_ok(), is_good, "reader: {document}: {read:?}");
        assert_eq!(schema.is_valid(&document), is_good, "schema: {document}");
    }
}

#[test]
fn the_example_and_the_page_are_policies() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let example = std::fs::read_to_string(format!("{root}/crates/careen/src/example-policy.toml")).unwrap();
    let read = PolicyFile::parse(&example, "example", Form::Toml).unwrap();
    let mut policy = harden::Policy::default();
    read.lay_over(&mut policy);
    assert_eq!(policy, harden::Policy::default(), "the example has the default values");
    // With the examples in its lists switched on it is still a policy.
    let switched: String =
        example.lines().map(|line| format!("{}\n", line.replacen("  # \"", "  \"", 1))).collect();
    assert_eq!(PolicyFile::parse(&switched, "example", Form::Toml).unwrap().rules.len(), 6);

    let page = std::fs::read_to_string(format!("{root}/docs/formats/policy.md")).unwrap();
    let block = |fence: &str| page.split(fence).nth(1).unwrap().split("```").next().unwrap().to_owned();
    assert_eq!(PolicyFile::parse(&block("```toml\n"), "page", Form::Toml).unwrap().rules.len(), 6);
    let list = page.split("```\n# what").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(PolicyFile::parse(&format!("# what{list}"), "page", Form::List).unwrap().rules.len(), 3);
    let keys = example.lines().filter_map(|line| line.split_once(" =")).map(|(key, _)| key);
    assert!(keys.into_iter().all(|key| key.starts_with('#') || page.contains(&format!("| `{key}` |"))));
}
