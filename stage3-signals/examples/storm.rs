//! Three goroutines ask a fourth one to yield, again and again. How many signals is that?
//!
//! The target is in a section without preemption, so it refuses each time and goes on. Each of
//! the askers finds either no signal on its way to the target, and sends one; or there is one
//! already, and its handler will see this request too.

use stage3_signals::rt::arch::getm;
use stage3_signals::rt::gmp::allp;
use stage3_signals::rt::safepoint::refused;
use stage3_signals::rt::stack::preemptone;
use stage3_signals::rt::table::own;
use stage3_signals::{Runtime, STAGE, WaitGroup, acquirem, go, spin};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};

/// The P of the target, while it works.
static P: AtomicUsize = AtomicUsize::new(NONE);
const NONE: usize = usize::MAX;
static DONE: AtomicBool = AtomicBool::new(false);
static ASKED: AtomicU32 = AtomicU32::new(0);

fn main() {
    let runtime = Runtime::new(&STAGE).procs(4);
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        runtime.run(|| {
            let done = WaitGroup::new();
            done.add(4);
            for name in ["asker_a", "asker_b", "asker_c"] {
                let done = done.clone();
                go(name, move || {
                    ask();
                    done.done();
                });
            }
            let d = done.clone();
            go("target", move || {
                work();
                d.done();
            });
            done.wait();
        });
    }
}

/// Works for a millisecond, without a check, on one and the same M.
fn work() {
    let section = acquirem();
    let mp = getm();
    let landed = || own(mp).map_or(0, |own| own.signal.generation());
    let (before, refused_before) = (landed(), refused("locks"));
    P.store(mp.p.get().map_or(NONE, |pp| pp.id.get()), SeqCst);
    spin(1_000_000);
    P.store(NONE, SeqCst);
    let (signals, refused) = (landed() - before, refused("locks") - refused_before);
    DONE.store(true, SeqCst);
    let asked = ASKED.load(SeqCst);
    println!("asked={asked} signals={signals} refused={refused}; the work is done");
    drop(section);
}

/// Asks every 25 us. With one P an asker only has its turn when the work is done.
fn ask() {
    while !DONE.load(SeqCst) {
        if let Some(pp) = allp().get(P.load(SeqCst)) {
            ASKED.fetch_add(u32::from(preemptone(pp)), SeqCst);
        }
        spin(25_000);
    }
}
