//! The third party: a thread of the runtime that has no P, runs no goroutine, and can
//! therefore look on while all Ps are busy. Somebody must raise the flag, and in this stage
//! it is whoever sits here: a function of the user's, or Ctrl-C.

use crate::arch::getm;
use crate::os;
use crate::preempt::{preemptall, preemptone, requests};
use crate::runtime2::*;
use safepoint_lockstep::say;
use std::io::IsTerminal;
use std::sync::atomic::Ordering::*;
use std::time::Duration;

/// What the third party can do.
pub struct ThirdParty {
    mp: &'static M,
    began: u64,
    heard_ctrl_c: u32,
}

impl ThirdParty {
    /// Takes the seat on the calling M and runs `f`.
    pub(crate) fn sit(f: fn(&mut ThirdParty)) {
        let mp = getm();
        // Code of the user's, which may change the thread: no M may be a copy of it.
        mp.locked_ext.store(1, Relaxed);
        os::watch_ctrl_c(&mp.park);
        let mut me = ThirdParty {
            mp,
            began: os::nanotime(),
            heard_ctrl_c: 0,
        };
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| f(&mut me)));
        os::unwatch_ctrl_c();
        if let Err(payload) = result {
            crate::panics::third_party_panicked(payload.as_ref());
        }
    }

    /// Sleeps. Ctrl-C meanwhile raises the flag on all Ps. Returns false when the run is
    /// over: then return from the function, too.
    pub fn sleep(&mut self, time: Duration) -> bool {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let deadline = os::nanotime().saturating_add(ns);
        loop {
            let now = os::nanotime();
            let woken = now < deadline && self.mp.park.tsleep(deadline - now);
            if woken {
                self.mp.park.clear();
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

    /// Asks the P with this number to yield. Returns whether anybody ran there. Go's
    /// `preemptone`.
    ///
    /// # Panics
    /// If there is no such P.
    pub fn raise_the_flag_on(&mut self, p: usize) -> bool {
        preemptone(&allp()[p])
    }

    /// How often somebody was asked to yield in this run, from here or by anybody else.
    pub fn asked(&self) -> u32 {
        requests()
    }

    /// Time since the third party sat down.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(os::nanotime() - self.began)
    }
}
