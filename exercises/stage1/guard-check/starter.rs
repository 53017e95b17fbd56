//! The guard comparison, and the number that a request is.
//!
//! Each function of a goroutine begins with this comparison. The starter knows that an
//! address may be a small number, and a request a very special one; run it, and see which goroutine
//! hears what.

/// Whether a function must take the slow path: there is no room above the guard, or the
/// guard is a request.
pub fn must_look(sp: usize, guard: usize) -> bool {
    (sp as isize) < (guard as isize)
}

/// The number that asks for a yield.
pub const REQUEST: usize = 1314;
