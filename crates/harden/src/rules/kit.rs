//! Sets of commands that the policy asks for.

use std::collections::BTreeSet;

use image::{Image, ImagePath, NodeKind, ResolutionEnd};

use super::terminfo;
use crate::draft::Draft;
use crate::policy::RuleKind;
use crate::scene::{DEFAULT_PATH, Scene};
use crate::{Kit, PlanError, Rule};

/// What people and scripts take for granted: the POSIX utilities that work on files, text and processes.
const COMMON_COMMANDS: [&str; 82] = [
    "[",
    "awk",
    "base64",
    "basename",
    "cat",
    "chgrp",
    "chmod",
    "chown",
    "cksum",
    "cmp",
    "comm",
    "cp",
    "cut",
    "date",
    "dd",
    "df",
    "diff",
    "dirname",
    "du",
    "echo",
    "egrep",
    "env",
    "expr",
    "false",
    "fgrep",
    "find",
    "fold",
    "getent",
    "grep",
    "groups",
    "gunzip",
    "gzip",
    "head",
    "hostname",
    "id",
    "install",
    "kill",
    "ln",
    "logname",
    "ls",
    "md5sum",
    "mkdir",
    "mkfifo",
    "mktemp",
    "mv",
    "nice",
    "nl",
    "nohup",
    "nproc",
    "od",
    "paste",
    "printenv",
    "printf",
    "pwd",
    "readlink",
    "realpath",
    "rm",
    "rmdir",
    "sed",
    "seq",
    "sha1sum",
    "sha256sum",
    "sha512sum",
    "sleep",
    "sort",
    "split",
    "stat",
    "sync",
    "tail",
    "tar",
    "tee",
    "test",
    "timeout",
    "touch",
    "tr",
    "true",
    "tty",
    "uname",
    "uniq",
    "wc",
    "which",
    "xargs",
];

/// Shells. BusyBox comes by its links, and under its own name, since an image may have no link to it.
const SHELLS: [&str; 8] = ["sh", "bash", "rbash", "dash", "ash", "zsh", "mksh", "busybox"];

/// What a shell reads when it starts.
const SHELL_FILES: [&str; 15] = [
    "/etc/profile",
    "/etc/profile.d",
    "/etc/bash.bashrc",
    "/etc/bash/bashrc",
    "/etc/bashrc",
    "/etc/inputrc",
    "/etc/shells",
    "/etc/zsh",
    "/etc/zshenv",
    "/etc/zshrc",
    "/etc/mkshrc",
    "/root/.bashrc",
    "/root/.profile",
    "/root/.bash_profile",
    "/root/.zshrc",
];

/// What one looks into a running container with: its processes, its network, its files, itself.
const DEBUG_COMMANDS: [&str; 87] = [
    "arp",
    "busybox",
    "cat",
    "clear",
    "cmp",
    "curl",
    "date",
    "df",
    "dig",
    "dmesg",
    "du",
    "env",
    "file",
    "find",
    "free",
    "fuser",
    "gcore",
    "gdb",
    "getent",
    "gdbserver",
    "grep",
    "head",
    "hexdump",
    "host",
    "hostname",
    "htop",
    "id",
    "ifconfig",
    "ip",
    "iostat",
    "iperf3",
    "jcmd",
    "jmap",
    "jq",
    "jstack",
    "kill",
    "killall",
    "ldd",
    "less",
    "ls",
    "lsof",
    "ltrace",
    "mount",
    "more",
    "mtr",
    "nano",
    "nc",
    "netcat",
    "netstat",
    "nslookup",
    "nsenter",
    "od",
    "openssl",
    "perf",
    "pgrep",
    "ping",
    "ping6",
    "pkill",
    "pmap",
    "printenv",
    "ps",
    "pstack",
    "pstree",
    "pwdx",
    "reset",
    "route",
    "sed",
    "socat",
    "ss",
    "stat",
    "strace",
    "strings",
    "stty",
    "sysctl",
    "tail",
    "tcpdump",
    "telnet",
    "top",
    "traceroute",
    "tty",
    "uptime",
    "vi",
    "vim",
    "vmstat",
    "watch",
    "wget",
    "xxd",
];

/// What these read beside the terminals' descriptions.
const DEBUG_FILES: [&str; 12] = [
    "/etc/vim",
    "/etc/virc",
    "/usr/share/vim/vimrc",
    "/usr/share/vim/vimrc.tiny",
    "/usr/share/vim/vim90/debian.vim",
    "/usr/share/vim/vim91/debian.vim",
    "/etc/nanorc",
    "/etc/lesskey",
    "/usr/share/gdb",
    "/usr/share/misc/magic.mgc",
    "/usr/lib/file/magic.mgc",
    "/etc/gdb",
];

/// Keeps what the image has of them: each command where `PATH` or a standard directory has it, with the links on the
/// way (alternatives, BusyBox applets), and what the set reads. A set of which the image has no command is warned
/// about.
pub(crate) fn apply(scene: &Scene<'_>, draft: &mut Draft<'_>) -> Result<(), PlanError> {
    for &kit in &scene.policy.kits {
        let found = commands_of(scene.image, kit);
        if found.is_empty() {
            let place = scene.policy.place(RuleKind::Kit, kit.name());
            draft.warn(format!("{place}the image has no command of the kit {}", kit.name()));
            continue;
        }
        for path in &found {
            draft.keep(path, Rule::Kit, None);
            draft.keep_way(&ImagePath::root(), &path.to_absolute(), Rule::Kit, Some(path));
        }
        for file in files(kit).iter().filter_map(|file| scene.find(file.as_bytes())) {
            for (path, _) in scene.tree().within(&file) {
                draft.keep(path, Rule::Kit, None);
            }
        }
        if kit != Kit::CommonCommands {
            terminfo::keep_common(scene, draft, Rule::Kit);
        }
    }
    Ok(())
}

