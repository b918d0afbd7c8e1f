//! Durations as people write them.

use std::time::Duration;

/// Longest duration that a coverage may name.
pub(crate) const MAX_DURATION: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads `500ms`, `2s`, `1.5s`, `3m`, `1h` and sums such as `1m30s`.
///
/// Returns what is wrong, for the end of a sentence.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let malformed = || format!("{text:?} is not a duration such as 500ms, 30s, 2m or 1m30s");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(malformed());
    }
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "" if number == rest => return Err(format!("{text:?} has no unit: write {text}s or {text}ms")),
            _ => return Err(malformed()),
        };
        let number: f64 = number.parse().map_err(|_| malformed())?;
        let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| malformed())?;
        sum = sum.checked_add(part).ok_or_else(malformed)?;
        rest = tail;
    }
    if sum > MAX_DURATION { Err(format!("{text:?} is longer than a day")) } else { Ok(sum) }
}

/// The shortest exact form, such as `90s` or `1500ms`.
pub(crate) fn format(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        format!("{}s", duration.as_secs())
    } else {
        format!("{}ms", duration.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, millis) in [
            ("500ms", 500),
            ("2s", 2000),
            ("1.5s", 1500),
            ("3m", 180_000),
            ("1m30s", 90_000),
            ("1h", 3_600_000),
            ("24h", 86_400_000),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "s", "-1s", "1d", "1 s", "1.2.3s", "24h1ms", "99999999999999999999999h", "1s2", "ø"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse("30").unwrap_err(), r#""30" has no unit: write 30s or 30ms"#);
    }
}
