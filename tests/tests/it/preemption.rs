//! A request to yield: what refuses it, what becomes of it then, and that it never reaches
//! another goroutine.

use crate::fixture::stage1::{asked, on};
use crate::fixture::{ask_myself, my_p, step, with};
use stage1_coop::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::time::{Duration, Instant};
use tests::gettid;

// ---- Rows 10 to 12 and 16: keeping the P, and requests that outlive a refusal.

/// Something that keeps preemption off, and its end.
type Reason = (&'static str, fn(), fn());

static SECTION: std::sync::Mutex<Option<Section>> = std::sync::Mutex::new(None);
struct Section(#[allow(dead_code)] Acquired);
// SAFETY: made and dropped on goroutines that hold it on one thread: that is its purpose.
unsafe impl Send for Section {}

#[test]
fn each_reason_to_refuse_keeps_the_p_until_it_is_gone() {
    let reasons: [Reason; 4] = [
        (
            "locks",
            || *SECTION.lock().expect("as above") = Some(Section(acquirem())),
            || *SECTION.lock().expect("as above") = None,
        ),
        (
            "mallocing",
            || {
                // As `realloc` by way of `alloc` and `dealloc`: what ends inside is not the end.
                rt::stack::enter_malloc();
                rt::stack::enter_malloc();
                rt::stack::leave_malloc();
            },
            || rt::stack::leave_malloc(),
        ),
        (
            "preemptoff",
            || rt::stack::set_preemptoff("a test"),
            || rt::stack::set_preemptoff(""),
        ),
        // Nothing reports the end of this one: the request after it is heeded.
        (
            "p-not-running",
            || {
                let status = &my_p().status;
                // SAFETY: this goroutine's M owns the P, and nothing takes a stopped one from it.
                unsafe { status.set::<{ rt::gmp::PRUNNING }, { rt::gmp::PGCSTOP }>() };
            },
            || {
                let status = &my_p().status;
                // SAFETY: it still does: what was asked meanwhile was refused.
                unsafe { status.set::<{ rt::gmp::PGCSTOP }, { rt::gmp::PRUNNING }>() };
                ask_myself();
            },
        ),
    ];
    for (name, begin, end) in reasons {
        let got = on(1, move || {
            let ran = Arc::new(AtomicBool::new(false));
            let r = ran.clone();
            go("bystander", move || r.store(true, SeqCst));
            begin();
            ask_myself();
            let mp = rt::arch::getm();
            let why = rt::stack::why_not_preempt_m(mp);
            let mut kept = !rt::stack::can_preempt_m(mp);
            for _ in 0..1000 {
                step();
                kept &= !ran.load(SeqCst);
            }
            // Refused, the flag is down: the check costs nothing extra meanwhile. But it is
            // not forgotten.
            let down = rt::arch::getg().stackguard0.load(Relaxed) != rt::stack::STACK_PREEMPT;
            let sticky = rt::arch::getg().preempt.load(Relaxed);
            end();
            let before = ran.load(SeqCst);
            step();
            (why, kept, down, sticky, before, ran.load(SeqCst))
        });
        assert_eq!(
            got,
            (Some(name), true, true, true, false, true),
            "(reason, kept, flag down, sticky, before the next check, after it)"
        );
    }
}

#[test]
fn a_goroutine_that_unwinds_is_not_preempted_and_yields_at_the_next_check() {
    let (kept, before, after) = on(1, || {
        let (ran, kept) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicBool::new(true)),
        );
        let r = ran.clone();
        go("bystander", move || r.store(true, SeqCst));
        struct Checks(Arc<AtomicBool>, Arc<AtomicBool>);
        impl Drop for Checks {
            fn drop(&mut self) {
                ask_myself();
                for _ in 0..1000 {
                    step();
                }
                let why = rt::stack::why_not_preempt_m(rt::arch::getm());
                let right = why == Some("unwinding") && !self.0.load(SeqCst);
                self.1.store(right, SeqCst);
            }
        }
        let checks = Checks(ran.clone(), kept.clone());
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _checks = checks;
            std::panic::resume_unwind(Box::new(()));
        }));
        let before = ran.load(SeqCst) || caught.is_ok();
        step();
        (kept.load(SeqCst), before, ran.load(SeqCst))
    });
    assert!(kept && !before);
    assert!(after, "the request was forgotten when the unwinding ended");
}

#[test]
fn sections_without_preemption_nest() {
    let ran = on(1, || {
        let ran = Arc::new(AtomicBool::new(false));
        let r = ran.clone();
        go("bystander", move || r.store(true, SeqCst));
        let mut after_each = Vec::new();
        let mut check = || {
            step();
            after_each.push(ran.load(SeqCst));
        };
        let outer = acquirem();
        let middle = acquirem();
        ask_myself();
        check();
        let inner = acquirem();
        drop(inner);
        check();
        drop(middle);
        check();
        drop(outer);
        check();
        after_each
    });
    assert_eq!(ran, [false, false, false, true]);
}

