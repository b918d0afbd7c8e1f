//! What runs did beyond using files, as text.

use std::collections::{BTreeMap, BTreeSet};

use profile::{Activity, CapabilityUse, Endpoint, Profile, Started};

/// Characters of a command line that are shown.
const MAX_COMMAND_CHARS: usize = 160;

/// Which lists are wanted whole.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted {
    pub(crate) system_calls: bool,
    pub(crate) processes: bool,
    pub(crate) network: bool,
}

/// A summary of all runs of a profile, and the lists that are wanted; nothing where no run tells.
pub(crate) fn text(profile: &Profile, wanted: Wanted) -> String {
    let runs: Vec<&Activity> = profile.runs.iter().filter_map(|run| run.activity.as_ref()).collect();
    if runs.is_empty() {
        return if wanted.system_calls || wanted.processes || wanted.network {
            "\n  the profile does not tell what was done beyond using files: record it again\n".to_owned()
        } else {
            String::new()
        };
    }
    let mut out = String::from("\n");
    let calls = union_calls(&runs);
    let counts: Vec<_> = calls.iter().map(|(abi, names)| format!("{} ({abi})", names.len())).collect();
    out += &format!("  system calls   {}\n", counts.join(", "));
    if wanted.system_calls {
        for (abi, names) in &calls {
            out += &wrapped(&format!("    {abi}: "), names);
        }
    }
    out += &capabilities(&runs, wanted.system_calls);
    let listening = union_of(&runs, |activity| &activity.listening);
    let connections = union_of(&runs, |activity| &activity.connections);
    out += &endpoints("listens on", &listening, wanted.network);
    out += &endpoints("connects to", &connections, wanted.network);
    let started: u64 = runs.iter().flat_map(|run| &run.processes).map(|started| started.count).sum();
    let programs: BTreeSet<&str> =
        runs.iter().flat_map(|run| &run.processes).map(|started| started.exe.as_str()).collect();
    let programs = crate::output::counted(programs.len() as u64, "program", "programs");
    out += &format!(
        "  processes      {programs} started {}\n",
        crate::output::counted(started, "time", "times")
    );
    if wanted.processes {
        for run in &profile.runs {
            if let Some(activity) = &run.activity {
                out += &tree(&activity.processes);
            }
        }
    }
    let cut: BTreeSet<&str> = runs.iter().flat_map(|run| run.cut.iter().map(String::as_str)).collect();
    if !cut.is_empty() {
        out += &format!("  INCOMPLETE: {}\n", cut.into_iter().collect::<Vec<_>>().join(", "));
    }
    out
}

fn union_calls<'a>(runs: &[&'a Activity]) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let mut calls: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (abi, names) in runs.iter().flat_map(|run| &run.system_calls) {
        calls.entry(abi).or_default().extend(names.iter().map(String::as_str));
    }
    calls
}

fn union_of<'a>(
    runs: &[&'a Activity],
    of: impl Fn(&'a Activity) -> &'a BTreeSet<Endpoint>,
) -> BTreeSet<&'a Endpoint> {
    runs.iter().flat_map(|run| of(run)).collect()
}

fn capabilities(runs: &[&Activity], whole: bool) -> String {
    let mut known = false;
    let mut uses: BTreeMap<&str, CapabilityUse> = BTreeMap::new();
    for capabilities in runs.iter().filter_map(|run| run.capabilities.as_ref()) {
        known = true;
        for (name, used) in capabilities {
            let into = uses.entry(name).or_default();
            into.granted.extend(used.granted.iter().cloned());
            into.denied.extend(used.denied.iter().cloned());
        }
    }
    if !known {
        return "  capabilities   not known: the kernel does not tell (Linux 6.14 and later do)\n".to_owned();
    }
    let names = |of: fn(&CapabilityUse) -> &BTreeSet<String>| {
        let names: Vec<_> =
            uses.iter().filter(|(_, used)| !of(used).is_empty()).map(|(name, _)| *name).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    };
    let mut out = format!("  capabilities   {}\n", names(|used| &used.granted));
    let denied = names(|used| &used.denied);
    if denied != "none" {
        out += &format!("    asked for without having them: {denied}\n");
    }
    for (name, used) in uses.iter().filter(|_| whole) {
        for (title, calls) in [("", &used.granted), (", lacking", &used.denied)] {
            if !calls.is_empty() {
                out += &wrapped(&format!("    {name}{title}: "), &calls.iter().map(String::as_str).collect());
            }
        }
    }
    out
}

fn endpoints(title: &str, endpoints: &BTreeSet<&Endpoint>, whole: bool) -> String {
    let distinct: BTreeSet<String> = endpoints.iter().map(ToString::to_string).collect();
    let mut out = match distinct.len() {
        0 => format!("  {title:14} nothing\n"),
        1..=4 => format!("  {title:14} {}\n", distinct.into_iter().collect::<Vec<_>>().join(", ")),
        count => format!("  {title:14} {count} addresses\n"),
    };
    for endpoint in endpoints.iter().filter(|_| whole) {
        out += &format!("    {endpoint}  by {}\n", endpoint.program);
    }
    out
}

/// Names in lines of a readable length, the first after `title`.
fn wrapped(title: &str, names: &BTreeSet<&str>) -> String {
    let mut out = String::new();
    let mut line = title.to_owned();
    for name in names {
        if line.chars().count() + name.len() > 100 {
            out += line.trim_end();
            out.push('\n');
            line = " ".repeat(6);
        }
        line += name;
        line.push(' ');
    }
    out + line.trim_end() + "\n"
}

fn tree(processes: &[Started]) -> String {
    let mut depths: Vec<usize> = Vec::new();
    let mut out = String::new();
    for started in processes {
        let parent = started.parent.and_then(|parent| usize::try_from(parent).ok());
        let depth = parent.and_then(|parent| depths.get(parent)).map_or(0, |depth| depth + 1);
        depths.push(depth);
        let mut command: String = started.argv.join(" ").chars().take(MAX_COMMAND_CHARS + 1).collect();
        if command.chars().count() > MAX_COMMAND_CHARS {
            command.pop();
            command.push('…');
        }
        let users: Vec<_> = started.users.iter().map(ToString::to_string).collect();
        out += &format!(
            "    {}{}  [{command}] user {}",
            "  ".repeat(depth.min(20)),
            started.exe,
            users.join(", ")
        );
        if started.count > 1 {
            out += &format!(", {} times", started.count);
        }
        if started.forks > 0 {
            out += &format!(", {}", crate::output::counted(started.forks, "fork", "forks"));
        }
        out.push('\n');
    }
    out
}
