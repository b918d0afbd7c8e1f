//! Compiles the BPF programs with clang; the object is embedded in the library.

use std::path::{Path, PathBuf};
use std::process::{Command, exit};

const SOURCES: [&str; 4] = ["bpf/sensor.bpf.c", "bpf/activity.h", "bpf/kernel.h", "bpf/wire.h"];

fn main() {
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    println!("cargo::rerun-if-env-changed=CLANG");
    let architecture = match std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("x86_64") => "x86",
        Ok("aarch64") => "arm64",
        other => {
            fail(&format!("the sensor has no table of system calls for {other:?}: x86_64 and aarch64 only"))
        }
    };
    let clang = std::env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    if !["/usr/include", "/usr/local/include"].iter().any(|d| Path::new(d).join("bpf/bpf_helpers.h").exists())
    {
        fail("the headers of libbpf are missing (bpf/bpf_helpers.h): apt-get install libbpf-dev");
    }
    let object = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default()).join("sensor.bpf.o");
    let status = Command::new(&clang)
        .args(["-target", "bpf", "-mcpu=v3", "-g", "-O2", "-Wall", "-Werror"])
        .arg(format!("-D__TARGET_ARCH_{architecture}"))
        .args(["-c", SOURCES[0], "-o"])
        .arg(&object)
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => fail(&format!("{clang} could not compile {} ({status})", SOURCES[0])),
        Err(error) => fail(&format!("cannot run {clang} ({error}): apt-get install clang libbpf-dev")),
    }
}

fn fail(message: &str) -> ! {
    println!("cargo::error={message}");
    exit(1);
}
