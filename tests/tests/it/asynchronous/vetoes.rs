//! What forbids to stop a goroutine: one test for each name, with the real handler where the
//! reason can be brought about, and the row itself where only its arguments differ.

use super::own;
use crate::fixture::stage3::{ask, quiet};
use crate::fixture::{my_p, step};
use stage3_signals::rt;
use stage3_signals::rt::safepoint::*;
use stage3_signals::*;
use std::sync::atomic::Ordering::*;

/// Asks the calling goroutine, by a signal that lands here: in the C library. Returns which
/// counters have gone up.
fn refusals(signals: usize) -> Vec<(&'static str, u64)> {
    let before = VETOES.map(refused);
    for _ in 0..signals {
        ask();
        // SAFETY: raise takes a number. The signal lands before it returns.
        unsafe { libc::raise(libc::SIGURG) };
    }
    let after = VETOES.iter().zip(before);
    after
        .map(|(&why, before)| (why, refused(why) - before))
        .filter(|&(_, n)| n != 0)
        .collect()
}

/// What refuses while `begin` has been called and `end` has not.
#[track_caller]
fn by_signal(begin: fn(), end: fn()) -> Vec<(&'static str, u64)> {
    quiet(1, move || {
        begin();
        let found = refusals(3);
        end();
        found
    })
}

#[test]
fn in_other_people_s_code_it_is_not_gotext() {
    assert_eq!(by_signal(|| {}, || {}), [(NOT_GOTEXT, 3)]);
}

#[test]
fn under_a_lock_it_is_locks() {
    use rt::arch::{locks_dec, locks_inc};
    assert_eq!(by_signal(locks_inc, locks_dec), [("locks", 3)]);
}

#[test]
fn in_the_allocator_it_is_mallocing() {
    let found = by_signal(rt::stack::enter_malloc, rt::stack::leave_malloc);
    assert_eq!(found, [("mallocing", 3)]);
}

#[test]
fn with_a_reason_of_the_program_s_own_it_is_preemptoff() {
    let found = by_signal(
        || rt::stack::set_preemptoff("a test"),
        || rt::stack::set_preemptoff(""),
    );
    assert_eq!(found, [("preemptoff", 3)]);
}

#[test]
fn with_a_p_that_is_stopped_it_is_p_not_running() {
    let found = by_signal(
        || {
            let status = &my_p().status;
            // SAFETY: this goroutine's M owns the P, and nothing takes a stopped one from it.
            unsafe { status.set::<{ rt::gmp::PRUNNING }, { rt::gmp::PGCSTOP }>() };
        },
        || {
            let status = &my_p().status;
            // SAFETY: it still does: what was asked meanwhile was refused.
            unsafe { status.set::<{ rt::gmp::PGCSTOP }, { rt::gmp::PRUNNING }>() };
        },
    );
    assert_eq!(found, [("p-not-running", 3)]);
}

#[test]
fn while_a_goroutine_unwinds_it_is_unwinding() {
    static FOUND: std::sync::Mutex<Vec<(&str, u64)>> = std::sync::Mutex::new(Vec::new());
    struct Asked;
    impl Drop for Asked {
        fn drop(&mut self) {
            let found = refusals(3);
            *FOUND.lock().expect("no panic while it is held") = found;
        }
    }
    quiet(1, || {
        let caught = std::panic::catch_unwind(|| {
            let _asked = Asked;
            std::panic::resume_unwind(Box::new(()));
        });
        assert!(caught.is_err());
    });
    let found = FOUND.lock().expect("as above");
    assert_eq!(*found, [("unwinding", 3)]);
}

#[test]
fn in_a_system_call_it_is_status() {
    let found = quiet(1, || {
        let gp = rt::arch::getg();
        let before = refused(STATUS);
        syscall(|| {
            gp.preempt.store(true, Relaxed);
            // SAFETY: raise takes a number.
            unsafe { libc::raise(libc::SIGURG) };
        });
        refused(STATUS) - before
    });
    assert_eq!(found, 1);
}

