//! Watches a cgroup for the benchmarks: `sensor-watch CGROUP ROOTFS` says `ready`, and at the end of its input whether
//! the record is complete.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "it talks to the benchmark")]

use std::error::Error;
use std::ffi::OsString;
use std::io::Read as _;
use std::process::exit;

use image::Tree;
use profile::Verdict;
use sensor::{Helper, Sensor, SensorOptions, Target};

const CANARY: &str = "canary";

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let [first, rest @ ..] = &*args
        && first == CANARY
    {
        exit(sensor::canary_main(rest));
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
