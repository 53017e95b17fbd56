//! Stacks grow where the guard says, and nothing on them moves. Rows 4 and 31.

use super::{fresh, stack_pointer};
use crate::fixture::stage1::on;
use crate::fixture::{ask_myself, raise_the_flag, with};
use stage1_coop::*;
use std::arch::naked_asm;
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering::*};

/// For each level: the stack pointer at the check, and the size afterwards.
#[gofunc]
fn descend(levels: u64, seen: &mut Vec<(usize, usize)>) {
    let gp = rt::arch::getg();
    let hi = gp.stack.hi.get();
    seen.push((hi - stack_pointer(), hi - gp.stack.lo.get()));
    if levels > 0 {
        with_frame(1024, || descend(levels - 1, seen));
    }
}

#[test]
fn a_stack_doubles_where_the_guard_says() {
    let seen = on(1, || {
        fresh(|| {
            let mut seen = Vec::with_capacity(300);
            descend(210, &mut seen);
            seen
        })
    });
    let seen = seen.expect("it has descended");
    for (level, &(depth, size)) in seen.iter().enumerate() {
        // The check passes while the stack pointer is more than 928 bytes above `lo`.
        assert!(
            depth < size - rt::stack::STACK_GUARD,
            "level {level}: {depth} of {size}"
        );
        assert!(
            size == rt::stack::STACK_MIN
                || depth >= size.next_power_of_two() / 2 - rt::stack::STACK_GUARD,
            "level {level}: {size} bytes are too many for {depth}"
        );
    }
    // Marks are 1 KiB apart and half a KiB off, so from there on the levels are the same in
    // every build.
    let grown: Vec<(usize, usize)> = seen
        .windows(2)
        .enumerate()
        .filter(|(_, w)| w[0].1 != w[1].1)
        .map(|(level, w)| (level + 1, w[1].1))
        .collect();
    let kib = 1024;
    let expected = [
        (7, 16 * kib),
        (15, 32 * kib),
        (31, 64 * kib),
        (63, 128 * kib),
        (127, rt::stack::STACK_MAX),
    ];
    let first = seen[0].1;
    assert_eq!(first, rt::stack::STACK_MIN);
    let off = grown[0].0 as isize - 7;
    // The first mark is half a KiB below the top; whether level 1 is there or at the next
    // one is up to the frames of those who call.
    assert!((0..=1).contains(&off), "{grown:?}");
    let shifted: Vec<_> = expected
        .iter()
        .map(|&(level, size)| ((level as isize + off) as usize, size))
        .collect();
    assert_eq!(grown, shifted);
}

/// Calls `f` with the stack pointer `bytes` lower, a multiple of 16.
#[unsafe(naked)]
extern "C" fn lower(bytes: usize, f: extern "C" fn()) {
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "sub rsp, rdi",
        "call rsi",
        "mov rsp, rbp",
        "pop rbp",
        "ret",
    )
}

/// The stack pointer may be anywhere between two marks, and on one: the new stack must not
/// begin inside what is in use.
#[test]
fn a_frame_of_the_ruler_begins_below_what_is_in_use() {
    static SUM: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn frame() {
        let mut mine = [1_u8; 64];
        black_box(&mut mine);
        let n = with_frame(1024, || black_box(41)) + 1;
        let sum: usize = black_box(&mine).iter().map(|&n| usize::from(n)).sum();
        SUM.fetch_add(n + sum - 64, SeqCst);
    }
    on(1, || {
        (0..2048).step_by(16).for_each(|bytes| lower(bytes, frame))
    });
    assert_eq!(SUM.load(SeqCst), 128 * 42);
}

#[gofunc]
fn keep(levels: u64) -> Result<(), u64> {
    let mut here = [levels; 40];
    let address = here.as_ptr() as usize;
    if levels > 0 {
        with_frame(1024, || keep(levels - 1))?;
    }
    black_box(&mut here);
    let same = here.as_ptr() as usize == address && here.iter().all(|&n| n == levels);
    if same { Ok(()) } else { Err(levels) }
}

#[test]
fn what_lies_on_a_growing_stack_stays_where_and_what_it_is() {
    let kept = with(
        Runtime::new(&STAGE).procs(3).third_party(raise_the_flag),
        || {
            let results = Chan::new(100);
            for i in 0..100 {
                let to = results.clone();
                go("keeps", move || to.send(keep(100 + i)));
            }
            (0..100).map(|_| results.recv()).all(|r| r == Some(Ok(())))
        },
    );
    assert!(kept);
}

/// Go runs the check again after a preemption, so a stack that is too small besides grows
/// then. Asked at every single check, it must grow all the same.
#[test]
fn requests_at_every_check_do_not_keep_a_stack_from_growing() {
    #[gofunc]
    fn asked(levels: u64) -> usize {
        let gp = rt::arch::getg();
        let room = stack_pointer() > gp.stack.lo.get() + rt::stack::STACK_GUARD;
        if levels == 0 {
            return usize::from(!room);
        }
        ask_myself();
        usize::from(!room) + with_frame(1024, || asked(levels - 1))
    }
    let heeded = on(1, || fresh(|| asked(200)));
    assert_eq!(heeded, Some(0), "calls went on below the guard");
    let refused = on(1, || {
        fresh(|| {
            let _section = acquirem();
            asked(200)
        })
    });
    assert_eq!(refused, Some(0), "calls went on below the guard");
}

#[test]
fn a_stack_is_small_again_for_the_next_goroutine() {
    let sizes = on(1, || {
        (0..10)
            .map(|i| {
                fresh(move || {
                    let gp = rt::arch::getg();
                    let size = gp.stack.hi.get() - gp.stack.lo.get();
                    if i % 2 == 0 {
                        let _ = keep(200);
                    }
                    size
                })
            })
            .collect::<Vec<_>>()
    });
    assert_eq!(sizes, [Some(rt::stack::STACK_MIN); 10]);
}
