//! How goroutines end: what is dropped, and that nothing is left of them.

use crate::fixture::stage1::on;
use crate::fixture::{Log, number};
use stage1_coop::*;
use std::collections::HashSet;
use std::sync::Arc;
use tests::scenario;

// ---- Row 29: ends.

#[test]
fn goexit_drops_what_every_frame_holds_innermost_first() {
    let log = on(1, || {
        struct Says(Log, &'static str);
        impl Drop for Says {
            fn drop(&mut self) {
                self.0.say(self.1);
            }
        }
        fn inner(log: &Log) {
            let _second = Says(log.clone(), "inner");
            goexit();
        }
        let log = Log::default();
        let all = WaitGroup::new();
        all.add(1);
        struct Done(WaitGroup);
        impl Drop for Done {
            fn drop(&mut self) {
                self.0.done();
            }
        }
        let (l, done) = (log.clone(), Done(all.clone()));
        go("goexits", move || {
            let _done = done;
            let _first = Says(l.clone(), "outer");
            inner(&l);
            l.say("never");
        });
        all.wait();
        log
    });
    assert_eq!(log.all(), ["inner", "outer"]);
}

#[test]
fn a_closure_s_captures_are_dropped_when_it_ends_whatever_their_size() {
    let left = on(1, || {
        let alive = Arc::new(());
        let all = WaitGroup::new();
        for big in [false, true] {
            all.add(1);
            let (held, ballast, a) = (alive.clone(), [7_u64; 100], all.clone());
            if big {
                go("boxed", move || {
                    let _held = held;
                    std::hint::black_box(ballast);
                    a.done();
                });
            } else {
                go("inline", move || {
                    let _held = held;
                    a.done();
                });
            }
        }
        all.wait();
        gosched();
        Arc::strong_count(&alive)
    });
    assert_eq!(left, 1);
}

#[test]
fn a_hundred_thousand_short_goroutines_leave_nothing_behind() {
    let ended = scenario!([], "short_ones");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let grown = number(&ended.stdout, "KiB: ");
    // A thousand more stacks of one page would be 4,000.
    assert!(grown < 2_000, "{grown} KiB");
}

#[test]
fn the_memory_of_a_burst_goes_back_to_the_system() {
    let ended = scenario!([], "burst", "50000");
    // It ends by an overflow, which a slot that was given back must still stop.
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    tests::in_order(
        &ended.stderr,
        &["fatal error: stack overflow", "the guard page stopped it"],
    );
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{ended:#?}");
    for round in &lines[..2] {
        // 4 KiB for each stack at least; afterwards for a thousand, beside 50,000 Gs.
        assert!(number(round, ": after 50000: ") > 150_000, "{ended:#?}");
        assert!(number(round, "later: ") < 40_000, "{ended:#?}");
    }
    assert!(number(lines[2], "after the run: ") < 40_000, "{ended:#?}");
}

#[test]
fn a_caught_panic_leaves_nothing_behind() {
    let ended = scenario!([], "caught_panics");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    // Of 30,000: even 32 bytes each would be 900.
    let grown = number(&ended.stdout, "KiB: ");
    assert!(grown < 500, "{grown} KiB");
}

#[test]
fn goroutines_have_numbers_that_are_never_used_again() {
    let numbers = on(2, || {
        let numbers = Arc::new(std::sync::Mutex::new(Vec::new()));
        for _ in 0..10 {
            let all = WaitGroup::new();
            for _ in 0..20 {
                all.add(1);
                let (numbers, all) = (numbers.clone(), all.clone());
                go("numbered", move || {
                    let n = (
                        rt::arch::getg().goid.get(),
                        rt::arch::getg().parentgoid.get(),
                    );
                    numbers.lock().expect("as above").push(n);
                    all.done();
                });
            }
            all.wait();
        }
        let numbers = numbers.lock().expect("as above");
        numbers.clone()
    });
    let unique: HashSet<usize> = numbers.iter().map(|n| n.0).collect();
    assert_eq!(unique, (2..=201).collect());
    assert!(numbers.iter().all(|n| n.1 == 1), "main made them all");
}
