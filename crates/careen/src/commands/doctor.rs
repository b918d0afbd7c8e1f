//! `careen doctor`: what this host can do, what it cannot, why, and what to change.

use std::collections::BTreeSet;
use std::fs;

use engine::Standing;
use image::Platform;
use sensor::{Sensor, Strength, notify};
use serde::Serialize;

use crate::cli::SensorArg;
use crate::context::Context;
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::output;

/// Free space below which a run is likely to end in a full disk.
const LITTLE_SPACE_BYTES: u64 = 2 << 30;

#[derive(Serialize)]
struct Examination {
    /// Whether images can be run and recorded here.
    can_record: bool,
    checks: Vec<Check>,
}

#[derive(Serialize)]
struct Check {
    name: &'static str,
    state: State,
    /// What was found.
    finding: String,
    /// What can be done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// As it should be.
    Good,
    /// Works, with something to know.
    Note,
    /// Runs and recordings are impossible.
    Bad,
}

/// Examines the host by trying, and prints what was found.
pub(crate) fn run(context: &Context) -> Result<(), Failure> {
    context.progress.stage("examine", None);
    let mut checks = vec![host(), user(), cgroups(), engine(context)];
    checks.extend(sensor(context));
    checks.extend([space(context), rootless()]);
    context.progress.abandon();
    let can_record = checks.iter().all(|check| check.state != State::Bad);
    let examination = Examination { can_record, checks };
    output::print(context.output, &examination, text)?;
    if can_record {
        return Ok(());
    }
    Err(Failure::new(ExitCode::Host, "this host can plan and write images, but not run and record them")
        .hint("record the profile on another host, and harden with --profile here".to_owned()))
}

fn host() -> Check {
    let release = read("/proc/sys/kernel/osrelease");
    Check {
        name: "host",
        state: State::Good,
        finding: format!("{}, kernel {release}", Platform::host()),
        hint: None,
    }
}

fn user() -> Check {
    let ordinary = match Standing::of_this_process() {
        Standing::Users => Some("an ordinary user with a range of others (newuidmap, /etc/subuid)"),
        Standing::OneUser => Some("an ordinary user, who is the only one in containers"),
        Standing::Root | Standing::Ordinary => None,
    };
    if let Some(finding) = ordinary {
        return Check { name: "user", state: State::Good, finding: finding.to_owned(), hint: None };
    }
    let status = read("/proc/self/status");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::trim).unwrap_or_default().to_owned()
    };
    let is_root = field("Uid:").split_whitespace().nth(1) == Some("0");
    let effective = u64::from_str_radix(&field("CapEff:"), 16).unwrap_or_default();
    // Numbers of <linux/capability.h>.
    let wanted = [
        ("CAP_SYS_ADMIN", 21),
        ("CAP_SYS_CHROOT", 18),
        ("CAP_SYS_PTRACE", 19),
        ("CAP_NET_ADMIN", 12),
        ("CAP_SETUID", 7),
        ("CAP_SETGID", 6),
        ("CAP_DAC_OVERRIDE", 1),
        ("CAP_MKNOD", 27),
        ("CAP_BPF", 39),
        ("CAP_PERFMON", 38),
    ];
    let missing: Vec<_> =
        wanted.iter().filter(|(_, bit)| effective & (1 << bit) == 0).map(|(name, _)| *name).collect();
    // CAP_SYS_ADMIN includes what was split off it later.
    let has_admin = !missing.contains(&"CAP_SYS_ADMIN");
    let missing: Vec<_> = missing
        .into_iter()
        .filter(|name| !(has_admin && matches!(*name, "CAP_BPF" | "CAP_PERFMON")))
        .collect();
    let (state, finding, hint) = match (is_root, missing.is_empty()) {
        (true, true) => (State::Good, "root with all capabilities that are needed".to_owned(), None),
        (true, false) => (
            State::Bad,
            format!("root without {}", missing.join(", ")),
            Some("give the container or service that runs careen these capabilities".to_owned()),
        ),
        (false, _) => (
            State::Bad,
            "not root, and no root of a user namespace either".to_owned(),
            Some("run it with sudo, or allow user namespaces".to_owned()),
        ),
    };
    Check { name: "user", state, finding, hint }
}

fn cgroups() -> Check {
    if Standing::of_this_process().is_rootless() {
        let finding = "not used without root: PID namespaces keep containers together".to_owned();
        return Check { name: "cgroups", state: State::Good, finding, hint: None };
    }
    let mounts = read("/proc/self/mountinfo");
    let of_type = |kind: &str| {
        mounts.lines().find_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let is_it = right.split(' ').next() == Some(kind);
            is_it.then(|| left.split(' ').nth(4).unwrap_or_default().to_owned())
        })
    };
    let (state, finding, hint) = match (of_type("cgroup2"), of_type("cgroup")) {
        (Some(at), None) => (State::Good, format!("cgroup2 at {at}"), None),
        (Some(at), Some(_)) => (
            State::Note,
            format!(
                "hybrid: controllers in version 1, cgroup2 at {at}, which serves to tell containers apart"
            ),
            None,
        ),
        (None, _) => (
            State::Bad,
            "no cgroup2 hierarchy".to_owned(),
            Some("mount one, such as with: mount -t cgroup2 none /sys/fs/cgroup/unified".to_owned()),
        ),
    };
    Check { name: "cgroups", state, finding, hint }
}

