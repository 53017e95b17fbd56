//! The race for `p.status` of stage 2: an M in a system call, sysmon, and another M to which
//! sysmon gives the P. Runs `pstatus.rs` and `callp.rs`; around them is what `reentersyscall`,
//! `exitsyscall_fast` and `take` do with the tick.
//!
//! What the P's owner alone may touch is a plain cell here. Two owners at once, or an owner
//! that does not see what the last one wrote, are a data race, and loom finds it.

use crate::callp::CallStatus;
use crate::pstatus::{PIDLE, PRUNNING, PSYSCALL, PStatus};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering::*};
use loom::thread;

struct P {
    status: PStatus,
    syscalltick: AtomicU32,
    owned: Owned,
}

/// Owners so far: stands for the queue and all else that the owner alone may change.
struct Owned(UnsafeCell<u32>);

impl Owned {
    fn new() -> Owned {
        Owned(UnsafeCell::new(0))
    }

    /// The caller is the owner: it works. Returns how many have before.
    fn work(&self) -> u32 {
        // SAFETY: the caller owns the P; loom checks it.
        self.0.with_mut(|n| unsafe {
            *n += 1;
            *n - 1
        })
    }
}

impl P {
    /// A P that the caller owns.
    fn new() -> Arc<P> {
        let status = PStatus::new();
        // SAFETY: it is new.
        unsafe { status.wire() };
        Arc::new(P {
            status,
            syscalltick: AtomicU32::new(0),
            owned: Owned::new(),
        })
    }

    /// It is the caller's from now on.
    fn wire(&self) {
        // SAFETY: as in `enter`: the models call it when they got the P.
        unsafe { self.status.wire() };
    }

    fn work(&self) -> u32 {
        self.owned.work()
    }

    fn bump(&self) {
        self.syscalltick
            .store(self.syscalltick.load(Relaxed) + 1, Relaxed);
    }

    /// `reentersyscall`: returns `m.syscalltick`.
    fn enter(&self) -> u32 {
        let tick = self.syscalltick.load(Relaxed);
        // SAFETY: the models enter with a P that they own; the cell in it notices if not.
        unsafe { self.status.enter_call() };
        tick
    }

    /// `exitsyscall_fast`, with the old P: whether it was taken.
    fn exit(&self) -> bool {
        let taken = self.status.take_from_call();
        if taken {
            self.wire();
        }
        taken
    }

    /// `take`.
    fn retake(&self) -> bool {
        self.status.take_from_call()
    }
}

#[test]
fn one_of_two_gets_the_p_and_sees_what_its_last_owner_did() {
    loom::model(|| {
        let pp = P::new();
        let sysmon = {
            let pp = pp.clone();
            thread::spawn(move || {
                let won = pp.retake();
                if won {
                    assert_eq!(pp.work(), 1);
                }
                won
            })
        };
        pp.work();
        pp.enter();
        let back = pp.exit();
        if back {
            assert_eq!(pp.work(), 1);
        }
        let taken = sysmon.join().unwrap();
        assert!(!(back && taken), "two owners");
        assert_eq!(pp.status.get(), if back { PRUNNING } else { PIDLE });
    });
}

/// Sysmon takes the P and gives it to another M, which enters a call with it: then the first
/// M may take its old P out of that call. It knows by the counter that the call was another.
#[test]
fn a_p_that_comes_back_into_a_call_is_known_by_its_tick() {
    loom::model(|| {
        let pp = P::new();
        let others = {
            let pp = pp.clone();
            thread::spawn(move || {
                if pp.retake() {
                    pp.bump();
                    // The P is handed on here: a note, which orders it. The other M works.
                    pp.wire();
                    assert_eq!(pp.work(), 1);
                    pp.enter();
                    if pp.exit() {
                        pp.work();
                    }
                }
            })
        };
        pp.work();
        let tick = pp.enter();
        if pp.exit() {
            let owners = pp.work();
            let same_call = pp.syscalltick.load(Relaxed) == tick;
            assert_eq!(same_call, owners == 1);
        }
        others.join().unwrap();
    });
}

/// The M that lost its P waits, while a trace is written, until the thief has counted: what
/// the thief recorded before that comes first.
#[test]
fn an_m_that_lost_its_p_does_not_wait_for_ever() {
    loom::model(|| {
        let pp = P::new();
        let sysmon = {
            let pp = pp.clone();
            thread::spawn(move || {
                if pp.retake() {
                    pp.bump();
                }
            })
        };
        let tick = pp.enter();
        if !pp.exit() {
            while pp.syscalltick.load(Relaxed) == tick && !pp.status.in_call() {
                thread::yield_now();
            }
        }
        sysmon.join().unwrap();
    });
}

/// The model notices when the store of `PSYSCALL` is no release: then the next owner may not
/// see what the last one did.
#[test]
#[should_panic(expected = "Causality violation")]
fn without_the_release_the_next_owner_is_too_early() {
    loom::model(|| {
        let pp = Arc::new((AtomicU32::new(PRUNNING), Owned::new()));
        let sysmon = {
            let pp = pp.clone();
            thread::spawn(move || {
                let (status, owned) = &*pp;
                if status
                    .compare_exchange(PSYSCALL, PIDLE, AcqRel, Relaxed)
                    .is_ok()
                {
                    owned.work();
                }
            })
        };
        pp.1.work();
        pp.0.store(PSYSCALL, Relaxed);
        sysmon.join().unwrap();
    });
}
