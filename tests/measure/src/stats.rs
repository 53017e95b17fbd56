//! Medians over rounds, and how far the rounds lie apart.

/// What several rounds say together.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Summary {
    /// The middle one; the mean of the two in the middle if the number is even.
    pub median: f64,
    /// From the smallest to the largest, in percent of the median.
    pub spread: f64,
    /// How many there are.
    pub n: usize,
}

impl Summary {
    /// `None` if there is nothing to sum up.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Summary> {
        let mut v: Vec<f64> = values.into_iter().collect();
        v.sort_by(f64::total_cmp);
        let (first, last) = (*v.first()?, *v.last()?);
        let median = (v[(v.len() - 1) / 2] + v[v.len() / 2]) / 2.0;
        let spread = if median == 0.0 {
            0.0
        } else {
            100.0 * (last - first) / median.abs()
        };
        Some(Summary {
            median,
            spread,
            n: v.len(),
        })
    }
}

/// Three digits that count, or all digits before the point.
pub fn short(x: f64) -> String {
    if x == 0.0 || !x.is_finite() {
        return format!("{x}");
    }
    let digits = 2 - x.abs().log10().floor() as i32;
    format!("{x:.*}", digits.clamp(0, 9) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(Summary::of([]), None);
        let one = Summary::of([7.0]).unwrap();
        assert_eq!((one.median, one.spread, one.n), (7.0, 0.0, 1));
        let odd = Summary::of([9.0, 1.0, 2.0]).unwrap();
        assert_eq!((odd.median, odd.spread, odd.n), (2.0, 400.0, 3));
        let even = Summary::of([1.0, 4.0, 2.0, 100.0]).unwrap();
        assert_eq!((even.median, even.n), (3.0, 4));
    }

    #[test]
    fn a_median_of_nothing_has_no_spread_in_percent() {
        assert_eq!(Summary::of([-1.0, 0.0, 1.0]).unwrap().spread, 0.0);
    }

    #[test]
    fn numbers_are_short() {
        let all = [0.0, 0.4567, 1.0, 12.345, 99.96, 123.4, 1234.5, -2.5].map(short);
        assert_eq!(
            all,
            [
                "0", "0.457", "1.00", "12.3", "100.0", "123", "1234", "-2.50"
            ]
        );
    }
}
