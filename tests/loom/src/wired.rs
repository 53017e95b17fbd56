//! The race for the goroutine's state of stage 2's newer system calls: an M in a call, and a
//! thief. Runs `gstatus.rs` and `callg.rs`; around them is what `reentersyscall_wired`,
//! `exitsyscall_wired` and `take_out` do with the M and the P, and the older form's way out,
//! which meets the same thief.
//!
//! What the P's owner alone may touch, its queue above all, is a plain cell. `p.m` is an atomic,
//! relaxed as in the runtime: here the thief writes another thread's word, and the bit orders
//! that. `m.p` is the M's own.

use crate::callg::HeldStatus;
use crate::gstatus::{GRUNNING, GSCAN, GSYSCALL, GStatus};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering::*};
use loom::sync::{Arc, Mutex};
use loom::thread;

/// One G on one M with one P.
struct World {
    atomicstatus: GStatus,
    /// `p.m`: whether the P belongs to the M.
    p_m: AtomicBool,
    /// `m.p`: whether the M may use it.
    m_p: AtomicBool,
    /// Whether the call is one of the newer form.
    mark: AtomicU32,
    /// What the P's owner has put into its queue: stands for all that the owner alone may
    /// change.
    owned: UnsafeCell<u32>,
    /// The global queue.
    global: Mutex<u32>,
}

impl World {
    fn new() -> Arc<World> {
        Arc::new(World {
            atomicstatus: crate::gstatus_model::running(),
            p_m: AtomicBool::new(true),
            m_p: AtomicBool::new(true),
            mark: AtomicU32::new(0),
            owned: UnsafeCell::new(0),
            global: Mutex::new(0),
        })
    }

    /// The caller is the owner: it works. Returns how many have before.
    fn work(&self) -> u32 {
        // SAFETY: the caller owns the P; loom checks it.
        self.owned.with_mut(|n| unsafe {
            *n += 1;
            *n - 1
        })
    }

    /// `ready` on the M: into its P's queue, if it has one.
    fn ready(&self) {
        if self.m_p.load(Relaxed) {
            self.work();
        } else {
            *self.global.lock().unwrap() += 1;
        }
    }

    /// `casgstatus`, whose row waits for the bit.
    fn cas<const OLD: u32, const NEW: u32>(&self) {
        // SAFETY: there is no stack behind a model's state; its cells notice a second user.
        while !unsafe { self.atomicstatus.try_change::<OLD, NEW>() } {
            let is = self.atomicstatus.get();
            assert_eq!(is & !GSCAN, OLD, "another state");
            thread::yield_now();
        }
    }

    /// `reentersyscall_wired`.
    fn enter(&self) {
        self.m_p.store(false, Relaxed);
        self.enter_with_p();
    }

    /// As Go has it, and this runtime had it: `m.p` stays.
    fn enter_with_p(&self) {
        self.mark.store(1, Relaxed);
        self.cas::<GRUNNING, GSYSCALL>();
    }

    /// `exitsyscall_wired`: whether the P is still there.
    fn exit(&self) -> bool {
        // SAFETY: as in `cas`.
        unsafe { self.atomicstatus.leave_call(thread::yield_now) };
        self.mark.store(0, Relaxed);
        let kept = self.p_m.load(Relaxed);
        self.m_p.store(kept, Relaxed);
        kept
    }

    /// `take_out`.
    fn take_out(&self) -> bool {
        let Some(held) = self.atomicstatus.hold_in_call() else {
            return false;
        };
        let ours = self.p_m.load(Relaxed) && self.mark.load(Relaxed) != 0;
        if ours {
            self.p_m.store(false, Relaxed);
        }
        drop(held);
        ours
    }
}

#[test]
fn the_p_stays_or_is_taken_and_both_sides_agree() {
    loom::model(|| {
        let world = World::new();
        let thief = {
            let world = world.clone();
            thread::spawn(move || {
                let won = world.take_out();
                if won {
                    assert_eq!(world.work(), 1);
                }
                won
            })
        };
        world.work();
        world.enter();
        let kept = world.exit();
        if kept {
            assert_eq!(world.work(), 1);
        }
        assert_eq!(thief.join().unwrap(), !kept);
    });
}

/// Two calls in a row: a thief that saw the first one may take the P out of the second, and
/// never out of the work between them.
#[test]
fn nothing_is_taken_between_two_calls() {
    loom::model(|| {
        let world = World::new();
        let thief = {
            let world = world.clone();
            thread::spawn(move || {
                if world.take_out() {
                    world.work();
                }
            })
        };
        for _ in 0..2 {
            world.work();
            world.enter();
            if !world.exit() {
                break;
            }
        }
        thief.join().unwrap();
    });
}

/// The call wakes a goroutine. Afterwards the M, or the thief that took the P, wakes another.
fn wakes_in_the_call(enter: fn(&World)) {
    loom::model(move || {
        let world = World::new();
        let thief = {
            let world = world.clone();
            thread::spawn(move || {
                let won = world.take_out();
                if won {
                    world.work();
                }
                u32::from(won)
            })
        };
        enter(&world);
        world.ready();
        let kept = u32::from(world.exit());
        if kept != 0 {
            world.ready();
        }
        assert_eq!(thief.join().unwrap(), 1 - kept);
        // SAFETY: everybody is done; loom checks it.
        let local = world.owned.with(|n| unsafe { *n });
        assert_eq!(local + *world.global.lock().unwrap(), 2);
    });
}

#[test]
fn a_call_that_wakes_a_goroutine_leaves_the_p_s_queue_alone() {
    wakes_in_the_call(World::enter);
}

/// The model notices when the M has its P in hand during the call: two threads change one
/// queue.
#[test]
#[should_panic = "Causality violation"]
fn with_the_p_in_hand_two_threads_change_its_queue() {
    wakes_in_the_call(World::enter_with_p);
}

/// In the older form the goroutine is in its call for a moment longer than its P is without
/// an owner. A thief of the newer form that comes then goes away again.
#[test]
fn a_call_of_the_older_form_is_left_alone() {
    loom::model(|| {
        let world = World::new();
        let thief = {
            let world = world.clone();
            thread::spawn(move || world.take_out())
        };
        world.cas::<GRUNNING, GSYSCALL>();
        world.work();
        world.cas::<GSYSCALL, GRUNNING>();
        world.work();
        assert!(!thief.join().unwrap());
    });
}

/// The model notices when a thief does not look at the mark.
#[test]
#[should_panic(expected = "Causality violation")]
fn without_the_mark_the_older_form_is_robbed() {
    loom::model(|| {
        let world = World::new();
        let thief = {
            let world = world.clone();
            thread::spawn(move || {
                world.mark.store(1, Relaxed);
                if world.take_out() {
                    world.work();
                }
            })
        };
        world.cas::<GRUNNING, GSYSCALL>();
        world.work();
        world.cas::<GSYSCALL, GRUNNING>();
        thief.join().unwrap();
    });
}

/// And when entering is no release: then the thief may not see what the owner did.
#[test]
#[should_panic(expected = "Causality violation")]
fn without_the_release_the_thief_is_too_early() {
    loom::model(|| {
        let world = World::new();
        let status = Arc::new(AtomicU32::new(GRUNNING));
        let thief = {
            let (world, status) = (world.clone(), status.clone());
            thread::spawn(move || {
                if status
                    .compare_exchange(GSYSCALL, GSYSCALL | GSCAN, AcqRel, Relaxed)
                    .is_ok()
                {
                    world.work();
                }
            })
        };
        world.work();
        status.store(GSYSCALL, Relaxed);
        thief.join().unwrap();
    });
}
