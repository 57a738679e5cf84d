// SPDX-License-Identifier: MIT OR Apache-2.0
//! Medians and quartiles.
//!
//! On a shared machine, single measurements are not reliable: other guests, changes
//! of the clock rate and interrupts make the program slower, for longer than one
//! batch. So the time of a contender is the median of many short batches. The ratio is
//! computed *within* each round, because the machine was in the same state for both
//! contenders; the median of these ratios is compared with the bar. The quartiles
//! show how reliable it is.

use serde::Serialize;

/// The middle half of a sample.
#[derive(Clone, Copy, Serialize, Debug, PartialEq)]
pub struct Spread {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

impl Spread {
    /// # Panics
    ///
    /// If there is no sample.
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Spread {
        let mut sorted: Vec<f64> = samples.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        Spread {
            low: quantile(&sorted, 0.25),
            median: quantile(&sorted, 0.5),
            high: quantile(&sorted, 0.75),
        }
    }
}

/// With linear interpolation between the two nearest samples.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    assert!(!sorted.is_empty(), "there are no samples");
    let place = part * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = place.ceil() as usize;
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn median_of_an_even_count_lies_between_the_middle_two() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0]);
        assert_eq!(spread, Spread { low: 1.75, median: 2.5, high: 3.25 });
    }

    #[test]
    fn one_sample_is_its_own_quartiles() {
        assert_eq!(Spread::of([7.0]), Spread { low: 7.0, median: 7.0, high: 7.0 });
    }

    #[test]
    fn an_outlier_does_not_move_the_median() {
        assert_eq!(Spread::of([1.0, 1.0, 1.0, 1.0, 1000.0]).median, 1.0);
    }
}
