// A goroutine counts as waiting before the lock goes, or its waker comes too early. Alone:
// an event of the learner's own, on `gopark` and `goready`.

use super::{sound, work};
use crate::attempt::{Case, Fault, Judge, Kind, Run, start, tell};
use stage1_coop::{Runtime, STAGE, WaitGroup, go};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};

/// A place where goroutines wait: a lock, and those that are written down.
pub mod place {
    use stage1_coop::rt;
    use stage1_coop::rt::gmp::G;
    use stage1_coop::rt::os::Lock;
    use stage1_coop::rt::trace::WaitReason;
    use stage1_coop::user_log;
    use std::cell::UnsafeCell;

    /// A lock, and the goroutines that are written down under it.
    pub struct Place {
        lock: Lock,
        waiting: UnsafeCell<Vec<&'static G>>,
    }

    // SAFETY: `waiting` is only reached through `Held`, which exists while the lock is held.
    unsafe impl Sync for Place {}
    // SAFETY: it holds references to Gs, which belong to no thread.
    unsafe impl Send for Place {}

    /// The lock of a [`Place`] is held while this exists. No preemption meanwhile.
    #[must_use = "say what becomes of the lock: unlock or park"]
    pub struct Held<'a> {
        place: &'a Place,
    }

    impl Place {
        /// An open place where none waits.
        pub const fn new() -> Place {
            Place {
                lock: Lock::new(),
                waiting: UnsafeCell::new(Vec::new()),
            }
        }

        /// Takes the lock.
        pub fn lock(&self) -> Held<'_> {
            self.lock.raw_lock();
            Held { place: self }
        }
    }

    impl Default for Place {
        fn default() -> Place {
            Place::new()
        }
    }

    impl Held<'_> {
        /// Writes the calling goroutine down, where `take_all` will find it.
        pub fn write_me_down(&mut self) {
            // SAFETY: the lock is held, and no reference outlives a call.
            unsafe { &mut *self.place.waiting.get() }.push(rt::arch::getg());
        }

        /// Takes all that are written down.
        pub fn take_all(&mut self) -> Vec<&'static G> {
            // SAFETY: as above.
            std::mem::take(unsafe { &mut *self.place.waiting.get() })
        }

        /// Releases the lock now.
        pub fn unlock(self) {
            drop(self);
            // In lockstep this is where another thread may have its turn.
            user_log("unlocked");
        }

        /// Parks the calling goroutine: it counts as waiting first, and then the lock is released.
        /// Returns when it was woken.
        pub fn park(self) {
            let lock = std::ptr::from_ref(&self.place.lock).cast_mut().cast::<()>();
            std::mem::forget(self);
            // SAFETY: the scenarios call this on goroutines; the lock is held, and a
            // goroutine that waits borrows the place, so it lives.
            unsafe { rt::sched::gopark(Some(unlock), lock, WaitReason::SyncWaitGroupWait) };
        }
    }

    impl Drop for Held<'_> {
        fn drop(&mut self) {
            // SAFETY: a `Held` is made with the lock taken, and dropped once.
            unsafe { self.place.lock.unlock() };
        }
    }

    fn unlock(_: &'static G, lock: *mut ()) -> bool {
        // SAFETY: `park` passes the lock of a place, which is held.
        unsafe { (*lock.cast::<Lock>()).unlock() };
        true
    }

    /// Parks the calling goroutine. No lock is released: the waker must find it some other
    /// way, and not before it waits.
    pub fn park() {
        // SAFETY: the scenarios call this on goroutines.
        unsafe { rt::sched::gopark(None, std::ptr::null_mut(), WaitReason::SyncWaitGroupWait) };
    }

    /// Wakes a goroutine that counts as waiting. For any other one the scheduler ends the
    /// process.
    pub fn wake(gp: &'static G) {
        // It may have parked without a lock that orders us: it counts as waiting a moment
        // before it is off its M.
        while rt::gmp::readgstatus(gp) == rt::gmp::GWAITING && gp.m.get().is_some() {
            rt::os::procyield(1);
        }
        // SAFETY: a goroutine that waits is off its M, and any other is refused.
        unsafe { rt::sched::goready(gp) };
    }
}

/// The judge.
pub(crate) const JUDGE: Judge = Judge {
    kind: Kind::Rust(&[
        sleeps_under_the_lock,
        waits,
        leaves_the_processor,
        wakes_all,
        |_, run| run.ended_well(),
        |_, run| sound(run),
    ]),
    compare: true,
    cases: &[
        Case {
            name: "after you",
            what: "the event is set before a goroutine waits, and then again while one waits",
            procs: 1,
            seeds: &[1],
        },
        Case {
            name: "close together",
            what: "thirty events; on two processors one waits while the other sets, a little later each time",
            procs: 2,
            seeds: &[1, 2, 3, 4],
        },
        Case {
            name: "three wait",
            what: "three goroutines wait for one event",
            procs: 3,
            seeds: &[1, 2],
        },
        Case {
            name: "for real",
            what: "some thousand events on four processors, free-running: a race for real",
            procs: 4,
            seeds: &[],
        },
    ],
    reference: |case| {
        scenario(
            case,
            reference::Event::new,
            reference::Event::wait,
            reference::Event::set,
        )
    },
};