#[test]
fn on_the_scheduler_s_stack_it_is_g0() {
    let found = quiet(1, || {
        let mut found = Vec::new();
        rt::arch::systemstack(|| {
            let before = VETOES.map(refused);
            my_p().preempt.store(true, Relaxed);
            // SAFETY: raise takes a number.
            unsafe { libc::raise(libc::SIGURG) };
            my_p().preempt.store(false, Relaxed);
            found.extend((0..VETOES.len()).filter(|&i| refused(VETOES[i]) != before[i]));
        });
        found.into_iter().map(|i| VETOES[i]).collect::<Vec<_>>()
    });
    assert_eq!(found, [G0]);
}

/// The row's answer for the calling goroutine, at these addresses.
#[inline(never)]
fn answer(pc: usize, sp: usize) -> Result<(), &'static str> {
    is_async_safe_point(rt::arch::getg(), pc, sp)
}

/// An address in `gotext`.
fn own_code() -> usize {
    step as *const () as usize + 1
}

#[test]
fn with_too_little_stack_it_is_stack_and_with_just_enough_it_may_be_stopped() {
    let answers = quiet(1, || {
        let gp = rt::arch::getg();
        let (lowest, hi) = (rt::stack::lowest(gp), gp.stack.hi.get());
        let need = async_preempt_stack();
        // On another stack: a handler of the program's own, which has no red zone to spare here.
        let elsewhere = [0, hi + 1, own().gsignal.stack.hi.get() - 4096];
        let enough = [lowest + need, hi].map(|sp| answer(own_code(), sp));
        let short = [lowest + need - 1, lowest].map(|sp| answer(own_code(), sp));
        (enough, short, elsewhere.map(|sp| answer(own_code(), sp)))
    });
    assert_eq!(
        answers,
        ([Ok(()); 2], [Err(STACK); 2], [Err(STACK); 3]),
        "(enough, short, elsewhere)"
    );
}

#[test]
fn outside_gotext_it_is_not_gotext_by_one_byte() {
    let answers = quiet(1, || {
        let gp = rt::arch::getg();
        let sp = gp.stack.hi.get() - 4096;
        let (start, stop) = rt::arch::gotext_bounds();
        [start - 1, stop].map(|pc| answer(pc, sp))
    });
    assert_eq!(answers, [Err(NOT_GOTEXT); 2]);
}

#[test]
fn for_another_goroutine_it_is_g0() {
    let found = quiet(1, || {
        let gp = rt::arch::getg();
        let g0 = &rt::arch::getm().g0;
        is_async_safe_point(g0, own_code(), gp.stack.hi.get() - 4096)
    });
    assert_eq!(found, Err(G0));
}

#[test]
fn with_tiles_in_use_it_is_amx() {
    let answers = quiet(1, || {
        let sp = rt::arch::getg().stack.hi.get() - 4096;
        [7, 7 | 1 << 17, 7 | 1 << 18].map(|in_use| {
            own().xstate.store(in_use, Relaxed);
            answer(own_code(), sp)
        })
    });
    assert_eq!(answers, [Ok(()), Err(AMX), Err(AMX)]);
}

/// What the last test sets is what the handler reads from its frame.
#[test]
fn the_frame_of_a_signal_says_which_registers_are_in_use() {
    let unknown = 1 << 62;
    let in_use = quiet(1, move || {
        own().xstate.store(unknown, Relaxed);
        refusals(1);
        own().xstate.load(Relaxed)
    });
    assert_eq!(in_use & unknown, 0, "{in_use:#x}");
    // Any code of Rust's has used these by now.
    let sse = if is_x86_feature_detected!("xsave") {
        2
    } else {
        0
    };
    assert_eq!(in_use & 2, sse, "{in_use:#x}");
}

/// In a process of its own: the next run of a process has what is pretended, whoever's it is.
#[test]
fn with_a_shadow_stack_requests_are_the_flag_s_alone() {
    let ended = tests::scenario!([], "shadow_stack");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!(
        ended.stdout,
        "off ShadowStack, in flight false, refused 1\n\
         off Not, in flight true, refused 0\n"
    );
    assert_eq!(
        ended.stderr,
        "this thread has a shadow stack, on which no call can be put that was never made: \
         goroutines are asked by the flag alone, as with GODEBUG=asyncpreemptoff=1\n"
    );
}
