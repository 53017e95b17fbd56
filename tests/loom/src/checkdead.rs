//! Is anybody left? Models the counts that `checkdead` of stage 2 reads, when somebody who
//! does not count himself (sysmon) starts an M while the last one that counts goes to sleep:
//! `startm` of `sched/wake.rs` on one side, `exitsyscall0`, `stopm` and `checkdead` on the other.
//!
//! One P, idle. One M, in a system call; it comes back, and its goroutine needs a P.
//!
//! No file of the runtime runs here. What is tried is no word with a protocol but the shape of those
//! functions: which counts change in the same section of `sched.lock`. Their bodies are made of Ms,
//! Ps and threads, which a model cannot have, and what is left without them is below.

use loom::sync::{Arc, Mutex};
use loom::thread;

#[derive(Default)]
struct Sched {
    /// The only P is on the idle list.
    idle_p: bool,
    /// Ms that were made, without sysmon.
    mnext: u32,
    nmidle: u32,
    /// Goroutines in the global queue.
    queued: u32,
}

fn world() -> Arc<Mutex<Sched>> {
    Arc::new(Mutex::new(Sched {
        idle_p: true,
        mnext: 1,
        ..Sched::default()
    }))
}

/// `startm(None, false)` on a thread that is nobody, with no idle M at hand. `at_once` says
/// whether the new M counts in the section that takes the P.
fn startm(sched: &Mutex<Sched>, at_once: bool) {
    {
        let mut sched = sched.lock().unwrap();
        if !sched.idle_p {
            return;
        }
        sched.idle_p = false;
        sched.mnext += u32::from(at_once);
    }
    if !at_once {
        sched.lock().unwrap().mnext += 1;
    }
}

/// The M comes back from its call, finds no P, and sleeps. Returns what `checkdead` would
/// have thrown: nobody is awake, but a goroutine could run.
fn come_back_and_sleep(sched: &Mutex<Sched>) -> bool {
    {
        let mut sched = sched.lock().unwrap();
        if sched.idle_p {
            sched.idle_p = false;
            return false;
        }
        sched.queued += 1;
    }
    sched.lock().unwrap().nmidle += 1;
    let sched = sched.lock().unwrap();
    sched.mnext == sched.nmidle && sched.queued > 0
}

fn model(at_once: bool) {
    loom::model(move || {
        let sched = world();
        let sysmon = {
            let sched = sched.clone();
            thread::spawn(move || startm(&sched, at_once))
        };
        let false_report = come_back_and_sleep(&sched);
        sysmon.join().unwrap();
        assert!(!false_report, "checkdead: runnable g");
    });
}

#[test]
fn who_starts_an_m_for_an_idle_p_never_looks_like_the_end() {
    model(true);
}

/// As Go 1.15 did it: the P in one section, the count in the next.
#[test]
#[should_panic = "checkdead: runnable g"]
fn an_m_that_counts_later_is_too_late() {
    model(false);
}
