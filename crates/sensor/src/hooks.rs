//! The stronger backends: hooks within the kernel that tell of files beside the base.
//!
//! They are chosen by trying, the strongest first. Programs of the BPF security module see every use; those at the entry
//! of functions are skipped by the kernel while they run already on the same processor, so they count only where that
//! never happened. Many kernels refuse one or both, and then the base is alone.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;

use aya::maps::{Array, MapError};
use aya::programs::fentry::FEntryLink;
use aya::programs::lsm::LsmLink;
use aya::programs::{FEntry, Lsm, ProgramError};
use aya::{Btf, BtfError, Ebpf};

use crate::Choice;
use crate::sensor::{program, recursion_misses};

/// Program and hook of the security module.
const LSM: [(&str, &str); 11] = [
    ("lsm_file_open", "file_open"),
    ("lsm_inode_getattr", "inode_getattr"),
    ("lsm_inode_follow_link", "inode_follow_link"),
    ("lsm_inode_readlink", "inode_readlink"),
    ("lsm_inode_permission", "inode_permission"),
    ("lsm_mmap_file", "mmap_file"),
    ("lsm_bprm_check", "bprm_check_security"),
    ("lsm_path_rename", "path_rename"),
    ("lsm_path_unlink", "path_unlink"),
    ("lsm_unix_connect", "unix_stream_connect"),
    ("lsm_unix_send", "unix_may_send"),
];
/// No kernel has a function or a hook of this name.
const NOWHERE: &str = "careen_nowhere";
/// Tells whether the kernel runs programs of the security module.
const TRIAL: (&str, &str) = ("lsm_trial", "file_open");

/// Program and function.
const FENTRY: [(&str, &str); 11] = [
    ("fentry_file_open", "security_file_open"),
    ("fentry_inode_getattr", "security_inode_getattr"),
    ("fentry_inode_follow_link", "security_inode_follow_link"),
    ("fentry_inode_readlink", "security_inode_readlink"),
    ("fentry_inode_permission", "security_inode_permission"),
    ("fentry_mmap_file", "security_mmap_file"),
    ("fentry_bprm_check", "security_bprm_check"),
    ("fentry_path_rename", "security_path_rename"),
    ("fentry_path_unlink", "security_path_unlink"),
    ("fentry_unix_connect", "security_unix_stream_connect"),
    ("fentry_unix_send", "security_unix_may_send"),
];

/// Which hooks a backend has beside the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// None.
    Base,
    /// The entries of the kernel's functions.
    Fentry,
    /// The BPF security module.
    Lsm,
}

impl Strength {
    /// The name under which the backend stands in profiles.
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "ebpf-base",
            Self::Fentry => "ebpf-fentry",
            Self::Lsm => "ebpf-lsm",
        }
    }

    /// What is tried, in order.
    pub(crate) fn candidates(choice: Choice) -> &'static [Self] {
        match choice {
            Choice::Base => &[Self::Base],
            Choice::Lsm => &[Self::Lsm],
            Choice::Fentry => &[Self::Fentry],
            Choice::Auto | Choice::Ebpf | Choice::Notify => &[Self::Lsm, Self::Fentry, Self::Base],
        }
    }
}

/// Why the hooks of a backend cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// The kernel has no such hook.
    #[error("the kernel has no place for `{program}` to attach to")]
    NoHook {
        /// The program.
        program: &'static str,
        /// Why.
        source: BtfError,
    },
    /// The kernel forbids it.
    #[error("the kernel refuses the BPF program `{program}`")]
    Refused {
        /// The program.
        program: &'static str,
        /// Why.
        source: Box<ProgramError>,
    },
    /// It is attached and does not run.
    #[error("BPF is not among the active security modules ({active})")]
    NotActive {
        /// Those that are.
        active: String,
    },
    /// Whether it runs cannot be found out.
    #[error("cannot find out whether the kernel runs programs of the BPF security module")]
    Trial {
        /// Why.
        source: io::Error,
    },
}

impl HookError {
    /// What would have to change.
    pub fn hint(&self) -> String {
        match self {
            Self::NotActive { active } => {
                let modules = if active.is_empty() { "MODULES" } else { active };
                format!("boot with lsm={modules},bpf on the kernel's command line")
            }
            Self::NoHook { .. } => {
                "another kernel: one with CONFIG_BPF_LSM, or with CONFIG_FUNCTION_TRACER for the entries of functions"
                    .to_owned()
            }
            Self::Refused { source, .. } if is_not_permitted(source) => {
                "another kernel: this one forbids BPF trampolines, which those of Debian, Ubuntu and Fedora allow"
                    .to_owned()
            }
            Self::Refused { .. } => "another release of the kernel".to_owned(),
            Self::Trial { .. } => "look at the kernel's log".to_owned(),
        }
    }

