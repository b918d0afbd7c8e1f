//! Which capabilities a container has.

use crate::protocol::Failure;

/// Docker's default set. Source: moby, `oci/caps/defaults.go`.
const DEFAULT: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// All that the kernel knows, by number. Source: `linux/capability.h`.
const ALL: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The set that results from dropping, then adding; names with the `CAP_` prefix, ascending by number.
///
/// `ours` is the mask of those we have ourselves and can thus give. Of the default set and of `ALL` only those count;
/// one asked for by name that we lack is an error. Where `may_make_devices` is false MKNOD is not in the default set.
pub(crate) fn resolve(
    drop: &[String],
    add: &[String],
    ours: u64,
    may_make_devices: bool,
) -> Result<Vec<String>, Failure> {
    let mut set: u64 = 0;
    for (bit, name) in ALL.iter().enumerate() {
        let allowed = DEFAULT.contains(name) && (may_make_devices || *name != "MKNOD");
        set |= u64::from(allowed) << bit;
    }
    set &= ours;
    for value in drop {
        set &= if is_all(value) { 0 } else { !(1 << number("cap_drop", value)?) };
    }
    for value in add {
        if is_all(value) {
            set |= ours & ((1 << ALL.len()) - 1);
            continue;
        }
        let bit = 1 << number("cap_add", value)?;
        if ours & bit == 0 {
            let problem = "cannot be given: we do not have this capability ourselves".to_owned();
            return Err(Failure::Option { option: "cap_add".into(), value: value.clone(), problem });
        }
        set |= bit;
    }
    Ok(ALL
        .iter()
        .enumerate()
        .filter(|(bit, _)| set >> bit & 1 == 1)
        .map(|(_, name)| format!("CAP_{name}"))
        .collect())
}

/// Whether all of these are names of capabilities.
pub(crate) fn check(drop: &[String], add: &[String]) -> Result<(), Failure> {
    let named = |option, values: &[String]| {
        values.iter().filter(|value| !is_all(value)).try_for_each(|value| number(option, value).map(|_| ()))
    };
    named("cap_drop", drop).and_then(|()| named("cap_add", add))
}

fn is_all(value: &str) -> bool {
    value.eq_ignore_ascii_case("ALL")
}

fn number(option: &str, value: &str) -> Result<usize, Failure> {
    let upper = value.to_ascii_uppercase();
    let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
    ALL.iter().position(|known| *known == name).ok_or_else(|| Failure::Option {
        option: option.to_owned(),
        value: value.to_owned(),
        problem: "is not a capability".to_owned(),
    })
}

/// The mask of capabilities by name.
pub(crate) fn mask(names: &[String]) -> u64 {
    let bit = |name: &String| ALL.iter().position(|known| name.strip_prefix("CAP_") == Some(known));
    names.iter().filter_map(bit).fold(0, |mask, bit| mask | 1 << bit)
}

/// The mask of capabilities that this process has.
pub(crate) fn ours() -> u64 {
    parse_permitted(&std::fs::read_to_string("/proc/self/status").unwrap_or_default())
}

fn parse_permitted(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("CapPrm:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropping_comes_before_adding() {
        let names = |drop: &[&str], add: &[&str], ours| {
            let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
            resolve(&owned(drop), &owned(add), ours, true)
        };
        let everything = (1 << 41) - 1;
        assert_eq!(names(&[], &[], everything).unwrap().len(), 14);
        assert_eq!(names(&["ALL"], &[], everything).unwrap(), Vec::<String>::new());
        assert_eq!(
            names(&["all"], &["net_bind_service", "CAP_CHOWN"], everything).unwrap(),
            ["CAP_CHOWN", "CAP_NET_BIND_SERVICE"]
        );
        assert_eq!(names(&["ALL"], &["ALL"], everything).unwrap().len(), 41);
        assert_eq!(names(&["ALL"], &["ALL"], 0b11).unwrap(), ["CAP_CHOWN", "CAP_DAC_OVERRIDE"]);
        assert!(names(&["FLY"], &[], everything).is_err());
        assert!(names(&[], &["SYS_RESOURCE"], everything & !(1 << 24)).is_err());
        assert!(!resolve(&[], &[], everything, false).unwrap().contains(&"CAP_MKNOD".to_owned()));
    }

    #[test]
    fn our_own_capabilities_are_read() {
        assert_eq!(
            parse_permitted("CapInh:\t0000000000000000\nCapPrm:\t000001fffeffffff\n"),
            0x1ff_feff_ffff
        );
        assert_eq!(parse_permitted(""), 0);
    }
}
