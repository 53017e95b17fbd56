//! caught by: signed
//!
//! The guard comparison, and the number that a request is.

/// Whether a function must take the slow path: there is no room above the guard, or the
/// guard is a request.
pub fn must_look(sp: usize, guard: usize) -> bool {
    sp as isize <= guard as isize
}

/// The number that asks for a yield.
pub const REQUEST: usize = -1314isize as usize;
