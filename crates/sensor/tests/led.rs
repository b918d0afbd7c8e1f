//! Paths that lead through what the container made and took away again: what they led to is recorded, by every backend.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod fixture;

use fixture::{Container, STATIC, assert_complete, compile, kinds, make};

#[test]
fn what_a_path_led_to_is_recorded_though_the_links_and_mounts_on_its_way_are_gone() {
    let Some(container) = Container::new(|lower| {
        compile("led.c", &lower.join("t/led"), STATIC);
        for name in ["stat", "made", "unlinked", "root", "cwd", "relative", "child"] {
            make(lower, format!("t/real/f_{name}").as_bytes(), "");
        }
        make(lower, b"t/real/dir/f_behind", "");
        make(lower, b"t/real/l_met", "dir");
        make(lower, b"t/real/d_new", "");
        make(lower, b"t/from/f_bound", "");
        make(lower, b"t/to/f_bound", "");
        make(lower, b"t/d_tmp", "");
        std::fs::create_dir(lower.join("t/tmp")).unwrap();
    }) else {
        return;
    };
    let recording = container.record();
    let output = container.command(&["/t/led"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let record = container.finish(recording);
    assert_complete(&record);
    for (path, expected) in [
        ("f_stat", &["stat"][..]),
        ("f_made", &["stat"]),
        ("f_root", &["stat"]),
        ("f_cwd", &["stat"]),
        ("f_relative", &["stat"]),
        ("f_child", &["stat"]),
        ("f_unlinked", &["open-write"]),
        ("f_missing", &["missing 2"]),
        ("l_met", &["readlink"]),
        ("dir/f_behind", &["open-read"]),
        ("d_new", &["open-write"]),
    ] {
        let found = kinds(&record, format!("t/real/{path}").as_bytes());
        assert_eq!(found, expected, "{path}");
    }
    assert_eq!(kinds(&record, b"t/from/f_bound"), ["stat"]);
}
