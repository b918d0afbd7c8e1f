//! Commands that run another command.

/// How the command is found in the arguments of one that runs it.
pub(super) struct Wrapper {
    pub(super) name: &'static str,
    /// Options that take the next word.
    options: &'static [&'static str],
    /// How many operands come before the command.
    operands: usize,
    /// Whether the shell itself runs it: then what follows may be built in.
    pub(super) is_builtin: bool,
}

const fn program(name: &'static str, options: &'static [&'static str], operands: usize) -> Wrapper {
    Wrapper { name, options, operands, is_builtin: false }
}

const fn builtin(name: &'static str, options: &'static [&'static str]) -> Wrapper {
    Wrapper { name, options, operands: 0, is_builtin: true }
}

/// Sources: their manual pages.
const WRAPPERS: [Wrapper; 34] = [
    builtin("command", &[]),
    Wrapper { name: "exec", options: &["-a"], operands: 0, is_builtin: false },
    builtin("time", &["-f", "-o"]),
    builtin("coproc", &[]),
    builtin("hash", &["-p"]),
    builtin("type", &[]),
    program("catatonit", &[], 0),
    program(
        "chpst",
        &["-u", "-U", "-b", "-e", "-/", "-n", "-l", "-L", "-m", "-d", "-o", "-p", "-f", "-c"],
        0,
    ),
    program("chroot", &[], 1),
    program("chronic", &[], 0),
    program("chrt", &[], 1),
    program("doas", &["-u", "-C"], 0),
    program("dumb-init", &["-r", "--rewrite"], 0),
    program("env", &["-u", "--unset", "-C", "--chdir"], 0),
    program("flock", &["-w", "--timeout", "-E"], 1),
    program("gosu", &[], 1),
    program("ionice", &["-c", "-n", "-p"], 0),
    program("nice", &["-n"], 0),
    program("nohup", &[], 0),
    program("numactl", &["-i", "-m", "-N", "-C"], 0),
    program("runuser", &["-u", "--user", "-g", "-G"], 0),
    program("s6-setuidgid", &[], 1),
    program(
        "setpriv",
        &["--reuid", "--regid", "--groups", "--inh-caps", "--ambient-caps", "--bounding-set"],
        0,
    ),
    program("setsid", &[], 0),
    program("setuidgid", &[], 1),
    program("stdbuf", &["-i", "-o", "-e"], 0),
    program("su-exec", &[], 1),
    program("sudo", &["-u", "-g", "-h", "-p", "-C", "-D", "-T"], 0),
    program("taskset", &[], 1),
    program("timeout", &["-k", "--kill-after", "-s", "--signal"], 1),
    program("tini", &["-p", "-e"], 0),
    program("unbuffer", &[], 0),
    program("which", &[], 0),
    program(
        "xargs",
        &["-I", "-n", "-P", "-L", "-d", "-a", "-E", "-s", "--max-args", "--max-procs", "--delimiter"],
        0,
    ),
];

/// The command of this name that runs another one.
pub(super) fn find(name: &str) -> Option<&'static Wrapper> {
    let name = name.rsplit('/').next().unwrap_or(name);
    WRAPPERS.iter().find(|wrapper| wrapper.name == name)
}

impl Wrapper {
    /// Where in its arguments the command stands. `None` in `words` is a word that only running would tell.
    pub(super) fn command(&self, words: &[Option<&str>]) -> Option<usize> {
        let mut operands = self.operands;
        let mut at = 0;
        while at < words.len() {
            let word = words[at].unwrap_or("?");
            if word == "--" {
                let start = at + 1 + operands;
                return (start < words.len()).then_some(start);
            } else if word.starts_with('-') && word.len() > 1 {
                at += usize::from(self.options.contains(&word));
            } else if self.name == "env" && word.contains('=') {
                // An assignment.
            } else if operands > 0 {
                operands -= 1;
            } else {
                return Some(at);
            }
            at += 1;
        }
        None
    }
}

/// Whether a program of this name reads a script from the argument after `-c`.
pub(super) fn is_shell(name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or(name);
    ["ash", "bash", "dash", "flock", "ksh", "mksh", "runuser", "sh", "su", "zsh"].contains(&name)
}
