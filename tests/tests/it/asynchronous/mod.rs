//! Goroutines that are stopped by a signal, in the middle of their code: who is asked, what
//! carries the request, what refuses it, and that nothing shows that it was there.

mod lockstep;
mod process;
mod registers;
mod vetoes;

use crate::fixture::stage3::{ask, hog, on, quiet, with_rows};
use stage3_signals::rt;
use stage3_signals::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::*};
use std::time::{Duration, Instant};

/// What this stage keeps for the caller's M.
fn own() -> &'static rt::table::Own {
    rt::table::own(rt::arch::getm()).expect("a run of stage 3")
}

/// How many SIGURGs have landed on Ms.
fn landed() -> u32 {
    let own = rt::gmp::living().filter_map(rt::table::own);
    own.map(|own| own.signal.generation()).sum()
}

// ---- A loop that calls nothing.

#[test]
fn a_loop_that_calls_nothing_yields() {
    for procs in [1, 2] {
        let turns = on(procs, move || {
            let stop = Arc::new(AtomicBool::new(false));
            let done = WaitGroup::new();
            for _ in 0..2 * procs {
                done.add(1);
                let (stop, done) = (stop.clone(), done.clone());
                go("hog", move || {
                    hog(&stop);
                    done.done();
                });
            }
            // No P is left for main but one that a hog is taken off.
            let turns = (0..5).map(|_| gosched()).count();
            stop.store(true, Relaxed);
            done.wait();
            turns
        });
        assert_eq!(turns, 5);
    }
}

#[test]
fn sysmon_asks_and_the_signal_is_answered() {
    let (before, after) = on(1, || {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        go("hog", move || hog(&stopped));
        let before = landed();
        for _ in 0..3 {
            gosched();
        }
        stop.store(true, Relaxed);
        (before, landed())
    });
    assert!(after >= before + 3, "{before} {after}");
}

// ---- One signal in flight.

/// Blocks or unblocks SIGURG for the calling thread.
fn block(blocked: bool) {
    let how = if blocked {
        libc::SIG_BLOCK
    } else {
        libc::SIG_UNBLOCK
    };
    // SAFETY: the set is ours.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGURG);
        libc::pthread_sigmask(how, &set, std::ptr::null_mut());
    }
}

#[test]
fn one_signal_is_in_flight_for_each_m_and_its_landing_is_the_acknowledgement() {
    let seen = quiet(2, || {
        let mp = rt::arch::getm();
        let section = acquirem();
        block(true);
        let before = own().signal.generation();
        let mut sent = Vec::new();
        for _ in 0..3 {
            // As any other thread would.
            std::thread::spawn(move || rt::ask::preempt_m(mp))
                .join()
                .expect("no panic");
            sent.push((own().signal.in_flight(), own().unanswered.load(Relaxed)));
        }
        block(false);
        let landed = (own().signal.in_flight(), own().signal.generation() - before);
        drop(section);
        (sent, landed)
    });
    // The first sends; the two others find its signal in flight.
    assert_eq!(seen, (vec![(true, 0), (true, 1), (true, 2)], (false, 1)));
}

#[test]
fn a_thread_that_is_gone_takes_no_mark_with_it() {
    let (in_flight, generation) = quiet(1, || {
        let mp: &'static rt::gmp::M = rt::arch::getm();
        let section = acquirem();
        let generation = own().signal.generation();
        let thread = mp.procid.swap(i32::MAX, AcqRel);
        std::thread::spawn(move || rt::ask::preempt_m(mp))
            .join()
            .expect("no panic");
        mp.procid.store(thread, Release);
        let seen = (
            own().signal.in_flight(),
            own().signal.generation() - generation,
        );
        drop(section);
        seen
    });
    assert_eq!((in_flight, generation), (false, 0));
}

