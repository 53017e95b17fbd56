//! Goroutines that yield and block while they unwind.

use super::{step, thrower};
use crate::{forever, run, start};
use stage1_coop::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::time::Duration;
use tests::gettid;

crate::scenarios!(
    blocked_while_unwinding,
    unwound_and_ended,
    goexit_through_a_yield,
);

/// A destructor blocks while its goroutine unwinds; other goroutines look meanwhile, on all
/// threads, whether *they* are taken for panicking.
fn blocked_while_unwinding(arguments: &[String]) {
    static WRONG: AtomicUsize = AtomicUsize::new(0);
    static OVER: AtomicBool = AtomicBool::new(false);
    struct Waits(Chan<()>, Chan<()>);
    impl Drop for Waits {
        fn drop(&mut self) {
            let tid = gettid();
            for _ in 0..50 {
                self.0.send(());
                self.1.recv();
                gosched();
                let right = std::thread::panicking() && gettid() == tid;
                WRONG.fetch_add(usize::from(!right), SeqCst);
            }
        }
    }
    let caught = arguments[0] == "caught";
    fn raise_the_flag(me: &mut ThirdParty) {
        while me.sleep(Duration::from_millis(1)) {
            me.raise_the_flag();
        }
    }
    let runtime = Runtime::new(&STAGE).procs(4).third_party(raise_the_flag);
    start(runtime, move || {
        let all = WaitGroup::new();
        for _ in 0..6 {
            all.add(1);
            let all = all.clone();
            go("onlooker", move || {
                while !OVER.load(SeqCst) {
                    for _ in 0..100 {
                        step();
                        WRONG.fetch_add(usize::from(std::thread::panicking()), SeqCst);
                    }
                    gosched();
                }
                all.done();
            });
        }
        let (there, back) = (Chan::new(0), Chan::new(0));
        let (from, to) = (there.clone(), back.clone());
        go("partner", move || {
            while from.recv().is_some() {
                to.send(());
            }
        });
        let waits = Waits(there.clone(), back);
        let unwinds = move || {
            let _waits = waits;
            thrower("str");
        };
        if caught {
            all.add(1);
            let a = all.clone();
            go("unwinds", move || {
                let caught = catch_unwind(AssertUnwindSafe(unwinds)).is_err();
                gosched();
                println!("caught: {caught}, panicking: {}", std::thread::panicking());
                OVER.store(true, SeqCst);
                there.close();
                a.done();
            });
            all.wait();
            println!("wrong: {}", WRONG.load(SeqCst));
        } else {
            go("culprit", unwinds);
            forever();
        }
    });
}

/// Goroutines that unwind through a yield, catch it and end: they were tied to their thread
/// only while they unwound, so the thread does not end with them, and the next ones, which
/// use the same Gs again, are as free as any.
fn unwound_and_ended(_: &[String]) {
    struct Yields;
    impl Drop for Yields {
        fn drop(&mut self) {
            gosched();
        }
    }
    run(1, || {
        let (tid, mut others, mut locked) = (gettid(), 0, 0);
        for _ in 0..20 {
            let result = Chan::new(2);
            let (a, b) = (result.clone(), result.clone());
            go("unwinds", move || {
                let caught = catch_unwind(AssertUnwindSafe(|| {
                    let _yields = Yields;
                    std::panic::resume_unwind(Box::new(()));
                }));
                a.send(caught.is_err() && rt::arch::getg().lockedm.get().is_some());
            });
            result.recv();
            go("next", move || {
                gosched();
                b.send(rt::arch::getg().lockedm.get().is_some());
            });
            locked += usize::from(result.recv() == Some(true));
            others += usize::from(gettid() != tid);
        }
        println!("main on another thread: {others}, next ones locked: {locked}");
    });
}

/// The same with `goexit`, which unwinds too.
fn goexit_through_a_yield(_: &[String]) {
    struct Yields;
    impl Drop for Yields {
        fn drop(&mut self) {
            gosched();
        }
    }
    run(1, || {
        let (tid, mut others) = (gettid(), 0);
        for _ in 0..20 {
            go("goexits", || {
                let _yields = Yields;
                goexit();
            });
            for _ in 0..4 {
                gosched();
            }
            others += usize::from(gettid() != tid);
        }
        println!("main on another thread: {others}");
    });
}
