//! A thread becomes an M of this stage, and leaves it. Mirrors `minit` and `unminit` of
//! `os_linux.go`, and what `mstart1` does on the first M.
//!
//! Tests: `asynchronous`.

use crate::ask::off::{Off, decide, off};
use crate::ask::retry;
use crate::safepoint::{processor, unsafe_points, vetoes};
use crate::signal::{gsignal, initsig};
use crate::table::words::{make, own};
use stage2_sysmon::rt::gmp::M;
use stage2_sysmon::rt::os::say;

// ANCHOR: minit
/// The row `minit` of this stage: the thread's signal stack gets its G, and the thread a timer.
/// The run's first thread reads the map of unsafe points, and puts the handler in place.
pub fn minit(mp: &'static M) {
    (stage2_sysmon::STAGE.minit)(mp);
    let own = make(mp);
    if mp.id.get() == 0 {
        a_run_begins(mp);
    }
    if off() == Off::Not {
        retry::make(own);
    }
    gsignal::minit(mp, own);
    // The last thread's signal lands nowhere; this one's number is written down.
    own.signal.landed();
}
// ANCHOR_END: minit

fn a_run_begins(mp: &'static M) {
    let stack = &mp.signal_stack;
    let size = stack.hi.get() - stack.lo.get();
    if let Some(why) = gsignal::too_small(size, gsignal::frame_size()) {
        refuse(&why);
    }
    let shadow_stack = processor::has_shadow_stack();
    if shadow_stack {
        say!(
            "this thread has a shadow stack, on which no call can be put that was never made: \
             goroutines are asked by the flag alone, as with GODEBUG=asyncpreemptoff=1"
        );
    }
    decide(shadow_stack);
    vetoes::reset();
    retry::reset();
    unsafe_points::init();
    if let Err(error) = initsig::initsig() {
        refuse(&format!("no handler for SIGURG: {error}"));
    }
}

/// The row `unminit` of this stage.
pub fn unminit(mp: &'static M) {
    if let Some(own) = own(mp) {
        gsignal::unminit(own);
        retry::end(own);
    }
    (stage2_sysmon::STAGE.unminit)(mp);
}

/// The run cannot begin.
fn refuse(why: &str) -> ! {
    say!("{why}");
    std::process::exit(2)
}
