//! The check and what it leads to: the one comparison, the way to `newstack`, stacks that
//! grow, and the switch, which must not lose a single bit of what a goroutine had in its
//! registers. Rows 4 to 9, 15 and 31 of the list of mechanisms.

mod growth;
mod registers;
mod switch;

use crate::fixture::stage1::on;
use crate::fixture::{ask_myself, step, with};
use stage1_coop::*;
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::time::Duration;

/// Runs `f` as a goroutine of its own, on a fresh stack, and returns its result.
fn fresh<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> Option<R> {
    let result = Chan::new(1);
    let to = result.clone();
    go("fresh", move || to.send(f()));
    result.recv()
}

#[inline(always)]
fn stack_pointer() -> usize {
    let sp: usize;
    // SAFETY: reads a register.
    unsafe {
        std::arch::asm!("mov {}, rsp", out(reg) sp, options(nomem, nostack, preserves_flags))
    };
    sp
}

#[test]
fn the_request_is_larger_than_any_stack_pointer() {
    assert_eq!(rt::stack::STACK_PREEMPT, 0xffff_ffff_ffff_fade);
    assert_eq!(rt::stack::STACK_FORK, 0xffff_ffff_ffff_fb2e);
    // The largest address of a program, with five levels of page tables too.
    const { assert!(rt::stack::STACK_PREEMPT > 1 << 57 && rt::stack::STACK_FORK > 1 << 57) };
    assert_ne!(rt::stack::STACK_PREEMPT, rt::stack::STACK_FORK);
}

#[test]
fn one_raised_flag_is_one_way_through_the_slow_path() {
    static SLOW: AtomicUsize = AtomicUsize::new(0);
    fn newstack(gp: &'static rt::gmp::G) -> rt::sched::Next {
        SLOW.fetch_add(1, SeqCst);
        rt::stack::newstack(gp)
    }
    const COUNTING: Stage = Stage {
        name: "counting",
        newstack,
        ..STAGE
    };
    let counts = with(Runtime::new(&COUNTING).procs(1), || {
        let mut counts = Vec::new();
        let mut after = |n: usize| {
            for _ in 0..n {
                step();
            }
            counts.push(SLOW.load(SeqCst));
        };
        after(1000);
        for _ in 0..3 {
            ask_myself();
            after(1000);
        }
        counts
    });
    assert_eq!(counts, [0, 1, 2, 3]);
}

/// The stack of the calling thread.
fn thread_stack() -> std::ops::Range<usize> {
    // SAFETY: a zeroed attribute is filled in by the call, and destroyed once.
    unsafe {
        let mut attr: libc::pthread_attr_t = std::mem::zeroed();
        let (mut base, mut size) = (std::ptr::null_mut(), 0);
        libc::pthread_getattr_np(libc::pthread_self(), &mut attr);
        libc::pthread_attr_getstack(&attr, &mut base, &mut size);
        libc::pthread_attr_destroy(&mut attr);
        base as usize..base as usize + size
    }
}

/// Whether the caller runs on its thread's own stack, with `g0` as its G.
fn on_g0() -> bool {
    thread_stack().contains(&stack_pointer())
        && std::ptr::eq(rt::arch::getg(), &rt::arch::getm().g0)
        && !rt::arch::on_goroutine()
}

/// Whether the caller runs on the stack of its goroutine.
fn on_its_own() -> bool {
    let gp = rt::arch::getg();
    let stack = gp.stack.hi.get() - rt::stack::SLOT..gp.stack.hi.get();
    stack.contains(&stack_pointer()) && !thread_stack().contains(&stack_pointer())
}

#[test]
fn the_slow_path_and_the_scheduler_s_functions_run_on_g0() {
    static RIGHT: AtomicUsize = AtomicUsize::new(0);
    fn newstack(gp: &'static rt::gmp::G) -> rt::sched::Next {
        RIGHT.fetch_add(usize::from(on_g0()), SeqCst);
        rt::stack::newstack(gp)
    }
    fn preempted(gp: &'static rt::gmp::G) -> rt::sched::Next {
        RIGHT.fetch_add(usize::from(on_g0()), SeqCst);
        rt::sched::gopreempt_m(gp)
    }
    const WATCHED: Stage = Stage {
        name: "watched",
        newstack,
        preempted,
        ..STAGE
    };
    let seen = with(Runtime::new(&WATCHED).procs(1), || {
        let mut seen = vec![on_its_own()];
        ask_myself();
        step();
        seen.push(RIGHT.load(SeqCst) == 2);
        let mut inside = false;
        rt::arch::systemstack(|| inside = on_g0());
        seen.push(inside && on_its_own());
        // On g0 it is a plain call.
        rt::arch::systemstack(|| rt::arch::systemstack(|| inside = on_g0()));
        seen.push(inside && on_its_own());
        fn look(gp: &'static rt::gmp::G) -> rt::sched::Next {
            RIGHT.fetch_add(usize::from(on_g0()), SeqCst);
            Some(gp)
        }
        // SAFETY: on a goroutine that holds nothing of its thread; `look` hands it back.
        unsafe { rt::arch::mcall(look) };
        seen.push(RIGHT.load(SeqCst) == 3 && on_its_own());
        seen
    });
    assert_eq!(seen, [true; 5]);
}

#[test]
fn checks_pass_on_threads_that_the_runtime_does_not_know() {
    #[gofunc]
    fn deep(n: u64) -> u64 {
        let here = black_box([n; 16]);
        if n == 0 { 0 } else { deep(n - 1) + here[3] }
    }
    let sum = 5000 * 5001 / 2;
    // Before any run, beside one, and after it.
    let call = || std::thread::spawn(|| deep(5000)).join().ok();
    assert_eq!(deep(5000), sum);
    assert_eq!(call(), Some(sum));
    assert_eq!(on(2, call), Some(sum));
    assert_eq!(call(), Some(sum));
    assert_eq!(deep(5000), sum);
}

/// Requests far faster than anybody can heed them: the work still comes to its end.
#[test]
fn asking_all_the_time_stops_nobody_s_work() {
    fn storm(me: &mut ThirdParty) {
        while me.sleep(Duration::from_micros(50)) {
            for _ in 0..20 {
                me.raise_the_flag();
            }
        }
    }
    with(Runtime::new(&STAGE).procs(2).third_party(storm), || {
        let all = WaitGroup::new();
        for _ in 0..4 {
            all.add(1);
            let all = all.clone();
            go("hog", move || {
                for _ in 0..200_000 {
                    step();
                }
                all.done();
            });
        }
        all.wait();
    });
}
