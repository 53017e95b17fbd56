//! How much the program of a row does. `measure --locked` runs it one instruction at a time
//! and cannot wait for a thousand rounds.

/// The program's own numbers, or those of `BENCH_SCALE`, as `2,500`.
///
/// # Panics
/// If `BENCH_SCALE` is not as many numbers.
pub fn scale<const N: usize>(own: [usize; N]) -> [usize; N] {
    let Ok(text) = std::env::var("BENCH_SCALE") else {
        return own;
    };
    let numbers = text.split(',').filter_map(|n| n.parse().ok());
    let numbers: Vec<usize> = numbers.collect();
    numbers
        .try_into()
        .unwrap_or_else(|_| panic!("BENCH_SCALE={text} is not {N} numbers"))
}
