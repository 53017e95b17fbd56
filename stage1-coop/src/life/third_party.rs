//! The third party: a thread of the runtime that has no P, runs no goroutine, and can
//! therefore look on while all Ps are busy. In this stage it must raise the flag, by a
//! function of the user's or by Ctrl-C.
//!
//! Tests: below; `waking::the_third_party_runs_no_goroutine`,
//! `waking::ctrl_c_raises_the_flag_until_the_run_is_over`.

use crate::arch::getm;
use crate::gmp::{ATTENTION_STOP, SCHED, allp};
use crate::last_words::panics::third_party_panicked;
use crate::os;
use crate::sched::leave::THIRD_PARTY as NOTE;
use crate::stack::preempt::{preemptall, preemptone, requests};
use safepoint_lockstep::say;
use std::io::IsTerminal;
use std::sync::atomic::Ordering::*;
use std::time::Duration;

/// What the third party can do.
pub struct ThirdParty {
    began: u64,
    heard_ctrl_c: u32,
}

impl ThirdParty {
    /// Takes the seat on the calling M and runs `f`.
    pub(crate) fn sit(f: fn(&mut ThirdParty)) {
        let mp = getm();
        // Code of the user's, which may change the thread: no M may be a copy of it.
        mp.locked_ext.store(1, Relaxed);
        os::watch_ctrl_c(&NOTE);
        let mut me = ThirdParty {
            began: os::nanotime(),
            heard_ctrl_c: 0,
        };
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| f(&mut me)));
        os::unwatch_ctrl_c();
        if let Err(payload) = result {
            third_party_panicked(payload.as_ref());
        }
    }

    /// Sleeps. Ctrl-C meanwhile raises the flag on all Ps. Returns false when the run is
    /// over: then return from the function, too.
    pub fn sleep(&mut self, time: Duration) -> bool {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let deadline = os::nanotime().saturating_add(ns);
        loop {
            let now = os::nanotime();
            let woken = now < deadline && NOTE.tsleep(deadline - now);
            if woken {
                NOTE.clear();
            }
            if SCHED.attention.has(ATTENTION_STOP) {
                return false;
            }
            if os::ctrl_c_count() != self.heard_ctrl_c {
                self.heard_ctrl_c = os::ctrl_c_count();
                let asked = self.raise_the_flag();
                say!(
                    "by hand: the flag is up on {asked} P{}{}",
                    if asked == 1 { "" } else { "s" },
                    // A hint for whoever sits at a keyboard.
                    if std::io::stderr().is_terminal() {
                        " (Ctrl-\\ ends the program)"
                    } else {
                        ""
                    }
                );
            } else if !woken {
                return true;
            }
        }
    }

    /// Asks every P to yield. Returns how many were asked. Go's `preemptall`.
    pub fn raise_the_flag(&mut self) -> usize {
        let busy = allp()
            .iter()
            .filter(|p| {
                p.m.load(Acquire)
                    .is_some_and(|m| m.curg.load(Acquire).is_some())
            })
            .count();
        preemptall();
        busy
    }

    /// Asks the P with this number to yield. Returns whether a goroutine ran there. Go's
    /// `preemptone`.
    ///
    /// # Panics
    /// If there is no such P.
    pub fn raise_the_flag_on(&mut self, p: usize) -> bool {
        preemptone(&allp()[p])
    }

    /// How often a goroutine was asked to yield in this run, from here or from elsewhere.
    pub fn asked(&self) -> u32 {
        requests()
    }

    /// Time since the third party sat down.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(os::nanotime() - self.began)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::Note;
    use crate::{Chan, Runtime, STAGE, WaitGroup, go, gosched, lock_os_thread};
    use std::sync::atomic::AtomicPtr;

    /// What the handler of Ctrl-C has found, before it is held up.
    static FOUND: AtomicPtr<Note> = AtomicPtr::new(std::ptr::null_mut());

    /// The third party leaves at once, and its M becomes one of those that sleep for a P. Then
    /// the handler goes on.
    #[test]
    fn a_late_ctrl_c_wakes_no_m() {
        let _alone = crate::stack::scavenge::ALONE.lock();
        let third = |_: &mut ThirdParty| FOUND.store(os::ctrl_c_note(), SeqCst);
        let runtime = Runtime::new(&STAGE).procs(2).third_party(third);
        // SAFETY: nothing in here keeps anything that belongs to a thread across a yield.
        unsafe {
            runtime.run(|| {
                while SCHED.lock().freem.is_none() {
                    gosched();
                }
                let (stop, locked, done) = (Chan::<()>::new(0), WaitGroup::new(), WaitGroup::new());
                for _ in 0..4 {
                    locked.add(1);
                    done.add(1);
                    let (stop, locked, done) = (stop.clone(), locked.clone(), done.clone());
                    go("keeps its M", move || {
                        lock_os_thread();
                        locked.done();
                        stop.recv();
                        done.done();
                    });
                }
                locked.wait();
                while SCHED.lock().nmidlelocked < 4 {
                    gosched();
                }
                assert!(SCHED.lock().freem.is_none(), "one of them has it");
                let found = FOUND.load(SeqCst).as_ref().expect("SIGINT is watched");
                found.wakeup_from_signal();
                std::thread::sleep(Duration::from_millis(20));
                stop.close();
                done.wait();
            });
        }
    }
}
