//! `cargo xtask bench harden`: time of `careen harden` with a profile at hand, as a multiple of what the codecs alone
//! cost, the time of planning alone, and the peak of memory.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::codecs::{self, Cost};
use super::median::{Median, median};
use super::page;
use super::timed::{self, Run};
use crate::{apt, command, workspace};

const ROUNDS: usize = 7;
/// What is added to the image for the measurement of memory, and the bound it is held against.
const LARGE_BYTES: usize = 400 << 20;
const PEAK_BOUND_MB: f64 = 200.0;

/// The images that are measured where none is named.
const IMAGES: [&str; 3] = ["redis", "postgres", "node-express"];
/// Plan and write, as a multiple of the codecs.
const TIME_BOUND: f64 = 1.5;
/// Planning alone, as a part of the codecs' time.
const PLAN_BOUND: f64 = 0.1;
/// Files that are added to an image to see how planning grows.
const MANY_FILES: usize = 30_000;
/// The image with these files.
const MANY_NAME: &str = "redis and 30,000 files";

/// Measures the named images, or the usual ones; those that are not built are skipped. Writes `docs/performance.md`.
pub(crate) fn main(names: &[String]) -> Result<()> {
    apt::ensure(&["time", "umoci"])?;
    let careen = workspace::build_careen()?;
    let plan_time = build_plan_time()?;
    let dir = workspace::root().join("target/bench/harden");
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let names: Vec<&str> =
        if names.is_empty() { IMAGES.to_vec() } else { names.iter().map(String::as_str).collect() };
    let bench = Bench { careen, plan_time, dir };
    let mut rows = Vec::new();
    let mut skipped = Vec::new();
    for name in names {
        let layout = workspace::cache()?.join("images").join(name);
        if !layout.join("index.json").is_file() {
            eprintln!("SKIP {name}: it is not built: cargo xtask images {name}");
            skipped.push(name.to_owned());
            continue;
        }
        let profile = bench.dir.join(format!("{name}.profile"));
        bench.record(&layout, name, &profile)?;
        rows.push(bench.measure(name, &layout, &profile, &[])?);
        if name == "redis" {
            let many = many_files(&layout, &bench.dir)?;
            let profile = bench.dir.join("many.profile");
            bench.record(&many, name, &profile)?;
            let keep = ["/opt/many/a/**"];
            rows.push(bench.measure(MANY_NAME, &many, &profile, &keep)?);
            let large = large_image(&layout, &bench.dir)?;
            let profile = bench.dir.join("large.profile");
            bench.record(&large, name, &profile)?;
            // Half of the added bytes are kept, so that a large file is read and one is written.
            let keep = ["/opt/large/kept"];
            rows.push(bench.measure("redis and 400 MB", &large, &profile, &keep)?);
        }
    }
    let page = workspace::root().join("docs/performance.md");
    page::write_section(&page, "Hardening", &render(&rows, &skipped))?;
    println!("wrote {}", page.display());
    let over: Vec<String> = rows.iter().flat_map(Row::over).collect();
    if over.is_empty() { Ok(()) } else { bail!("over their bounds: {}", over.join("; ")) }
}

/// The example of `careen-harden` that times planning alone.
fn build_plan_time() -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(workspace::root());
    cargo.args(["build", "--release", "--locked", "--package", "careen-harden", "--example", "plan_time"]);
    command::run(&mut cargo).context("cannot build the example plan_time")?;
    Ok(workspace::target_dir()?.join("release/examples/plan_time"))
}

/// What one image showed.
#[derive(Debug)]
struct Row {
    image: String,
    paths: u64,
    /// Seconds.
    codecs: Median,
    careen: Median,
    wall_ratio: Median,
    processor_ratio: Median,
    /// Seconds.
    plan: Median,
    peak_mb: f64,
}

impl Row {
    fn plan_part(&self) -> f64 {
        self.plan.value / self.codecs.value
    }

    fn over(&self) -> Vec<String> {
        let plan_bound = if self.image == MANY_NAME { f64::INFINITY } else { PLAN_BOUND };
        let bounds = [
            ("times the codecs", self.wall_ratio.value, TIME_BOUND),
            ("of the codecs for the plan", self.plan_part(), plan_bound),
            ("MB of memory", self.peak_mb, PEAK_BOUND_MB),
        ];
        let over = bounds.into_iter().filter(|(_, value, bound)| value > bound);
        over.map(|(what, value, bound)| format!("{}: {value:.2} {what}, bound {bound}", self.image)).collect()
    }
}

