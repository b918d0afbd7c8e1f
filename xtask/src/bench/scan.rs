//! `cargo xtask bench scan`: time and memory of listing an image's components, beside Syft on the same image in the
//! same run; of scanning an image that was scanned before; of building the database.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::harden::oci;
use super::median::{Median, median};
use super::timed::{self, Run};
use super::{page, peers};
use crate::{apt, workspace};

/// A distribution's packages, thirty thousand files of npm's, archives of Java's.
const IMAGES: [&str; 3] = ["redis", "node-express", "tomcat"];
const ROUNDS: usize = 5;
/// A scan that opens no layer is over so soon that more rounds cost nothing.
const WARM_ROUNDS: usize = 15;

/// How many times Syft's time a list may not fall short of, and what part of its memory it may take.
const TIMES_FASTER: f64 = 10.0;
const MEMORY_PART: f64 = 0.2;
/// Seconds that a scan of the first image may take when nothing about it is new.
const WARM_SECONDS: f64 = 0.1;
/// Seconds that building the database may take.
const BUILD_SECONDS: f64 = 60.0;

/// Measures the images that are built. `--vulndata DIR` names upstream's data: without it nothing is built or matched.
/// Writes a section of `docs/performance.md`.
pub(crate) fn main(arguments: &[String]) -> Result<()> {
    let data = match arguments {
        [] => None,
        [option, dir] if option == "--vulndata" => Some(PathBuf::from(dir)),
        _ => bail!("`bench scan` takes `--vulndata DIR`"),
    };
    apt::ensure(&["time"])?;
    let careen = workspace::build_careen()?;
    let dir = workspace::target_dir()?.join("bench/scan");
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let bench = Bench { careen, syft: peers::syft()?, dir };
    let database = data.as_deref().map(|data| bench.build(data)).transpose()?;
    let mut rows = Vec::new();
    for name in IMAGES {
        let layout = workspace::cache()?.join("images").join(name);
        if layout.join("index.json").is_file() {
            rows.push(bench.measure(name, &layout, database.as_ref())?);
        } else {
            eprintln!("SKIP {name}: it is not built: cargo xtask images {name}");
        }
    }
    let file = workspace::root().join("docs/performance.md");
    page::write_section(&file, "Scanning", &render(&rows, database.as_ref()))?;
    println!("wrote {}", file.display());
    let mut over: Vec<String> = rows.iter().flat_map(Row::over).collect();
    over.extend(database.iter().filter(|built| built.run.cost.wall.as_secs_f64() > BUILD_SECONDS).map(
        |built| {
            format!("the database took {:.0} s, bound {BUILD_SECONDS}", built.run.cost.wall.as_secs_f64())
        },
    ));
    if over.is_empty() { Ok(()) } else { bail!("over their bounds: {}", over.join("; ")) }
}

struct Bench {
    careen: PathBuf,
    syft: PathBuf,
    dir: PathBuf,
}

/// A database that was built.
struct Database {
    file: PathBuf,
    bytes: u64,
    /// Bytes of the data that it was made of, as they lay there.
    from_bytes: u64,
    run: Run,
}

/// What one image showed. Times are in seconds.
#[derive(Debug)]
struct Row {
    image: String,
    careen: Median,
    syft: Median,
    /// Syft's time as a multiple of ours.
    wall: Median,
    processor: Median,
    careen_mb: f64,
    syft_mb: f64,
    /// A scan with matching: of an image never seen, and of one seen before.
    cold: Option<Median>,
    warm: Option<Median>,
}

impl Row {
    fn memory_part(&self) -> f64 {
        self.careen_mb / self.syft_mb
    }

    fn over(&self) -> Vec<String> {
        let mut over = Vec::new();
        if self.wall.value < TIMES_FASTER {
            over.push(format!(
                "{}: {:.1} times faster than Syft, bound {TIMES_FASTER}",
                self.image, self.wall.value
            ));
        }
        if self.memory_part() > MEMORY_PART {
            over.push(format!(
                "{}: {:.2} of Syft's memory, bound {MEMORY_PART}",
                self.image,
                self.memory_part()
            ));
        }
        if let Some(warm) = self.warm.filter(|warm| self.image == IMAGES[0] && warm.value > WARM_SECONDS) {
            over.push(format!("{}: {:.3} s for a warm scan, bound {WARM_SECONDS}", self.image, warm.value));
        }
        over
    }
}

