//! Channels behave as Go's do: which side waits, which is woken, what becomes of values, and the
//! last words of a misuse. The texts are Go's.

mod select;

use crate::fixture::stage1::{asked, on};
use crate::fixture::{Alive, Log, step, with_panic_hook};
use stage1_coop::*;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};
use std::time::Duration;
use tests::{in_order, scenario};

#[test]
fn without_a_buffer_both_sides_wait_for_each_other() {
    let log = on(1, || {
        let log = Log::default();
        let c = Chan::new(0);
        let (l, sender) = (log.clone(), c.clone());
        go("sender", move || {
            l.say("sends");
            sender.send(1);
            l.say("has sent");
        });
        gosched();
        log.say("receives");
        assert_none_left(&c);
        let got = c.recv();
        log.say(format!("has {got:?}"));
        gosched();
        log
    });
    assert_eq!(
        log.all(),
        ["sends", "receives", "has Some(1)", "has sent"],
        "the sender waits until somebody receives, and the receiver does not wait for it"
    );
}

/// An unbuffered channel never holds anything.
fn assert_none_left(c: &Chan<i32>) {
    if !(c.is_empty() && c.cap() == 0) {
        rt::last_words::throw("an unbuffered channel holds a value");
    }
}

#[test]
fn a_buffer_holds_so_many_and_keeps_their_order() {
    let (lens, blocked_at, got) = on(1, || {
        let c = Chan::new(3);
        let sent = Arc::new(AtomicUsize::new(0));
        let (sender, s) = (c.clone(), sent.clone());
        go("sender", move || {
            for n in 0..10 {
                sender.send(n);
                s.store(n + 1, SeqCst);
            }
            sender.close();
        });
        gosched();
        let blocked_at = sent.load(SeqCst);
        let mut lens = vec![c.len()];
        let mut got = Vec::new();
        while let Some(n) = c.recv() {
            got.push(n);
            lens.push(c.len());
            gosched();
        }
        (lens, blocked_at, got)
    });
    assert_eq!(blocked_at, 3, "the fourth send waits");
    assert_eq!(got, (0..10).collect::<Vec<_>>());
    // A waiting sender's value takes the place of the one that is received.
    assert_eq!(lens[..2], [3, 3]);
    assert!(lens.iter().all(|&n| n <= 3));
}

#[test]
fn a_closed_channel_gives_what_is_left_and_then_nothing() {
    let got = on(1, || {
        let c = Chan::new(4);
        c.send("a");
        c.send("b");
        c.close();
        let after = (c.recv(), c.try_recv(), c.recv(), c.try_recv(), c.recv());
        (after, c.is_closed(), c.len())
    });
    let after = (Some("a"), Ok(Some("b")), None, Ok(None), None);
    assert_eq!(got, (after, true, 0));
}

#[test]
fn close_wakes_everybody_who_receives() {
    let woken = on(2, || {
        let c = Chan::<u32>::new(0);
        let woken = Arc::new(AtomicUsize::new(0));
        let all = WaitGroup::new();
        for i in 0..20 {
            all.add(1);
            let (c, woken, all) = (c.clone(), woken.clone(), all.clone());
            go("receiver", move || {
                // Half of them through a select.
                let got = if i % 2 == 0 {
                    c.recv()
                } else {
                    let never = Chan::<u32>::new(0);
                    select! {
                        recv(c) -> got => got,
                        recv(never) -> got => got,
                    }
                };
                woken.fetch_add(usize::from(got.is_none()), SeqCst);
                all.done();
            });
        }
        for _ in 0..5 {
            gosched();
        }
        c.close();
        all.wait();
        woken.load(SeqCst)
    });
    assert_eq!(woken, 20);
}

#[test]
fn receivers_are_served_in_the_order_in_which_they_came() {
    let log = on(1, || {
        let log = Log::default();
        let c = Chan::new(0);
        let all = WaitGroup::new();
        for i in 0..5 {
            all.add(1);
            let (l, c, all) = (log.clone(), c.clone(), all.clone());
            go("receiver", move || {
                if let Some(n) = c.recv() {
                    l.say(format!("{i} got {n}"));
                }
                all.done();
            });
            // Each waits before the next one is made.
            gosched();
        }
        for n in 0..5 {
            c.send(n);
        }
        all.wait();
        log
    });
    let mut all = log.all();
    all.sort();
    assert_eq!(all, ["0 got 0", "1 got 1", "2 got 2", "3 got 3", "4 got 4"]);
}

