//! System calls as Go 1.26 makes them, and the second policy for time slices, as behavior.

use crate::fixture::stage2::{on, step};
use crate::fixture::{MS, on_stage};
use stage2_sysmon::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::time::{Duration, Instant};
use tests::{LIMIT, Random};

/// A call that blocks for so long.
fn block(time: Duration) {
    syscall_wired(|| std::thread::sleep(time));
}

#[test]
fn a_call_returns_what_it_does() {
    assert_eq!(syscall_wired(|| 7), 7, "off a goroutine");
    let text = on(1, || {
        syscall_wired(|| step_outside(3));
        syscall_wired(|| "text".to_owned())
    });
    assert_eq!(text, "text");
}

fn step_outside(n: u32) -> u32 {
    n + 1
}

/// Go's `canPreemptM` asks for the goroutine's state besides (1.26): the P alone does not say
/// it, because a call may have kept it, or got another one on its way back.
#[test]
fn a_goroutine_in_a_call_cannot_be_preempted() {
    let answers = on(1, || {
        let why = || rt::stack::why_not_preempt_m(rt::arch::getm());
        let mut answers = vec![why()];
        for _ in 0..50 {
            answers.push(syscall_wired(|| {
                let mp = rt::arch::getm();
                mp.p.set(rt::table::oldp(mp));
                let answer = why();
                mp.p.set(None);
                answer
            }));
        }
        answers
    });
    let in_calls = &answers[1..];
    assert_eq!(answers[0], None);
    assert!(in_calls.contains(&Some("status")), "{in_calls:?}");
    // Sysmon may have taken the P by then.
    let expected = |why: &Option<&str>| matches!(why, Some("status" | "p-not-running"));
    assert!(in_calls.iter().all(expected), "{in_calls:?}");
}

#[test]
fn the_p_of_a_call_that_blocks_runs_others() {
    for _ in 0..20 {
        let (meanwhile, after) = on(1, || {
            let (ran, over) = (
                Arc::new(AtomicBool::new(false)),
                Arc::new(AtomicBool::new(false)),
            );
            let (r, o) = (ran.clone(), over.clone());
            go("other", move || r.store(!o.load(SeqCst), SeqCst));
            let begin = Instant::now();
            // As long as nobody has run: sysmon may be late, the call waits for it.
            syscall_wired(|| {
                while !ran.load(SeqCst) && begin.elapsed() < LIMIT / 2 {
                    std::thread::sleep(MS);
                }
            });
            over.store(true, SeqCst);
            let meanwhile = ran.load(SeqCst);
            // And there is a P again: goroutines can be made, and waited for.
            let done = Chan::new(0);
            let d = done.clone();
            go("another", move || d.send(7));
            (meanwhile, done.recv())
        });
        assert!(meanwhile, "nobody ran while the call blocked");
        assert_eq!(after, Some(7));
    }
}

#[test]
fn a_panic_leaves_the_call() {
    on(1, || {
        let caught =
            std::panic::catch_unwind(|| syscall_wired(|| std::panic::resume_unwind(Box::new(7))));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&7));
        gosched();
        syscall_wired(|| ());
    });
}

#[test]
fn who_is_in_a_call_is_not_dead() {
    let got = on(2, || {
        let c = Chan::new(0);
        let to = c.clone();
        go("caller", move || {
            block(50 * MS);
            to.send(7);
        });
        c.recv()
    });
    assert_eq!(got, Some(7));
}

#[test]
fn the_run_ends_while_somebody_is_in_a_call() {
    for wait in [0, 1, 5] {
        on(2, move || {
            for _ in 0..4 {
                go("caller", || {
                    block(20 * MS);
                    loop {
                        syscall_wired(|| ());
                    }
                });
            }
            sleep(wait * MS);
        });
    }
}

/// Both protocols, short calls and long ones, and goroutines that only compute: sysmon finds
/// Ps in every state that there is.
#[test]
fn both_protocols_stand_beside_each_other() {
    for procs in [1, 2, 4] {
        let sum = on(procs, move || {
            let (sum, done) = (Arc::new(AtomicUsize::new(0)), WaitGroup::new());
            for i in 0..16 {
                done.add(1);
                let (sum, done) = (sum.clone(), done.clone());
                go("caller", move || {
                    let mut random = Random::new(i + 1);
                    for _ in 0..300 {
                        match random.below(40) {
                            0 => block(Duration::from_micros(random.below(300))),
                            1 => nanosleep(Duration::from_micros(random.below(300))),
                            2 => syscall_block(|| ()),
                            3 => gosched(),
                            n if n % 2 == 0 => {
                                (0..20).for_each(|_| syscall(|| ()));
                            }
                            _ => {
                                (0..20).for_each(|_| syscall_wired(|| ()));
                                step();
                            }
                        }
                        sum.fetch_add(1, Relaxed);
                    }
                    done.done();
                });
            }
            done.wait();
            sum.load(Relaxed)
        });
        assert_eq!(sum, 16 * 300);
    }
}

