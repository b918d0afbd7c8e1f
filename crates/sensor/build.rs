//! Compiles the BPF programs with clang; the object is embedded in the library.

use std::path::{Path, PathBuf};
use std::process::{Command, exit};

/// One object each; the stronger ones include the base. The last one is for benchmarks.
const OBJECTS: [&str; 4] = ["sensor", "fentry", "lsm", "empty"];
const HEADERS: [&str; 4] = ["activity", "hooks", "kernel", "wire"];

fn main() {
    for object in OBJECTS {
        println!("cargo::rerun-if-changed=bpf/{object}.bpf.c");
    }
    for header in HEADERS {
        println!("cargo::rerun-if-changed=bpf/{header}.h");
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
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    for object in OBJECTS {
        let source = format!("bpf/{object}.bpf.c");
        let status = Command::new(&clang)
            .args(["-target", "bpf", "-mcpu=v3", "-g", "-O2", "-Wall", "-Werror"])
            .arg(format!("-D__TARGET_ARCH_{architecture}"))
            .args(["-c", &source, "-o"])
            .arg(out.join(format!("{object}.bpf.o")))
            .status();
        match status {
            Ok(status) if status.success() => {}
            Ok(status) => fail(&format!("{clang} could not compile {source} ({status})")),
            Err(error) => fail(&format!("cannot run {clang} ({error}): apt-get install clang libbpf-dev")),
        }
    }
}

fn fail(message: &str) -> ! {
    println!("cargo::error={message}");
    exit(1);
}
