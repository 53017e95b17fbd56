//! Channels behave as Go's do: which side waits, which is woken, what becomes of values, and the
//! last words of a misuse. The texts are Go's.

mod misuse;
mod select;
mod slips;
mod values;

use crate::fixture::stage1::{asked, on};
use crate::fixture::{Log, step, with_panic_hook};
use stage1_coop::*;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};

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
