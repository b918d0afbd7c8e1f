//! The page of a large image: small enough, quick enough, and open to everybody.

use std::collections::BTreeMap;
use std::time::Instant;

use careen_report::Parts;
use harden::{Decision, Ledger, PathKind, Policy, Rule};
use image::ImagePath;
use serde_json::json;

use super::browser::Browser;
use super::{entry, hardening, identity, path};

const WORDS: [&str; 12] = [
    "core", "stream", "validate", "index", "helpers", "internal", "parse", "locale", "create", "types",
    "async", "compile",
];

/// A ledger of so many files, in packages of forty as npm has them, every ninth of them kept.
fn ledger(files: usize) -> Ledger {
    let mut entries = BTreeMap::new();
    let mut package = path("/app");
    for number in 0..files {
        // Without a pattern that a reader of the page could guess: a multiplier from Knuth's table.
        let random = number.wrapping_mul(6_364_136_223_846_793_005) >> 33;
        let word = |shift: usize| WORDS[(random >> shift) % WORDS.len()];
        let place = number / 40;
        if number.is_multiple_of(40) {
            package = path(&format!("/app/node_modules/{}-{}-{place}", word(3), word(7)));
            let mut directory = entry(Decision::Keep, Rule::Ancestor, 0);
            directory.kind = PathKind::Directory;
            entries.insert(package.clone(), directory);
        }
        let name = format!("dist/{}/{}-{}.{number}.js", word(11), word(5), word(9));
        let is_kept = random.is_multiple_of(9);
        let (decision, rule) =
            if is_kept { (Decision::Keep, Rule::Observed) } else { (Decision::Remove, Rule::Unused) };
        let mut file = entry(decision, rule, 200 + (random % 40_000) as u64);
        file.packages = vec![format!("package-{place}")];
        let at: ImagePath = package.join(name.as_bytes()).unwrap();
        entries.insert(at, file);
    }
    Ledger { format_version: 1, image: identity(), policy: Policy::default(), entries }
}

fn page(files: usize) -> String {
    let result = hardening();
    let ledger = ledger(files);
    careen_report::render(&Parts { result: &result, ledger: &ledger, profile: None, findings: None }).unwrap()
}

#[test]
fn the_page_of_thirty_thousand_files_is_below_five_megabytes() {
    let bytes = page(30_000).len();
    assert!(bytes < 5_000_000, "{bytes}");
    // All of it is there, not what fits.
    assert!(bytes > 500_000, "{bytes}");
}

#[test]
fn a_hundred_thousand_rows_load_search_and_scroll_at_once_and_are_accessible() {
    let Some(mut browser) = Browser::start_or_skip() else { return };
    let start = Instant::now();
    let page = page(100_000);
    let rendered = start.elapsed();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("report.html");
    std::fs::write(&file, &page).unwrap();
    browser.open(&file);
    let rows = browser.run("return document.querySelectorAll('#rows tr').length").as_u64().unwrap();
    assert!((20..80).contains(&rows), "only what is in sight exists: {rows} rows");
    let load = "return performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd";
    let load = browser.run(load).as_f64().unwrap();

    // From the key to the drawn list, the longest of several words.
    let timed = |script: &str| {
        format!("const start = performance.now(); {script}; return performance.now() - start;")
    };
    let typed = |text: &str| {
        timed(&format!(
            "const box = document.getElementById('search'); box.value = '{text}';
            box.dispatchEvent(new Event('input', {{bubbles: true}})); document.body.offsetHeight"
        ))
    };
    let mut search: f64 = 0.0;
    for text in ["c", "core", "stream validate", "nothing has this", "99999.js"] {
        search = search.max(browser.run(&typed(text)).as_f64().unwrap());
    }
    let count = "return document.getElementById('count').textContent";
    assert!(browser.run(count).as_str().unwrap().starts_with("1 path, "), "{}", browser.run(count));
    browser.run(&typed(""));
    let order = timed(
        "const box = document.getElementById('order'); box.value = 'size';
        box.dispatchEvent(new Event('input', {bubbles: true})); document.body.offsetHeight",
    );
    let order = browser.run(&order).as_f64().unwrap();
    let end = timed(
        "const list = document.getElementById('list'); list.focus();
        document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'End', bubbles: true}));
        document.body.offsetHeight",
    );
    let end = browser.run(&end).as_f64().unwrap();
    let all = browser.run("return document.querySelector('#list table').getAttribute('aria-rowcount')");
    // The list is drawn with the next frame, and the focus goes there with it.
    let focused = "return document.activeElement.closest('tr')?.getAttribute('aria-rowindex') ?? null";
    let mut last = browser.run(focused);
    for _ in 0..100 {
        if last == all {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
        last = browser.run(focused);
    }
    assert_eq!(last, all, "the keyboard reaches the last of them");
    let map = timed("document.querySelector('input[value=package]').click(); document.body.offsetHeight");
    let map = browser.run(&map).as_f64().unwrap();
    println!(
        "100,000 files: {} bytes, made in {rendered:?}; load {load:.0} ms, search {search:.0} ms, order {order:.0} ms, \
         to the end {end:.0} ms, map by package {map:.0} ms",
        page.len()
    );
    // Far above what was measured, far below what is felt as a standstill.
    assert!(load < 10_000.0, "load: {load}");
    for (what, took) in [("search", search), ("order", order), ("end", end), ("map", map)] {
        assert!(took < 3000.0, "{what}: {took}");
    }
    assert_eq!(
        browser.run("return document.querySelectorAll('script[src], link[href], img[src]').length"),
        json!(0)
    );
    browser.is_accessible();
}
