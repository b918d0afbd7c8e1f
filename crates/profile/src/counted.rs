//! Counts in sentences.

/// A count, thousands apart: `3,490`.
pub fn count_text(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count and what is counted, in the words for one or for several: `1 path was`, `3,490 paths were`.
pub fn counted(count: u64, one: &str, several: &str) -> String {
    format!("{} {}", count_text(count), if count == 1 { one } else { several })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_read_well_at_the_borders() {
        for (count, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count_text(count), text);
        }
        for (count, text) in [(0, "0 paths"), (1, "1 path"), (2, "2 paths"), (1000, "1,000 paths")] {
            assert_eq!(counted(count, "path", "paths"), text);
        }
    }
}
