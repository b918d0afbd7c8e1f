//! Coverage files: the whole form, its schema, and what a user reads about a file that is wrong.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use careen_coverage as coverage;
use coverage::{Action, Condition, LoadCoverageError, check};

fn write(directory: &Path, text: &str) -> std::path::PathBuf {
    let path = directory.join("shop.yaml");
    std::fs::write(&path, text).unwrap();
    path
}

/// What a user reads, without the temporary directory.
fn problems(text: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), text);
    let error = check(&path).expect_err(text);
    assert!(matches!(error, LoadCoverageError::Invalid { .. }), "{error:?}");
    error.to_string().replace(&format!("{}/", directory.path().display()), "")
}

/// The example of the documentation page.
fn documented() -> String {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats/coverage.md"))
            .unwrap();
    let (_, rest) = page.split_once("```yaml\n").unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

fn schema() -> jsonschema::Validator {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats/coverage.schema.json");
    let schema = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

#[test]
fn the_documented_form_is_read() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("commands.redis"), "PING\n").unwrap();
    let path = write(directory.path(), &documented());
    let coverage = check(&path).unwrap_or_else(|error| panic!("{error}"));
    let text = format!("{coverage:#?}").replace(&directory.path().display().to_string(), "DIRECTORY");
    insta::assert_snapshot!(text);
}

#[test]
fn the_documented_form_and_the_builtins_conform_to_the_schema() {
    let schema = schema();
    let texts = coverage::builtins().iter().map(|builtin| builtin.yaml.to_owned()).chain([documented()]);
    for text in texts {
        let value: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        let errors: Vec<_> =
            schema.iter_errors(&value).map(|error| format!("{} {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }
    for wrong in [
        "{}",
        "{version: 2}",
        "{version: 1, step: []}",
        "{version: 1, steps: [{exec: a, host: b}]}",
        "{version: 1, steps: [{exec: a, timeout: 30}]}",
        "{version: 1, steps: [{name: x}]}",
        "{version: 1, wait_for: [{tcp: 0}]}",
        "{version: 1, container: {network: none}}",
    ] {
        let value: serde_json::Value = serde_saphyr::from_str(wrong).unwrap();
        assert!(!schema.is_valid(&value), "{wrong}");
        assert!(!problems(wrong).is_empty());
    }
}

#[test]
fn problems_name_line_column_field_and_what_was_meant() {
    let cases = [
        "version: 1\nsteps:\n  - exec: a\n  - name: x\n    host: b\n  - name: y\n    exce: [true]\n",
        "version: 1\nname: [a]\nstesp: []\n",
        "steps: []\n",
        "version: 2\n",
        "version: '1'\n",
        "- version: 1\n",
        "",
        "version: 1\nsteps:\n  - exec: a\n    host: b\n",
        "version: 1\nsteps:\n  - name: nothing\n",
        "version: 1\nsteps:\n  - exec: [a, [b]]\n",
        "version: 1\nsteps:\n  - exec: []\n",
        "version: 1\nsteps:\n  - exec: \"a 'b\"\n",
        "version: 1\nsteps:\n  - exec: redis-cli PING | grep PONG\n",
        "version: 1\nsteps:\n  - exec: a\n    timeout: 30\n",
        "version: 1\nsteps:\n  - exec: a\n    expect: '(OK'\n",
        "version: 1\nsteps:\n  - exec: a\n    compare: normalized\n",
        "version: 1\nsteps:\n  - exec: a\n    allow-failure: true\n",
        "version: 1\nsteps:\n  - exec: a\n    allow_failure: yes\n",
        "version: 1\nsteps:\n  - exec: a\n    stdin: no-such-file\n",
        "version: 1\nsteps:\n  - exec: a\n    stdin: f\n    stdin_text: t\n",
        "version: 1\nsteps:\n  - signal: HUPP\n",
        "version: 1\nsteps:\n  - signal: HUP\n    expect: x\n",
        "version: 1\nsteps:\n  - restart: false\n",
        "version: 1\nsteps:\n  - wait: soon\n",
        "version: 1\nsteps:\n  - wait: {tpc: 80}\n",
        "version: 1\nsteps:\n  - {name: a, exec: a}\n  - {name: a, exec: b}\n  - {name: stop, exec: c}\n",
        "version: 1\nwait_for:\n  - tcp: 65536\n  - file: run/pid\n  - log: [x]\n",
        "version: 1\nwait_for: {tcp: 80}\n",
        "version: 1\ncontainer:\n  network: bridge\n  binds: [a, 'a:b', 'a:/b:rw']\n  env: {A=B: c, D: [e]}\n  tmpfs: [tmp]\n",
        "version: 1\ncontainer:\n  working_dir: srv\n  read_only: 1\n  hostname:\n",
        "version: 1\nstop: {grace: 2d, expect_exit: [256, TREM]}\n",
        "version: 1\nname: a\nname: b\n",
        "version: 1\nsteps: [a\n",
        "version: 1\nsteps:\n\t- exec: a\n",
        "version: 1\nsteps: *steps\n",
        "version: 1\n--- \nversion: 1\n",
    ];
    let report: Vec<_> = cases.iter().map(|text| format!("{text}=> {}\n", problems(text))).collect();
    insta::assert_snapshot!(report.join("\n"));
}

#[test]
fn numbers_and_texts_are_taken_as_written() {
    let directory = tempfile::tempdir().unwrap();
    let text = "version: 1\nsteps:\n  - exec: [sleep, 1.50, 007, true, no, ~x]\n  - exec: sh -c 'a && b'\n  - exec: sh -c 'a && b'\n";
    let coverage = check(&write(directory.path(), text)).unwrap();
    let args = |n: usize| match &coverage.steps[n].action {
        Action::Exec { args, .. } => args.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(args(0), ["sleep", "1.50", "007", "true", "no", "~x"]);
    assert_eq!(args(1), ["sh", "-c", "a && b"]);
    let names: Vec<_> = coverage.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["sleep 1.50 007 true no '~x'", "sh -c 'a && b'", "sh -c 'a && b' (2)"]);
}

#[test]
fn tcp_conditions_are_read_in_all_forms() {
    let directory = tempfile::tempdir().unwrap();
    for (form, expected) in [
        ("80", ("127.0.0.1", 80)),
        ("'80'", ("127.0.0.1", 80)),
        ("localhost:80", ("localhost", 80)),
        ("'[::1]:80'", ("::1", 80)),
    ] {
        let text = format!("version: 1\nwait_for: [{{tcp: {form}}}]\n");
        let coverage = check(&write(directory.path(), &text)).unwrap();
        let Condition::Tcp { host, port } = &coverage.wait_for[0].condition else { panic!("{coverage:?}") };
        assert_eq!((host.as_str(), *port), expected, "{form}");
    }
}

#[test]
fn step_limit_holds_at_the_bound_and_one_past_it() {
    let directory = tempfile::tempdir().unwrap();
    let steps = |count: usize| format!("version: 1\nsteps:\n{}", "  - exec: a\n".repeat(count));
    assert_eq!(check(&write(directory.path(), &steps(1000))).unwrap().steps.len(), 1000);
    assert!(problems(&steps(1001)).ends_with("steps: has more than 1000 steps"));
}