fn engine(context: &Context) -> Check {
    match context.engine() {
        Ok(_) => Check {
            name: "engine",
            state: State::Good,
            finding: "the embedded engine runs containers here".to_owned(),
            hint: None,
        },
        Err(failure) => failed("engine", failure),
    }
}

/// Which sensor watches here, and what it lacks.
fn sensor(context: &Context) -> Vec<Check> {
    match Sensor::load(&context.sensor_options(SensorArg::Ebpf)) {
        Ok(sensor) => vec![
            Check {
                name: "sensor",
                state: State::Good,
                finding: format!("the eBPF backend `{}` loads", sensor.backend()),
                hint: None,
            },
            hooks(&sensor),
        ],
        Err(error) => vec![Check {
            name: "sensor",
            state: State::Note,
            finding: format!("`{}`: {error}, so file access is watched by notification", notify::BACKEND),
            hint: error.hint().map(|hint| {
                format!("for eBPF, which is faster: {hint}. Not seen now: {}", notify::NOT_SEEN.join("; "))
            }),
        }],
    }
}

/// Whether the kernel itself tells which files it uses. A recording is complete without.
fn hooks(sensor: &Sensor) -> Check {
    let passed_over = sensor.passed_over();
    let reasons: Vec<_> =
        passed_over.iter().map(|other| format!("`{}`: {}", other.backend, other.reason)).collect();
    let hints: BTreeSet<_> = passed_over.iter().map(|other| other.hint.as_str()).collect();
    let is_told = sensor.backend() != Strength::Base.name();
    let mut finding = if is_told {
        "the kernel itself tells which files it uses, which confirms recordings".to_owned()
    } else {
        "recordings are complete, but not confirmed from within the kernel".to_owned()
    };
    if !reasons.is_empty() {
        finding += &format!("; not {}", reasons.join("; not "));
    }
    Check {
        name: "hooks",
        state: if is_told { State::Good } else { State::Note },
        finding,
        hint: (!hints.is_empty()).then(|| hints.into_iter().collect::<Vec<_>>().join("; or ")),
    }
}

fn space(context: &Context) -> Check {
    let name = "data directory";
    let dir = match context.scratch_dir() {
        Ok(_) => &context.data_dir,
        Err(failure) => return failed(name, failure),
    };
    match rustix::fs::statvfs(dir).ok().map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize)) {
        Some(free) if free < LITTLE_SPACE_BYTES => Check {
            name,
            state: State::Note,
            finding: format!("{} with only {} free", dir.display(), output::bytes_text(free)),
            hint: Some("unpacked layers lie there: choose a larger disk with --data-dir".to_owned()),
        },
        Some(free) => Check {
            name,
            state: State::Good,
            finding: format!("{} with {} free", dir.display(), output::bytes_text(free)),
            hint: None,
        },
        None => Check { name, state: State::Good, finding: dir.display().to_string(), hint: None },
    }
}

fn rootless() -> Check {
    let name = "rootless";
    let good = |finding: &str| Check { name, state: State::Good, finding: finding.to_owned(), hint: None };
    let note = |finding: &str, hint: &str| Check {
        name,
        state: State::Note,
        finding: finding.to_owned(),
        hint: Some(hint.to_owned()),
    };
    match Standing::of_this_process() {
        Standing::Users => good("containers run in a user namespace, with all users of an image"),
        Standing::OneUser => note(
            "containers run in a user namespace with one user: changes of owner only seem to succeed, changes of user fail",
            "for images that have users of their own: install uidmap, and give this user 65536 numbers in \
             /etc/subuid and /etc/subgid",
        ),
        Standing::Root if read("/proc/sys/user/max_user_namespaces") == "0" => note(
            "ordinary users cannot run containers here: user namespaces are switched off",
            "sysctl user.max_user_namespaces=15000",
        ),
        Standing::Root if read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" => note(
            "ordinary users cannot run containers here: AppArmor restricts user namespaces",
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        Standing::Root => good("ordinary users can run and record, too: run careen doctor as one of them"),
        Standing::Ordinary => note(
            "no user namespace can be made",
            "sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone and \
             kernel.apparmor_restrict_unprivileged_userns decide",
        ),
    }
}

fn failed(name: &'static str, failure: Failure) -> Check {
    Check { name, state: State::Bad, finding: failure.summary(), hint: failure.into_hint() }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).map(|text| text.trim_end().to_owned()).unwrap_or_default()
}

fn text(examination: &Examination) -> String {
    let width = examination.checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for check in &examination.checks {
        let sign = match check.state {
            State::Good => "ok  ",
            State::Note => "note",
            State::Bad => "NO  ",
        };
        out += &format!("  {sign}  {:width$}  {}\n", check.name, check.finding);
        if let Some(hint) = &check.hint {
            out += &format!("  {:4}  {:width$}  hint: {hint}\n", "", "");
        }
    }
    out
}
