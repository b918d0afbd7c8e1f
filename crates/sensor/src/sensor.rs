//! Loading the programs into the kernel.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aya::maps::{Array, CgroupArray, MapData, PerCpuArray, RingBuf};
use aya::programs::tp_btf::BtfTracePointLink;
use aya::programs::{BtfTracePoint, Iter, ProgramError};
use aya::{Btf, Ebpf};
use aya_obj::btf::BtfKind;
use profile::PassedOver;

use crate::activity::Noted;
use crate::canary::Canaries;
use crate::consumer::{Consumer, Harvest};
use crate::error::blockers;
use crate::follow::Follower;
use crate::hooks::{Hooks, Strength};
use crate::journal::{Entries, Journal};
use crate::object::{cast_function, in_object, load_object, take_map};
use crate::rootfs::{Rootfs, kernel_device};
use crate::{Choice, LoadError, Recording, SensorError, Target, snapshot};

/// Program and tracepoint.
const TRACEPOINTS: [(&str, &str); 2] = [("on_sys_exit", "sys_exit"), ("on_exec", "sched_process_exec")];

/// The same for requests of io_uring. Kernels differ in the name and the arguments, so the first that loads is it; a
/// kernel with none of these tracepoints has no io_uring.
const URING: [(&str, &str); 3] = [
    ("on_uring_submit", "io_uring_submit_req"),
    ("on_uring_submit_sqe", "io_uring_submit_sqe"),
    ("on_uring_submit_in", "io_uring_submit_sqe"),
];

/// The same for what is noted beyond uses of files; where one is refused, that is missing.
const ACTIVITY: [(&str, &str); 4] = [
    (CAPABILITIES, "cap_capable"),
    (SOCKETS, "inet_sock_set_state"),
    ("on_fork", "sched_process_fork"),
    ("on_exit", "sched_process_exit"),
];
const CAPABILITIES: &str = "on_capability";
const SOCKETS: &str = "on_socket_state";

/// How to load the sensor.
#[derive(Debug, Clone)]
pub struct SensorOptions {
    /// Size of the ring buffer between kernel and user space; rounded up to a power of two pages.
    pub ring_bytes: u32,
    /// How many distinct uses the kernel remembers; beyond it, uses are reported again.
    pub dedup_entries: u32,
    /// Which backend.
    pub choice: Choice,
    /// What to run for canaries.
    pub helper: Helper,
    /// A fault to try: the hook of this program is looked for where no kernel has one.
    pub absent_hook: Option<&'static str>,
    /// Whether pointers may be given the kernel's types where it can do that; not, for a trial as on an older kernel.
    pub may_cast: bool,
}

/// A program, with leading arguments, that ends up in [`crate::canary_main`] with the arguments after those.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Helper {
    /// The program, such as `/proc/self/exe`.
    pub program: PathBuf,
    /// Its leading arguments, such as `__sensor-canary`.
    pub args: Vec<OsString>,
}

impl SensorOptions {
    /// The ordinary settings: a ring of 64 MiB, which holds the 200,000 uses of a storm while nobody takes them in, and
    /// 262,144 distinct uses.
    pub fn new(helper: Helper) -> Self {
        Self {
            ring_bytes: 64 << 20,
            dedup_entries: 1 << 18,
            choice: Choice::Auto,
            helper,
            absent_hook: None,
            may_cast: true,
        }
    }
}

/// The loaded sensor, attached, watching nothing yet.
pub struct Sensor {
    ebpf: Ebpf,
    /// The base's programs that are attached.
    base: Vec<&'static str>,
    links: Vec<BtfTracePointLink>,
    hooks: Hooks,
    passed_over: Vec<PassedOver>,
    /// Programs of [`ACTIVITY`] that were refused.
    refused: Vec<&'static str>,
    targets: CgroupArray<MapData>,
    counters: PerCpuArray<MapData, u64>,
    consumer: Consumer,
    helper: Helper,
    journal: Option<Arc<Journal>>,
}