    /// The message and its causes in one line, without what the verifier wrote.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Refused { source, .. } => format!("{self}: {}", refusal(source)),
            Self::NoHook { source, .. } => format!("{self}: {source}"),
            Self::NotActive { .. } => self.to_string(),
            Self::Trial { source } => format!("{self}: {source}"),
        }
    }
}

/// How the kernel refused a program, in a few words.
pub(crate) fn refusal(error: &ProgramError) -> String {
    match error {
        error if is_not_permitted(error) => "not permitted".to_owned(),
        ProgramError::LoadError { io_error, .. } => io_error.to_string(),
        other => other.to_string(),
    }
}

fn is_not_permitted(error: &ProgramError) -> bool {
    let error = match error {
        ProgramError::LoadError { io_error, .. } => io_error,
        ProgramError::SyscallError(error) => &error.io_error,
        _ => return false,
    };
    error.kind() == io::ErrorKind::PermissionDenied
}

/// The hooks of a backend, attached for as long as this lives.
#[expect(dead_code, reason = "the links are held so that the programs stay attached")]
pub(crate) enum Hooks {
    None,
    Fentry(Vec<FEntryLink>),
    Lsm(Vec<LsmLink>),
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.strength().name())
    }
}

impl Hooks {
    /// Loads and attaches all of them, or none. `absent` is a program whose place is looked for in vain.
    pub(crate) fn attach(
        strength: Strength,
        ebpf: &mut Ebpf,
        btf: &Btf,
        absent: Option<&str>,
    ) -> Result<Self, HookError> {
        let place = |(program, place)| (program, if absent == Some(program) { NOWHERE } else { place });
        match strength {
            Strength::Base => Ok(Self::None),
            Strength::Fentry => {
                all_or_none(&FENTRY.map(place), |hook| attach_fentry(ebpf, btf, hook)).map(Self::Fentry)
            }
            Strength::Lsm => {
                try_lsm(ebpf, btf)?;
                all_or_none(&LSM.map(place), |hook| attach_lsm(ebpf, btf, hook)).map(Self::Lsm)
            }
        }
    }

    pub(crate) fn strength(&self) -> Strength {
        match self {
            Self::None => Strength::Base,
            Self::Fentry(_) => Strength::Fentry,
            Self::Lsm(_) => Strength::Lsm,
        }
    }

    /// How many of their runs the kernel skipped. Those of the security module it never skips.
    pub(crate) fn skipped(&self, ebpf: &mut Ebpf) -> io::Result<u64> {
        let Self::Fentry(_) = self else { return Ok(0) };
        let mut total = 0;
        for (name, _) in FENTRY {
            let program = program::<FEntry>(ebpf, name).map_err(io::Error::other)?;
            total += recursion_misses(program.fd().map_err(io::Error::other)?.as_fd())?;
        }
        Ok(total)
    }
}

/// Attaches each hook. Whatever was attached before a failure is detached with its link.
fn all_or_none<L>(
    hooks: &[(&'static str, &'static str)],
    attach: impl FnMut((&'static str, &'static str)) -> Result<L, HookError>,
) -> Result<Vec<L>, HookError> {
    hooks.iter().copied().map(attach).collect()
}

