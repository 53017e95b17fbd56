//! Channels, `select!`, mutexes and wait groups behave as Go's do: who waits, who is woken,
//! what becomes of values, and the words of those who die of them.
//!
//! Rows 15 and 18 of the list of mechanisms rely on this; the texts are Go's.

use stage1_coop::*;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*};
use std::time::Duration;
use tests::{LIMIT, in_order, scenario, within};

/// Runs `main` on `procs` Ps and returns its result.
fn on<R: Send + 'static>(procs: usize, main: impl FnOnce() -> R + Send + 'static) -> R {
    // SAFETY: nothing in this file keeps anything that belongs to a thread across a yield.
    unsafe { within(LIMIT, Runtime::new(&STAGE).procs(procs), main) }
}

/// As [`on`], with somebody who asks all Ps to yield every 2 ms.
fn asked<R: Send + 'static>(procs: usize, main: impl FnOnce() -> R + Send + 'static) -> R {
    fn raise_the_flag(me: &mut ThirdParty) {
        while me.sleep(Duration::from_millis(2)) {
            me.raise_the_flag();
        }
    }
    let runtime = Runtime::new(&STAGE)
        .procs(procs)
        .third_party(raise_the_flag);
    // SAFETY: as in `on`.
    unsafe { within(LIMIT, runtime, main) }
}

/// What happened, in order. The lock is held for one push and never across a yield.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<String>>>);

impl Log {
    fn say(&self, what: impl ToString) {
        let mut log = self.0.lock().expect("no panic while it is held");
        log.push(what.to_string());
    }
    fn all(&self) -> Vec<String> {
        self.0.lock().expect("no panic while it is held").clone()
    }
}

/// Counts those that are alive.
struct Alive(Arc<AtomicUsize>);
impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Alive {
        count.fetch_add(1, SeqCst);
        Alive(count.clone())
    }
}
impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// A check: where a request to yield is found.
#[gofunc]
fn step() {}

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
fn select_takes_each_ready_case_equally_often() {
    let counts = on(1, || {
        let channels: Vec<Chan<()>> = (0..4).map(|_| Chan::new(1)).collect();
        let mut counts = [0_u32; 4];
        for c in &channels {
            c.send(());
        }
        for _ in 0..8000 {
            let i = select! {
                recv(channels[0]) -> _ => 0,
                recv(channels[1]) -> _ => 1,
                recv(channels[2]) -> _ => 2,
                recv(channels[3]) -> _ => 3,
            };
            counts[i] += 1;
            channels[i].send(());
        }
        counts
    });
    // 2,000 each, with a standard deviation of 39: eight of those are allowed.
    assert!(
        counts.iter().all(|n| (1690..2310).contains(n)),
        "{counts:?}"
    );
}

#[test]
fn select_sends_and_receives_on_the_same_channel() {
    // Alone, it never talks to itself.
    let alone = on(1, || {
        let c = Chan::<u32>::new(0);
        select! {
            send(c, 1) => "sent",
            recv(c) -> _ => "received",
            default => "nobody there",
        }
    });
    assert_eq!(alone, "nobody there");
    // Two of them: what one sends the other receives.
    let (sent, received) = on(2, || {
        let c = Chan::new(0);
        let (sent, received) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let all = WaitGroup::new();
        for id in 0..2 {
            all.add(1);
            let (c, s, r, all) = (c.clone(), sent.clone(), received.clone(), all.clone());
            go("both", move || {
                for n in 0..2000 {
                    select! {
                        send(c, 10_000 * id + n) => { s.fetch_add(10_000 * id + n, SeqCst); }
                        recv(c) -> got => { r.fetch_add(got.unwrap_or(0), SeqCst); }
                    }
                }
                all.done();
            });
        }
        all.wait();
        (sent.load(SeqCst), received.load(SeqCst))
    });
    assert_eq!(sent, received);
}

