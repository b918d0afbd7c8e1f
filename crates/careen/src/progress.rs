//! Progress on standard error: live lines on a terminal, plain lines elsewhere, nothing when quiet.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Tells the user what goes on. Safe to share between threads.
pub(crate) struct Progress {
    mode: Mode,
    started: Instant,
    current: Mutex<Option<Stage>>,
    bytes: AtomicU64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Live,
    Lines,
    Quiet,
}

struct Stage {
    bar: ProgressBar,
    name: String,
}

impl Progress {
    /// Chooses by the terminal: live bars on one, plain lines elsewhere.
    pub(crate) fn new(quiet: bool) -> Self {
        let mode = match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Mode::Quiet,
            (false, true) => Mode::Live,
            (false, false) => Mode::Lines,
        };
        Self { mode, started: Instant::now(), current: Mutex::new(None), bytes: AtomicU64::new(0) }
    }

    /// Begins a stage; the one before it counts as done. `total_bytes` makes it a bar.
    pub(crate) fn stage(&self, name: impl Into<String>, total_bytes: Option<u64>) {
        let (bar, template) = match total_bytes {
            Some(total) => (ProgressBar::new(total), "  {spinner} {msg} {wide_bar} {bytes}/{total_bytes}"),
            None => (ProgressBar::new_spinner(), "  {spinner} {msg} {elapsed}"),
        };
        self.begin(name.into(), bar, template);
    }

    /// Begins a stage of so many runs, which [`Progress::ran`] counts.
    pub(crate) fn runs(&self, name: impl Into<String>, total: u64) {
        let template = "  {spinner} {msg} {wide_bar} {pos}/{len} runs, {eta} to go";
        self.begin(name.into(), ProgressBar::new(total), template);
    }

    fn begin(&self, name: String, bar: ProgressBar, template: &str) {
        self.done("");
        self.bytes.store(0, Ordering::Relaxed);
        if self.mode == Mode::Quiet {
            return;
        }
        let target = match self.mode {
            Mode::Live => ProgressDrawTarget::stderr(),
            Mode::Lines | Mode::Quiet => ProgressDrawTarget::hidden(),
        };
        bar.set_draw_target(target);
        bar.set_style(ProgressStyle::with_template(template).expect("the templates above are well-formed"));
        bar.set_message(name.clone());
        bar.enable_steady_tick(Duration::from_millis(120));
        *self.lock() = Some(Stage { bar, name });
    }

    /// Advances the stage's bar.
    pub(crate) fn add_bytes(&self, bytes: u64) {
        let total = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if self.mode == Mode::Live
            && let Some(stage) = self.lock().as_ref()
        {
            stage.bar.set_position(total);
        }
    }

    /// Counts runs of a stage that [`Progress::runs`] began.
    pub(crate) fn ran(&self, count: u64) {
        if let Some(stage) = self.lock().as_ref() {
            stage.bar.inc(count);
        }
    }

    /// As [`Progress::detail`], but not worth a line where there is no terminal.
    pub(crate) fn passing(&self, detail: &str) {
        if let Some(stage) = self.lock().as_ref() {
            stage.bar.set_message(format!("{}: {detail}", stage.name));
        }
    }

    /// Changes what the running stage says of itself, such as the step it is at.
    pub(crate) fn detail(&self, detail: &str) {
        let text = {
            let current = self.lock();
            let Some(stage) = current.as_ref() else { return };
            let text = format!("{}: {detail}", stage.name);
            stage.bar.set_message(text.clone());
            text
        };
        if self.mode == Mode::Lines {
            self.line(&text);
        }
    }

    /// Ends the running stage, with a remark.
    pub(crate) fn done(&self, remark: &str) {
        let Some(stage) = self.lock().take() else { return };
        stage.bar.finish_and_clear();
        let text = if remark.is_empty() { stage.name } else { format!("{}: {remark}", stage.name) };
        match self.mode {
            Mode::Quiet => {}
            Mode::Live => eprint_line(&format!("  ✓ {text}")),
            Mode::Lines => self.line(&text),
        }
    }

    /// Takes the running stage off the screen without calling it done; for failures.
    pub(crate) fn abandon(&self) {
        if let Some(stage) = self.lock().take() {
            stage.bar.finish_and_clear();
        }
    }

    fn line(&self, text: &str) {
        eprint_line(&format!("[{:6.1}s] {text}", self.started.elapsed().as_secs_f64()));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Stage>> {
        self.current.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.abandon();
    }
}

/// Writes bytes to standard error as they are; a closed standard error is no reason to fail.
pub(crate) fn eprint_text(bytes: &[u8]) {
    use std::io::Write as _;
    let _ = std::io::stderr().lock().write_all(bytes);
}

/// Writes one line to standard error; a closed standard error is no reason to fail.
pub(crate) fn eprint_line(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
