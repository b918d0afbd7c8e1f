//! How many new files each step of the coverage still brought: whether more steps of its sort would find more.

use std::collections::BTreeMap;

use harden::{Ledger, PathKind};
use profile::Profile;

use crate::Hardening;
use crate::text::count_text;

/// For runs by position and their steps by number (0 = before the first): how many files were used there first.
pub(crate) type Brought = BTreeMap<(usize, usize), u64>;

/// Counts the files that each step was the first to use.
pub(crate) fn brought(profile: &Profile, ledger: &Ledger) -> Brought {
    let mut brought = Brought::new();
    for (path, usage) in profile.used() {
        let is_file = ledger.entries.get(path).is_some_and(|entry| entry.kind != PathKind::Directory);
        let Some((_, first)) = usage.first().filter(|_| is_file) else { continue };
        let position = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        *brought.entry((position(first.first_run), position(first.first_step.0))).or_insert(0) += 1;
    }
    brought
}

/// The curve of used files over the steps, as a drawing.
pub(crate) struct Saturation {
    /// What the curve says, in words.
    pub(crate) account: String,
    /// A bar for each step.
    pub(crate) bars: Vec<Bar>,
    /// The corners of the curve, as SVG has them.
    pub(crate) curve: String,
    pub(crate) total: String,
}

/// A step in the drawing, which is [`WIDTH`] by [`HEIGHT`].
pub(crate) struct Bar {
    pub(crate) title: String,
    pub(crate) x: String,
    pub(crate) y: String,
    pub(crate) width: String,
    pub(crate) height: String,
}

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 160.0;

/// Draws the curve; none where nothing was used.
pub(crate) fn saturation(result: &Hardening, brought: &Brought) -> Option<Saturation> {
    let steps: Vec<(&str, u64)> = result
        .runs
        .iter()
        .enumerate()
        .flat_map(|(nth, run)| {
            let names =
                std::iter::once(profile::START).chain(run.steps.iter().map(|step| step.name.as_str()));
            names.enumerate().map(move |(step, name)| (name, brought.get(&(nth, step)).copied().unwrap_or(0)))
        })
        .collect();
    let total: u64 = steps.iter().map(|(_, count)| count).sum();
    if total == 0 {
        return None;
    }
    let width = WIDTH / steps.len() as f64;
    let height = |count: u64| HEIGHT * count as f64 / total as f64;
    let (mut bars, mut sum) = (Vec::new(), 0);
    let mut curve = format!("0,{HEIGHT:.1}");
    for (nth, (name, count)) in steps.iter().enumerate() {
        let x = width * nth as f64;
        sum += count;
        bars.push(Bar {
            title: format!("{name}: {} new, {} in all", count_text(*count), count_text(sum)),
            x: format!("{:.1}", x + width * 0.1),
            y: format!("{:.1}", HEIGHT - height(*count)),
            width: format!("{:.1}", width * 0.8),
            height: format!("{:.1}", height(*count)),
        });
        let y = HEIGHT - height(sum);
        curve += &format!(" {x:.1},{y:.1} {:.1},{y:.1}", x + width);
    }
    Some(Saturation { account: account(&steps, total), bars, curve, total: count_text(total) })
}

/// What the end of the curve says.
fn account(steps: &[(&str, u64)], total: u64) -> String {
    let quiet = steps.iter().rev().take_while(|(_, count)| *count == 0).count();
    let last = steps.iter().rev().find(|(_, count)| *count > 0);
    let files = |count: u64| match count {
        1 => "1 new file".to_owned(),
        _ => format!("{} new files", count_text(count)),
    };
    let total = format!("{} of the image's files were used.", count_text(total));
    match (last, quiet) {
        (Some((name, count)), 0) => format!(
            "{total} The last step, “{name}”, still brought {}: more steps may well find more.",
            files(*count)
        ),
        (Some((name, _)), 1) => {
            format!("{total} The last step brought none that “{name}” and those before it had not.")
        }
        (Some((name, _)), quiet) => {
            format!("{total} The last {quiet} steps brought none that “{name}” and those before it had not.")
        }
        (None, _) => total,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_tells_whether_the_last_steps_still_brought_files() {
        let text = |steps: &[(&str, u64)]| account(steps, steps.iter().map(|step| step.1).sum());
        assert!(
            text(&[("start", 9), ("ping", 1)]).contains("The last step, “ping”, still brought 1 new file:")
        );
        assert!(text(&[("start", 9), ("ping", 2)]).contains("still brought 2 new files:"));
        assert!(text(&[("start", 9), ("ping", 0)]).contains("The last step brought none that “start” and"));
        assert!(text(&[("a", 1), ("b", 0), ("c", 0)]).contains("The last 2 steps brought none that “a” and"));
    }
}