/// A storm of askers at one M costs one signal after the other, and stops nothing for good.
#[test]
fn many_askers_at_once_do_not_keep_a_goroutine_from_its_work() {
    let (asked, turns) = on(2, || {
        let mp = rt::arch::getm();
        let (stop, asked) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let askers: Vec<_> = (0..3)
            .map(|_| {
                let (stop, asked) = (stop.clone(), asked.clone());
                std::thread::spawn(move || {
                    while !stop.load(Relaxed) {
                        if let Some(gp) = mp.curg.load(Acquire) {
                            gp.preempt.store(true, Relaxed);
                        }
                        rt::ask::preempt_m(mp);
                        asked.fetch_add(1, Relaxed);
                    }
                })
            })
            .collect();
        let until = Instant::now() + Duration::from_millis(300);
        let mut turns = 0_u64;
        while Instant::now() < until {
            spin(10_000);
            turns += 1;
        }
        stop.store(true, Relaxed);
        askers
            .into_iter()
            .for_each(|asker| asker.join().expect("no panic"));
        (asked.load(Relaxed), turns)
    });
    assert!(
        asked > 1_000 && turns > 100,
        "{asked} requests, {turns} turns"
    );
}

// ---- Signals that are no requests.

/// SIGURG from anywhere, to every thread of the process: nothing happens.
#[test]
fn a_stranger_s_signals_change_nothing() {
    static SIGNALS: usize = 20_000;
    let sum = |n: u64| (0..n).fold(1_u64, |x, i| x.wrapping_mul(31).wrapping_add(i));
    let (wrong, landed, sent) = on(2, move || {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let stranger = std::thread::spawn(move || {
            let mut sent = 0;
            while sent < SIGNALS && !stopped.load(Relaxed) {
                for thread in tests::threads() {
                    // SAFETY: no pointer is passed.
                    unsafe {
                        libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, libc::SIGURG)
                    };
                    sent += 1;
                }
            }
            stopped.store(true, Relaxed);
            sent
        });
        let before = landed();
        let wrong = Arc::new(AtomicU32::new(0));
        let all = WaitGroup::new();
        for _ in 0..4 {
            all.add(1);
            let (wrong, all, stop) = (wrong.clone(), all.clone(), stop.clone());
            go("sums", move || {
                let right = sum(10_000);
                while !stop.load(Relaxed) {
                    if sum(std::hint::black_box(10_000)) != right {
                        wrong.fetch_add(1, Relaxed);
                    }
                    gosched();
                }
                all.done();
            });
        }
        all.wait();
        let landed = landed() - before;
        let sent = stranger.join().expect("no panic");
        (wrong.load(Relaxed), landed, sent)
    });
    assert_eq!(wrong, 0);
    assert!(landed > 100 && sent >= SIGNALS, "{landed} of {sent}");
}

/// A signal without a request, on a goroutine that could be stopped: nothing is injected.
#[test]
fn a_signal_without_a_request_stops_nothing() {
    static INJECTED: AtomicU32 = AtomicU32::new(0);
    static WITHOUT: AtomicU32 = AtomicU32::new(0);
    let rows = rt::table::Rows {
        want_async_preempt: |gp| {
            let wanted = rt::safepoint::want_async_preempt(gp);
            if !wanted {
                WITHOUT.fetch_add(1, Relaxed);
            }
            wanted
        },
        push_call: |context, target| {
            INJECTED.fetch_add(1, Relaxed);
            rt::inject::push_call(context, target);
        },
        ..ROWS
    };
    with_rows(rows, 1, || {
        let section = acquirem();
        let mp = rt::arch::getm();
        for _ in 0..100 {
            // SAFETY: no pointer is passed.
            unsafe {
                libc::syscall(
                    libc::SYS_tgkill,
                    libc::getpid(),
                    mp.procid.load(Relaxed),
                    libc::SIGURG,
                )
            };
        }
        drop(section);
    });
    assert_eq!(INJECTED.load(Relaxed), 0);
    assert!(WITHOUT.load(Relaxed) >= 100);
}

// ---- The handler.

