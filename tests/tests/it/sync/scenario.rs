//! What parks besides channels, and goroutines that borrow: each prints what it saw, which must
//! be the same free and in lockstep.

use crate::{forever, run};
use stage1_coop::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::time::Duration;

crate::scenarios!(
    scope_waits_for_all,
    scope_and_goexit,
    scope_and_goexit_outside,
    scope_and_goexit_late,
    scope_and_panic,
    scope_and_panic_inside,
    scope_and_main,
    rwlock_story,
    cond_story,
    once_story,
    names_and_numbers,
);

/// Says on the stack of whoever lent it that it is gone.
struct Lent(AtomicUsize);
impl Drop for Lent {
    fn drop(&mut self) {
        println!("lent: {} have used it", self.0.load(SeqCst));
    }
}
impl Lent {
    fn new() -> Lent {
        Lent(AtomicUsize::new(0))
    }
    /// Uses it late: others had every chance to go on.
    fn use_late(&self) {
        for _ in 0..20 {
            gosched();
        }
        self.0.fetch_add(1, SeqCst);
    }
}

fn scope_waits_for_all(_: &[String]) {
    run(2, || {
        let lent = Lent::new();
        let values = scope(|s| {
            for _ in 0..20 {
                s.go("borrows", || lent.use_late());
            }
            let nested = s.go("starts another", || {
                s.go("nested", || lent.use_late()).join()
            });
            let values: Vec<_> = (0..5).map(|i| s.go("counts", move || i * i)).collect();
            nested.join();
            values.into_iter().map(JoinHandle::join).collect::<Vec<_>>()
        });
        println!("{values:?}");
    });
}

fn scope_and_goexit(_: &[String]) {
    run(2, || {
        let lent = Lent::new();
        let ended = scope(|s| {
            let ends = s.go("ends", || {
                struct Last<'a>(&'a Lent);
                impl Drop for Last<'_> {
                    fn drop(&mut self) {
                        self.0.use_late();
                    }
                }
                let _last = Last(&lent);
                goexit();
            });
            s.go("borrows", || lent.use_late());
            ends.join()
        });
        println!("{ended:?}");
    });
}

/// The one that opened the scope ends itself in it.
fn scope_and_goexit_outside(_: &[String]) {
    run(2, || {
        let done = WaitGroup::new();
        done.add(1);
        let tell = done.clone();
        go("opens", move || {
            struct Tell(WaitGroup);
            impl Drop for Tell {
                fn drop(&mut self) {
                    self.0.done();
                }
            }
            let _tell = Tell(tell);
            let lent = Lent::new();
            scope(|s| {
                s.go("borrows", || lent.use_late());
                goexit();
            });
        });
        done.wait();
        println!("the run goes on");
    });
}

/// Nobody wants what they return, and dropping it is `goexit`.
fn scope_and_goexit_late(_: &[String]) {
    struct Ends;
    impl Drop for Ends {
        fn drop(&mut self) {
            goexit();
        }
    }
    run(2, || {
        let lent = Lent::new();
        // The handles are gone before the goroutines end: otherwise it is main that drops a
        // result, and that ends.
        let dropped = Chan::new(0);
        scope(|s| {
            drop(s.go("ends late", || {
                dropped.recv();
                lent.use_late();
                Ends
            }));
            drop(s.go("keeps its end for later", || {
                dropped.recv();
                lent.use_late();
                catch_unwind(|| goexit()).err()
            }));
            dropped.send(());
            dropped.send(());
        });
    });
}

/// It panics in the scope, and catches that further out.
fn scope_and_panic(_: &[String]) {
    run(2, || {
        std::panic::set_hook(Box::new(|_| {}));
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let lent = Lent::new();
            scope(|s| {
                s.go("borrows", || lent.use_late());
                panic!("in the scope");
            })
        }));
        println!("caught: {}", caught.is_err());
    });
}

/// A panic in a goroutine of the scope ends the process; nothing goes on as if it had ended.
fn scope_and_panic_inside(_: &[String]) {
    run(2, || {
        let lent = Lent::new();
        scope(|s| {
            let panics = s.go("culprit", || {
                lent.use_late();
                panic!("with the lent thing in hand");
            });
            panics.join();
            println!("never");
        });
        println!("never");
    });
}

/// Main returns while another goroutine is in a scope, and a thread of std has what was lent.
fn scope_and_main(_: &[String]) {
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    let (started, is_started) = std::sync::mpsc::channel();
    run(2, move || {
        let in_it = Chan::new(0);
        let told = in_it.clone();
        go("opens", move || {
            let lent = Lent::new();
            scope(|s| {
                s.go("never wakes", || {
                    lent.0.fetch_add(1, SeqCst);
                    forever();
                });
                s.go("lends on", || {
                    while lent.0.load(SeqCst) == 0 {
                        gosched();
                    }
                    std::thread::scope(|threads| {
                        let (lent, started) = (&lent, started.clone());
                        threads.spawn(move || {
                            for _ in 0..20 {
                                std::thread::sleep(Duration::from_millis(5));
                                SEEN.store(lent.0.load(SeqCst), SeqCst);
                            }
                            let _ = started.send(());
                        });
                        told.send(());
                        forever();
                    });
                });
            });
        });
        in_it.recv();
    });
    // The run is over, and its frames are where they were.
    let _ = is_started.recv();
    println!("seen after the run: {}", SEEN.load(SeqCst));
    run(2, || println!("and a second run"));
}