impl Bench {
    fn build(&self, data: &Path) -> Result<Database> {
        let file = self.dir.join("advisories.db");
        let run = timed::run(&self.careen, &self.dir, |careen| {
            careen.args(["db", "build", "--quiet", "--from"]).arg(data).arg("-o").arg(&file);
        })?;
        let size = |path: &Path| fs::metadata(path).map(|meta| meta.len());
        let bytes = size(&file).with_context(|| format!("cannot look at {}", file.display()))?;
        println!("database: {:.1} s, {:.1} MB", run.cost.wall.as_secs_f64(), megabytes(bytes));
        Ok(Database { file, bytes, from_bytes: bytes_under(data)?, run })
    }

    fn measure(&self, name: &str, layout: &Path, database: Option<&Database>) -> Result<Row> {
        let mut rounds = Vec::new();
        for round in 0..ROUNDS {
            // In turn, and each first every other time, so that a drift of the machine hits both alike.
            let (careen, syft) = if round % 2 == 0 {
                let careen = self.list(layout)?;
                (careen, self.syft(layout)?)
            } else {
                let syft = self.syft(layout)?;
                (self.list(layout)?, syft)
            };
            eprintln!(
                "{name}, round {}: careen {:.2} s, Syft {:.2} s",
                round + 1,
                careen.cost.wall.as_secs_f64(),
                syft.cost.wall.as_secs_f64()
            );
            rounds.push((careen, syft));
        }
        let middle =
            |of: &dyn Fn(&(Run, Run)) -> f64| median(rounds.iter().map(of)).context("no round was measured");
        let (cold, warm) = match database {
            Some(database) if self.can_scan() => self.scans(layout, &database.file)?,
            _ => (None, None),
        };
        let row = Row {
            image: name.to_owned(),
            careen: middle(&|(ours, _)| ours.cost.wall.as_secs_f64())?,
            syft: middle(&|(_, syft)| syft.cost.wall.as_secs_f64())?,
            wall: middle(&|(ours, syft)| syft.cost.wall.as_secs_f64() / ours.cost.wall.as_secs_f64())?,
            processor: middle(&|(ours, syft)| syft.cost.cpu.as_secs_f64() / ours.cost.cpu.as_secs_f64())?,
            careen_mb: middle(&|(ours, _)| ours.peak_mb)?.largest,
            syft_mb: middle(&|(_, syft)| syft.peak_mb)?.smallest,
            cold,
            warm,
        };
        println!(
            "{name}: {:.1} times faster than Syft, {:.2} of its memory",
            row.wall.value,
            row.memory_part()
        );
        Ok(row)
    }

    /// Our list as CycloneDX, without anything known of the image.
    fn list(&self, layout: &Path) -> Result<Run> {
        let data = tempfile::tempdir_in(&self.dir).context("cannot make a temporary folder")?;
        timed::run(&self.careen, &self.dir, |careen| {
            careen.args(["sbom", "--quiet", "--format", "cyclonedx", "--data-dir"]).arg(data.path());
            careen.arg(oci(layout));
        })
    }

    fn syft(&self, layout: &Path) -> Result<Run> {
        timed::run(&self.syft, &self.dir, |syft| {
            syft.env("SYFT_CHECK_FOR_APP_UPDATE", "false").args(["--quiet", "--output", "cyclonedx-json"]);
            syft.arg(format!("oci-dir:{}", layout.display()));
        })
    }

    /// Seconds of scans that know nothing of the image, and of scans after one of the same image.
    fn scans(&self, layout: &Path, database: &Path) -> Result<(Option<Median>, Option<Median>)> {
        let scan = |data: &Path| -> Result<f64> {
            let run = timed::run(&self.careen, &self.dir, |careen| {
                careen.args(["scan", "--quiet", "--format", "json", "--data-dir"]).arg(data);
                careen.arg("--db").arg(database).arg(oci(layout));
            })?;
            Ok(run.cost.wall.as_secs_f64())
        };
        let folder = || tempfile::tempdir_in(&self.dir).context("cannot make a temporary folder");
        let cold: Vec<f64> = (0..ROUNDS).map(|_| scan(folder()?.path())).collect::<Result<_>>()?;
        let data = folder()?;
        scan(data.path())?;
        let warm: Vec<f64> = (0..WARM_ROUNDS).map(|_| scan(data.path())).collect::<Result<_>>()?;
        Ok((median(cold), median(warm)))
    }

    fn can_scan(&self) -> bool {
        let mut help = Command::new(&self.careen);
        help.args(["scan", "--help"]).stdout(Stdio::null()).stderr(Stdio::null());
        help.status().is_ok_and(|status| status.success())
    }
}