/// Writes down where the waker finds the goroutine, when it counts as waiting.
fn found_at(gp: &'static rt::gmp::G, slot: *mut ()) -> bool {
    // SAFETY: the caller of `gopark` below passes the address of a slot that outlives the wait.
    unsafe { &*slot.cast::<rt::word::Link<rt::gmp::G>>() }.store(Some(gp), SeqCst);
    true
}

/// A call may wake goroutines. The P stays with the M meanwhile, and a thief may take it at
/// any moment, so they must not go into that P's queue: two threads would write one ring.
/// (`goready`, because whatever of this crate begins with a guard check is refused in a call.)
#[test]
fn a_call_that_wakes_goroutines_leaves_the_p_alone() {
    const N: usize = 50;
    on(2, || {
        let begin = Instant::now();
        let mut rounds = 0;
        while rounds < 50 || begin.elapsed() < 20 * MS {
            let done = WaitGroup::new();
            let slots: &[rt::word::Link<rt::gmp::G>; N] =
                Box::leak(Box::new([const { rt::word::Link::none() }; N]));
            for slot in slots {
                done.add(1);
                let done = done.clone();
                go("waits", move || {
                    let slot = std::ptr::from_ref(slot).cast_mut().cast();
                    // SAFETY: on a goroutine; the slot lives for ever, and main looks there.
                    unsafe {
                        rt::sched::gopark(Some(found_at), slot, rt::trace::WaitReason::ChanReceive)
                    };
                    done.done();
                });
            }
            sleep(MS / 4);
            syscall_wired(|| {
                assert!(rt::arch::getm().p.get().is_none(), "a thief may take it");
                for slot in slots {
                    while slot.load(SeqCst).is_none() {
                        std::thread::yield_now();
                    }
                    if let Some(gp) = slot.get() {
                        // SAFETY: it has parked, and this caller alone wakes it.
                        unsafe { rt::sched::goready(gp) };
                    }
                }
            });
            assert!(rt::arch::getm().p.get().is_some());
            done.wait();
            rounds += 1;
        }
    });
}

/// A goroutine in a call has no check at which it could hear a request, and its thread must not
/// be interrupted there.
#[test]
fn in_a_call_nobody_is_asked() {
    on(2, || {
        let (inside, asked) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (i, a) = (inside.clone(), asked.clone());
        go("caller", move || {
            let pp = rt::arch::getm().p.get().expect("on a goroutine");
            let why = syscall_wired(|| {
                i.store(std::ptr::from_ref(pp) as usize, SeqCst);
                while !a.load(SeqCst) {
                    std::hint::spin_loop();
                }
                rt::stack::why_not_preempt_m(rt::arch::getm())
            });
            assert_eq!(why, Some("p-not-running"));
            i.store(0, SeqCst);
        });
        while inside.load(SeqCst) == 0 {
            std::hint::spin_loop();
        }
        let its = inside.load(SeqCst);
        let pp = rt::gmp::allp()
            .iter()
            .find(|pp| std::ptr::from_ref(*pp) as usize == its);
        assert!(!rt::stack::preemptone(pp.expect("one of ours")));
        asked.store(true, SeqCst);
        while inside.load(SeqCst) != 0 {
            gosched();
        }
    });
}

/// Calls without end by one goroutine: its slice ends like everybody's, and the P that it
/// loses in a call comes back.
#[test]
fn calls_without_end_do_not_keep_the_p() {
    let turns = on(1, || {
        let stop = Arc::new(AtomicBool::new(false));
        let s = stop.clone();
        go("caller", move || {
            while !s.load(Relaxed) {
                syscall_wired(|| ());
                syscall(|| ());
            }
        });
        // Each of these can go on only when the caller has lost the P.
        (0..20).for_each(|_| gosched());
        stop.store(true, Relaxed);
        20
    });
    assert_eq!(turns, 20);
}

#[test]
fn with_the_other_policy_everybody_has_a_turn() {
    for procs in [1, 2] {
        let turns = on_stage(&rt::sysmon::SLICE_ENDS, procs, || {
            let stop = Arc::new(AtomicBool::new(false));
            for _ in 0..3 {
                let s = stop.clone();
                go("hog", move || {
                    while !s.load(Relaxed) {
                        step();
                    }
                });
            }
            let turns = (0..10).map(|_| sleep(MS)).count();
            stop.store(true, Relaxed);
            turns
        });
        assert_eq!(turns, 10);
    }
}
