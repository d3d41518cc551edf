//! Counts as figures. Nothing here is money, so a float is what a rate is.

/// A count, as something to divide.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

/// A figure as a count of whole things, at least none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "floored at zero, and a cast of a float saturates"
)]
pub(crate) fn whole(figure: f64) -> u64 {
    figure.max(0.0).round() as u64
}

/// The middle one; of two middles, the mean. None of nothing.
pub(crate) fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len().is_multiple_of(2) {
        Some(f64::midpoint(sorted[middle - 1], upper))
    } else {
        Some(upper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(found: Option<f64>, expected: f64) -> bool {
        found.is_some_and(|found| (found - expected).abs() < 1e-9)
    }

    #[test]
    fn the_median_is_not_moved_by_one_bad_round() {
        assert!(is(median(&[10.0, 1.0, 11.0]), 10.0));
        assert!(is(median(&[4.0, 2.0]), 3.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn figures_become_whole_things() {
        assert_eq!((whole(2.6), whole(-1.0)), (3, 0));
    }
}
