//! From the YAML tree to a [`Coverage`], collecting every problem with its place.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use profile::Compare;
use settings::{Node, Problem, Value};

use crate::Signal;
use crate::coverage::{
    Action, Bind, Condition, ContainerSettings, Coverage, DEFAULT_STEP_TIMEOUT, DEFAULT_WAIT_TIMEOUT,
    ExpectedExit, Origin, Step, StopSettings, Wait, display_args,
};
use crate::fields::{Fields, Reader};

/// The version of the file's form that this build reads.
pub(crate) const FORMAT_VERSION: u32 = 1;
/// Most steps that a coverage may have.
pub(crate) const MAX_STEPS: usize = 1000;
/// Largest file given to a step as standard input.
pub(crate) const MAX_STDIN_BYTES: u64 = 16 << 20;

const ACTIONS: &[&str] = &["exec", "host", "signal", "restart", "wait"];
const CONDITIONS: &[&str] = &["tcp", "log", "exec", "file", "exit"];
/// Names that the results of a run give to what is no step of the file.
const RESERVED_NAMES: &[&str] = &["start", "stop"];

/// Reads the YAML form. Files that it names are read relative to `directory`.
pub(crate) fn decode(text: &str, origin: Origin, directory: &Path) -> Result<Coverage, Vec<Problem>> {
    let root = settings::yaml(text).map_err(|error| vec![Problem::new(error.at, "", error.message)])?;
    let mut reader = Reader::new(directory);
    let coverage = coverage(&mut reader, &root, origin);
    let mut problems = reader.problems;
    problems.sort_by_key(|problem| (problem.line, problem.column));
    coverage.filter(|_| problems.is_empty()).ok_or(problems)
}

fn coverage(reader: &mut Reader<'_>, root: &Node, origin: Origin) -> Option<Coverage> {
    let fields = reader.fields(root, "", &["version", "name", "container", "wait_for", "steps", "stop"])?;
    version(reader, &fields);
    let name = match fields.get("name") {
        Some(node) => reader.text(node, "name").unwrap_or_default(),
        None => default_name(&origin),
    };
    let container = fields.get("container").and_then(|node| container(reader, node)).unwrap_or_default();
    let wait_for = fields.get("wait_for").map(|node| {
        let items = reader.list(node, "wait_for");
        items
            .iter()
            .enumerate()
            .filter_map(|(n, item)| wait(reader, item, &format!("wait_for[{n}]")))
            .collect()
    });
    let steps = fields.get("steps").map(|node| steps(reader, node)).unwrap_or_default();
    let stop = fields.get("stop").and_then(|node| stop(reader, node)).unwrap_or_default();
    Some(Coverage { name, origin, container, wait_for: wait_for.unwrap_or_default(), steps, stop })
}

fn default_name(origin: &Origin) -> String {
    match origin {
        Origin::Builtin(name) => name.clone(),
        Origin::File(path) => path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
    }
}

fn version(reader: &mut Reader<'_>, fields: &Fields<'_>) {
    let Some(node) = fields.get("version") else {
        return reader.problem(fields.at, "version", format!("is missing: write version: {FORMAT_VERSION}"));
    };
    let expected = FORMAT_VERSION.to_string();
    if !matches!(&node.value, Value::Number(text, _) if *text == expected) {
        reader.problem(node.at, "version", format!("this build reads version {expected}"));
    }
}

