//! The guard comparison, and the number that a request is.

/// Whether a function must take the slow path: there is no room above the guard, or the
/// guard is a request.
pub fn must_look(sp: usize, guard: usize) -> bool {
    let room = sp.saturating_sub(guard);
    room == 0
}

/// The number that asks for a yield.
pub const REQUEST: usize = usize::MAX - 1313;
