//! What becomes of values on their way: each arrives whole, or is dropped, once.

use crate::fixture::Alive;
use crate::fixture::stage1::on;
use stage1_coop::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::time::Duration;

#[test]
fn every_value_is_dropped_exactly_once() {
    let alive = Arc::new(AtomicUsize::new(0));
    let a = alive.clone();
    let seen = on(1, move || {
        let mut seen = Vec::new();
        // Left in a buffer whose ring has wrapped around.
        let c = Chan::new(3);
        for _ in 0..2 {
            c.send(Alive::new(&a));
            drop(c.recv());
        }
        for _ in 0..3 {
            c.send(Alive::new(&a));
        }
        seen.push(a.load(SeqCst));
        drop(c.recv());
        drop(c);
        seen.push(a.load(SeqCst));
        // Given back by a send that would wait.
        let c = Chan::new(0);
        let back = c.try_send(Alive::new(&a));
        seen.push(a.load(SeqCst));
        drop(back);
        seen.push(a.load(SeqCst));
        // Of a select's case that was not taken.
        let ready = Chan::new(1);
        ready.send(());
        select! {
            send(c, Alive::new(&a)) => {},
            recv(ready) -> _ => {},
        }
        seen.push(a.load(SeqCst));
        select! {
            send(c, Alive::new(&a)) => {},
            default => {},
        }
        seen.push(a.load(SeqCst));
        // Handed from stack to stack, waiting on either side, plainly and by select.
        for _ in 0..2 {
            let (to, value) = (c.clone(), Alive::new(&a));
            go("sender", move || to.send(value));
            gosched();
            let got = c.recv();
            seen.push(a.load(SeqCst));
            drop(got);
            seen.push(a.load(SeqCst));
            let (to, never, value) = (c.clone(), Chan::<u32>::new(0), Alive::new(&a));
            go("selects", move || {
                select! {
                    send(to, value) => {},
                    recv(never) -> _ => {},
                }
            });
            gosched();
            drop(c.recv());
            seen.push(a.load(SeqCst));
            let (from, over) = (c.clone(), Chan::new(1));
            let o = over.clone();
            go("receiver", move || {
                drop(from.recv());
                o.send(());
            });
            gosched();
            c.send(Alive::new(&a));
            over.recv();
            seen.push(a.load(SeqCst));
        }
        seen
    });
    assert_eq!(seen[..6], [3, 0, 1, 0, 0, 0]);
    assert_eq!(seen[6..], [1, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!(alive.load(SeqCst), 0);
}

#[test]
fn values_of_any_size_and_alignment_arrive_whole() {
    #[derive(PartialEq, Debug, Clone, Copy)]
    struct Nothing;
    #[repr(align(64))]
    #[derive(PartialEq, Debug, Clone, Copy)]
    struct Aligned([u8; 192]);
    fn through<T: Send + Copy + PartialEq + 'static>(values: [T; 3]) -> Vec<bool> {
        let mut same = Vec::new();
        for cap in [0, 1, 2] {
            let c = Chan::new(cap);
            let to = c.clone();
            go("sender", move || {
                for v in values {
                    to.send(v);
                }
                to.close();
            });
            let got: Vec<T> = c.iter().collect();
            same.push(got == values);
            same.push(got.as_ptr().is_aligned());
        }
        same
    }
    let same = on(2, || {
        [
            through([(); 3]),
            through([Nothing; 3]),
            through([1_u8, 2, 3]),
            through([(1_u8, 2_u64), (3, 4), (5, 6)]),
            through([[1_u64; 1000], [2; 1000], [3; 1000]]),
            through([Aligned([1; 192]), Aligned([2; 192]), Aligned([3; 192])]),
        ]
        .concat()
    });
    assert!(same.iter().all(|&s| s), "{same:?}");
}

#[test]
fn values_of_no_size_are_counted_and_dropped() {
    static ALIVE: AtomicUsize = AtomicUsize::new(0);
    struct Nothing;
    impl Drop for Nothing {
        fn drop(&mut self) {
            ALIVE.fetch_sub(1, SeqCst);
        }
    }
    fn new() -> Nothing {
        ALIVE.fetch_add(1, SeqCst);
        Nothing
    }
    let seen = on(1, || {
        let c = Chan::new(5);
        for _ in 0..5 {
            c.send(new());
        }
        let full = c.try_send(new()).is_err();
        drop(c.recv());
        let len = c.len();
        let before = ALIVE.load(SeqCst);
        drop(c);
        (full, len, before)
    });
    assert_eq!(seen, (true, 4, 4));
    assert_eq!(ALIVE.load(SeqCst), 0);
}

#[test]
fn a_large_buffer_costs_no_time() {
    let time = on(1, || {
        let cpu = || {
            let mut t = libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            // SAFETY: the structure is ours.
            unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut t) };
            Duration::new(t.tv_sec as u64, t.tv_nsec as u32)
        };
        let before = cpu();
        // A place at a time these are seconds.
        let c = Chan::<u64>::new(1 << 29);
        c.send(1);
        assert_eq!((c.recv(), c.cap()), (Some(1), 1 << 29));
        cpu() - before
    });
    assert!(time < Duration::from_millis(500), "{time:?}");
}
