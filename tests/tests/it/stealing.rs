//! Stealing: how much a thief takes, from which Ps, in which order, and when it touches
//! `runnext`.

use crate::fixture::with;
use stage1_coop::*;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::time::{Duration, Instant};

// ---- Row 22: stealing.

/// Queues of plain numbers: the ring is the one that Ps have.
type Numbers = rt::queues::Runq<u32>;

fn numbers(n: u32) -> &'static [u32] {
    Vec::leak((0..n).collect())
}

#[test]
fn a_thief_takes_half_rounded_up_and_each_exactly_once() {
    let items = numbers(rt::queues::RUNQ_SIZE as u32);
    for n in 0..=items.len() {
        let (victim, thief) = (Numbers::new(), Numbers::new());
        for item in &items[..n] {
            victim.put(item, false, |_| panic!("no overflow"));
        }
        let stolen = thief.steal_with(|t| victim.grab(&thief, t, || false));
        let s = stolen.map_or(0, |(_, n)| n as usize);
        assert_eq!(s, n.div_ceil(2), "of {n}");
        assert_eq!((victim.len(), thief.len()), (n - s, s.saturating_sub(1)));
        let mut seen: Vec<u32> = stolen.into_iter().map(|(item, _)| *item).collect();
        for queue in [&victim, &thief] {
            seen.extend(std::iter::from_fn(|| queue.get()).map(|(item, _)| *item));
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..n as u32).collect::<Vec<_>>());
    }
}

#[test]
fn runnext_is_stolen_only_when_nothing_else_is_there_and_the_thief_insists() {
    let items = numbers(3);
    let (victim, thief) = (Numbers::new(), Numbers::new());
    victim.put(&items[0], true, |_| {});
    assert_eq!(victim.grab(&thief, 0, || false), 0, "it is left alone");
    assert!(!victim.is_empty());
    victim.put(&items[1], false, |_| {});
    // The one in the ring goes first, and nobody is asked about runnext.
    let insists = || panic!("not asked while the ring has something");
    assert_eq!(
        thief.steal_with(|t| victim.grab(&thief, t, insists)),
        Some((&1, 1))
    );
    assert_eq!(
        thief.steal_with(|t| victim.grab(&thief, t, || true)),
        Some((&0, 1))
    );
    assert!(victim.is_empty());
    // Changed while the thief hesitates: the new one is not lost.
    victim.put(&items[0], true, |_| {});
    let hesitates = || {
        if victim.get().is_some() {
            victim.put(&items[2], true, |_| {});
        }
        true
    };
    assert_eq!(
        thief.steal_with(|t| victim.grab(&thief, t, hesitates)),
        Some((&2, 1))
    );
}

#[test]
fn owner_and_thieves_share_a_queue_and_lose_nothing() {
    const N: u32 = 200_000;
    let items = numbers(N);
    let seen: &'static [AtomicU64] = Vec::leak((0..N).map(|_| AtomicU64::new(0)).collect());
    let victim: &'static Numbers = Box::leak(Box::default());
    let over: &'static AtomicBool = Box::leak(Box::default());
    let see = |item: &u32| seen[*item as usize].fetch_add(1, Relaxed);
    let thieves: Vec<_> = (0..2)
        .map(|_| {
            std::thread::spawn(move || {
                let mine = Numbers::new();
                while !over.load(SeqCst) || !victim.is_empty() {
                    if let Some((item, _)) = mine.steal_with(|t| victim.grab(&mine, t, || true)) {
                        see(item);
                        while let Some((item, _)) = mine.get() {
                            see(item);
                        }
                    } else {
                        std::thread::yield_now();
                    }
                }
            })
        })
        .collect();
    for (i, item) in items.iter().enumerate() {
        victim.put(item, i % 3 == 0, |batch| {
            for item in batch {
                see(item);
            }
        });
        if i % 5 == 0
            && let Some((item, _)) = victim.get()
        {
            see(item);
        }
    }
    while let Some((item, _)) = victim.get() {
        see(item);
    }
    over.store(true, SeqCst);
    for thief in thieves {
        thief.join().expect("the thief has not panicked");
    }
    assert!(seen.iter().all(|n| n.load(Relaxed) == 1));
}

#[test]
fn a_random_order_visits_everybody_exactly_once() {
    let mut order = rt::queues::RandomOrder::new();
    for count in 1..=65 {
        order.reset(count);
        let mut different = HashSet::new();
        for i in 0..3 * count * count {
            let visited: Vec<u32> = order.start(i).collect();
            let unique: HashSet<u32> = visited.iter().copied().collect();
            assert_eq!(
                (visited.len(), unique.len()),
                (count as usize, count as usize)
            );
            assert!(visited.iter().all(|&p| p < count));
            different.insert(visited);
        }
        assert!(different.len() as u32 >= count, "it is not random at all");
    }
}

#[test]
fn a_thief_looks_four_times_and_touches_runnext_the_last_time_only() {
    static LOOKS: std::sync::Mutex<Vec<(usize, bool)>> = std::sync::Mutex::new(Vec::new());
    fn grab(pp: &'static rt::gmp::P, victim: &'static rt::gmp::P, t: u32, steal_next: bool) -> u32 {
        let mut looks = LOOKS.lock().expect("no panic while it is held");
        looks.push((victim.id.get(), steal_next));
        drop(looks);
        rt::queues::runqgrab(pp, victim, t, steal_next)
    }
    const WATCHED: Stage = Stage {
        name: "watched",
        runqgrab: grab,
        ..STAGE
    };
    with(Runtime::new(&WATCHED).procs(2), || {
        // A thread for the second P, which finds nothing and looks everywhere. Main's P is
        // the only one that it can look at.
        go("worker", || {});
        let deadline = Instant::now() + Duration::from_secs(20);
        while rt::gmp::SCHED.npidle.load(SeqCst) == 0 || rt::gmp::SCHED.searchers.count() != 0 {
            std::thread::yield_now();
            if Instant::now() > deadline {
                rt::last_words::throw("the second P never goes to rest");
            }
        }
    });
    let looks = LOOKS.lock().expect("as above");
    let mine = |p| {
        looks
            .iter()
            .filter(|l| l.0 == p)
            .map(|l| l.1)
            .collect::<Vec<_>>()
    };
    assert_eq!(rt::queues::STEAL_PASSES, 4);
    for p in [0, 1] {
        let looks = mine(p);
        // Whole visits of four passes; the last one may have ended early, with loot.
        for pass in looks.split_inclusive(|last| *last) {
            let early = pass.len() < 4 && !pass.contains(&true);
            assert!(pass == [false, false, false, true] || early, "{looks:?}");
        }
    }
    assert!(
        looks.iter().any(|l| l.1),
        "nobody ever came to the last pass"
    );
}
