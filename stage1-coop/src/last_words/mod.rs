//! What a process says before it ends: panics, faults, deadly signals, and where all
//! goroutines are.
//!
//! Tests: `last_words`.

use crate::stack::newstack;
use crate::throw::{self, LastWords};
use crate::trace;

pub(crate) mod deadly;
pub(crate) mod dump;
pub(crate) mod fault;
pub(crate) mod panics;

/// The rooms below know nothing of this one: they are handed what they do at the end.
pub(crate) fn install() {
    throw::set_last_words(LastWords {
        save: trace::finish,
        dump: panics::dump_after_throw,
    });
    newstack::set_overflow(fault::stack_overflow);
    panics::install_hook();
}
