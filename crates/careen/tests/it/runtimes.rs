//! What servers and run times need beyond what a coverage showed, on real images.

use crate::support::{can_run, careen_json, document, hardened, image, workdir};

#[test]
fn hard_50_a_page_that_nobody_asked_for_is_there_and_the_ledger_says_why() {
    if !can_run() {
        return;
    }
    let Some(dir) = hardened("nginx") else { return };
    let ledger = document(&dir.join("nginx.careen/ledger.json.zst"));
    let page = &ledger["entries"]["/usr/share/nginx/html/50x.html"];
    assert_eq!(
        (page["decision"].as_str(), page["rule"].as_str()),
        (Some("keep"), Some("server-module")),
        "{page}"
    );
    assert!(page["evidence"].is_null(), "the coverage is to ask for it some day: then take another page");
}

#[test]
#[ignore = "only with --all-images"]
fn hard_45_rabbitmq_keeps_what_its_modules_name_although_nothing_loaded_it() {
    if !can_run() {
        return;
    }
    let Some(source) = image("rabbitmq") else { return };
    let dir = workdir();
    let target = format!("oci:{}", dir.path().join("rabbitmq").display());
    let coverage = concat!(env!("CARGO_MANIFEST_DIR"), "/../../images/rabbitmq/coverage.yaml");
    careen_json(&["harden", &format!("oci:{}", source.display()), "-c", coverage, "-o", &target, "-q"]);
    let ledger = document(&dir.path().join("rabbitmq.careen/ledger.json.zst"));
    let entries = ledger["entries"].as_object().unwrap();
    let kept_by = |rule: &str, ending: &str| {
        entries.iter().any(|(path, entry)| {
            entry["decision"] == "keep" && entry["rule"] == rule && path.ends_with(ending)
        })
    };
    assert!(kept_by("erlang", "/bin/heart"), "the emulator starts it when it is told to watch itself");
    assert!(kept_by("erlang", "/priv/bin/memsup"));
    assert!(kept_by("reference", ".beam"));
    let removed = |ending: &str| {
        entries.iter().any(|(path, entry)| entry["decision"] == "remove" && path.ends_with(ending))
    };
    assert!(removed("/rabbit_mgmt_app.beam"), "a plug-in that is not enabled is no part of the run");
}
