//! What the sensor costs, as ratios of CPU time to the same work untraced. Not a check: run it alone, and read it.
//!
//!     cargo test --release -p careen-sensor --test cost -- --ignored --nocapture
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod fixture;

use std::process::Command;

use fixture::{Container, STATIC, assert_complete, compile, make};

const ROUNDS: usize = 7;

/// CPU seconds, user and system, of a storm, in the cgroup or out of it.
fn cpu_seconds(container: &Container, inside: bool, args: &[&str]) -> f64 {
    let join = if inside { r#"echo 0 > "$0/cgroup.procs";"# } else { "" };
    let script = format!(r#"{join} TIMEFORMAT='%U %S'; time chroot "$1" "${{@:2}}""#);
    let output = Command::new("bash")
        .args(["-c", &script])
        .args([&container.cgroup, &container.merged()])
        .args(args)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    text.split_whitespace().map(|seconds| seconds.parse::<f64>().unwrap()).sum()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
#[ignore = "measures"]
fn cost_of_uses_that_are_already_recorded() {
    let Some(container) = Container::new(|lower| {
        compile("storm.c", &lower.join("t/storm"), STATIC);
        for file in 0..1000 {
            make(lower, format!("t/many/f{file}").as_bytes(), "");
        }
    }) else {
        return;
    };
    for what in ["open", "stat"] {
        let args = ["/t/storm", what, "1", "300000"];
        let (mut inside, mut outside) = (Vec::new(), Vec::new());
        let mut base = Vec::new();
        for _ in 0..ROUNDS {
            let untraced = cpu_seconds(&container, true, &args);
            let recording = container.record();
            inside.push(cpu_seconds(&container, true, &args) / untraced);
            outside.push(cpu_seconds(&container, false, &args) / untraced);
            assert_complete(&container.finish(recording));
            base.push(untraced);
        }
        eprintln!(
            "{what}: {:.3} us untraced, inside {:.2}, outside {:.2}",
            median(base) / 0.3,
            median(inside),
            median(outside)
        );
    }
}
