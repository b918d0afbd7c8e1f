//! The middle of several measurements, which one disturbed round does not move.

/// The median and the spread around it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Median {
    pub(crate) value: f64,
    pub(crate) smallest: f64,
    pub(crate) largest: f64,
}

/// The median of at least one value; of an even number the higher of the two in the middle.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<Median> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let (smallest, largest) = (*values.first()?, *values.last()?);
    Some(Median { value: values[values.len() / 2], smallest, largest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_odd_round_does_not_move_the_median() {
        assert_eq!(median([]), None);
        assert_eq!(median([2.0]).map(|found| found.value), Some(2.0));
        let expected = Median { value: 3.0, smallest: 1.0, largest: 100.0 };
        assert_eq!(median([3.0, 100.0, 2.0, 1.0, 4.0]), Some(expected));
    }
}
