//! A run of this stage begins: what each P needs besides, the kernel's list of descriptors, and
//! sysmon's thread.
//!
//! Tests: `sysmon::calls::runs_of_both_stages_follow_each_other`,
//! `netpoll::runs::a_hundred_runs_leak_nothing`.

use crate::netpoll::epoll;
use crate::sysmon::retake::SYSMONTICK;
use crate::sysmon::{sigquit, sysmon};
use crate::timers::TIMERS;
use stage1_coop::rt::arch::systemstack;
use stage1_coop::rt::gmp::M;
use stage1_coop::rt::sched::newm;

/// The row `minit` of this stage: the run's first thread makes what this stage keeps for each P,
/// before any other thread could ask for it.
pub fn minit(mp: &'static M) {
    if mp.id.get() == 0 {
        epoll::init();
        TIMERS.make();
        SYSMONTICK.make();
    }
}

/// The row `main_start` of this stage: the first goroutine makes sysmon's thread.
pub fn main_start() {
    sigquit::watch();
    systemstack(|| {
        newm(Some(Box::new(sysmon)), None, false);
    });
}