#[test]
fn the_handler_has_a_g_and_a_stack_of_its_own() {
    static SEEN: AtomicU32 = AtomicU32::new(0);
    let rows = rt::table::Rows {
        want_async_preempt: |gp| {
            let g = rt::arch::getg();
            let here = &raw const g as usize;
            let on_stack = g.stack.lo.get() < here && here < g.stack.hi.get();
            let right = g.name.get() == "gsignal"
                && on_stack
                && !rt::arch::on_goroutine()
                && !std::ptr::eq(g, gp)
                && g.m.is(rt::arch::getm());
            // A check in a handler passes.
            crate::fixture::step();
            SEEN.fetch_add(1 + 1000 * u32::from(!right), Relaxed);
            // SAFETY: this thread's own word: stage 1 puts it back.
            unsafe { *libc::__errno_location() = 17 };
            rt::safepoint::want_async_preempt(gp)
        },
        ..ROWS
    };
    let (same_g, errno) = with_rows(rows, 1, || {
        let section = acquirem();
        let gp = rt::arch::getg();
        // SAFETY: this thread's own word; raise takes a number.
        let errno = unsafe {
            *libc::__errno_location() = 5;
            libc::raise(libc::SIGURG);
            *libc::__errno_location()
        };
        let same_g = std::ptr::eq(gp, rt::arch::getg());
        drop(section);
        (same_g, errno)
    });
    assert_eq!((same_g, errno), (true, 5));
    let seen = SEEN.load(Relaxed);
    assert!((1..1000).contains(&seen), "{seen}");
}

#[test]
fn asyncpreemptoff_leaves_requests_to_the_flag() {
    let runtime = Runtime::new(&STAGE).procs(1).godebug("asyncpreemptoff", 1);
    let (off, signals, refused) = crate::fixture::with(runtime, || {
        let section = acquirem();
        let mp = rt::arch::getm();
        ask();
        std::thread::spawn(move || rt::ask::preempt_m(mp))
            .join()
            .expect("no panic");
        let in_flight = own().signal.in_flight();
        // The handler ignores the request, too.
        // SAFETY: raise takes a number.
        unsafe { libc::raise(libc::SIGURG) };
        let refused: u64 = rt::safepoint::VETOES
            .iter()
            .map(|why| rt::safepoint::refused(why))
            .sum();
        drop(section);
        (rt::ask::off(), in_flight, refused)
    });
    assert_eq!((off, signals, refused), (rt::ask::Off::Asked, false, 0));
}

// ---- Refused is asked again.

#[gofunc]
fn allocates(stop: &AtomicBool) {
    let mut n = 0_usize;
    while !stop.load(Relaxed) {
        n += 1;
        std::hint::black_box(vec![n; 1 + 50 * n % 1_000]);
    }
}

/// A goroutine that is nearly always in code which is not its own: stopped soon all the same.
#[test]
fn a_goroutine_in_other_people_s_code_is_asked_again_until_it_is_stopped() {
    let (turns, again) = on(1, || {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        go("allocates", move || allocates(&stopped));
        let refused = || rt::safepoint::refused(rt::safepoint::NOT_GOTEXT);
        let mut turns = 0;
        while (turns < 10 || refused() < 20) && turns < 1_000 {
            gosched();
            turns += 1;
        }
        stop.store(true, Relaxed);
        (turns, refused())
    });
    assert!(again >= 20, "{turns} turns, {again} refusals");
}

#[test]
fn the_time_to_the_next_signal_doubles_up_to_a_millisecond_until_the_slice_is_over() {
    use rt::ask::{AGAIN_FIRST_NS, AGAIN_LAST_NS, again};
    let (slice, next) = quiet(1, || {
        let section = acquirem();
        let refuse = |n: usize| -> Vec<u64> {
            let mp = rt::arch::getm();
            let times = (0..n).map(|_| {
                // Its signal lands here, and is no request's.
                crate::fixture::until(|| !own().timer_set.load(Relaxed));
                // As in the handler.
                block(true);
                again(mp, "a test");
                block(false);
                own().again_ns.load(Relaxed)
            });
            times.collect()
        };
        let slice = refuse(7);
        drop(section);
        gosched();
        let section = acquirem();
        let next = refuse(1);
        // While its signal is to come it is not set again.
        block(true);
        std::thread::sleep(Duration::from_millis(2));
        again(rt::arch::getm(), "a test");
        let kept = own().again_ns.load(Relaxed);
        block(false);
        drop(section);
        assert_eq!(vec![kept], next);
        (slice, next)
    });
    let doubles: Vec<u64> = (0..7)
        .map(|n| (AGAIN_FIRST_NS << n).min(AGAIN_LAST_NS))
        .collect();
    assert_eq!((slice, next), (doubles, vec![AGAIN_FIRST_NS]));
}
