//! The runtime's configuration of one container (`config.json`), and the files of ours that it mounts.
//!
//! Source: OCI runtime-spec 1.2, `config.md` and `config-linux.md`; the values are Docker's defaults.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::capabilities;
use crate::inside::{Inside, clean};
use crate::options::{Network, RunOptions};
use crate::overlay::Dirs;
use crate::protocol::{Failure, Plan};
use crate::users::User;
use crate::watched::Harness;
use crate::{Standing, settings, users};

/// Paths of `/proc` and `/sys` that tell about or change the host. Source: moby, `oci/defaults.go`.
const MASKED: [&str; 13] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/proc/bus/input",
];
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Where in the run directory the bundle is.
pub(crate) fn dir(run_dir: &Path) -> PathBuf {
    run_dir.join("bundle")
}

/// The files that stand for `/etc/hosts` and its like, as (host, container).
pub(crate) fn etc_files(run_dir: &Path) -> [(PathBuf, &'static str); 3] {
    [("hostname", "/etc/hostname"), ("hosts", "/etc/hosts"), ("resolv.conf", "/etc/resolv.conf")]
        .map(|(name, container)| (run_dir.join("etc").join(name), container))
}

/// The name that the container calls itself.
pub(crate) fn hostname(plan: &Plan) -> String {
    plan.options.hostname.clone().unwrap_or_else(|| plan.id.clone())
}

/// Writes the bundle of a container whose root file system is mounted at `dirs.merged`. Gives what is mounted from the
/// host: its path there, and in the container, links resolved.
pub(crate) fn write(plan: &Plan, dirs: &Dirs) -> Result<Vec<(PathBuf, String)>, Failure> {
    let failed = |error: io::Error| Failure::step("write the configuration of", &error);
    let inside = Inside::open(&dirs.merged).map_err(failed)?;
    let host_mounts = host_mounts(plan, &inside)?;
    let config = configuration(plan, dirs, &inside)?;
    write_etc_files(plan).map_err(failed)?;
    let dir = dir(&plan.run_dir);
    fs::create_dir_all(&dir).map_err(failed)?;
    fs::write(dir.join("config.json"), config.to_string()).map_err(failed)?;
    Ok(host_mounts)
}

fn host_mounts(plan: &Plan, inside: &Inside) -> Result<Vec<(PathBuf, String)>, Failure> {
    let mut out = Vec::new();
    for (host, container) in etc_files(&plan.run_dir) {
        out.push((host, container.to_owned(), false));
    }
    for bind in &plan.options.binds {
        if !bind.host.is_absolute() || !bind.host.exists() {
            let problem = "is not an absolute path of something that exists".to_owned();
            return Err(Failure::Option {
                option: "bind".into(),
                value: bind.host.display().to_string(),
                problem,
            });
        }
        out.push((bind.host.clone(), absolute("bind", &bind.container)?, bind.host.is_dir()));
    }
    let resolve = |(host, container, directory): (PathBuf, String, bool)| {
        let resolved = inside.mount_point(&container, directory).map_err(|error| Failure::Option {
            option: "bind".into(),
            value: container.clone(),
            problem: format!("cannot be mounted on: {error}"),
        })?;
        Ok((host, resolved))
    };
    out.into_iter().map(resolve).collect()
}

fn configuration(plan: &Plan, dirs: &Dirs, inside: &Inside) -> Result<Value, Failure> {
    let Plan { defaults, options, .. } = plan;
    let hostname = hostname(plan);
    let args = settings::args(defaults, options)?;
    let user = users::look_up(inside, options.user.as_deref().unwrap_or(&defaults.user))?;
    let env = settings::extend(settings::environment(defaults, options, &hostname), &[], &user.home);
    let working_dir = settings::working_dir(defaults, options);
    inside.make_dirs(&working_dir).map_err(|error| Failure::Option {
        option: "working directory".into(),
        value: working_dir.clone(),
        problem: format!("cannot be made: {error}"),
    })?;
    let capabilities = capabilities(plan, &user)?;
    let user = user.standing(plan.standing);
    let mut namespaces = vec!["mount", "pid", "ipc", "uts"];
    let mut sysctl = json!({});
    if options.network == Network::Private {
        namespaces.push("network");
        // As Docker: ports below 1024 and ping need no privilege where the network is the container's own.
        // A range of groups must be one that the user namespace has.
        let groups = if plan.standing.is_rootless() { "0 0" } else { "0 2147483647" };
        sysctl = json!({ "net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": groups });
    }
    if plan.cgroup.runtime_joins() && !plan.cgroup.is_absent() {
        namespaces.push("cgroup");
    }
    let namespaces: Vec<Value> = namespaces.into_iter().map(|kind| json!({ "type": kind })).collect();
    Ok(json!({
        "ociVersion": "1.0.2",
        "hostname": hostname,
        "root": { "path": dirs.merged, "readonly": options.read_only },
        "process": settings::process(
            &args,
            &env,
            &working_dir,
            &user,
            &capabilities,
            options.no_new_privileges,
            is_harnessed(plan),
        ),
        "mounts": mounts(plan, inside)?,
        "linux": {
            "cgroupsPath": plan.cgroup.runtime_path(),
            "namespaces": namespaces,
            "sysctl": sysctl,
            "maskedPaths": MASKED,
            "readonlyPaths": READ_ONLY,
            "resources": { "devices": devices() },
        },
    }))
}

/// The capabilities of the container's root user.
///
/// Where no device controller restricts it, making device nodes is not among them, and nodes of the image cannot be
/// opened, since all mounts but `/dev` are `nodev`. Adding MKNOD by name then opens the host's devices, as asked.
///
/// Where there is one user only, who is root, a user of the image has none, for root would have them all.
pub(crate) fn capabilities(plan: &Plan, user: &User) -> Result<Vec<String>, Failure> {
    let RunOptions { cap_drop, cap_add, .. } = &plan.options;
    if plan.standing == Standing::OneUser && user.uid != 0 {
        return Ok(Vec::new());
    }
    capabilities::resolve(cap_drop, cap_add, capabilities::ours(), plan.cgroup.has_device_controller())
}

/// Whether its processes put filters on themselves.
pub(crate) fn is_harnessed(plan: &Plan) -> bool {
    plan.options.watch.is_some() || plan.standing == Standing::OneUser
}

/// What the processes put on themselves, to be prepared before each is forked.
pub(crate) fn harness(plan: &Plan, capabilities: &[String], uid: u32) -> io::Result<Harness> {
    let bounding = capabilities::mask(capabilities);
    let effective = if uid == 0 { bounding } else { 0 };
    let one_user = plan.standing == Standing::OneUser;
    Harness::prepare(&plan.run_dir, plan.options.watch.as_ref(), one_user, bounding, effective)
}

/// The device controller's rules: nothing but Docker's list.
fn devices() -> Value {
    let allowed = |kind: &str, major: Option<u32>, minor: Option<u32>, access: &str| {
        let mut rule = json!({ "allow": true, "type": kind, "access": access });
        for (name, number) in [("major", major), ("minor", minor)] {
            if let Some(number) = number {
                rule[name] = number.into();
            }
        }
        rule
    };
    let character = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)];
    let mut rules = vec![json!({ "allow": false, "access": "rwm" })];
    rules.extend([allowed("c", None, None, "m"), allowed("b", None, None, "m")]);
    rules.extend(character.map(|(major, minor)| allowed("c", Some(major), Some(minor), "rwm")));
    rules.push(allowed("c", Some(136), None, "rwm"));
    Value::Array(rules)
}

fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Value {
    json!({ "destination": destination, "type": kind, "source": source, "options": options })
}

fn mounts(plan: &Plan, inside: &Inside) -> Result<Vec<Value>, Failure> {
    let options = &plan.options;
    let terminals: &[&str] = match plan.standing {
        // There is no group 5 to give them to.
        Standing::OneUser => &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
        _ => &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    };
    // Only who owns the network namespace may mount a view of its devices.
    let system = match plan.standing.is_rootless() && options.network == Network::Host {
        true => mount("/sys", "bind", "/sys", &["rbind", "rprivate", "nosuid", "noexec", "nodev", "ro"]),
        false => mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    };
    let mut out = vec![
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount("/dev/pts", "devpts", "devpts", terminals),
        system,
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
    ];
    if plan.cgroup.runtime_joins() && !plan.cgroup.is_absent() {
        out.push(mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "ro"]));
    }
    for (host, container) in etc_files(&plan.run_dir) {
        out.push(bind(&host, container, if options.read_only { "ro" } else { "rw" })?);
    }
    if options.read_only {
        out.extend(writable_volumes(plan, inside)?);
    }
    for tmpfs in &options.tmpfs {
        out.push(tmpfs_mount(tmpfs, inside, plan.standing)?);
    }
    for asked in &options.binds {
        let container = absolute("bind", &asked.container)?;
        if !asked.host.is_absolute() || !asked.host.exists() {
            let problem = "is not an absolute path of something that exists".to_owned();
            return Err(Failure::Option {
                option: "bind".into(),
                value: asked.host.display().to_string(),
                problem,
            });
        }
        out.push(bind(&asked.host, &container, if asked.read_only { "ro" } else { "rw" })?);
    }
    Ok(out)
}

fn bind(host: &Path, container: &str, access: &str) -> Result<Value, Failure> {
    let host = host.to_str().ok_or_else(|| Failure::Option {
        option: "bind".into(),
        value: host.display().to_string(),
        problem: "is not UTF-8".into(),
    })?;
    Ok(mount(container, "bind", host, &["rbind", "rprivate", "nodev", access]))
}