impl fmt::Debug for Sensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sensor").field("helper", &self.helper).finish_non_exhaustive()
    }
}

/// Sums over CPUs of what the kernel side counted: `enum counter` in `bpf/sensor.bpf.c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KernelCounters {
    pub(crate) seen: u64,
    pub(crate) duplicate: u64,
    pub(crate) emitted: u64,
    pub(crate) dropped: u64,
    pub(crate) faulted: u64,
    processes: u64,
    activity_dropped: u64,
}

/// What is left of a sensor that was stopped.
#[derive(Debug)]
pub(crate) struct Stopped {
    pub(crate) counters: KernelCounters,
    /// Runs of the base's programs that the kernel skipped.
    pub(crate) skipped: u64,
    /// Which backend watched, and how many runs of its hooks the kernel skipped.
    pub(crate) strength: Strength,
    pub(crate) hooks_skipped: u64,
    pub(crate) passed_over: Vec<PassedOver>,
    pub(crate) harvest: Harvest,
    pub(crate) noted: Noted,
    /// What is missing beyond uses of files.
    pub(crate) cut: BTreeSet<String>,
}

impl Sensor {
    /// Loads the programs and attaches them: the strongest backend that the kernel accepts.
    ///
    /// # Errors
    /// [`LoadError`] names what is missing.
    pub fn load(options: &SensorOptions) -> Result<Self, LoadError> {
        Self::load_noting(options, &mut Vec::new())
    }

    /// The same. What cannot be used is noted, the last one too.
    pub(crate) fn load_noting(
        options: &SensorOptions,
        passed_over: &mut Vec<PassedOver>,
    ) -> Result<Self, LoadError> {
        let candidates = Strength::candidates(options.choice);
        let btf = Btf::from_sys_fs()
            .map_err(|source| LoadError::NoBtf { source })
            .inspect_err(|error| passed_over.extend(candidates.iter().map(|&s| error.passed_over(s))))?;
        let sensor = strongest(candidates, passed_over, |strength| Self::load_with(options, &btf, strength))?;
        Ok(Self { passed_over: passed_over.clone(), ..sensor })
    }

    /// Loads one backend. A kernel without a just-in-time compiler has the function that casts and refuses to call it:
    /// the base, which runs there too, is tried once more without it.
    fn load_with(options: &SensorOptions, btf: &Btf, strength: Strength) -> Result<Self, LoadError> {
        let cast = cast_function(btf).filter(|_| options.may_cast);
        let loaded = Self::load_casting(options, btf, strength, cast);
        match loaded {
            Err(error @ LoadError::Program { .. }) if cast.is_some() && strength == Strength::Base => {
                tracing::debug!(%error, "once more without casts");
                Self::load_casting(options, btf, strength, None)
            }
            _ => loaded,
        }
    }

