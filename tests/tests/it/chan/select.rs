//! `select!` and the select over a list: fairness, defaults, arms that are off, and what the
//! compiler says to a slip.

use crate::fixture::Alive;
use crate::fixture::stage1::on;
use stage1_coop::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};

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
