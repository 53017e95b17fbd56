//! The map of unsafe points: which functions of `gotext` touch a variable of the thread's.
//!
//! Tests: `asynchronous`.

use stage2_sysmon::rt::arch::in_gotext;

/// What the map says of an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// It belongs to no function.
    NoFunction,
    /// Its function touches a variable of the thread's.
    ThreadLocal,
    /// Neither.
    Fine,
}

/// Reads the map. The first run of the process does it, and never a handler.
pub fn init() {}

/// What the map says of `pc`. Async-signal-safe.
pub fn look_up(pc: usize) -> Place {
    if in_gotext(pc) {
        Place::Fine
    } else {
        Place::NoFunction
    }
}