fn attach_fentry(
    ebpf: &mut Ebpf,
    btf: &Btf,
    (name, function): (&'static str, &str),
) -> Result<FEntryLink, HookError> {
    let mut attach = || {
        let program = program::<FEntry>(ebpf, name)?;
        program.load(function, btf)?;
        let id = program.attach()?;
        program.take_link(id)
    };
    attach().map_err(|error| hook_error(name, error))
}

fn attach_lsm(ebpf: &mut Ebpf, btf: &Btf, (name, hook): (&'static str, &str)) -> Result<LsmLink, HookError> {
    let mut attach = || {
        let program = program::<Lsm>(ebpf, name)?;
        program.load(hook, btf)?;
        let id = program.attach()?;
        program.take_link(id)
    };
    attach().map_err(|error| hook_error(name, error))
}

fn hook_error(program: &'static str, error: ProgramError) -> HookError {
    match error {
        ProgramError::Btf(source) => HookError::NoHook { program, source },
        source => HookError::Refused { program, source: Box::new(source) },
    }
}

/// Opens a file under a program that notes that it ran.
fn try_lsm(ebpf: &mut Ebpf, btf: &Btf) -> Result<(), HookError> {
    let link = attach_lsm(ebpf, btf, TRIAL)?;
    let opened = File::open("/dev/null").map_err(|source| HookError::Trial { source });
    drop(link);
    opened?;
    let ran = || -> Result<u32, MapError> {
        let map = ebpf.map("lsm_ran").ok_or_else(|| MapError::InvalidName { name: "lsm_ran".to_owned() })?;
        Array::<_, u32>::try_from(map)?.get(&0, 0)
    };
    match ran() {
        Ok(0) => {
            let active = std::fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
            Err(HookError::NotActive { active: active.trim().to_owned() })
        }
        Ok(_) => Ok(()),
        Err(error) => Err(HookError::Trial { source: io::Error::other(error) }),
    }
}

#[cfg(test)]
mod tests {
    use aya::programs::{BtfTracePoint, loaded_links};

    use super::*;
    use crate::object::load_object;
    use crate::sensor::{Helper, SensorOptions};

    #[test]
    fn what_was_attached_before_a_hook_that_is_missing_is_detached() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIP: BPF needs root");
            assert!(std::env::var_os("CAREEN_NO_SKIP").is_none(), "must not skip here");
            return;
        }
        let btf = Btf::from_sys_fs().unwrap();
        let options = SensorOptions::new(Helper { program: "/bin/true".into(), args: Vec::new() });
        let mut ebpf = load_object(&options, &btf, Strength::Base, None).unwrap();
        let mut programs = Vec::new();
        let attached = |programs: &[u32]| {
            loaded_links().flatten().filter(|link| programs.contains(&link.program_id())).count()
        };
        // Where the kernel takes no hooks it takes tracepoints, whose links are of the same kind.
        let hooks = [
            ("on_exec", "sched_process_exec"),
            ("on_uring_submit", "io_uring_submit_req"),
            ("on_sys_exit", NOWHERE),
        ];
        let failed = all_or_none(&hooks, |(name, tracepoint)| {
            let mut attach = || {
                let program = program::<BtfTracePoint>(&mut ebpf, name)?;
                program.load(tracepoint, &btf)?;
                programs.push(program.info()?.id());
                let id = program.attach()?;
                program.take_link(id)
            };
            let link = attach().map_err(|error| hook_error(name, error))?;
            assert_eq!(attached(&programs), programs.len());
            Ok(link)
        });
        assert!(
            matches!(failed, Err(HookError::NoHook { program: "on_sys_exit", .. })),
            "{:?}",
            failed.map(|_| ())
        );
        assert_eq!((programs.len(), attached(&programs)), (2, 0));
    }

    #[test]
    fn every_hook_is_in_the_source_under_its_name() {
        for (source, prefix, list) in [
            (include_str!("../bpf/lsm.bpf.c"), "lsm/", &LSM),
            (include_str!("../bpf/fentry.bpf.c"), "fentry/", &FENTRY),
        ] {
            for (program, hook) in list {
                let begin = format!("SEC(\"{prefix}{hook}\")\nint BPF_PROG({program}, ");
                assert!(source.contains(&begin), "{program}");
            }
            let trial = usize::from(source.contains("lsm_trial"));
            assert_eq!(
                source.matches("SEC(\"lsm/").count() + source.matches("SEC(\"fentry/").count(),
                list.len() + trial
            );
        }
    }

    #[test]
    fn an_inactive_module_is_told_with_the_way_to_activate_it() {
        let error = HookError::NotActive { active: "lockdown,yama".to_owned() };
        assert_eq!(error.reason(), "BPF is not among the active security modules (lockdown,yama)");
        assert_eq!(error.hint(), "boot with lsm=lockdown,yama,bpf on the kernel's command line");
    }

    #[test]
    fn the_strongest_is_tried_first_and_a_forced_one_alone() {
        assert_eq!(Strength::candidates(Choice::Ebpf), [Strength::Lsm, Strength::Fentry, Strength::Base]);
        assert_eq!(Strength::candidates(Choice::Fentry), [Strength::Fentry]);
    }
}
