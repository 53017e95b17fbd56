//! The section `gotext`: goroutines' own code, all of it and nothing else. Whether a program
//! counter is in it decides what may be done to the thread that is there.
//!
//! It holds functions, each of which has an unwind table, and behind those of each object file the
//! slow paths of their checks, three instructions each, which have none: `prologue!` says why. To be
//! in the section is not yet to be in a function.
//!
//! Tests: `check_shape`, `bad_input::lockstep`, `gotext`.

unsafe extern "C" {
    static __start_gotext: u8;
    static __stop_gotext: u8;
}

/// First address of the section and the one after the last; both 0 in a program without
/// any `#[gofunc]`.
pub fn bounds() -> (usize, usize) {
    (
        (&raw const __start_gotext) as usize,
        (&raw const __stop_gotext) as usize,
    )
}

/// Whether `pc` lies in a goroutine's own code. Async-signal-safe.
pub fn contains(pc: usize) -> bool {
    let (start, stop) = bounds();
    (start..stop).contains(&pc)
}