    fn load_casting(
        options: &SensorOptions,
        btf: &Btf,
        strength: Strength,
        cast: Option<u32>,
    ) -> Result<Self, LoadError> {
        let mut ebpf = load_object(options, btf, strength, cast)?;
        let hooks = Hooks::attach(strength, &mut ebpf, btf, options.absent_hook)
            .map_err(|source| LoadError::Hooks { backend: strength.name(), source })?;
        let ring = take_map(&mut ebpf, "ring").and_then(|map| RingBuf::try_from(map).map_err(in_object))?;
        let targets =
            take_map(&mut ebpf, "targets").and_then(|map| CgroupArray::try_from(map).map_err(in_object))?;
        let counters =
            take_map(&mut ebpf, "counters").and_then(|map| PerCpuArray::try_from(map).map_err(in_object))?;
        let consumer = Consumer::start(ring).map_err(|source| LoadError::Consumer { source })?;
        for (name, target) in snapshot::ITERATORS {
            let load = |ebpf: &mut Ebpf| program::<Iter>(ebpf, name)?.load(target, btf);
            load(&mut ebpf).map_err(|source| in_program(name, source))?;
        }
        let mut attach = |name, tracepoint| {
            let program = program::<BtfTracePoint>(&mut ebpf, name)?;
            program.load(tracepoint, btf)?;
            let id = program.attach()?;
            program.take_link(id)
        };
        let (mut links, mut base) = (Vec::new(), Vec::new());
        for (name, tracepoint) in TRACEPOINTS {
            links.push(attach(name, tracepoint).map_err(|source| in_program(name, source))?);
            base.push(name);
        }
        let has = |tracepoint: &str| {
            btf.id_by_type_name_kind(&format!("btf_trace_{tracepoint}"), BtfKind::Typedef).is_ok()
        };
        let mut requests = Ok(());
        for (name, tracepoint) in URING.into_iter().filter(|(_, tracepoint)| has(tracepoint)) {
            requests = match attach(name, tracepoint) {
                Ok(link) => {
                    links.push(link);
                    base.push(name);
                    Ok(())
                }
                Err(source) => Err(in_program(name, source)),
            };
            if requests.is_ok() {
                break;
            }
        }
        requests?;
        let mut refused = Vec::new();
        for (name, tracepoint) in ACTIVITY {
            match attach(name, tracepoint) {
                Ok(link) => links.push(link),
                Err(error) => {
                    tracing::debug!(%error, "the kernel refuses `{name}`: what it would note is missing");
                    refused.push(name);
                }
            }
        }
        Ok(Self {
            ebpf,
            base,
            links,
            hooks,
            passed_over: Vec::new(),
            refused,
            targets,
            counters,
            consumer,
            helper: options.helper.clone(),
            journal: None,
        })
    }