/// Go's `unlock`: a check under a lock of the runtime's refuses, and the request is kept.
#[test]
fn a_request_that_was_refused_under_a_lock_is_up_again_after_it() {
    static OUTER: rt::os::Lock = rt::os::Lock::new();
    static INNER: rt::os::Lock = rt::os::Lock::new();
    let seen = on(1, || {
        let asked = || rt::arch::getg().stackguard0.load(Relaxed) == rt::stack::STACK_PREEMPT;
        let outer = OUTER.lock();
        ask_myself();
        step();
        let under_the_lock = asked();
        drop(INNER.lock());
        let under_the_outer_one = asked();
        drop(outer);
        let after = asked();
        step();
        [under_the_lock, under_the_outer_one, after, asked()]
    });
    assert_eq!(seen, [false, false, true, false]);
}

#[test]
fn a_request_from_outside_waits_for_the_end_of_the_section() {
    let (inside, after) = asked(1, || {
        let ran = Arc::new(AtomicBool::new(false));
        let r = ran.clone();
        go("bystander", move || r.store(true, SeqCst));
        let section = acquirem();
        // Until a request has come and was refused.
        let deadline = Instant::now() + Duration::from_secs(20);
        while !rt::arch::getg().preempt.load(Relaxed) && Instant::now() < deadline {
            step();
        }
        for _ in 0..1000 {
            step();
        }
        let inside = ran.load(SeqCst);
        drop(section);
        step();
        (inside, ran.load(SeqCst))
    });
    assert_eq!((inside, after), (false, true));
}

#[test]
fn a_section_stays_on_its_thread_under_load() {
    let (wrong, sections) = asked(4, || {
        let (wrong, sections) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let all = WaitGroup::new();
        let until = Instant::now() + Duration::from_millis(300);
        for _ in 0..8 {
            all.add(1);
            let (wrong, sections, all) = (wrong.clone(), sections.clone(), all.clone());
            go("moves", move || {
                while Instant::now() < until {
                    let section = acquirem();
                    let tid = gettid();
                    for _ in 0..100 {
                        step();
                    }
                    wrong.fetch_add(usize::from(gettid() != tid), SeqCst);
                    drop(section);
                    sections.fetch_add(1, SeqCst);
                    step();
                    gosched();
                }
                all.done();
            });
        }
        all.wait();
        (wrong.load(SeqCst), sections.load(SeqCst))
    });
    assert_eq!(wrong, 0);
    assert!(sections >= 8);
}

#[test]
fn a_request_never_hits_the_next_goroutine() {
    static HEEDED: AtomicUsize = AtomicUsize::new(0);
    fn preempted(gp: &'static rt::gmp::G) -> rt::sched::Next {
        HEEDED.fetch_add(1, SeqCst);
        rt::sched::gopreempt_m(gp)
    }
    const COUNTING: Stage = Stage {
        name: "counting",
        preempted,
        ..STAGE
    };
    let flags = with(Runtime::new(&COUNTING).procs(1), || {
        static ASKED: rt::word::Link<rt::gmp::G> = rt::word::Link::none();
        let flags = Arc::new(std::sync::Mutex::new(Vec::new()));
        let f = flags.clone();
        go("asked", move || {
            ASKED.set(Some(rt::arch::getg()));
            // Asked, it blocks before it comes to a check: every call that blocks begins with
            // one, so it parks by hand.
            ask_myself();
            // SAFETY: on a goroutine, which main finds in `ASKED`.
            unsafe {
                rt::sched::gopark(
                    None,
                    std::ptr::null_mut(),
                    rt::trace::WaitReason::ChanReceive,
                )
            };
            // Back again: a fresh slice, and the old request is gone.
            f.lock()
                .expect("as above")
                .push(rt::arch::getg().preempt.load(Relaxed));
            step();
        });
        let f = flags.clone();
        go("next", move || {
            f.lock()
                .expect("as above")
                .push(rt::arch::getg().preempt.load(Relaxed));
            for _ in 0..100 {
                step();
            }
        });
        gosched();
        // SAFETY: it has parked for this caller alone.
        unsafe { rt::sched::goready(ASKED.get().expect("it has run and parked")) };
        gosched();
        let flags = flags.lock().expect("as above");
        flags.clone()
    });
    assert_eq!(flags, [false, false]);
    assert_eq!(HEEDED.load(SeqCst), 0);
}
