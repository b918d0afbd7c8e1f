//! EPSS: `cve,epss,percentile`, with the day of the scores in a comment above.

use super::kind::EPSS;
use super::sink::Sink;
use crate::database::Epss;

/// Reads the table.
pub(super) fn read(text: &str, sink: &mut Sink<'_>) {
    let mut date = None;
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix('#') {
            let at = comment.find("score_date:").map(|at| at + "score_date:".len());
            date = at.and_then(|at| super::sink::day(&comment[at..]));
            continue;
        }
        if line.is_empty() || line.starts_with("cve,") {
            continue;
        }
        match row(line) {
            Some((cve, epss)) => {
                sink.read(&EPSS, date);
                sink.builder.epss(cve, epss);
            }
            None => sink.broken(&EPSS, line),
        }
    }
}

fn row(line: &str) -> Option<(&str, Epss)> {
    let mut columns = line.split(',');
    let cve = columns.next().filter(|cve| crate::database::is_cve(cve))?;
    let mut number = || columns.next()?.trim().parse().ok().filter(|number| (0.0..=1.0).contains(number));
    Some((cve, Epss { score: number()?, percentile: number()? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_cve_and_two_shares_of_one() {
        assert_eq!(row("CVE-1999-0001,0.03351,0.87650").unwrap().1.score, 0.03351);
        for bad in ["CVE-1999-0001,0.03351", "CVE-1999-0001,2,0", "CVE-1999-0001,NaN,0", "x,0,0", ""] {
            assert_eq!(row(bad), None, "{bad}");
        }
    }
}