#[test]
fn select_waits_with_the_same_channel_in_several_cases() {
    let got = on(1, || {
        let c = Chan::new(0);
        let to = c.clone();
        go("sender", move || {
            for n in 0..100 {
                to.send(n);
            }
            to.close();
        });
        let mut got = Vec::new();
        loop {
            let n = select! {
                recv(c) -> n => n,
                recv(c) -> n => n,
                recv(c) -> n => n,
            };
            match n {
                Some(n) => got.push(n),
                None => return got,
            }
        }
    });
    assert_eq!(got, (0..100).collect::<Vec<_>>());
}

#[test]
fn select_finds_a_closed_channel_ready_at_once() {
    let got = on(1, || {
        let (closed, open) = (Chan::<u32>::new(0), Chan::<u32>::new(0));
        closed.close();
        select! {
            recv(open) -> n => (1, n),
            recv(closed) -> n => (2, n),
        }
    });
    assert_eq!(got, (2, None));
}

#[test]
fn select_takes_its_default_only_when_no_case_can_go() {
    let got = on(1, || {
        let c = Chan::new(1);
        let first = select! { recv(c) -> n => n, default => Some(100) };
        let second = select! { send(c, 1) => 1, default => 2 };
        let third = select! { send(c, 1) => 1, default => 2 };
        let fourth = select! { recv(c) -> n => n, default => Some(100) };
        (first, second, third, fourth, select! { default => 5 })
    });
    assert_eq!(got, (Some(100), 1, 2, Some(1), 5));
}

