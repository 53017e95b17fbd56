//! The end of a goroutine: it returns, or unwinds by [`goexit`]. Mirrors `Goexit`, `goexit1` and
//! `goexit0` of `proc.go`; the chapter is *Many G on one M*.
//!
//! Tests: `ends`, `last_words::goexit`.

use crate::arch::{getg, getm, on_goroutine};
use crate::gmp::casgstatus::casgstatus;
use crate::gmp::{G, GDEAD, GRUNNING};
use crate::last_words::dump;
use crate::queues::free::gfput;
use crate::sched::lockosthread::abandon;
use crate::sched::park::dropg;
use crate::stack::slots;
use crate::throw::throw;
use crate::trace;
use std::sync::atomic::Ordering::*;

/// Ends the goroutine, running what its frames have to drop. Go's `runtime.Goexit`.
///
/// It unwinds as a panic does, without a message, and Rust lets every `catch_unwind` stop
/// that for a moment. But no longer: as soon as what was caught is dropped, on the goroutine
/// that is to end, the unwinding goes on. (A result that is not looked at is dropped at once,
/// and `if let Err(e) = ...` drops it at the end of its block.) Code that keeps it or forgets
/// it goes on for as long as it does so. It is a goroutine that ends in any case: if it is
/// main, its return does not end the run.
///
/// # Panics
/// Off a goroutine. In a destructor while the goroutine unwinds: there Rust allows no second
/// unwinding, so the process ends with the words of a panic.
pub fn goexit() -> ! {
    assert!(on_goroutine(), "goexit: not on a goroutine");
    assert!(
        !std::thread::panicking(),
        "goexit: in a destructor while the goroutine unwinds"
    );
    let gp = getg();
    gp.goexiting.store(true, Relaxed);
    std::panic::resume_unwind(Box::new(Goexit::of(gp)))
}

/// What [`goexit`] unwinds with: no panic, so std's hook does not speak.
pub(crate) struct Goexit {
    /// The goroutine that is to end; 0 when it has come to its entry.
    goid: usize,
}

impl Goexit {
    fn of(gp: &G) -> Goexit {
        Goexit {
            goid: gp.goid.get(),
        }
    }

    /// The unwinding has come to the goroutine's entry.
    pub(crate) fn arrived(&mut self) {
        self.goid = 0;
    }
}

impl Drop for Goexit {
    /// It was caught, and is dropped.
    fn drop(&mut self) {
        if self.goid != 0
            && on_goroutine()
            && getg().goid.get() == self.goid
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(Box::new(Goexit::of(getg())));
        }
    }
}

/// Whether the goroutine has called [`goexit`].
pub(crate) fn goexiting(gp: &G) -> bool {
    gp.goexiting.load(Relaxed)
}

/// On `g0`, with a goroutine that has finished. Go's `goexit0`.
pub(crate) fn goexit0(gp: &'static G) -> Option<&'static G> {
    let mp = getm();
    let Some(pp) = mp.p.get() else {
        throw("goexit0: no p");
    };
    trace::go_end(gp);
    // SAFETY: on g0, and gp has just left for good.
    unsafe {
        casgstatus::<GRUNNING, GDEAD>(gp);
        dropg(gp);
    }
    slots::unbind(pp, gp);
    let locked = gp.lockedm.get().is_some();
    gp.lockedm.set(None);
    gp.preempt.store(false, Relaxed);
    gp.unwinding.store(false, Relaxed);
    gp.goexiting.store(false, Relaxed);
    if gp.panicked.load(Relaxed) {
        dump::forget(gp);
    }
    gp.waitreason.store(0, Relaxed);
    gfput(pp, gp);
    if locked {
        // It may have left the thread in a state that no other goroutine should see.
        abandon(mp);
        mp.leaving.store(true, Relaxed);
    }
    None
}