fn commands(kit: Kit) -> &'static [&'static str] {
    match kit {
        Kit::CommonCommands => &COMMON_COMMANDS,
        Kit::Shell => &SHELLS,
        Kit::Debug => &DEBUG_COMMANDS,
    }
}

fn files(kit: Kit) -> &'static [&'static str] {
    match kit {
        Kit::CommonCommands => &[],
        Kit::Shell => &SHELL_FILES,
        Kit::Debug => &DEBUG_FILES,
    }
}

/// The commands of a kit that an image has.
pub(crate) fn commands_of(image: &Image, kit: Kit) -> BTreeSet<ImagePath> {
    commands(kit).iter().filter_map(|command| locate(image, command)).collect()
}

/// Where a command is in the image: the first along `PATH`, else in a standard directory. Links in its directories
/// are resolved, one at its own name is not.
fn locate(image: &Image, command: &str) -> Option<ImagePath> {
    let (tree, root) = (image.tree(), ImagePath::root());
    let env = &image.config().config.env;
    let path = env.iter().rev().find_map(|line| line.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH);
    let directories = path.split(':').filter(|directory| directory.starts_with('/'));
    let named = directories.chain(DEFAULT_PATH.split(':')).map(|directory| format!("{directory}/{command}"));
    named.into_iter().find_map(|named| {
        let ResolutionEnd::Found(end) = tree.resolve(&root, named.as_bytes(), true).end else { return None };
        let node = tree.get(&end)?;
        let is_program = matches!(node.kind, NodeKind::File { .. }) && node.metadata.mode & 0o111 != 0;
        match tree.resolve(&root, named.as_bytes(), false).end {
            ResolutionEnd::Found(path) if is_program => Some(path),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, image};

    fn with(words: &str, kit: Kit) -> Fixture {
        image(words).uses("/a").policy(|policy| policy.kits = BTreeSet::from([kit]))
    }

    #[test]
    fn lists_are_sets_of_names() {
        for kit in Kit::ALL {
            let unique: BTreeSet<_> = commands(kit).iter().collect();
            assert_eq!(unique.len(), commands(kit).len(), "{kit:?}");
            assert!(commands(kit).iter().all(|name| !name.is_empty() && !name.contains(['/', ' '])));
            assert!(files(kit).iter().all(|file| file.starts_with('/')));
        }
    }

    #[test]
    fn commands_are_kept_with_links_and_interpreters_and_others_are_not() {
        let words = "a bin->usr/bin usr/bin/ls@755 usr/bin/awk->/etc/alternatives/awk \
                     etc/alternatives/awk->/usr/bin/mawk usr/bin/mawk@755 usr/bin/cc@755 usr/bin/tail";
        let fixture = with(words, Kit::CommonCommands);
        assert_eq!(fixture.by(Rule::Kit), ["/usr/bin/awk", "/usr/bin/ls", "/usr/bin/mawk"]);
        assert_eq!(fixture.by(Rule::Symlink), ["/etc/alternatives/awk"]);
        assert_eq!(fixture.by(Rule::Unused), ["/usr/bin/cc", "/usr/bin/tail"]);
    }

    #[test]
    fn applets_of_busybox_and_standard_directories_outside_path_count() {
        let words = "a bin/busybox@755 bin/sh->/bin/busybox bin/ash->busybox sbin/ip->../bin/busybox \
                     etc/profile etc/profile.d/color.sh usr/share/terminfo/x/xterm";
        let shell = with(words, Kit::Shell).by(Rule::Kit);
        let expected = ["/bin/ash", "/bin/busybox", "/bin/sh", "/etc/profile", "/etc/profile.d"];
        assert_eq!(shell[..5], expected);
        assert_eq!(shell[5..], ["/etc/profile.d/color.sh", "/usr/share/terminfo/x/xterm"]);
        let config = serde_json::json!({"Env": ["PATH=/usr/bin"]});
        let narrow = crate::fixture::configured(words, config)
            .uses("/a")
            .policy(|policy| policy.kits = BTreeSet::from([Kit::Debug]));
        assert!(narrow.by(Rule::Kit).contains(&"/sbin/ip".to_owned()));
    }

    #[test]
    fn a_script_among_the_commands_brings_its_interpreter_even_if_it_was_only_looked_at() {
        let layer = testkit::TarBuilder::from_text("a usr/bin/dash@755 bin/sh->/usr/bin/dash")
            .entry(testkit::TarEntry::file("usr/bin/egrep", "#!/bin/sh\nexec grep -E \"$@\"\n").mode(0o755));
        let fixture = image(layer)
            .uses("/a stat:/usr/bin/egrep")
            .policy(|policy| policy.kits = BTreeSet::from([Kit::CommonCommands]));
        assert_eq!(fixture.by(Rule::Shebang), ["/usr/bin/dash"]);
    }

    #[test]
    fn a_kit_that_the_image_has_nothing_of_is_reported() {
        assert_eq!(with("a", Kit::Shell).plan().warnings, ["the image has no command of the kit shell"]);
    }
}