#[test]
fn try_send_and_try_recv_do_not_wait() {
    let got = on(1, || {
        let unbuffered = Chan::<u32>::new(0);
        let buffered = Chan::new(1);
        let nobody = (unbuffered.try_send(1), unbuffered.try_recv());
        let empty = buffered.try_recv();
        let room = buffered.try_send(2);
        let full = buffered.try_send(3);
        let there = buffered.try_recv();
        // With somebody waiting they do their work.
        let result = Chan::new(1);
        let (c, r) = (unbuffered.clone(), result.clone());
        go("receiver", move || r.send(c.recv()));
        gosched();
        let waited_for = unbuffered.try_send(4);
        let received = result.recv();
        let c = unbuffered.clone();
        go("sender", move || c.send(5));
        gosched();
        let sender_waits = unbuffered.try_recv();
        (
            (nobody, empty, room, full, there),
            (waited_for, received, sender_waits),
        )
    });
    let first = (
        (Err(1), Err(WouldBlock)),
        Err(WouldBlock),
        Ok(()),
        Err(3),
        Ok(Some(2)),
    );
    assert_eq!(got, (first, (Ok(()), Some(Some(4)), Ok(Some(5)))));
}

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
fn many_producers_and_consumers_lose_nothing() {
    for (procs, cap) in [(1, 0), (2, 0), (4, 3), (8, 64)] {
        let (sum, count) = asked(procs, move || {
            let c = Chan::new(cap);
            let (sum, count) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
            let (producers, consumers) = (WaitGroup::new(), WaitGroup::new());
            for id in 0..10_u64 {
                producers.add(1);
                let (c, all) = (c.clone(), producers.clone());
                go("producer", move || {
                    for n in 0..1000 {
                        step();
                        c.send(id * 1000 + n);
                    }
                    all.done();
                });
            }
            for _ in 0..7 {
                consumers.add(1);
                let (c, all) = (c.clone(), consumers.clone());
                let (sum, count) = (sum.clone(), count.clone());
                go("consumer", move || {
                    for n in c.iter() {
                        step();
                        sum.fetch_add(n, Relaxed);
                        count.fetch_add(1, Relaxed);
                    }
                    all.done();
                });
            }
            producers.wait();
            c.close();
            consumers.wait();
            (sum.load(SeqCst), count.load(SeqCst))
        });
        assert_eq!(count, 10_000, "{procs} Ps, a buffer of {cap}");
        assert_eq!(sum, 10_000 * 9_999 / 2, "{procs} Ps, a buffer of {cap}");
    }
}

#[test]
fn one_sender_s_values_keep_their_order_among_many() {
    let orderly = asked(4, || {
        let c = Chan::new(2);
        let all = WaitGroup::new();
        for id in 0..6_u32 {
            all.add(1);
            let (c, all) = (c.clone(), all.clone());
            go("producer", move || {
                for n in 0..1000_u32 {
                    c.send((id, n));
                }
                all.done();
            });
        }
        let closer = c.clone();
        go("closer", move || {
            all.wait();
            closer.close();
        });
        let mut next: HashMap<u32, u32> = HashMap::new();
        c.iter().all(|(id, n)| {
            let expected = next.entry(id).or_default();
            let right = *expected == n;
            *expected += 1;
            right
        })
    });
    assert!(orderly);
}

#[test]
fn the_sieve_finds_primes() {
    let primes = asked(4, || {
        let mut source = Chan::new(0);
        let numbers = source.clone();
        go("numbers", move || {
            for n in 2.. {
                numbers.send(n);
            }
        });
        let mut primes = Vec::new();
        for _ in 0..100 {
            let Some(prime) = source.recv() else { break };
            primes.push(prime);
            let (from, to) = (source, Chan::new(0));
            source = to.clone();
            go("filter", move || {
                for n in from.iter() {
                    if n % prime != 0 {
                        to.send(n);
                    }
                }
            });
        }
        primes
    });
    assert_eq!(primes[..8], [2, 3, 5, 7, 11, 13, 17, 19]);
    assert_eq!(primes[99], 541);
}