    /// Its name in profiles.
    pub fn backend(&self) -> &'static str {
        self.hooks.strength().name()
    }

    /// Stronger backends that cannot be used here.
    pub fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over
    }

    /// Keeps the recording in a journal while it goes on.
    pub fn keep(&mut self, journal: Arc<Journal>) {
        self.consumer.keep(Arc::clone(&journal));
        self.journal = Some(journal);
    }

    /// Writes into the journal, if there is one.
    pub(crate) fn journal(&self, fill: impl FnOnce(&mut Entries)) {
        if let Some(journal) = &self.journal {
            let mut entries = Entries::default();
            fill(&mut entries);
            journal.append(&entries);
        }
    }

    /// Writes into the journal, if there is one, what was done until now beyond using files.
    pub(crate) fn journal_activity(&self) {
        if self.journal.is_none() {
            return;
        }
        match self.noted() {
            Ok(noted) => self.journal(|entries| entries.add(b'A', &noted.to_bytes())),
            Err(error) => tracing::debug!(%error, "what was done beyond using files cannot be read now"),
        }
    }

    fn noted(&self) -> Result<Noted, SensorError> {
        Noted::read(&self.ebpf, !self.refused.contains(&CAPABILITIES))
            .map_err(|source| SensorError::Counters { source })
    }

    /// Watches a container from now on: its cgroup is entered into the filter and the first canaries are let out.
    ///
    /// # Errors
    /// [`SensorError`] if the target is not what it should be or the canaries cannot run.
    pub fn watch(mut self, target: &Target) -> Result<Recording, SensorError> {
        let cgroup = &target.cgroup_dir;
        let rootfs = Rootfs::new(&target.rootfs)?;
        if let Some(program) = &target.set_up_by {
            self.leave_out(program)?;
        }
        let directory = File::open(cgroup)
            .map_err(|source| SensorError::OpenCgroup { cgroup: cgroup.clone(), source })?;
        self.targets
            .set(0, directory, 0)
            .map_err(|source| SensorError::WatchCgroup { cgroup: cgroup.clone(), source })?;
        if self.hooks.strength() == Strength::Base {
            self.consumer.follow(Follower::start(target)?);
        }
        let mut canaries = Canaries::new(self.helper.clone(), cgroup);
        self.journal(|entries| entries.add(b'C', canaries.word().as_bytes()));
        canaries.run("start").map_err(|source| SensorError::Canary { cgroup: cgroup.clone(), source })?;
        Ok(Recording::new(self, target.clone(), rootfs, canaries))
    }

    /// Tells the kernel side which program's doings are no uses of the image.
    fn leave_out(&mut self, program: &Path) -> Result<(), SensorError> {
        let failed = |source| SensorError::SetUpProgram { program: program.to_owned(), source };
        let stat = rustix::fs::stat(program).map_err(|errno| failed(errno.into()))?;
        // `struct program_id`: the inode number, the device as the kernel has it, padding.
        let mut id = [0; 16];
        id[..8].copy_from_slice(&stat.st_ino.to_ne_bytes());
        id[8..12].copy_from_slice(&kernel_device(stat.st_dev).to_ne_bytes());
        let map =
            self.ebpf.map_mut(".data.set_up_by").ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        Array::<_, [u8; 16]>::try_from(map)
            .and_then(|mut array| array.set(0, id, 0))
            .map_err(|error| failed(io::Error::other(error)))
    }

    pub(crate) fn ebpf(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }

    /// Detaches the programs, waits until none runs any more, and takes in what is left.
    pub(crate) fn stop(mut self) -> Result<Stopped, SensorError> {
        let skipped = self.skipped()?;
        let hooks_skipped = self
            .hooks
            .skipped(&mut self.ebpf)
            .map_err(|source| SensorError::Skipped { program: self.hooks.strength().name(), source })?;
        let strength = self.hooks.strength();
        self.links.clear();
        self.hooks = Hooks::None;
        let counters = self.settled_counters()?;
        let noted = self.noted()?;
        let harvest = self.consumer.finish().ok_or(SensorError::Consumer)?;
        let mut cut = BTreeSet::new();
        let mut missing = |what: &str, is_missing: bool| {
            if is_missing {
                cut.insert(what.to_owned());
            }
        };
        missing("sockets", self.refused.contains(&SOCKETS));
        missing("processes", self.refused.iter().any(|&name| name != SOCKETS && name != CAPABILITIES));
        missing("processes", harvest.processes.cut || harvest.processes.received != counters.processes);
        missing("activity", counters.activity_dropped > 0);
        let passed_over = self.passed_over;
        Ok(Stopped { counters, skipped, strength, hooks_skipped, passed_over, harvest, noted, cut })
    }

    /// The counters once no program runs any more: twice the same, and balanced; or as they are after two seconds,
    /// for then something is wrong and the verdict will say so.
    fn settled_counters(&self) -> Result<KernelCounters, SensorError> {
        let mut before = self.counters()?;
        for _ in 0..200 {
            std::thread::sleep(std::time::Duration::from_millis(10));
            let now = self.counters()?;
            if now == before && now.seen == now.duplicate + now.emitted + now.dropped + now.faulted {
                break;
            }
            before = now;
        }
        Ok(before)
    }

    fn counters(&self) -> Result<KernelCounters, SensorError> {
        let sum = |index: u32| -> Result<u64, SensorError> {
            let values = self.counters.get(&index, 0).map_err(|source| SensorError::Counters { source })?;
            Ok(values.iter().sum())
        };
        let recent = sum(7)?;
        Ok(KernelCounters {
            seen: sum(0)? + recent,
            duplicate: sum(1)? + recent,
            emitted: sum(2)?,
            dropped: sum(3)?,
            faulted: sum(4)?,
            processes: sum(5)?,
            activity_dropped: sum(6)?,
        })
    }

    /// Runs of the base's programs that the kernel skipped; it tells in the descriptor's fdinfo.
    fn skipped(&mut self) -> Result<u64, SensorError> {
        let mut total = 0;
        for name in self.base.clone() {
            let failed = |source| SensorError::Skipped { program: name, source };
            let program = program::<BtfTracePoint>(&mut self.ebpf, name)
                .map_err(|error| failed(io::Error::other(error)))?;
            let fd = program.fd().map_err(|error| failed(io::Error::other(error)))?;
            total += recursion_misses(fd.as_fd()).map_err(failed)?;
        }
        Ok(total)
    }
}

