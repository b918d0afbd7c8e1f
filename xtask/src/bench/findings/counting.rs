//! The section of `docs/findings.md` on ways of counting, and on what no removal of files can lower.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::Row;
use super::page::{AIM_PERCENT, fewer};
use super::seen::{Finding, ScannedFinding};

/// One way of counting: its name, what of all findings is looked at, and what of a finding makes it another.
struct Way {
    name: &'static str,
    of: fn(&ScannedFinding) -> bool,
    by: fn(&ScannedFinding) -> Finding,
}

const WAYS: [Way; 6] = [
    Way { name: "in binary packages, as above", of: |_| true, by: ScannedFinding::in_binary },
    Way { name: "in source packages", of: |_| true, by: ScannedFinding::in_source },
    Way {
        name: "without what Debian calls unimportant",
        of: |found| found.state != "unimportant",
        by: ScannedFinding::in_binary,
    },
    Way { name: "without weak evidence", of: |found| found.weak.is_none(), by: ScannedFinding::in_binary },
    Way {
        name: "without either, in source packages",
        of: |found| found.weak.is_none() && found.state != "unimportant",
        by: ScannedFinding::in_source,
    },
    Way {
        name: "critical, high and medium alone",
        of: |found| matches!(found.severity.as_str(), "critical" | "high" | "medium"),
        by: ScannedFinding::in_binary,
    },
];

/// The part of the page.
pub(super) fn render(rows: &[Row]) -> String {
    let mut text = "\n## Ways of counting\n\n\
        The same scans, counted in other ways. *After our VEX*: without the findings that the document beside the image\n\
        calls not affected, because the files that are left of the package are data. *Hot*: in packages of which code was\n\
        executed or mapped; no hardening by use can go below.\n\n\
        | image | way | before | after | after our VEX | hot |\n| --- | --- | --: | --: | --: | --: |\n"
        .to_owned();
    for row in rows {
        for way in &WAYS {
            let [before, after, claimed, hot] = counts(row, way);
            let of = |count: usize| format!("{count} ({})", fewer(before, count));
            let _ = writeln!(
                text,
                "| {} | {} | {before} | {} | {} | {} |",
                row.image,
                way.name,
                of(after),
                of(claimed),
                of(hot)
            );
        }
    }
    if let Some(row) = rows.first() {
        text += &why(row);
    }
    if let Some(row) = rows.get(1) {
        let [before, after, ..] = counts(row, &WAYS[4]);
        let _ = writeln!(
            text,
            "Counted in its way, and without what only changelogs of other releases say and what Debian calls unimportant, {}\n\
             goes from {before} to {after} ({}).",
            row.image,
            fewer(before, after)
        );
    }
    text
}

/// Before, after, after the VEX, and of packages whose code ran.
fn counts(row: &Row, way: &Way) -> [usize; 4] {
    let count = |keep: &dyn Fn(&ScannedFinding) -> bool| {
        let chosen = row.report.findings.iter().filter(|found| (way.of)(found) && keep(found));
        chosen.map(way.by).collect::<BTreeSet<_>>().len()
    };
    [
        count(&|_| true),
        count(&ScannedFinding::is_left),
        count(&|found| found.is_left() && !row.claimed.contains(&found.in_binary())),
        count(&|found| found.heat == "hot"),
    ]
}

/// What stands between the first image and the aim.
fn why(row: &Row) -> String {
    let [before, after, claimed, hot] = counts(row, &WAYS[0]);
    let allowed = before - (before * AIM_PERCENT).div_ceil(100);
    let mut sources: Vec<(String, usize)> = Vec::new();
    for found in row.report.findings.iter().filter(|found| found.heat == "hot") {
        let (_, source) = found.in_source();
        match sources.iter_mut().find(|(name, _)| *name == source) {
            Some((_, count)) => *count += 1,
            None => sources.push((source, 1)),
        }
    }
    sources.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    let most: Vec<String> = sources.iter().take(3).map(|(name, count)| format!("{name} {count}")).collect();
    let of_most: usize = sources.iter().take(3).map(|(_, count)| count).sum();
    format!(
        "\n### Why not {AIM_PERCENT} %\n\n\
        {AIM_PERCENT} % fewer would leave {allowed} of the {before} findings of {image}. {after} are left: {hot} in packages whose code\n\
        the workload runs, {cold} in packages of which only files that a rule keeps are left. Of the hot ones the first three\n\
        sources alone have {of_most} ({most}): libraries and programs that Redis\n\
        cannot start without. So with these data the aim is out of reach of removing files, whatever the coverage; what is\n\
        possible is {possible} fewer, and after our VEX it is {vexed}.\n\n\
        Where the aim comes from: the maker of a commercial product of this kind has published three figures for Docker Hub's\n\
        Redis, 77 % (its blog, May 2023), 90 % (81 to 8, its manual) and 57 % (14 to 6, with 89 to 21 packages and 126 to\n\
        63 MB, the chart in its public repository). Its pages count a vulnerability once for each source package, and not\n\
        what it calls not applicable: the second way of the table, which for images like these gives smaller percentages than\n\
        the first, since sources with many binary packages (util-linux has eight here) go as a whole. The figures differ as\n\
        databases do: an image with all updates, matched against what a distribution has fixed, has 14 findings; one without,\n\
        matched against all that is open, has hundreds, most of them in the C library and OpenSSL, which stay. The share of\n\
        packages that go is alike: 76 % there, {packages} here.\n",
        image = row.image,
        cold = after - hot,
        most = most.join(", "),
        possible = fewer(before, hot),
        vexed = fewer(before, claimed),
        packages = fewer(row.before.ours.packages.len(), row.after.ours.packages.len()),
    )
}

#[cfg(test)]
mod tests {
    use super::super::seen::tests::report;
    use super::super::{Scanners, Seen};
    use super::*;

    fn row(left: &[(&str, &str)], claimed: &[(&str, &str)]) -> Row {
        let set = |pairs: &[(&str, &str)]| -> BTreeSet<Finding> {
            pairs.iter().map(|(id, name)| ((*id).to_owned(), (*name).to_owned())).collect()
        };
        let none = || Scanners { ours: Seen::default(), syft: Seen::default(), trivy: Seen::default() };
        Row {
            image: "shop".to_owned(),
            report: report(&set(left)),
            before: none(),
            after: none(),
            claimed: set(claimed),
            trivy_with_vex: BTreeSet::new(),
        }
    }

    #[test]
    fn what_is_gone_or_claimed_or_not_hot_is_counted_apart() {
        let mut row =
            row(&[("CVE-1", "a"), ("CVE-1", "b"), ("CVE-2", "a"), ("CVE-3", "c")], &[("CVE-3", "c")]);
        for found in &mut row.report.findings {
            match found.name.as_str() {
                "b" => found.heat = "gone".to_owned(),
                "c" => found.heat = "cold".to_owned(),
                _ => {}
            }
        }
        assert_eq!(counts(&row, &WAYS[0]), [4, 3, 2, 2]);
        row.report.findings.iter_mut().for_each(|found| found.weak = Some("a changelog".to_owned()));
        assert_eq!(counts(&row, &WAYS[3]), [0, 0, 0, 0]);
    }

    #[test]
    fn a_vulnerability_of_several_binary_packages_counts_once_for_their_source() {
        let row = row(&[("CVE-1", "a"), ("CVE-1", "b"), ("CVE-2", "b")], &[]);
        assert_eq!(counts(&row, &WAYS[0])[0], 3);
        assert_eq!(counts(&row, &WAYS[1])[0], 2);
    }
}
