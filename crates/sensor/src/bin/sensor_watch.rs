//! Watches a cgroup for the benchmarks: `sensor-watch CGROUP ROOTFS` says `ready`, and at the end of its input whether
//! the record is complete. `sensor-watch empty` does the same with a program that does nothing in place of the sensor.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "it talks to the benchmark")]

use std::error::Error;
use std::ffi::OsString;
use std::io::Read as _;
use std::process::exit;

use aya::programs::BtfTracePoint;
use aya::{Btf, Ebpf};
use image::Tree;
use profile::Verdict;
use sensor::{Helper, Sensor, SensorOptions, Target};

const CANARY: &str = "canary";
const EMPTY: &str = "empty";

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let [first, rest @ ..] = &*args
        && first == CANARY
    {
        exit(sensor::canary_main(rest));
    }
    if let [first] = &*args
        && first == EMPTY
    {
        return watch_nothing();
    }
    let [cgroup, rootfs] = &*args else { return Err("it takes a cgroup and an overlay mount".into()) };
    let helper = Helper { program: "/proc/self/exe".into(), args: vec![CANARY.into()] };
    let sensor = Sensor::load(&SensorOptions::new(helper))?;
    let target = Target {
        cgroup_dir: cgroup.into(),
        rootfs: rootfs.into(),
        mounts: Vec::new(),
        set_up_by: None,
        one_user: false,
    };
    let recording = sensor.watch(&target)?;
    println!("ready");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    let record = recording.finish(&std::iter::empty().collect::<Tree>())?;
    match record.counters.verdict() {
        Verdict::Complete => println!("complete"),
        Verdict::Incomplete { reasons } => println!("incomplete: {reasons:?}"),
    }
    Ok(())
}

/// Attaches a program that does nothing where the sensor's stands.
fn watch_nothing() -> Result<(), Box<dyn Error>> {
    let btf = Btf::from_sys_fs()?;
    let mut ebpf = Ebpf::load(aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/empty.bpf.o")))?;
    let program: &mut BtfTracePoint = ebpf.program_mut("on_sys_exit").ok_or("no program")?.try_into()?;
    program.load("sys_exit", &btf)?;
    program.attach()?;
    println!("ready");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    println!("complete");
    Ok(())
}