/// On a read-only root the image's volumes stay writable. Each is a mount of the directory onto itself, which the
/// switch of the root mount to read-only does not reach: it starts with the image's content, and changes go to the
/// container's writable layer as they would without `read_only`.
fn writable_volumes(plan: &Plan, inside: &Inside) -> Result<Vec<Value>, Failure> {
    let mut out = Vec::new();
    for volume in &plan.defaults.volumes {
        let volume = clean(volume);
        if volume == "/" || plan.options.binds.iter().any(|bind| clean(&bind.container) == volume) {
            continue;
        }
        let failed = |error: io::Error| Failure::Option {
            option: "volume".into(),
            value: volume.clone(),
            problem: format!("of the image cannot be made: {error}"),
        };
        inside.make_dirs(&volume).map_err(failed)?;
        let host = inside.host_path(&volume).map_err(failed)?;
        out.push(bind(&host, &volume, "rw")?);
    }
    Ok(out)
}

/// Whether a tmpfs can be mounted as it is asked for.
///
/// Source: tmpfs(5), mount(8).
pub(crate) fn check_tmpfs(text: &str) -> Result<(), Failure> {
    const FLAGS: [&str; 22] = [
        "rw",
        "ro",
        "suid",
        "nosuid",
        "dev",
        "nodev",
        "exec",
        "noexec",
        "sync",
        "async",
        "dirsync",
        "atime",
        "noatime",
        "diratime",
        "nodiratime",
        "relatime",
        "norelatime",
        "strictatime",
        "nostrictatime",
        "noswap",
        "inode32",
        "inode64",
    ];
    let (path, options) = text.split_once(':').unwrap_or((text, ""));
    absolute("tmpfs", path)?;
    let is_count = |value: &str, units: &str| {
        let digits = value.strip_suffix(|last: char| units.contains(last.to_ascii_lowercase()));
        let digits = digits.unwrap_or(value);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_usable = |option: &str| match option.split_once('=') {
        None => FLAGS.contains(&option),
        Some(("size", value)) => is_count(value, "kmgtpe%"),
        Some(("nr_blocks" | "nr_inodes", value)) => is_count(value, "kmgtpe"),
        Some(("mode", value)) => u32::from_str_radix(value, 8).is_ok_and(|mode| mode <= 0o7777),
        Some(("uid" | "gid", value)) => value.parse::<u32>().is_ok(),
        Some(("huge", value)) => ["never", "always", "within_size", "advise"].contains(&value),
        Some(("mpol", _)) => true,
        Some(_) => false,
    };
    match options.split(',').filter(|option| !option.is_empty()).find(|option| !is_usable(option)) {
        None => Ok(()),
        Some(bad) => Err(Failure::Option {
            option: "tmpfs".to_owned(),
            value: text.to_owned(),
            problem: format!("has an option that a tmpfs does not take: {bad}"),
        }),
    }
}

/// As Docker: empty, `noexec,nosuid,nodev` unless told otherwise; mode and owner those of the image's directory.
fn tmpfs_mount(text: &str, inside: &Inside, standing: Standing) -> Result<Value, Failure> {
    let (path, extra) = text.split_once(':').unwrap_or((text, ""));
    let path = absolute("tmpfs", path)?;
    let mut options: Vec<String> = ["noexec", "nosuid", "nodev"].map(str::to_owned).into();
    options.extend(extra.split(',').filter(|option| !option.is_empty()).map(str::to_owned));
    if !options.iter().any(|option| option.starts_with("mode=")) {
        match inside.directory(&path) {
            Some(present) if standing == Standing::OneUser => {
                options.push(format!("mode={:o}", present.mode));
            }
            Some(present) => options.extend([
                format!("mode={:o}", present.mode),
                format!("uid={}", present.uid),
                format!("gid={}", present.gid),
            ]),
            None => options.push("mode=1777".into()),
        }
    }
    Ok(json!({ "destination": path, "type": "tmpfs", "source": "tmpfs", "options": options }))
}

fn absolute(option: &str, path: &str) -> Result<String, Failure> {
    if path.starts_with('/') && clean(path) != "/" {
        return Ok(clean(path));
    }
    let problem = "is not an absolute path in the container".to_owned();
    Err(Failure::Option { option: option.to_owned(), value: path.to_owned(), problem })
}

fn write_etc_files(plan: &Plan) -> io::Result<()> {
    let hostname = hostname(plan);
    fs::create_dir_all(plan.run_dir.join("etc"))?;
    let private = plan.options.network == Network::Private;
    for (host, container) in etc_files(&plan.run_dir) {
        let text = match container {
            "/etc/hostname" => format!("{hostname}\n"),
            "/etc/hosts" if private => format!(
                "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.0.1\t{hostname}\n"
            ),
            // Nobody could be reached; without a name server in the file libc asks 127.0.0.1, which refuses at once.
            "/etc/resolv.conf" if private => String::new(),
            shared => fs::read_to_string(shared).unwrap_or_default(),
        };
        fs::write(host, text)?;
    }
    Ok(())
}