fn container(reader: &mut Reader<'_>, node: &Node) -> Option<ContainerSettings> {
    const KEYS: &[&str] = &[
        "entrypoint",
        "cmd",
        "env",
        "user",
        "working_dir",
        "hostname",
        "read_only",
        "network",
        "cap_drop",
        "cap_add",
        "no_new_privileges",
        "binds",
        "tmpfs",
    ];
    let fields = reader.fields(node, "container", KEYS)?;
    let host_network = match fields.get("network") {
        Some(node) => {
            reader.choice(node, "container.network", &[("private", false), ("host", true)]).unwrap_or(false)
        }
        None => false,
    };
    let binds = match fields.get("binds") {
        Some(node) => {
            let items = reader.list(node, "container.binds");
            let path = |n| format!("container.binds[{n}]");
            items.iter().enumerate().filter_map(|(n, item)| bind(reader, item, &path(n))).collect()
        }
        None => Vec::new(),
    };
    let tmpfs = fields.texts(reader, "tmpfs").unwrap_or_default();
    for path in tmpfs.iter().filter(|path| !path.starts_with('/')) {
        let at = fields.get("tmpfs").map_or(fields.at, |node| node.at);
        reader.problem(at, "container.tmpfs", format!("{path:?} is not an absolute path in the container"));
    }
    Some(ContainerSettings {
        entrypoint: fields.args(reader, "entrypoint"),
        cmd: fields.args(reader, "cmd"),
        env: fields.texts_by_name(reader, "env"),
        user: fields.text(reader, "user"),
        working_dir: fields.absolute(reader, "working_dir"),
        hostname: fields.text(reader, "hostname"),
        read_only: fields.flag(reader, "read_only"),
        host_network,
        cap_drop: fields.texts(reader, "cap_drop").unwrap_or_default(),
        cap_add: fields.texts(reader, "cap_add").unwrap_or_default(),
        no_new_privileges: fields.flag(reader, "no_new_privileges"),
        binds,
        tmpfs,
    })
}

/// `HOST:CONTAINER` or `HOST:CONTAINER:ro`, or a mapping.
fn bind(reader: &mut Reader<'_>, node: &Node, path: &str) -> Option<Bind> {
    let (host, container, read_only) = if let Value::Map(_) = node.value {
        let fields = reader.fields(node, path, &["host", "container", "read_only"])?;
        let host = fields.required_text(reader, "host")?;
        (host, fields.required_text(reader, "container")?, fields.flag(reader, "read_only"))
    } else {
        let text = reader.text(node, path)?;
        let parts: Vec<_> = text.split(':').collect();
        match parts.as_slice() {
            [host, container] => ((*host).to_owned(), (*container).to_owned(), false),
            [host, container, "ro"] => ((*host).to_owned(), (*container).to_owned(), true),
            _ => {
                reader.problem(node.at, path, "is not HOST:CONTAINER or HOST:CONTAINER:ro".to_owned());
                return None;
            }
        }
    };
    if !container.starts_with('/') {
        reader.problem(node.at, path, format!("{container:?} is not an absolute path in the container"));
        return None;
    }
    Some(Bind { host: absolute(reader.directory, &host), container, read_only })
}

/// A host path as the file means it: relative to the file's directory.
fn absolute(directory: &Path, path: &str) -> PathBuf {
    let joined = directory.join(path);
    std::path::absolute(&joined).unwrap_or(joined)
}

fn wait(reader: &mut Reader<'_>, node: &Node, path: &str) -> Option<Wait> {
    let keys: Vec<&str> = CONDITIONS.iter().copied().chain(["timeout"]).collect();
    let fields = reader.fields(node, path, &keys)?;
    let condition = condition(reader, &fields)?;
    Some(Wait { condition, timeout: fields.duration(reader, "timeout").unwrap_or(DEFAULT_WAIT_TIMEOUT) })
}