struct Bench {
    careen: PathBuf,
    plan_time: PathBuf,
    dir: PathBuf,
}

impl Bench {
    fn measure(&self, name: &str, layout: &Path, profile: &Path, keep: &[&str]) -> Result<Row> {
        let output = self.dir.join("hardened");
        let more: Vec<&str> = keep.iter().flat_map(|glob| ["--keep", glob]).collect();
        let run = || harden(&self.careen, layout, profile, &output, &more, &self.dir);
        let mut peak_mb = run()?.peak_mb;
        let layers = codecs::layers(layout)?;
        let mut kept = Vec::new();
        for layer in codecs::layers(&output)? {
            let blob = fs::read(&layer).with_context(|| format!("cannot read {}", layer.display()))?;
            kept.push(codecs::inflate(&blob)?);
        }
        let mut rounds = Vec::new();
        for round in 0..ROUNDS {
            // In turn, and each first every other time, so that a drift of the machine hits both alike.
            let (raw, run) = if round % 2 == 0 {
                let raw = codecs::round(&layers, &kept)?;
                (raw, run()?)
            } else {
                let run = run()?;
                (codecs::round(&layers, &kept)?, run)
            };
            eprintln!(
                "{name}, round {}: codecs {:.3} s, careen {:.3} s",
                round + 1,
                raw.wall.as_secs_f64(),
                run.cost.wall.as_secs_f64()
            );
            peak_mb = peak_mb.max(run.peak_mb);
            rounds.push((raw, run.cost));
        }
        let middle = |of: &dyn Fn(&(Cost, Cost)) -> f64| {
            median(rounds.iter().map(of)).context("no round was measured")
        };
        let (paths, plan) = self.plan_alone(layout, profile, keep)?;
        let row = Row {
            image: name.to_owned(),
            paths,
            codecs: middle(&|(raw, _)| raw.wall.as_secs_f64())?,
            careen: middle(&|(_, run)| run.wall.as_secs_f64())?,
            wall_ratio: middle(&|(raw, run)| run.wall.as_secs_f64() / raw.wall.as_secs_f64())?,
            processor_ratio: middle(&|(raw, run)| run.cpu.as_secs_f64() / raw.cpu.as_secs_f64())?,
            plan,
            peak_mb,
        };
        println!(
            "{name}: {:.2} times the codecs ({:.3} s), plan {:.3} s of {} paths, {:.0} MB",
            row.wall_ratio.value, row.codecs.value, row.plan.value, row.paths, row.peak_mb
        );
        Ok(row)
    }

    /// How many paths the image has, and the seconds that reading its packages and planning take.
    fn plan_alone(&self, layout: &Path, profile: &Path, keep: &[&str]) -> Result<(u64, Median)> {
        #[derive(serde::Deserialize)]
        struct Planned {
            paths: u64,
            seconds: Vec<f64>,
        }
        let mut example = Command::new(&self.plan_time);
        example.arg(oci(layout)).arg(profile).arg(ROUNDS.to_string()).args(keep);
        let planned: Planned = serde_json::from_str(&command::output(&mut example)?)
            .context("the example plan_time printed something else")?;
        Ok((planned.paths, median(planned.seconds).context("no round was measured")?))
    }

    /// Writes the profile of a run under the image's coverage: the one beside its declaration, or a built-in one.
    fn record(&self, layout: &Path, name: &str, profile: &Path) -> Result<()> {
        let own = workspace::root().join("images").join(name).join("coverage.yaml");
        let coverage = if own.is_file() { own } else { PathBuf::from(name) };
        let mut record = Command::new(&self.careen);
        record.args(["record", "--quiet", "--force", "--coverage"]).arg(coverage);
        record.arg("-o").arg(profile).arg(oci(layout));
        command::run(&mut record)
    }
}