/// Runs of a program that the kernel skipped because it ran already.
pub(crate) fn recursion_misses(program: BorrowedFd<'_>) -> io::Result<u64> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", program.as_raw_fd()))?;
    parse_recursion_misses(&info).ok_or_else(|| io::Error::other("fdinfo has no recursion_misses"))
}

fn parse_recursion_misses(fdinfo: &str) -> Option<u64> {
    fdinfo.lines().find_map(|line| line.strip_prefix("recursion_misses:"))?.trim().parse().ok()
}

/// What the first of these candidates that loads gives. Those that do not are noted.
fn strongest<T>(
    candidates: &[Strength],
    passed_over: &mut Vec<PassedOver>,
    mut load: impl FnMut(Strength) -> Result<T, LoadError>,
) -> Result<T, LoadError> {
    let (&last, stronger) = candidates.split_last().expect("there is a candidate for every choice");
    let mut attempt = |strength: Strength| {
        load(strength).inspect_err(|error| {
            tracing::debug!(%error, "the backend {} is passed over", strength.name());
            passed_over.push(error.passed_over(strength));
        })
    };
    for &strength in stronger {
        if let Ok(loaded) = attempt(strength) {
            return Ok(loaded);
        }
    }
    attempt(last)
}

pub(crate) fn program<'a, P>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut P, ProgramError>
where
    &'a mut P: TryFrom<&'a mut aya::programs::Program, Error = ProgramError>,
{
    ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)?.try_into()
}

fn in_program(program: &'static str, source: ProgramError) -> LoadError {
    LoadError::Program { program, source: Box::new(source), blockers: blockers() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hooks::HookError;

    #[test]
    fn one_hook_that_fails_leaves_the_choice_to_the_next_backend_with_the_reason() {
        let no_hook = |program| {
            let source = aya::BtfError::UnknownBtfTypeName { type_name: "bpf_lsm_path_unlink".to_owned() };
            HookError::NoHook { program, source }
        };
        let failed = |strength: Strength, source| LoadError::Hooks { backend: strength.name(), source };
        let candidates = Strength::candidates(Choice::Auto);
        let mut passed_over = Vec::new();
        let loaded = strongest(candidates, &mut passed_over, |strength| match strength {
            Strength::Lsm => Err(failed(strength, no_hook("lsm_path_unlink"))),
            _ => Ok(strength),
        });
        assert_eq!(loaded.unwrap(), Strength::Fentry);
        let [lsm] = &passed_over[..] else { panic!("{passed_over:?}") };
        assert_eq!(lsm.backend, "ebpf-lsm");
        assert!(lsm.reason.contains("`lsm_path_unlink`"), "{}", lsm.reason);
        assert!(lsm.hint.contains("CONFIG_BPF_LSM"), "{}", lsm.hint);

        let mut passed_over = Vec::new();
        let none: Result<Strength, _> = strongest(candidates, &mut passed_over, |strength| {
            let source = Box::new(ProgramError::SyscallError(aya::sys::SyscallError {
                call: "bpf_link_create",
                io_error: io::ErrorKind::PermissionDenied.into(),
            }));
            Err(failed(strength, HookError::Refused { program: "a_hook", source }))
        });
        assert!(matches!(none, Err(LoadError::Hooks { backend: "ebpf-base", .. })));
        let names: Vec<_> = passed_over.iter().map(|other| other.backend.as_str()).collect();
        assert_eq!(names, ["ebpf-lsm", "ebpf-fentry", "ebpf-base"]);
        assert!(passed_over.iter().all(|other| other.reason.ends_with("`a_hook`: not permitted")));
    }

    #[test]
    fn recursion_misses_are_read_from_fdinfo() {
        let info = "pos:\t0\nprog_type:\t26\nrecursion_misses:\t3\nverified_insns:\t9\n";
        assert_eq!(parse_recursion_misses(info), Some(3));
        assert_eq!(parse_recursion_misses("pos:\t0\n"), None);
    }
}