#[test]
fn a_woken_select_stands_in_no_queue_any_more() {
    // Were its other places still there, later partners would wake a goroutine that waits
    // for something else, or write into a frame that is gone.
    let got = on(2, || {
        let channels: Vec<Chan<usize>> = (0..8).map(|_| Chan::new(0)).collect();
        let from = channels.clone();
        let got = Arc::new(AtomicUsize::new(0));
        let (g, all) = (got.clone(), WaitGroup::new());
        all.add(1);
        let done = all.clone();
        go("selects", move || {
            for _ in 0..4000 {
                let n = select! {
                    recv(from[0]) -> n => n, recv(from[1]) -> n => n,
                    recv(from[2]) -> n => n, recv(from[3]) -> n => n,
                    recv(from[4]) -> n => n, recv(from[5]) -> n => n,
                    recv(from[6]) -> n => n, recv(from[7]) -> n => n,
                };
                g.fetch_add(n.unwrap_or(0), SeqCst);
            }
            done.done();
        });
        for n in 0..4000 {
            channels[n % 8].send(n);
        }
        all.wait();
        let late = channels.iter().filter(|c| c.try_send(1).is_ok()).count();
        (got.load(SeqCst), late)
    });
    assert_eq!(got, (4000 * 3999 / 2, 0));
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
fn a_mutex_admits_one_at_a_time_on_any_thread() {
    let (count, most) = asked(4, || {
        let counter = Arc::new(Mutex::new(0_u64));
        let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let all = WaitGroup::new();
        for id in 0..8 {
            all.add(1);
            let (counter, all) = (counter.clone(), all.clone());
            let (inside, most) = (inside.clone(), most.clone());
            go("locks", move || {
                for round in 0..500 {
                    let mut n = counter.lock();
                    most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                    let before = *n;
                    if (round + id) % 7 == 0 {
                        // The guard comes along to whatever thread this comes back on.
                        gosched();
                    }
                    step();
                    *n = before + 1;
                    inside.fetch_sub(1, SeqCst);
                    drop(n);
                }
                all.done();
            });
        }
        all.wait();
        (*counter.lock(), most.load(SeqCst))
    });
    assert_eq!((count, most), (4000, 1));
}

#[test]
fn a_try_lock_that_fails_leaves_the_mutex_held() {
    let got = on(1, || {
        let mutex = Mutex::new(0);
        let guard = mutex.lock();
        let refused = [mutex.try_lock().is_some(), mutex.try_lock().is_some()];
        drop(guard);
        let taken = mutex.try_lock();
        (refused, taken.is_some(), mutex.try_lock().is_some())
    });
    assert_eq!(got, ([false, false], true, false));
}

#[test]
fn a_mutex_is_handed_to_those_who_wait_in_their_order() {
    let log = on(1, || {
        let log = Log::default();
        let mutex = Arc::new(Mutex::new(()));
        let all = WaitGroup::new();
        let first = mutex.lock();
        for i in 0..4 {
            all.add(1);
            let (l, m, all) = (log.clone(), mutex.clone(), all.clone());
            go("waits", move || {
                let _guard = m.lock();
                l.say(i);
                all.done();
            });
            gosched();
        }
        let refused = mutex.try_lock().is_none();
        drop(first);
        // It belongs to the first who waits already, though that one has not run yet.
        let handed_over = mutex.try_lock().is_none();
        log.say(format!("{refused} {handed_over}"));
        all.wait();
        log.say(mutex.try_lock().is_some());
        log
    });
    assert_eq!(log.all(), ["true true", "0", "1", "2", "3", "true"]);
}

#[test]
fn a_wait_group_lets_all_go_at_once() {
    let (early, woken) = on(2, || {
        let group = WaitGroup::new();
        group.wait();
        group.add(2);
        let (finished, early) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let woken = Chan::new(5);
        for _ in 0..5 {
            let (group, woken) = (group.clone(), woken.clone());
            let (finished, early) = (finished.clone(), early.clone());
            go("waits", move || {
                group.wait();
                early.fetch_add(usize::from(!finished.load(SeqCst)), SeqCst);
                woken.send(());
            });
        }
        gosched();
        group.done();
        gosched();
        finished.store(true, SeqCst);
        group.done();
        let n = (0..5).filter_map(|_| woken.recv()).count();
        (early.load(SeqCst), n)
    });
    assert_eq!((early, woken), (0, 5));
}

/// Whoever has been woken may use the group for the next round, while the last `done` of the
/// round before is still on its way out. That `done` must not wake the new round.
#[test]
fn a_wait_group_may_be_used_again_while_the_last_done_returns() {
    static ARMED: AtomicBool = AtomicBool::new(false);
    static RELEASED: AtomicBool = AtomicBool::new(false);
    static NEXT_ROUND: AtomicBool = AtomicBool::new(false);
    static OVER: AtomicBool = AtomicBool::new(false);
    fn until(flag: &AtomicBool) {
        while !flag.load(SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    // Holds `done` between waking the waiter and what it does next: the ring is full then,
    // so this row is called. Nobody else can run until it is.
    fn hold(pp: &'static rt::gmp::P, batch: &[&'static rt::gmp::G]) {
        rt::queues::runqputslow(pp, batch);
        if ARMED.swap(false, SeqCst) {
            RELEASED.store(true, SeqCst);
            until(&NEXT_ROUND);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    const HOLDING: Stage = Stage {
        name: "holding",
        runqputslow: hold,
        ..STAGE
    };
    let runtime = Runtime::new(&HOLDING).procs(2);
    // SAFETY: as in `on`.
    let rounds = unsafe {
        within(LIMIT, runtime, || {
            static BUSY: AtomicBool = AtomicBool::new(false);
            go("keeps the other P", || {
                BUSY.store(true, SeqCst);
                until(&RELEASED);
            });
            while !BUSY.load(SeqCst) {
                gosched();
            }
            let group = WaitGroup::new();
            group.add(1);
            let first = group.clone();
            go("first round", move || {
                // Runnext and the whole ring.
                for _ in 0..=rt::queues::RUNQ_SIZE {
                    go("filler", || {});
                }
                ARMED.store(true, SeqCst);
                first.done();
                // Were the waiter awake now, it would run here.
                for _ in 0..3 {
                    gosched();
                    std::thread::sleep(Duration::from_millis(5));
                }
                OVER.store(true, SeqCst);
            });
            group.wait();
            let held = RELEASED.load(SeqCst);
            group.add(1);
            let second = group.clone();
            go("second round", move || {
                until(&OVER);
                second.done();
            });
            NEXT_ROUND.store(true, SeqCst);
            group.wait();
            (held, OVER.swap(true, SeqCst))
        })
    };
    assert!(rounds.0, "the row was not called: this test shows nothing");
    assert!(rounds.1, "the second wait has returned without its done");
}

/// Off a goroutine there is nobody to park: what would have to wait is refused, and so is
/// what would have to wake somebody, *before* anything has changed hands.
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
            "panicked at tests/bin/scenario/chan.rs:",
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
fn every_call_in_an_endless_loop_hears_a_request() {
    for stage in ["1", "2"] {
        for env in [vec![], vec![("SAFEPOINT_SEED", "1")]] {
            let ended = scenario!(env, "heard", stage);
            let last = ended.stderr.lines().rfind(|l| l.starts_with("asks: "));
            assert_eq!(ended.code, Some(0), "{env:?}, at {last:?}: {ended:#?}");
            if stage == "2" {
                each_public_call_is_in(&ended.stdout);
            }
        }
    }
}

/// Public functions that have no check, and why a loop of nothing else is not endless, or is
/// the program's own affair.
const WITHOUT_A_CHECK: &[(&str, &[&str])] = &[
    (
        "makes or names a thing, waits for nothing",
        &[
            "Mutex::new",
            "RwLock::new",
            "Once::new",
            "Cond::new",
            "WaitGroup::new",
            "File::new",
            "Select::new",
            "Select::recv",
            "Select::send",
            "Receiver::with_source",
        ],
    ),
    (
        "the answer never changes",
        &["Chan::cap", "Ticker::c", "Timer::c", "goid"],
    ),
    (
        "a line in the trace, also from within a system call or a lock of std's",
        &["user_log"],
    ),
    ("Go's is nosplit", &["acquirem"]),
    ("does not return", &["exit", "goexit"]),
    ("stands for the program's own code", &["spin", "with_frame"]),
    (
        "before the run, or beside it",
        &["Runtime::", "Stage::", "ThirdParty::"],
    ),
];

/// Holds what the crates export against the rows of the scenario `heard`.
fn each_public_call_is_in(rows: &str) {
    let exempt = |call: &str| {
        let listed = |name: &&str| call == *name || name.ends_with("::") && call.starts_with(*name);
        WITHOUT_A_CHECK
            .iter()
            .any(|(_, calls)| calls.iter().any(&listed))
    };
    let has_row = |call: &str| {
        rows.lines().any(|row| {
            let rest = row.strip_prefix(call);
            rest.is_some_and(|r| !r.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        })
    };
    let mut calls = public_calls("stage1-coop");
    calls.extend(public_calls("stage2-sysmon"));
    assert!(calls.len() > 50, "the sources are read: {calls:?}");
    let missing: Vec<_> = calls.iter().filter(|c| !exempt(c) && !has_row(c)).collect();
    assert!(
        missing.is_empty(),
        "give these a row in `heard`, or a reason: {missing:?}"
    );
}

/// The functions that a crate exports at its root, and the methods of types there: read from
/// its sources.
fn public_calls(package: &str) -> Vec<String> {
    let src = tests::root().join(package).join("src");
    let read = |file: &str| std::fs::read_to_string(src.join(file)).unwrap_or_default();
    let mut calls = Vec::new();
    for line in read("lib.rs").lines() {
        let Some((module, names)) = line
            .strip_prefix("pub use ")
            .and_then(|l| l.split_once("::"))
        else {
            continue;
        };
        let text = match read(&format!("{module}.rs")) {
            text if text.is_empty() => read(&format!("{module}/mod.rs")),
            text => text,
        };
        for name in names.split(|c: char| !c.is_alphanumeric() && c != '_') {
            if name.starts_with(char::is_uppercase) {
                calls.extend(methods(&text, name));
            } else if text.contains(&format!("\npub fn {name}("))
                || text.contains(&format!("\npub fn {name}<"))
            {
                calls.push(name.to_owned());
            }
        }
    }
    calls
}

/// The public methods of a type, as `Type::method`.
fn methods(text: &str, name: &str) -> Vec<String> {
    let mut of = String::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let code = line.trim_start();
        if line == "}" {
            of.clear();
        }
        if code.starts_with("impl") || code.starts_with("unsafe impl") {
            let whole = code.split([' ', '<', '{']);
            of = whole
                .skip(1)
                .filter(|w| *w == name)
                .map(str::to_owned)
                .collect();
        } else if of == name
            && let Some(rest) = code.strip_prefix("pub fn ")
        {
            let method = rest.split(['(', '<']).next().unwrap_or_default();
            calls.push(format!("{name}::{method}"));
        }
    }
    calls
}

#[test]
fn a_parking_select_with_one_channel_in_several_cases_chooses_at_random() {
    // The receiver comes when the select waits already.
    let ones = on(1, || {
        let c = Chan::new(0);
        let (sender, mut ones) = (c.clone(), 0);
        go("sender", move || {
            for _ in 0..400 {
                select! {
                    send(sender, 0) => {}
                    send(sender, 1) => {}
                }
            }
        });
        for _ in 0..400 {
            gosched();
            ones += c.recv().unwrap_or(0);
        }
        ones
    });
    // 200 are to be expected, with a standard deviation of 10.
    assert!((120..=280).contains(&ones), "{ones} of 400");
}

#[test]
fn after_a_close_no_waiting_sender_can_succeed() {
    std::panic::set_hook(Box::new(|_| {}));
    let (sent, received) = on(3, || {
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
    });
    drop(std::panic::take_hook());
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

#[test]
fn a_select_takes_a_channel_made_on_the_spot() {
    let got = on(1, || {
        let full = |v| {
            let c = Chan::new(1);
            c.send(v);
            c
        };
        let never = Chan::<u8>::new(0);
        select! {
            recv(full(String::from("here"))) -> v => v,
            send(Chan::new(0), vec![1]) => None,
            recv(never) => None,
        }
    });
    assert_eq!(got.as_deref(), Some("here"));
}

#[test]
fn the_arms_of_a_select_may_change_its_channels() {
    let log = on(1, || {
        let (mut input, mut out) = (Chan::new(2), Chan::new(1));
        let mut log = Vec::new();
        input.send(1);
        input.send(2);
        input.close();
        let mut pending = Vec::<i32>::new();
        for _ in 0..6 {
            select! {
                // First: nothing else can go then.
                default => break,
                recv(input) -> v => match v {
                    Some(v) => pending.push(v),
                    None => input = Chan::new(0),
                },
                send(out, pending[0]) if !pending.is_empty() => {
                    pending.remove(0);
                    let sent = std::mem::replace(&mut out, Chan::new(1));
                    log.push(sent.recv());
                }
            }
        }
        log
    });
    assert_eq!(log, [Some(1), Some(2)]);
}

#[test]
fn an_arm_that_is_off_takes_no_part_and_computes_no_value() {
    let all = on(1, || {
        let (full, other) = (Chan::new(1), Chan::new(8));
        full.send(1);
        let (mut all, mut values) = (Vec::new(), [3].into_iter());
        for i in 0..4 {
            all.push(select! {
                recv(full) -> v if i == 2 => v,
                recv(full) if false => unreachable!("it is off"),
                send(other, values.next().unwrap_or(0)) if i > 9 => None,
                send(other, i) => Some(10 + i),
            });
            if i == 2 && full.is_empty() {
                full.send(1);
            }
        }
        assert_eq!(values.len(), 1, "no value was computed");
        // And with none at all, there is still `default`.
        all.push(select! { recv(full) if false => None, default => Some(99) });
        all
    });
    assert!(matches!(all[2], Some(1 | 12)), "{all:?}");
    let rest: Vec<_> = [0, 1, 3, 4].iter().map(|&i| all[i]).collect();
    assert_eq!(rest, [Some(10), Some(11), Some(13), Some(99)]);
}

#[test]
fn a_select_over_a_list_is_a_select() {
    on(2, || {
        let chans: Vec<Chan<usize>> = (0..50).map(|_| Chan::new(0)).collect();
        let echo = chans.clone();
        let out = Chan::new(0);
        let answers = out.clone();
        go("sends to each", move || {
            for (i, c) in echo.iter().enumerate() {
                c.send(i);
                assert_eq!(answers.recv(), Some(i));
            }
        });
        for i in 0..50 {
            let mut list = Select::new();
            for c in &chans {
                list.recv(c);
            }
            assert_eq!(list.wait(), (i, Some(i)));
            let mut list = Select::new();
            assert_eq!(list.recv(&chans[0]), 0);
            assert_eq!(list.send(&out, i), 1);
            assert_eq!(list.wait(), (1, None));
        }
        // Nothing can go; what was not sent is dropped.
        let (alive, nobody) = (Arc::new(AtomicUsize::new(0)), Chan::new(0));
        let mut list = Select::new();
        list.send(&nobody, Alive::new(&alive));
        list.recv(&nobody);
        assert!(list.try_wait().is_none());
        assert_eq!(alive.load(SeqCst), 0);
        // Each that is ready comes as often as the others.
        let ready: Vec<_> = (0..20).map(|_| Chan::<()>::new(0)).collect();
        ready.iter().for_each(Chan::close);
        let mut counts = [0; 20];
        for _ in 0..2000 {
            let mut list = Select::new();
            for c in &ready {
                list.recv(c);
            }
            let (n, value) = list.wait();
            assert_eq!(value, None);
            counts[n] += 1;
        }
        assert!(counts.iter().all(|n| (50..200).contains(n)), "{counts:?}");
    });
}

/// What the compiler says to a program whose main is `body`.
fn compiler_says(body: &str) -> String {
    let deps = std::env::current_exe().expect("a test knows its own program");
    let deps = deps.parent().expect("it is in a folder");
    let newest = deps.read_dir().expect("it can be read").flatten();
    let is_ours = |name: &str| name.starts_with("libstage1_coop-") && name.ends_with(".rlib");
    let newest = newest
        .filter(|e| e.file_name().to_str().is_some_and(is_ours))
        .max_by_key(|e| e.metadata().and_then(|m| m.modified()).ok());
    let library = newest.expect("this test is linked with it").path();
    let folder = tests::fresh_folder("safepoint-slips-").expect("there is room");
    let file = folder.join("slip.rs");
    std::fs::write(&file, body).expect("there is room");
    let rustc = std::path::Path::new(env!("CARGO")).with_file_name("rustc");
    let mut command = std::process::Command::new(rustc);
    command.args([
        "--edition=2024",
        "--crate-type=lib",
        "--emit=metadata",
        "--extern",
    ]);
    command.arg(format!("stage1_coop={}", library.display()));
    command
        .arg("-L")
        .arg(deps)
        .arg("--out-dir")
        .arg(&folder)
        .arg(&file);
    let ended = tests::run(&mut command, &[], LIMIT);
    let _ = std::fs::remove_dir_all(folder);
    ended.stderr
}

#[test]
fn a_slip_in_a_select_is_explained() {
    let says = |arms: &str| {
        compiler_says(&format!(
            "use stage1_coop::*;\npub struct Has(pub Chan<u8>);\npub fn f(a: Chan<u8>, b: Chan<u8>) {{\n select! {{ {arms} }}\n}}\n"
        ))
    };
    let fine = says(
        "default => {}, recv(a) => {} recv(a) -> (Some(_) | None) => {} send(b, 1) if 2 > 1 => {}",
    );
    assert_eq!(fine, "", "what is no slip is taken");
    for (arms, words) in [
        ("rcv(a) -> x => {}", "no arm begins with `rcv`"),
        (
            "recv(a) -> x {}",
            "an arm that receives is `recv(channel) -> pattern => body`",
        ),
        (
            "send(a) => {}",
            "an arm that sends is `send(channel, value) => body`",
        ),
        (
            "send(a, 1) -> x => {}",
            "an arm that sends is `send(channel, value) => body`",
        ),
        (
            "recv a -> x => {}",
            "the channel of an arm that receives is in parentheses",
        ),
        (
            "send a, 1 => {}",
            "the channel and the value of an arm that sends are in parentheses",
        ),
        (
            "recv(7) -> x => {}",
            "one cannot receive from a `{integer}`",
        ),
        (
            "recv(Has(a)) -> x => {}",
            "a thing that has a channel in it gives it by a method",
        ),
        ("recv(a) -> Some(x) => {}", "gets one `Option`"),
        ("recv(a) -> Some(x) if true => {}", "gets one `Option`"),
        ("recv(a) -> None => {}", "gets one `Option`"),
        ("recv(a) -> (x, ok) => {}", "gets one `Option`"),
        ("default => {} default => {}", "two arms `default`"),
        (
            "default if true => {}",
            "the arm for when nothing can go is `default => body`",
        ),
        (
            "recv(a) => f() send(b, 1) => {}",
            "a comma is missing between two arms",
        ),
        (&"recv(a) => {} ".repeat(17), "more than 16 arms"),
    ] {
        let said = says(arms);
        assert!(said.contains(words), "{arms}: {said}");
        assert!(!said.contains("recursion limit"), "{arms}: {said}");
    }
}

#[test]
fn a_missing_import_of_the_check_is_explained() {
    let says = |names: &str| {
        compiler_says(&format!(
            "use stage1_coop::{names};\n#[gofunc]\npub fn f() {{}}\n"
        ))
    };
    assert_eq!(says("{gofunc, prologue}") + &says("*"), "");
    let said = says("gofunc");
    assert!(
        said.contains("`use stage1_coop::{gofunc, prologue};`"),
        "{said}"
    );
    assert!(!said.contains("cannot find macro"), "{said}");
}

#[test]
fn what_parks_and_what_borrows_does_so_in_both_worlds() {
    let lent = "lent: 1 have used it\n";
    for (name, words) in [
        (
            "scope_waits_for_all",
            "[Some(0), Some(1), Some(4), Some(9), Some(16)]\nlent: 21 have used it\n",
        ),
        ("scope_and_goexit", "None\nlent: 2 have used it\n"),
        (
            "scope_and_goexit_outside",
            &format!("{lent}the run goes on\n"),
        ),
        ("scope_and_goexit_late", "lent: 2 have used it\n"),
        ("scope_and_panic", &format!("{lent}caught: true\n")),
        (
            "rwlock_story",
            "(150, 150), several readers at once: true\n[\"writer\", \"reader\"], free again: true\n",
        ),
        (
            "cond_story",
            "79800\none call wakes 1\nand one for all the rest: 10\n",
        ),
        ("once_story", "1 call, which 10 have seen\n"),
        (
            "names_and_numbers",
            "1 of 1\n150 numbers, 151 goroutines\njoined: true, off a goroutine: 0\n",
        ),
    ] {
        for env in [
            vec![],
            vec![("SAFEPOINT_SEED", "1")],
            vec![("SAFEPOINT_SEED", "2")],
        ] {
            let ended = scenario!(env, name);
            assert_eq!(ended.code, Some(0), "{name} {env:?}: {ended:#?}");
            assert_eq!(ended.stdout, words, "{name} {env:?}: {ended:#?}");
        }
    }
}

#[test]
fn a_panic_in_a_scope_s_goroutine_ends_the_process_and_lets_nobody_on() {
    for env in [vec![], vec![("SAFEPOINT_SEED", "1")]] {
        let ended = scenario!(env, "scope_and_panic_inside");
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        assert_eq!(ended.stdout, "", "{ended:#?}");
        in_order(
            &ended.stderr,
            &["with the lent thing in hand", "goroutine "],
        );
    }
}

#[test]
fn what_a_scope_lent_stays_when_main_returns_beside_it() {
    // Free only: in lockstep no thread from outside may run on.
    let ended = scenario!([], "scope_and_main");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!(
        ended.stdout, "seen after the run: 1\nand a second run\n",
        "{ended:#?}"
    );
}
