//! The mean of the samples of a minute.

use crate::row::{Row, Values};

/// Samples of one minute.
#[derive(Debug)]
pub(crate) struct Minute {
    pub(crate) slot: u32,
    /// The sum of the known values of each column, and how many they are.
    sums: Vec<(f64, u32)>,
}

impl Minute {
    pub(crate) fn new(slot: u32, columns: usize) -> Self {
        Self {
            slot,
            sums: vec![(0.0, 0); columns],
        }
    }

    /// Adds a sample; NaN is an unknown value.
    pub(crate) fn add(&mut self, values: &[f32]) {
        for ((sum, count), value) in self.sums.iter_mut().zip(values) {
            if value.is_finite() {
                *sum += f64::from(*value);
                *count += 1;
            }
        }
    }

    pub(crate) fn row(&self) -> Row {
        let means = self.sums.iter().map(|(sum, count)| match count {
            0 => f32::NAN,
            count => (sum / f64::from(*count)) as f32,
        });
        let mean: Values = means.collect();
        Row {
            slot: self.slot,
            max: mean.clone(),
            mean,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_the_mean_of_what_is_known_of_it() {
        let mut minute = Minute::new(7, 2);
        minute.add(&[1.0, f32::NAN]);
        minute.add(&[f32::NAN, f32::NAN]);
        minute.add(&[4.0, f32::INFINITY]);
        let row = minute.row();
        assert_eq!((row.slot, row.mean[0]), (7, 2.5));
        assert!(row.mean[1].is_nan());
    }
}
