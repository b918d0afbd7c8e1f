//! `cargo xtask bench harden`: time of `careen harden` with a profile at hand, as a multiple of what the codecs alone
//! cost, and its peak of memory on a large image.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::codecs::{self, Cost};
use super::median::{Median, median};
use crate::{apt, command, images, workspace};

const ROUNDS: usize = 9;
/// What is added to the image for the measurement of memory, and the bound it is held against.
const LARGE_BYTES: usize = 400 << 20;
const PEAK_BOUND_MB: f64 = 200.0;

/// One run of the product.
#[derive(Debug)]
struct Run {
    cost: Cost,
    peak_mb: f64,
}

pub(crate) fn main() -> Result<()> {
    apt::ensure(&["time", "umoci"])?;
    let careen = workspace::build_careen()?;
    let layouts = images::build(&["redis".to_owned()], false)?;
    let original = layouts.first().context("no image was built")?;
    let dir = workspace::root().join("target/bench/harden");
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let (output, profile) = (dir.join("hardened"), dir.join("redis.profile"));

    record(&careen, original, &profile)?;
    harden(&careen, original, &profile, &output, &[], &dir)?;
    let layers = codecs::layers(original)?;
    let mut kept = Vec::new();
    for layer in codecs::layers(&output)? {
        kept.push(codecs::inflate(
            &fs::read(&layer).with_context(|| format!("cannot read {}", layer.display()))?,
        )?);
    }

    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        // In turn, and each first every other time, so that a drift of the machine hits both alike.
        let (raw, run) = if round % 2 == 0 {
            let raw = codecs::round(&layers, &kept)?;
            (raw, harden(&careen, original, &profile, &output, &[], &dir)?)
        } else {
            let run = harden(&careen, original, &profile, &output, &[], &dir)?;
            (codecs::round(&layers, &kept)?, run)
        };
        eprintln!(
            "round {}: codecs {:.3} s, careen {:.3} s (processor {:.3} s and {:.3} s)",
            round + 1,
            raw.wall.as_secs_f64(),
            run.cost.wall.as_secs_f64(),
            raw.cpu.as_secs_f64(),
            run.cost.cpu.as_secs_f64()
        );
        rounds.push((raw, run.cost));
    }
    let line = |what: &str, of: fn(&Cost) -> Duration| -> Result<()> {
        let middle = |values: Vec<f64>| median(values).context("no round was measured");
        let raw = middle(rounds.iter().map(|(raw, _)| of(raw).as_secs_f64()).collect())?;
        let run = middle(rounds.iter().map(|(_, run)| of(run).as_secs_f64()).collect())?;
        let ratio =
            middle(rounds.iter().map(|(raw, run)| of(run).as_secs_f64() / of(raw).as_secs_f64()).collect())?;
        let Median { value, smallest, largest } = ratio;
        println!(
            "harden redis, {what:9}: {value:.2} times the codecs ({smallest:.2} to {largest:.2}); {:.3} s and {:.3} s",
            run.value, raw.value
        );
        Ok(())
    };
    line("wall", |cost| cost.wall)?;
    line("processor", |cost| cost.cpu)?;

    let large = large_image(original, &dir)?;
    let profile = dir.join("large.profile");
    record(&careen, &large, &profile)?;
    // Half of the added bytes are kept, so that a large file is read and one is written.
    let run =
        harden(&careen, &large, &profile, &dir.join("large-hardened"), &["--keep", "/opt/large/kept"], &dir)?;
    println!(
        "harden redis with {} MB more, peak of memory: {:.0} MB (bound {PEAK_BOUND_MB:.0} MB), {:.2} s",
        LARGE_BYTES >> 20,
        run.peak_mb,
        run.cost.wall.as_secs_f64()
    );
    if run.peak_mb > PEAK_BOUND_MB {
        bail!("memory: {:.0} MB is above the bound of {PEAK_BOUND_MB:.0} MB", run.peak_mb);
    }
    Ok(())
}

/// Writes the profile of a run under the built-in coverage.
fn record(careen: &Path, image: &Path, profile: &Path) -> Result<()> {
    let mut record = Command::new(careen);
    record.args(["record", "--quiet", "--coverage", "redis", "--force", "-o"]).arg(profile).arg(oci(image));
    command::run(&mut record)
}

fn harden(
    careen: &Path,
    image: &Path,
    profile: &Path,
    output: &Path,
    more: &[&str],
    dir: &Path,
) -> Result<Run> {
    let figures = dir.join("time");
    let mut harden = Command::new("/usr/bin/time");
    harden.args(["--format", "%U %S %M", "--output"]).arg(&figures).arg(careen);
    harden.args(["harden", "--quiet", "--no-verify", "--force", "--profile"]).arg(profile);
    harden.arg("-o").arg(oci(output)).args(more).arg(oci(image)).stdout(Stdio::null());
    let started = Instant::now();
    command::run(&mut harden)?;
    let wall = started.elapsed();
    let text = fs::read_to_string(&figures).with_context(|| format!("cannot read {}", figures.display()))?;
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [user, system, peak_kib] = numbers[..] else { bail!("time printed {text:?}") };
    Ok(Run {
        cost: Cost { wall, cpu: Duration::from_secs_f64(user + system) },
        peak_mb: peak_kib * 1024.0 / 1e6,
    })
}

/// The image with one more layer of two large files, made once for each version of the image.
fn large_image(original: &Path, dir: &Path) -> Result<PathBuf> {
    let large = dir.join("large");
    let marker = large.join("made-from");
    let index = fs::read_to_string(original.join("index.json")).context("cannot read the image's index")?;
    if fs::read_to_string(&marker).is_ok_and(|made_from| made_from == index) {
        return Ok(large);
    }
    eprintln!("making an image with {} MB more", LARGE_BYTES >> 20);
    if large.exists() {
        fs::remove_dir_all(&large).with_context(|| format!("cannot remove {}", large.display()))?;
    }
    command::run(Command::new("cp").arg("-a").arg(original).arg(&large))?;
    let scratch = tempfile::tempdir_in(dir).context("cannot make a temporary folder")?;
    let files = scratch.path().join("files");
    fs::create_dir(&files).context("cannot make a folder")?;
    for (name, seed) in [("kept", 1), ("removed", 2)] {
        write_large(&files.join(name), LARGE_BYTES / 2, seed)
            .with_context(|| format!("cannot write {name}"))?;
    }
    let mut insert = Command::new("umoci");
    insert
        .arg("insert")
        .arg("--image")
        .arg(format!("{}:latest", large.display()))
        .arg(&files)
        .arg("/opt/large");
    command::run_logged(&mut insert, &scratch.path().join("log"))?;
    fs::write(&marker, index).with_context(|| format!("cannot write {}", marker.display()))?;
    Ok(large)
}

/// Bytes that compress to about half, as binaries do: sixteen values, in no order.
fn write_large(path: &Path, bytes: usize, seed: u64) -> Result<()> {
    let mut file = std::io::BufWriter::new(fs::File::create(path)?);
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for _ in 0..bytes / 8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        file.write_all(&(state & 0x0f0f_0f0f_0f0f_0f0f).to_le_bytes())?;
    }
    Ok(file.flush()?)
}

fn oci(layout: &Path) -> String {
    format!("oci:{}:latest", layout.display())
}
