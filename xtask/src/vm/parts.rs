//! What runs in the virtual machine, and what must come of it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::kernel::Edition;

/// The backends, each of which is forced once.
pub(crate) const BACKENDS: [&str; 3] = ["ebpf-base", "ebpf-lsm", "ebpf-fentry"];

const EVERY_WAY: &str = "every_way_to_use_a_file_is_recorded_as_what_it_is";
const BY_HANDLE: &str = "hard_9_a_file_opened_by_handle_is_recorded";
const LONG_NAMES: &str = "hard_30_names_and_paths_as_long_as_the_kernel_allows_come_out_whole";
const CHOICE: &str = "the_strongest_backend_that_loads_watches_and_those_before_it_say_why_they_do_not";
const FALL_BACK: &str = "a_backend_that_lacks_one_hook_is_passed_over_whole_and_the_next_one_watches";
const STORM: &str = "hard_21_sixteen_threads_are_counted_to_the_last_use";

/// One run of the machine.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) name: &'static str,
    pub(crate) kernel: Edition,
    /// What stands on the kernel's command line.
    pub(crate) boot: &'static str,
    pub(crate) parts: Vec<Part>,
}

/// A command that runs in the machine and must succeed.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) limit_seconds: u32,
    /// For its shell.
    pub(crate) command: String,
    /// What must be in its output.
    pub(crate) expected: String,
}

/// All runs.
pub(crate) fn runs() -> Vec<Run> {
    let choice = format!("{CHOICE} {FALL_BACK}");
    let mut as_it_is = vec![doctor("ebpf-lsm"), accounting("auto", &choice)];
    as_it_is.push(test("torture", BACKENDS[0], 300, ""));
    as_it_is.extend([BACKENDS[1], BACKENDS[2]].map(|backend| {
        test("torture", backend, 300, &format!("--exact {EVERY_WAY} {BY_HANDLE} {LONG_NAMES}"))
    }));
    as_it_is.extend(BACKENDS.map(harden));
    let mut preempted: Vec<_> = BACKENDS.map(|backend| test("torture", backend, 300, EVERY_WAY)).to_vec();
    preempted.extend(BACKENDS.map(|backend| accounting(backend, STORM)));
    preempted.push(harden("auto"));
    let every_way = test("torture", "auto", 300, EVERY_WAY);
    let without_bpf = vec![doctor("ebpf-fentry"), accounting("auto", CHOICE), every_way, harden("auto")];
    let mut older = vec![doctor("ebpf-lsm")];
    older.extend(BACKENDS.map(|backend| test("torture", backend, 300, EVERY_WAY)));
    older.extend(BACKENDS.map(harden));
    let newest = |name, boot, parts| Run { name, kernel: Edition::Newest, boot, parts };
    vec![
        newest("as-it-is", "", as_it_is),
        newest("preempted", "preempt=full", preempted),
        // Programs of the BPF security module load there and are never run.
        newest("without-bpf", "lsm=lockdown,capability,landlock,yama", without_bpf),
        Run { name: "older", kernel: Edition::OfRelease, boot: "", parts: older },
    ]
}

fn doctor(backend: &str) -> Part {
    Part {
        name: "doctor".to_owned(),
        limit_seconds: 120,
        command: "careen --data-dir /root/careen doctor --output json".to_owned(),
        expected: format!("the eBPF backend `{backend}` loads"),
    }
}

fn accounting(backend: &str, names: &str) -> Part {
    test("accounting", backend, 300, &format!("--nocapture --exact {names}"))
}

fn test(program: &str, backend: &str, limit_seconds: u32, more: &str) -> Part {
    let surroundings = "TMPDIR=/root CAREEN_NO_SKIP=1 CAREEN_PROGRAMS=/vm/programs CAREEN_SENSOR_TABLE=/vm/out RUST_BACKTRACE=1";
    Part {
        name: format!("{program}-{backend}"),
        limit_seconds,
        command: format!("{surroundings} CAREEN_SENSOR={backend} /vm/{program} --test-threads=1 {more}"),
        expected: "test result: ok".to_owned(),
    }
}

fn harden(sensor: &str) -> Part {
    let command = format!(
        "careen --data-dir /root/careen harden oci:/vm/images/busybox:latest --coverage /vm/busybox.yaml \
         --sensor {sensor} --output-image oci:/root/{sensor}:latest --output json"
    );
    let expected = if sensor == "auto" { String::new() } else { format!("\"{sensor}\"") };
    Part { name: format!("harden-{sensor}"), limit_seconds: 300, command, expected }
}

/// Judges what a part left; the text says what was found.
///
/// # Errors
/// What is not as it must be.
pub(crate) fn judge(part: &Part, code: i32, dir: &Path) -> Result<String> {
    let read =
        |ending: &str| fs::read_to_string(dir.join(format!("{}.{ending}", part.name))).unwrap_or_default();
    let (output, errors) = (read("out"), read("err"));
    if code != 0 || !output.contains(&part.expected) {
        bail!("{} ended with {code}; `{}` is expected\n{output}{errors}", part.name, part.expected);
    }
    if part.name.starts_with("doctor") {
        let examination: Value = serde_json::from_str(&output).context("the doctor printed no JSON")?;
        let checks = examination["checks"].as_array().into_iter().flatten();
        let of_sensor = checks.filter(|check| check["name"] == "sensor" || check["name"] == "hooks");
        return Ok(of_sensor.map(|check| check["finding"].to_string()).collect::<Vec<_>>().join(", "));
    }
    if part.name.starts_with("harden") {
        let result: Value = serde_json::from_str(&output).context("hardening printed no JSON")?;
        let image = result["hardened"]["manifest_digest"].as_str().context("nothing was hardened")?;
        return Ok(format!("{}, {image}", result["verification"]["verdict"]));
    }
    let passed_over = errors.lines().rfind(|line| line.starts_with("passed over"));
    let result = output.lines().find(|line| line.starts_with("test result")).unwrap_or_default();
    let result = result.split(';').next().unwrap_or_default();
    Ok(passed_over.map_or(result.to_owned(), |passed_over| format!("{result} {passed_over}")))
}