fn render(rows: &[Row], database: Option<&Database>) -> String {
    let mut text = format!(
        "Written by `cargo xtask bench scan`; do not edit. Each image is read from an OCI layout and listed as CycloneDX, in\n\
        turn with Syft {} on the same layout, {ROUNDS} rounds; *faster* is Syft's time as a multiple of ours in the same\n\
        round. Figures are medians, in brackets the smallest and the largest; of memory (peak of the resident set) our\n\
        largest stands beside Syft's smallest.\n\n\
        Bounds: {TIMES_FASTER} times faster than Syft, {MEMORY_PART} of its memory.\n\n\
        | image | careen, s | Syft, s | faster | less processor time | careen, MB | Syft, MB | of its memory |\n\
        | --- | --: | --: | --: | --: | --: | --: | --: |\n",
        peers::SYFT
    );
    for row in rows {
        text += &format!(
            "| {} | {} | {} | {} | {} | {:.0} | {:.0} | {:.2} |\n",
            row.image,
            spread(&row.careen, 2),
            spread(&row.syft, 1),
            spread(&row.wall, 1),
            spread(&row.processor, 1),
            row.careen_mb,
            row.syft_mb,
            row.memory_part()
        );
    }
    if rows.iter().any(|row| row.warm.is_some()) {
        text += &format!(
            "\nA whole scan, components and matching, as a command from its start to its end: of an image never seen, and of\n\
            one seen before (bound for {}: {WARM_SECONDS} s).\n\n\
            | image | first scan, s | later scans, s |\n| --- | --: | --: |\n",
            IMAGES[0]
        );
        for row in rows {
            if let (Some(cold), Some(warm)) = (&row.cold, &row.warm) {
                text += &format!("| {} | {} | {} |\n", row.image, spread(cold, 2), spread(warm, 3));
            }
        }
    }
    if let Some(built) = database {
        text += &format!(
            "\nThe database of {:.1} MB of upstream data as they come, mostly compressed: built in {:.1} s (bound\n\
            {BUILD_SECONDS} s) with {:.0} MB of memory, {:.1} MB on disk.\n",
            megabytes(built.from_bytes),
            built.run.cost.wall.as_secs_f64(),
            built.run.peak_mb,
            megabytes(built.bytes)
        );
    }
    text
}

fn spread(median: &Median, digits: usize) -> String {
    let Median { value, smallest, largest } = median;
    format!("{value:.digits$} ({smallest:.digits$} to {largest:.digits$})")
}

#[expect(clippy::cast_precision_loss, reason = "a size for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn bytes_under(path: &Path) -> Result<u64> {
    let failed = || format!("cannot look at {}", path.display());
    let meta = fs::symlink_metadata(path).with_context(failed)?;
    if !meta.is_dir() {
        return Ok(meta.len());
    }
    let mut bytes = 0;
    for entry in fs::read_dir(path).with_context(failed)? {
        bytes += bytes_under(&entry.with_context(failed)?.path())?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(faster: f64, memory_mb: f64, warm: f64) -> Row {
        let middle = |value| Median { value, smallest: value, largest: value };
        Row {
            image: IMAGES[0].to_owned(),
            careen: middle(1.0),
            syft: middle(faster),
            wall: middle(faster),
            processor: middle(faster),
            careen_mb: memory_mb,
            syft_mb: 100.0,
            cold: Some(middle(1.0)),
            warm: Some(middle(warm)),
        }
    }

    #[test]
    fn every_bound_is_held_against_its_figure() {
        assert!(row(10.0, 20.0, 0.1).over().is_empty());
        assert_eq!(row(9.9, 20.0, 0.1).over().len(), 1);
        assert_eq!(row(10.0, 20.1, 0.1).over().len(), 1);
        assert_eq!(row(10.0, 20.0, 0.11).over().len(), 1);
        assert_eq!(row(9.0, 21.0, 1.0).over().len(), 3);
    }

    #[test]
    fn the_section_names_what_was_measured() {
        let text = render(&[row(12.0, 10.0, 0.05)], None);
        assert!(text.contains("| redis | 1.00 (1.00 to 1.00) | 12.0 (12.0 to 12.0) |"), "{text}");
        assert!(text.contains("| redis | 1.00 (1.00 to 1.00) | 0.050 (0.050 to 0.050) |"), "{text}");
        assert!(!text.contains("database"), "{text}");
    }
}