/// The section.
fn render(rows: &[Row], skipped: &[String]) -> String {
    let mut page = format!(
        "Written by `cargo xtask bench harden`; do not edit. Machines differ and other work may run beside, so what counts\n\
        is a ratio: *codecs* is what no hardening can do without, done by the same crates with the same settings on one\n\
        thread in memory: reading, inflating and hashing all layers, compressing the kept bytes. *careen* is the whole\n\
        command `careen harden` with a profile at hand, outputs synced to disk. *plan* is reading the package database\n\
        and planning alone. Figures are medians of {ROUNDS} rounds, in turn with the codecs; in brackets the smallest and\n\
        the largest.\n\n\
        Bounds: {TIME_BOUND} times the codecs in time, {PLAN_BOUND} of them for the plan, {PEAK_BOUND_MB} MB of memory.\n\
        *{MANY_NAME}* has no bound for the plan: its files, of 20 to 900 bytes, are no work for the codecs, and show how\n\
        planning grows with their number.\n\n\
        | image | paths | codecs, s | careen, s | times the codecs | processor time | plan, s | plan / codecs | memory, MB |\n\
        | --- | --: | --: | --: | --: | --: | --: | --: | --: |\n"
    );
    let spread = |median: &Median, digits: usize| {
        let Median { value, smallest, largest } = median;
        format!("{value:.digits$} ({smallest:.digits$} to {largest:.digits$})")
    };
    for row in rows {
        page += &format!(
            "| {} | {} | {} | {} | {} | {} | {} | {:.2} | {:.0} |\n",
            row.image,
            row.paths,
            spread(&row.codecs, 2),
            spread(&row.careen, 2),
            spread(&row.wall_ratio, 2),
            spread(&row.processor_ratio, 2),
            spread(&row.plan, 3),
            row.plan_part(),
            row.peak_mb
        );
    }
    if !skipped.is_empty() {
        page += &format!("\nNot built, and so not measured: {}.\n", skipped.join(", "));
    }
    page
}

/// The image with a layer of many small files of several languages, in two halves.
fn many_files(original: &Path, dir: &Path) -> Result<PathBuf> {
    add_layer(original, dir, "many", |files| {
        for nth in 0..MANY_FILES {
            let half = if nth % 2 == 0 { "a" } else { "b" };
            let folder = files.join(format!("{half}/node_modules/package-{}/lib", nth / 40));
            // umoci ends the layer without padding, so the last file must have whole blocks.
            let (name, text) = match nth % 4 {
                0 => {
                    (format!("index-{nth}.js"), format!("const other = require('./index-{}.js');\n", nth + 8))
                }
                1 => (format!("module_{nth}.py"), format!("import module_{}\n", nth + 8)),
                2 => (format!("script-{nth}.sh"), "#!/bin/sh\nls /usr/share\n".to_owned()),
                _ => (format!("text-{nth}.md"), "words and words\n".repeat(64)),
            };
            fs::create_dir_all(&folder)?;
            fs::write(folder.join(name), text)?;
        }
        Ok(())
    })
}

fn harden(
    careen: &Path,
    image: &Path,
    profile: &Path,
    output: &Path,
    more: &[&str],
    dir: &Path,
) -> Result<Run> {
    timed::run(careen, dir, |harden| {
        harden.args(["harden", "--quiet", "--no-verify", "--force", "--profile"]).arg(profile);
        harden.arg("-o").arg(oci(output)).args(more).arg(oci(image));
    })
}

/// The image with one more layer of two large files.
fn large_image(original: &Path, dir: &Path) -> Result<PathBuf> {
    add_layer(original, dir, "large", |files| {
        for (name, seed) in [("kept", 1), ("removed", 2)] {
            write_large(&files.join(name), LARGE_BYTES / 2, seed)?;
        }
        Ok(())
    })
}

/// The image with one more layer of files at `/opt/NAME`, made once for each version of the image.
fn add_layer(
    original: &Path,
    dir: &Path,
    name: &str,
    write: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let layout = dir.join(name);
    let marker = layout.join("made-from");
    let index = fs::read_to_string(original.join("index.json")).context("cannot read the image's index")?;
    if fs::read_to_string(&marker).is_ok_and(|made_from| made_from == index) {
        return Ok(layout);
    }
    eprintln!("making {}", layout.display());
    if layout.exists() {
        fs::remove_dir_all(&layout).with_context(|| format!("cannot remove {}", layout.display()))?;
    }
    command::run(Command::new("cp").arg("-a").arg(original).arg(&layout))?;
    let scratch = tempfile::tempdir_in(dir).context("cannot make a temporary folder")?;
    let files = scratch.path().join("files");
    fs::create_dir(&files).context("cannot make a folder")?;
    write(&files).with_context(|| format!("cannot write the files of {name}"))?;
    let mut insert = Command::new("umoci");
    insert.arg("insert").arg("--image").arg(format!("{}:latest", layout.display()));
    insert.arg(&files).arg(format!("/opt/{name}"));
    command::run_logged(&mut insert, &scratch.path().join("log"))?;
    fs::write(&marker, index).with_context(|| format!("cannot write {}", marker.display()))?;
    Ok(layout)
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

pub(super) fn oci(layout: &Path) -> String {
    format!("oci:{}:latest", layout.display())
}