fn condition(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Condition> {
    let (name, node) = fields.exactly_one(reader, CONDITIONS)?;
    let path = fields.path(name);
    match name {
        "tcp" => tcp(reader, node, &path),
        "log" => Some(Condition::Log(reader.pattern(node, &path)?)),
        "exec" => Some(Condition::Exec(reader.args(node, &path)?)),
        "file" => Some(Condition::File(reader.absolute(node, &path)?)),
        _ => Some(Condition::Exit(exits(reader, node, &path))),
    }
}

/// `6379`, `HOST:PORT` or `[ADDRESS]:PORT`.
fn tcp(reader: &mut Reader<'_>, node: &Node, path: &str) -> Option<Condition> {
    let text = reader.text(node, path)?;
    let (host, port) = text.rsplit_once(':').unwrap_or(("127.0.0.1", &text));
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match port.parse() {
        Ok(port) if port > 0 && !host.is_empty() => Some(Condition::Tcp { host: host.to_owned(), port }),
        _ => {
            reader.problem(
                node.at,
                path,
                format!("{text:?} is not a port such as 6379 or \"localhost:6379\""),
            );
            None
        }
    }
}

fn steps(reader: &mut Reader<'_>, node: &Node) -> Vec<Step> {
    let items = reader.list(node, "steps");
    if items.len() > MAX_STEPS {
        reader.problem(node.at, "steps", format!("has more than {MAX_STEPS} steps"));
        return Vec::new();
    }
    let mut names = BTreeSet::new();
    let mut steps = Vec::new();
    for (n, item) in items.iter().enumerate() {
        let Some((named, mut step)) = step(reader, item, &format!("steps[{n}]")) else { continue };
        if RESERVED_NAMES.contains(&step.name.as_str()) {
            reader.problem(item.at, &format!("steps[{n}].name"), format!("{:?} is reserved", step.name));
        } else if named && names.contains(&step.name) {
            reader.problem(item.at, &format!("steps[{n}].name"), format!("{:?} stands twice", step.name));
        } else if names.contains(&step.name) {
            step.name = (2..)
                .map(|n| format!("{} ({n})", step.name))
                .find(|name| !names.contains(name))
                .unwrap_or_default();
        }
        names.insert(step.name.clone());
        steps.push(step);
    }
    steps
}

/// A step, and whether the file names it.
fn step(reader: &mut Reader<'_>, node: &Node, path: &str) -> Option<(bool, Step)> {
    const OTHERS: &[&str] = &[
        "name",
        "stdin",
        "stdin_text",
        "env",
        "user",
        "working_dir",
        "expect",
        "reject",
        "compare",
        "allow_failure",
        "timeout",
    ];
    let keys: Vec<&str> = ACTIONS.iter().chain(OTHERS).copied().collect();
    let fields = reader.fields(node, path, &keys)?;
    let (action_name, action_node) = fields.exactly_one(reader, ACTIONS)?;
    let only_for: &[(&str, &[&str])] = &[
        ("stdin", &["exec", "host"]),
        ("stdin_text", &["exec", "host"]),
        ("env", &["exec", "host"]),
        ("expect", &["exec", "host"]),
        ("reject", &["exec", "host"]),
        ("compare", &["exec", "host"]),
        ("user", &["exec"]),
        ("working_dir", &["exec"]),
    ];
    for (key, actions) in only_for.iter().filter(|(_, actions)| !actions.contains(&action_name)) {
        if let Some(node) = fields.get(key) {
            reader.problem(node.at, &fields.path(key), format!("goes with {} only", actions.join(" and ")));
        }
    }
    let mut timeout = fields.duration(reader, "timeout").unwrap_or(DEFAULT_STEP_TIMEOUT);
    let action = action(reader, &fields, action_name, action_node, &mut timeout)?;
    let compare = fields.get("compare").and_then(|node| {
        let choices =
            [("outcome", Compare::Outcome), ("normalised", Compare::Normalised), ("exact", Compare::Exact)];
        reader.choice(node, &fields.path("compare"), &choices)
    });
    let name = fields.text(reader, "name");
    let step = Step {
        name: name.clone().unwrap_or_else(|| default_step_name(&action)),
        action,
        expect: fields.pattern(reader, "expect"),
        reject: fields.pattern(reader, "reject"),
        compare: compare.unwrap_or_default(),
        allow_failure: fields.flag(reader, "allow_failure"),
        timeout,
    };
    Some((name.is_some(), step))
}

fn action(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    name: &str,
    node: &Node,
    timeout: &mut Duration,
) -> Option<Action> {
    let path = fields.path(name);
    match name {
        "exec" => Some(Action::Exec {
            args: reader.args(node, &path)?,
            stdin: stdin(reader, fields),
            env: fields.texts_by_name(reader, "env"),
            user: fields.text(reader, "user"),
            working_dir: fields.absolute(reader, "working_dir"),
        }),
        "host" => Some(Action::Host {
            args: reader.args(node, &path)?,
            stdin: stdin(reader, fields),
            env: fields.texts_by_name(reader, "env"),
        }),
        "signal" => {
            let text = reader.text(node, &path)?;
            let signal = text.parse::<Signal>();
            signal.map(Action::Signal).map_err(|error| reader.problem(node.at, &path, error.to_string())).ok()
        }
        "restart" => {
            if reader.flag(node, &path) == Some(false) {
                reader.problem(node.at, &path, "must be true: leave the step out otherwise".to_owned());
            }
            Some(Action::Restart)
        }
        _ if matches!(node.value, Value::Map(_)) => {
            let wait = wait(reader, node, &path)?;
            if fields.get("timeout").is_none() {
                *timeout = wait.timeout;
            }
            Some(Action::WaitFor(wait.condition))
        }
        _ => Some(Action::Pause(reader.duration(node, &path)?)),
    }
}

fn default_step_name(action: &Action) -> String {
    let name = match action {
        Action::Exec { args, .. } => display_args(args),
        Action::Host { args, .. } => format!("host {}", display_args(args)),
        Action::Signal(signal) => format!("signal {signal}"),
        Action::Restart => "restart".to_owned(),
        Action::Pause(duration) => format!("wait {}", crate::duration::format(*duration)),
        Action::WaitFor(condition) => format!("wait for {condition}"),
    };
    let mut short: String = name.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    short
}

fn stdin(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Vec<u8>> {
    match (fields.get("stdin"), fields.get("stdin_text")) {
        (Some(node), Some(_)) => {
            reader.problem(
                node.at,
                &fields.path("stdin"),
                "stands beside stdin_text: one of them".to_owned(),
            );
            None
        }
        (None, Some(node)) => Some(reader.text(node, &fields.path("stdin_text"))?.into_bytes()),
        (Some(node), None) => {
            let name = reader.text(node, &fields.path("stdin"))?;
            let path = absolute(reader.directory, &name);
            let bytes = crate::load::read_limited(&path, MAX_STDIN_BYTES);
            bytes.map_err(|error| reader.problem(node.at, &fields.path("stdin"), error.with_cause())).ok()
        }
        (None, None) => None,
    }
}

fn stop(reader: &mut Reader<'_>, node: &Node) -> Option<StopSettings> {
    let fields = reader.fields(node, "stop", &["grace", "expect_exit"])?;
    let mut settings = StopSettings::default();
    settings.grace = fields.duration(reader, "grace").unwrap_or(settings.grace);
    if let Some(node) = fields.get("expect_exit") {
        settings.expect_exit = exits(reader, node, "stop.expect_exit");
    }
    Some(settings)
}

/// `0`, `SIGTERM`, or a list of such.
fn exits(reader: &mut Reader<'_>, node: &Node, path: &str) -> Vec<ExpectedExit> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let mut exits = Vec::new();
    for item in items {
        let Some(text) = reader.text(item, path) else { continue };
        match (text.parse::<i32>(), text.parse::<Signal>()) {
            (Ok(code @ 0..=255), _) => exits.push(ExpectedExit::Code(code)),
            (Err(_), Ok(signal)) => exits.push(ExpectedExit::Signal(signal)),
            _ => reader.problem(item.at, path, format!("{text:?} is neither an exit code nor a signal")),
        }
    }
    exits
}