/// The `main` of an attempt: `new`, `wait` and `set` of the learner's event.
pub fn attempt<E: Send + Sync + 'static>(new: fn() -> E, wait: fn(&E), set: fn(&E)) {
    crate::attempt::enter(|case| scenario(case, new, wait, set));
}

fn scenario<E: Send + Sync + 'static>(case: &str, new: fn() -> E, wait: fn(&E), set: fn(&E)) {
    let rounds = move |rounds: u64, waiters: usize, step: u64| {
        for round in 0..rounds {
            let event = Arc::new(new());
            let was_set = Arc::new(AtomicBool::new(false));
            let all = WaitGroup::new();
            for _ in 0..waiters {
                all.add(1);
                let (event, was_set, all) = (event.clone(), was_set.clone(), all.clone());
                go("waiter", move || {
                    work(2_000);
                    wait(&event);
                    if !was_set.load(SeqCst) {
                        tell!("early {round}");
                    }
                    all.done();
                });
            }
            all.add(1);
            let done = all.clone();
            go("setter", move || {
                work(step * round);
                was_set.store(true, SeqCst);
                set(&event);
                done.done();
            });
            all.wait();
        }
    };
    match case {
        "after you" => start(Runtime::new(&STAGE).procs(1), move || {
            let event = new();
            set(&event);
            wait(&event);
            wait(&event);
            tell!("first");
            rounds(3, 1, 0);
        }),
        "close together" => start(Runtime::new(&STAGE).procs(2), move || rounds(30, 1, 1_000)),
        "three wait" => start(Runtime::new(&STAGE).procs(3), move || rounds(12, 3, 2_000)),
        _ => start(Runtime::new(&STAGE).procs(4), move || rounds(3_000, 2, 1)),
    }
}

fn sleeps_under_the_lock(_: &Case, run: &Run) -> Result<(), Fault> {
    let trace = &run.trace;
    let last = trace.events.len().saturating_sub(1);
    if run.err.contains("expected waiting to become runnable") {
        let at = trace.find("GoUnblock").last().unwrap_or(last);
        return Err(Fault::new(
            "too-early",
            "A goroutine was woken before it counted as waiting, and the scheduler ended the process.",
            "It was written down and the lock was released, but it still ran: the lock must be released after the goroutine counts as waiting.",
        )
        .at(at));
    }
    if run.err.contains("schedule: holding locks") {
        return Err(Fault::new(
            "lock-kept",
            "A goroutine went to sleep holding the lock, and the scheduler ended the process.",
            "The waker needs that lock: it must be released when the goroutine counts as waiting, which `held.park()` does and `park()` does not.",
        )
        .at(last));
    }
    Ok(())
}

fn waits(_: &Case, run: &Run) -> Result<(), Fault> {
    if run.says("early").is_some() {
        return Err(Fault::new(
            "no-wait",
            "`wait` came back before `set` was called.",
            "A goroutine that relies on the event reads what is not there yet.",
        ));
    }
    Ok(())
}

fn leaves_the_processor(_: &Case, run: &Run) -> Result<(), Fault> {
    let trace = &run.trace;
    let sched = trace.count("GoSched");
    if sched > 60 {
        let at = trace.find("GoSched").nth(1).unwrap_or(0);
        return Err(Fault::new(
            "busy",
            format!("The waiting goroutine came back {sched} times to look whether it may go on."),
            "Waiting means leaving the processor to others until the event is set: a goroutine that asks again and again keeps one busy.",
        )
        .at(at));
    }
    Ok(())
}

fn wakes_all(case: &Case, run: &Run) -> Result<(), Fault> {
    let trace = &run.trace;
    let last = trace.events.len().saturating_sub(1);
    let sleeps = run.is_deadlock()
        || matches!(run.limit, Some(crate::attempt::Limit::Time(_)))
        || run.code == Some(124);
    if sleeps && case.name == "after you" && run.says("first").is_none() {
        return Err(Fault::new(
            "set-first",
            "The event was set already, and `wait` sleeps for ever.",
            "It will not be set again: a goroutine that comes later must look at the flag first.",
        ));
    }
    if sleeps && case.name == "three wait" {
        return Err(Fault::new(
            "one-of-three",
            "Three waited, the event was set, and one still sleeps.",
            "An event is for every goroutine that waits: take all that are written down.",
        )
        .at(last));
    }
    if sleeps {
        let at = trace.find("GoBlock").last().unwrap_or(last);
        return Err(Fault::new(
            "lost",
            "The event is set, and a goroutine sleeps for ever: the wake-up was lost.",
            "`set` came after the goroutine had looked at the flag and before it was written down: it must look under the lock that `set` takes.",
        )
        .at(at));
    }
    Ok(())
}

mod reference {
    use super::place::{Place, wake};
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    pub struct Event {
        set: AtomicBool,
        place: Place,
    }

    impl Event {
        pub fn new() -> Event {
            Event {
                set: AtomicBool::new(false),
                place: Place::new(),
            }
        }

        pub fn wait(&self) {
            let mut held = self.place.lock();
            if self.set.load(Relaxed) {
                return held.unlock();
            }
            held.write_me_down();
            held.park();
        }

        pub fn set(&self) {
            let mut held = self.place.lock();
            self.set.store(true, Relaxed);
            let all = held.take_all();
            held.unlock();
            all.into_iter().for_each(wake);
        }
    }
}
