//! `cargo xtask demo`: from nothing to a hardened image that answers, and the report about it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{apt, command, images, workspace};

/// Starts the image's own entrypoint in namespaces of its own, with nothing of the tool that made the image, and
/// asks the server with the client of this machine. Everything goes with the namespaces.
const TRY: &str = r#"
set -eu
mount -t proc proc "$1/proc"
mount --bind /dev "$1/dev"
ip link set lo up
env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    unshare --root "$1" --wd /data docker-entrypoint.sh redis-server >"$2" 2>&1 &
for _ in $(seq 50); do
    redis-cli ping >/dev/null 2>&1 && break
    sleep 0.1
done
redis-cli set greeting "hello from the hardened image"
redis-cli get greeting
redis-cli info server | grep redis_version
redis-cli shutdown nosave
wait
"#;

pub(crate) fn main(arguments: &[String]) -> Result<()> {
    if !arguments.is_empty() {
        bail!("`demo` takes no arguments");
    }
    apt::ensure(&["redis-tools", "iproute2", "umoci"])?;
    let careen = workspace::build_careen()?;
    images::build(&["redis".to_owned()], false)?;
    let root = workspace::root();
    let demo = root.join("target/demo");
    fs::create_dir_all(&demo).with_context(|| format!("cannot make {}", demo.display()))?;

    // Enough to see findings before and after; whoever has a database of their own sees all.
    let database = root.join("target/demo-advisories.db");
    let status = Command::new(&careen).args(["db", "status", "--output", "json"]).output();
    let has_own = status.is_ok_and(|output| output.status.success());
    if !has_own {
        let mut build = Command::new(&careen);
        build.args(["db", "build", "--quiet", "--from"]).arg(workspace::excerpts()).arg("-o").arg(&database);
        command::run(&mut build)?;
        eprintln!("\nFindings come from a small excerpt of advisories; `careen db update` fetches them all.");
    }

    let words = [
        "harden",
        "oci:target/images/redis",
        "--coverage",
        "redis",
        "-o",
        "oci:target/demo/redis-hardened",
        "--force",
    ];
    eprintln!("\n$ careen {}", words.join(" "));
    let mut harden = Command::new(&careen);
    if !has_own {
        harden.env("CAREEN_DB", &database);
    }
    command::run(harden.current_dir(&root).args(words))?;

    eprintln!("\nThe hardened image, unpacked and started without careen:");
    start_and_ask(&demo)?;

    println!("\nThe hardened image:  target/demo/redis-hardened");
    for entry in fs::read_dir(&demo)?.flatten() {
        let name = entry.file_name();
        if name != "redis-hardened" {
            println!("Beside it:           target/demo/{}", name.to_string_lossy());
        }
    }
    Ok(())
}

fn start_and_ask(demo: &Path) -> Result<()> {
    let scratch = tempfile::tempdir_in(demo).context("cannot make a temporary folder")?;
    let (bundle, log) = (scratch.path().join("bundle"), scratch.path().join("log"));
    let image = format!("{}:latest", demo.join("redis-hardened").display());
    command::run_logged(Command::new("umoci").args(["unpack", "--image", &image]).arg(&bundle), &log)
        .context("another tool cannot unpack the hardened image")?;
    let mut inside = Command::new("unshare");
    inside.args([
        "--mount",
        "--propagation",
        "private",
        "--net",
        "--pid",
        "--fork",
        "--kill-child",
        "sh",
        "-c",
        TRY,
    ]);
    inside.arg("sh").arg(bundle.join("rootfs")).arg(&log);
    command::run(&mut inside).with_context(|| {
        format!("the hardened image does not answer\n{}", fs::read_to_string(&log).unwrap_or_default())
    })
}
