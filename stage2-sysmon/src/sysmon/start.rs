//! A run of this stage begins: what each M and each P needs besides, the kernel's list of descriptors, and
//! sysmon's thread.
//!
//! Tests: `sysmon::calls::runs_of_both_stages_follow_each_other`,
//! `netpoll::runs::a_hundred_runs_leak_nothing`.

use crate::netpoll::epoll;
use crate::sysmon::retake::SYSMONTICK;
use crate::sysmon::{sigquit, sysmon};
use crate::table::words::{make_of_m, make_of_p};
use crate::timers::TIMERS;
use stage1_coop::rt::arch::systemstack;
use stage1_coop::rt::gmp::{M, allp};
use stage1_coop::rt::sched::newm;

/// The row `minit` of this stage: a thread makes what this stage keeps for its M, and the run's
/// first one what it keeps for each P, before any other thread could ask for it.
pub fn minit(mp: &'static M) {
    make_of_m(mp);
    if mp.id.get() == 0 {
        epoll::init();
        for pp in allp() {
            let own = make_of_p(pp);
            TIMERS.make(own);
            SYSMONTICK.make(own);
        }
    }
}

/// The row `main_start` of this stage: the first goroutine makes sysmon's thread.
pub fn main_start() {
    sigquit::watch();
    systemstack(|| {
        newm(Some(Box::new(sysmon)), None, false);
    });
}