fn rwlock_story(_: &[String]) {
    run(2, || {
        let lock = RwLock::new((0, 0));
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        scope(|s| {
            for _ in 0..8 {
                s.go("reads", || {
                    for _ in 0..50 {
                        let both = lock.read();
                        let n = inside.fetch_add(1, SeqCst) + 1;
                        most.fetch_max(n, SeqCst);
                        gosched();
                        assert_eq!(both.0, both.1, "a writer was here");
                        inside.fetch_sub(1, SeqCst);
                    }
                });
            }
            for _ in 0..3 {
                s.go("writes", || {
                    for _ in 0..50 {
                        let mut both = lock.write();
                        assert_eq!(inside.load(SeqCst), 0, "a reader is here");
                        both.0 += 1;
                        gosched();
                        both.1 += 1;
                    }
                });
            }
        });
        let both = *lock.read();
        println!(
            "{both:?}, several readers at once: {}",
            most.load(SeqCst) > 1
        );
        // Readers that come after a waiting writer go in after it.
        let order = Mutex::new(Vec::new());
        let first = lock.read();
        scope(|s| {
            let writes = s.go("writes", || {
                let _w = lock.write();
                order.lock().push("writer");
            });
            while lock.try_read().is_some() {
                gosched();
            }
            s.go("reads", || {
                let _r = lock.read();
                order.lock().push("reader");
            });
            for _ in 0..5 {
                gosched();
            }
            assert!(lock.try_write().is_none() && order.lock().is_empty());
            drop(first);
            writes.join();
        });
        println!(
            "{:?}, free again: {}",
            *order.lock(),
            lock.try_write().is_some()
        );
    });
}

fn cond_story(_: &[String]) {
    run(2, || {
        let (queue, more, less) = (Mutex::new(Vec::new()), Cond::new(), Cond::new());
        let sum = scope(|s| {
            for p in 0..4 {
                let (queue, more, less) = (&queue, &more, &less);
                s.go("produces", move || {
                    for i in 0..100 {
                        let mut q = queue.lock();
                        while q.len() == 3 {
                            q = less.wait(q);
                        }
                        q.push(p * 100 + i);
                        more.signal();
                    }
                });
            }
            let eat = || {
                let mut sum = 0;
                for _ in 0..200 {
                    let mut q = queue.lock();
                    while q.is_empty() {
                        q = more.wait(q);
                    }
                    sum += q.remove(0);
                    less.signal();
                }
                sum
            };
            let (a, b) = (s.go("eats", eat), s.go("eats too", eat));
            (a.join(), b.join())
        });
        println!("{}", sum.0.unwrap_or(0) + sum.1.unwrap_or(0));
        // All that wait are called at once, those that come later are not.
        let (m, c, woken) = (Mutex::new(()), Cond::new(), AtomicUsize::new(0));
        let waiting = AtomicUsize::new(0);
        scope(|s| {
            for _ in 0..10 {
                s.go("waits", || {
                    let held = m.lock();
                    waiting.fetch_add(1, SeqCst);
                    drop(c.wait(held));
                    woken.fetch_add(1, SeqCst);
                });
            }
            while waiting.load(SeqCst) < 10 {
                gosched();
            }
            drop(m.lock());
            c.signal();
            while woken.load(SeqCst) < 1 {
                gosched();
            }
            for _ in 0..20 {
                gosched();
            }
            println!("one call wakes {}", woken.load(SeqCst));
            c.broadcast();
        });
        println!("and one for all the rest: {}", woken.load(SeqCst));
    });
}

fn once_story(_: &[String]) {
    run(2, || {
        let (once, times, after) = (Once::new(), AtomicUsize::new(0), AtomicUsize::new(0));
        scope(|s| {
            for _ in 0..10 {
                s.go("calls", || {
                    once.call_once(|| {
                        for _ in 0..20 {
                            gosched();
                        }
                        times.fetch_add(1, SeqCst);
                    });
                    after.fetch_add(times.load(SeqCst), SeqCst);
                });
            }
        });
        println!(
            "{} call, which {} have seen",
            times.load(SeqCst),
            after.load(SeqCst)
        );
    });
}

fn names_and_numbers(_: &[String]) {
    run(2, || {
        println!("{} of {}", goid(), num_goroutine());
        let (gate, told) = (Chan::<()>::new(0), Chan::new(200));
        for _ in 0..150 {
            let (gate, told) = (gate.clone(), told.clone());
            go!(move || {
                told.send(goid());
                gate.recv();
            });
        }
        let mut numbers: Vec<_> = (0..150).filter_map(|_| told.recv()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        println!("{} numbers, {} goroutines", numbers.len(), num_goroutine());
        gate.close();
        while num_goroutine() > 1 {
            gosched();
        }
        let outside = Arc::new(AtomicUsize::new(7));
        let seen = outside.clone();
        let thread = std::thread::spawn(move || seen.store(goid(), SeqCst));
        println!(
            "joined: {}, off a goroutine: {}",
            thread.join().is_ok(),
            outside.load(SeqCst)
        );
    });
}
