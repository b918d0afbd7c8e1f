//! Names of system calls and capabilities.
//!
//! Source: the kernel's `unistd_64.h`, `unistd_32.h`, `asm-generic/unistd.h` and `capability.h`.

/// `NUMBER NAME` a line.
const X86_64: &str = include_str!("../names/x86_64.txt");
const I386: &str = include_str!("../names/i386.txt");
const AARCH64: &str = include_str!("../names/aarch64.txt");

/// Each at the place of its number.
const CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// The ABI of this machine's own programs, or of its 32-bit ones.
pub(crate) fn abi(compat: bool) -> &'static str {
    match (cfg!(target_arch = "aarch64"), compat) {
        (false, false) => "x86_64",
        (false, true) => "i386",
        (true, false) => "aarch64",
        (true, true) => "arm",
    }
}

/// The name of a system call, or `call-N`.
pub(crate) fn call(compat: bool, number: u32) -> String {
    let table = match abi(compat) {
        "x86_64" => X86_64,
        "i386" => I386,
        "aarch64" => AARCH64,
        _ => "",
    };
    let wanted = number.to_string();
    let name = table.lines().find_map(|line| line.split_once(' ').filter(|(number, _)| *number == wanted));
    name.map_or_else(|| format!("call-{number}"), |(_, name)| name.to_owned())
}

/// The name of a capability, or `CAP_N`.
pub(crate) fn capability(number: u8) -> String {
    CAPABILITIES.get(usize::from(number)).map_or_else(|| format!("CAP_{number}"), |&name| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_give_the_names_of_the_manual_pages() {
        for table in [X86_64, I386, AARCH64] {
            let numbers: Vec<u32> =
                table.lines().map(|line| line.split_once(' ').unwrap().0.parse().unwrap()).collect();
            assert!(numbers.is_sorted_by(|a, b| a < b));
        }
        assert_eq!((call(true, 5), call(true, 90)), ("open".to_owned(), "mmap".to_owned()));
        assert_eq!((call(false, 437), call(false, 511)), ("openat2".to_owned(), "call-511".to_owned()));
        assert_eq!(
            (capability(21), capability(40)),
            ("CAP_SYS_ADMIN".into(), "CAP_CHECKPOINT_RESTORE".into())
        );
    }
}
