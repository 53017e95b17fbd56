//! Broken invariants, and dumps that are not easy to make.

use super::{DEEP, ask_myself, culprit, dive, step};
use crate::{forever, run, start};
use stage1_coop::*;
use std::hint::black_box;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::time::Duration;

crate::scenarios!(
    throw_row,
    throw_from_main,
    throw_deep_down,
    throw_beside_a_preempted_one,
    throw_from_a_foreign_thread,
    illegal_state,
    holding_locks,
    panic_under_the_lock,
    panic_in_a_section,
    stack_growth_after_fork,
    split_at_bad_time,
    morestack_on_g0,
    throw_beside_a_held_lock,
    parked_without_frame_pointers,
);

/// A stage whose row breaks an invariant: it says that there is nothing to run next, while
/// the goroutine still counts as running.
fn throw_row(_: &[String]) {
    const BROKEN: Stage = Stage {
        name: "broken",
        newstack: |_| rt::last_words::throw("newstack: not today"),
        ..STAGE
    };
    start(Runtime::new(&BROKEN).procs(1), || {
        go("waiter", forever);
        gosched();
        ask_myself();
        step();
    });
}

fn throw_from_main(_: &[String]) {
    run(1, || {
        go("waiter", forever);
        gosched();
        rt::last_words::throw("something is broken");
    });
}

fn throw_deep_down(_: &[String]) {
    culprit(|| dive(DEEP, || rt::last_words::throw("something is broken")));
}

/// Looks at its guard before it has a frame.
#[gofunc]
fn innermost(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    black_box(spin(n))
}

#[inline(never)]
fn the_one_between(n: u64) -> u64 {
    black_box(innermost(black_box(n))) ^ 1
}

#[inline(never)]
fn outermost() {
    loop {
        black_box(the_one_between(1));
    }
}

/// Goroutine 2 is preempted at a check, and then `main` gives up.
fn throw_beside_a_preempted_one(_: &[String]) {
    let runtime = Runtime::new(&STAGE).procs(1).third_party(|me| {
        while me.sleep(Duration::from_millis(5)) {
            me.raise_the_flag();
        }
    });
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        runtime.run(|| {
            go("hog", outermost);
            gosched();
            rt::last_words::throw("something is broken");
        });
    }
}

/// A thread that the runtime does not know gives up the whole program.
fn throw_from_a_foreign_thread(_: &[String]) {
    run(2, || {
        go("waiter", forever);
        gosched();
        let _ = std::thread::spawn(|| rt::last_words::throw("something is broken")).join();
    });
}

fn illegal_state(_: &[String]) {
    run(1, || {
        // SAFETY: none; the process is to end here.
        unsafe {
            rt::gmp::casgstatus::<{ rt::gmp::GWAITING }, { rt::gmp::GRUNNABLE }>(rt::arch::getg())
        }
    });
}

fn holding_locks(_: &[String]) {
    run(1, || {
        let _section = acquirem();
        gosched();
    });
}

/// An invariant breaks under `sched.lock`, on a goroutine's stack; the user's hook would wait
/// for that lock.
fn panic_under_the_lock(words: &[String]) {
    let asserts = words.first().is_some_and(|w| w == "asserts");
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        drop(rt::gmp::SCHED.lock());
        previous(info);
    }));
    run(1, move || {
        let _ = catch_unwind(|| {
            if asserts {
                // No M searches, and no P is idle for this one, which claims that it is counted.
                rt::sched::startm(None, true);
            }
            let sched = rt::gmp::SCHED.lock();
            black_box(&sched.allgs[usize::MAX]);
        });
        println!("it was caught");
    });
}

/// A panic in a section of `acquirem` unwinds as any other, and ends the section.
fn panic_in_a_section(_: &[String]) {
    run(1, || {
        let caught = catch_unwind(|| {
            let _section = acquirem();
            panic!("boom");
        });
        assert!(caught.is_err());
        gosched();
        println!("it goes on");
    });
}

fn stack_growth_after_fork(_: &[String]) {
    run(1, || {
        rt::arch::getg()
            .stackguard0
            .store(rt::stack::STACK_FORK, Relaxed);
        step();
    });
}

fn split_at_bad_time(_: &[String]) {
    run(1, || {
        rt::arch::getg().throwsplit.store(true, Relaxed);
        ask_myself();
        step();
    });
}

fn morestack_on_g0(_: &[String]) {
    run(1, || {
        rt::arch::systemstack(|| {
            rt::arch::getg()
                .stackguard0
                .store(rt::stack::STACK_PREEMPT, Relaxed);
            step();
        });
    });
}

/// A goroutine holds the scheduler's lock for ever, and another dies.
fn throw_beside_a_held_lock(_: &[String]) {
    static HELD: AtomicBool = AtomicBool::new(false);
    run(2, || {
        go("holder", || {
            let _sched = rt::gmp::SCHED.lock();
            HELD.store(true, SeqCst);
            loop {
                black_box(());
            }
        });
        // Not by `gosched`, which needs the lock.
        while !HELD.load(SeqCst) {
            std::thread::yield_now();
        }
        rt::last_words::throw("something is broken");
    });
}

/// A function that uses `rbp` for something else, as any may without frame pointers, and says
/// so in its tables.
#[unsafe(naked)]
extern "C" fn without_a_frame(f: extern "C" fn()) {
    std::arch::naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov ebp, 4711",
        "call rdi",
        "pop rbp",
        ".cfi_def_cfa_offset 8",
        "ret",
        ".cfi_endproc",
    )
}

extern "C" fn parks() {
    forever();
    black_box(());
}

#[inline(never)]
fn calls_it() {
    without_a_frame(parks);
    black_box(());
}

fn parked_without_frame_pointers(_: &[String]) {
    run(1, || {
        go("waiter", || {
            calls_it();
            black_box(());
        });
        gosched();
        rt::last_words::throw("look at it");
    });
}