#[test]
fn a_foreign_thread_is_refused_and_breaks_nothing() {
    for what in ["send", "close", "done", "lock"] {
        let ended = scenario!([], "foreign_thread", what);
        assert_eq!(ended.code, Some(0), "{what}: {ended:#?}");
        assert_eq!(ended.stdout, "the waiter goes on\n", "{what}: {ended:#?}");
    }
}

/// The form of Go's last words: std's message, which names the place, and then Go's.
fn dies_of(words: &str, message: &str) {
    let ended = scenario!([], words);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    in_order(
        &ended.stderr,
        &[
            "\nthread '",
            "panicked at tests/tests/it/chan/scenario.rs:",
            &format!("\n{message}\n"),
            &format!("\npanic: {message}\n\ngoroutine 2 [running]:\n"),
            "created by main in goroutine 1 as culprit\n",
        ],
    );
    assert!(
        ended.stderr.ends_with("in goroutine 1 as culprit\n"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_send_on_a_closed_channel_ends_the_program() {
    dies_of("send_on_closed", "send on closed channel");
    dies_of("try_send_on_closed", "send on closed channel");
    dies_of("select_send_on_closed", "send on closed channel");
}

#[test]
fn a_sender_that_waits_when_the_channel_is_closed_ends_the_program() {
    let ended = scenario!([], "parked_sender_and_close");
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_eq!(ended.stdout, "the value that was not sent is dropped\n");
    in_order(
        &ended.stderr,
        &["\npanic: send on closed channel\n\ngoroutine 2 [running]:\n"],
    );
}

#[test]
fn a_second_close_ends_the_program() {
    dies_of("close_of_closed", "close of closed channel");
}

#[test]
fn a_done_too_many_ends_the_program() {
    dies_of("negative_wait_group", "sync: negative WaitGroup counter");
}

#[test]
fn a_dump_says_what_each_goroutine_waits_for() {
    let ended = scenario!([], "blocked_for_ever");
    assert_eq!(ended.code, Some(2), "{ended:?}");
    in_order(
        &ended.stderr,
        &[
            "fatal error: look at them\n\ngoroutine 1 [running]:\n",
            "\n\ngoroutine 2 [chan receive]:\n",
            "\n\ngoroutine 3 [chan send]:\n",
            "\n\ngoroutine 4 [select]:\n",
            "\n\ngoroutine 5 [select (no cases)]:\n",
            "\n\ngoroutine 6 [sync.WaitGroup.Wait]:\n",
            "\n\ngoroutine 7 [sync.Mutex.Lock]:\n",
            "created by main in goroutine 1 as locks\n",
        ],
    );
}

#[test]
fn after_a_close_no_waiting_sender_can_succeed() {
    let panics_say_nothing = |_: &std::panic::PanicHookInfo<'_>| {};
    let racing = || {
        let (sent, received) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        for round in 0..10 {
            // So many that `close` takes a while to wake them all.
            let (c, all) = (Chan::new(round % 2), WaitGroup::new());
            for _ in 0..400 {
                all.add(1);
                let (c, all, sent) = (c.clone(), all.clone(), sent.clone());
                go("sender", move || {
                    let send = std::panic::AssertUnwindSafe(|| c.send(7));
                    if std::panic::catch_unwind(send).is_ok() {
                        sent.fetch_add(1, SeqCst);
                    }
                    all.done();
                });
            }
            for _ in 0..3 {
                gosched();
            }
            while c.len() < c.cap() {
                gosched();
            }
            all.add(1);
            let (r, done, received) = (c.clone(), all.clone(), received.clone());
            go("receiver", move || {
                while !r.is_closed() {}
                while r.recv().is_some() {
                    received.fetch_add(1, SeqCst);
                }
                done.done();
            });
            gosched();
            c.close();
            all.wait();
        }
        (sent.load(SeqCst), received.load(SeqCst))
    };
    let (sent, received) = with_panic_hook(panics_say_nothing, || on(3, racing));
    // Of the five channels with a buffer, the value that was in it.
    assert_eq!((sent, received), (5, 5));
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
