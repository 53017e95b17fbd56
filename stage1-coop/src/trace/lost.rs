//! A trace that was asked for, and could not be written, shows in the exit status: a script, a
//! grader or a CI job sees nothing else. A program that did its work, and would have ended
//! with 0, ends with [`TRACE_LOST`]; any other status stays, because it says more.
//!
//! Tests: `bad_input::disk`.

use safepoint_lockstep::say;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// `EX_IOERR` of sysexits.h.
pub const TRACE_LOST: i32 = 74;

static LOST: AtomicBool = AtomicBool::new(false);

/// A trace is lost; the caller has said so.
pub(super) fn lost() {
    LOST.store(true, SeqCst);
}

/// From now on the end of the process is ours, too. The trace may be wanted by a program that
/// calls `std::process::exit` in the middle of a run, so it is written there at the latest.
pub(super) fn at_exit() {
    static ONCE: Once = Once::new();
    extern "C" fn exits(status: i32, _: *mut libc::c_void) {
        super::finish();
        if status == 0 && LOST.load(SeqCst) {
            // SAFETY: flushes what C code has not written yet (std has flushed its own before
            // it called `exit`), and ends the process.
            unsafe {
                libc::fflush(std::ptr::null_mut());
                libc::_exit(TRACE_LOST)
            }
        }
    }
    unsafe extern "C" {
        /// Of glibc: as `atexit`, but the function hears the status.
        fn on_exit(f: extern "C" fn(i32, *mut libc::c_void), argument: *mut libc::c_void) -> i32;
    }
    ONCE.call_once(|| {
        // SAFETY: the function is there for the whole life of the process.
        if unsafe { on_exit(exits, std::ptr::null_mut()) } != 0 {
            say!("runtime: a trace that is lost will not show in the exit status");
        }
    });
}
