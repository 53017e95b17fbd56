//! All numbers below `count` in an order that looks random and visits each exactly once: from
//! a random start, in steps that have no divisor in common with `count`. Mirrors
//! `randomOrder` of `proc.go`.
//!
//! Tests: `stealing::a_random_order_visits_everybody_exactly_once`.

/// All Ps in an order that looks random and visits each exactly once: from a random start
/// in steps that have no divisor in common with their number.
pub struct RandomOrder {
    count: u32,
    coprimes: Vec<u32>,
}

impl RandomOrder {
    /// The order of no Ps.
    pub const fn new() -> RandomOrder {
        RandomOrder {
            count: 0,
            coprimes: Vec::new(),
        }
    }

    /// Prepares for `count` Ps.
    pub fn reset(&mut self, count: u32) {
        self.count = count;
        self.coprimes = (1..=count).filter(|&i| gcd(i, count) == 1).collect();
    }

    /// An order for the random number `i`.
    pub fn start(&self, i: u32) -> Order {
        let step = self.coprimes[(i / self.count) as usize % self.coprimes.len()];
        Order {
            left: self.count,
            count: self.count,
            pos: i % self.count,
            step,
        }
    }
}

impl Default for RandomOrder {
    fn default() -> RandomOrder {
        RandomOrder::new()
    }
}

/// One visit to all Ps, by number.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    left: u32,
    count: u32,
    pos: u32,
    step: u32,
}

impl Iterator for Order {
    type Item = u32;
    fn next(&mut self) -> Option<u32> {
        self.left = self.left.checked_sub(1)?;
        let p = self.pos;
        self.pos = (self.pos + self.step) % self.count;
        Some(p)
    }
}

fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
