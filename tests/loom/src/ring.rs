//! The ring against thieves: whatever the order of steps, each item is taken exactly once,
//! and what it points at is seen as it was when it was put.

use crate::runq::Runq;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;

/// An item: its number, and a word that the owner writes before it is queued. The word is
/// relaxed: only the queue's own order makes it visible.
struct Item {
    id: usize,
    written: AtomicUsize,
    taken: AtomicUsize,
}

fn items(n: usize) -> Vec<&'static Item> {
    (0..n)
        .map(|id| {
            &*Box::leak(Box::new(Item {
                id,
                written: AtomicUsize::new(0),
                taken: AtomicUsize::new(0),
            }))
        })
        .collect()
}

fn take(item: &Item) {
    assert_eq!(
        item.written.load(Relaxed),
        item.id + 1,
        "item seen before it was written"
    );
    assert_eq!(
        item.taken.fetch_add(1, Relaxed),
        0,
        "item {} taken twice",
        item.id
    );
}

fn put(q: &Runq<Item>, item: &'static Item, next: bool, over: &mut Vec<&'static Item>) {
    item.written.store(item.id + 1, Relaxed);
    q.put(item, next, |batch| over.extend(batch));
}

/// The owner puts and gets while a thief steals once, `steals` times.
fn against_a_thief(n: usize, next: bool, gets: usize, steals: usize, take_next: bool) {
    loom::model(move || {
        let items = items(n);
        let victim = Arc::new(Runq::<Item>::new());
        let mut over = Vec::new();
        let thief = {
            let victim = victim.clone();
            thread::spawn(move || {
                let mine = Runq::<Item>::new();
                for _ in 0..steals {
                    if let Some((item, _)) =
                        mine.steal_with(|t| victim.grab(&mine, t, || take_next))
                    {
                        take(item);
                    }
                    while let Some((item, _)) = mine.get() {
                        take(item);
                    }
                }
            })
        };
        for &item in &items {
            put(&victim, item, next, &mut over);
        }
        for _ in 0..gets {
            if let Some((item, _)) = victim.get() {
                take(item);
            }
        }
        thief.join().unwrap();
        while let Some((item, _)) = victim.get() {
            take(item);
        }
        for item in over {
            take(item);
        }
        for item in &items {
            assert_eq!(item.taken.load(Relaxed), 1, "item {} lost", item.id);
        }
    });
}

#[test]
fn owner_puts_and_gets_while_a_thief_steals() {
    against_a_thief(3, false, 2, 1, false);
}

#[test]
fn the_last_item_goes_to_one_of_them() {
    against_a_thief(1, false, 1, 2, false);
}

#[test]
fn runnext_goes_to_one_of_them() {
    against_a_thief(1, true, 1, 1, true);
}

#[test]
fn runnext_is_kicked_out_while_a_thief_looks() {
    against_a_thief(2, true, 1, 1, true);
}

#[test]
fn a_full_ring_overflows_while_a_thief_steals() {
    against_a_thief(5, false, 0, 1, false);
}

#[test]
fn two_thieves() {
    let mut model = loom::model::Builder::new();
    // Three threads: at most three switches away from a thread that could go on.
    model.preemption_bound = Some(3);
    model.check(|| {
        let items = items(3);
        let victim = Arc::new(Runq::<Item>::new());
        for &item in &items {
            put(&victim, item, false, &mut Vec::new());
        }
        let thieves: Vec<_> = (0..2)
            .map(|_| {
                let victim = victim.clone();
                thread::spawn(move || {
                    let mine = Runq::<Item>::new();
                    if let Some((item, _)) = mine.steal_with(|t| victim.grab(&mine, t, || false)) {
                        take(item);
                    }
                    while let Some((item, _)) = mine.get() {
                        take(item);
                    }
                })
            })
            .collect();
        if let Some((item, _)) = victim.get() {
            take(item);
        }
        for thief in thieves {
            thief.join().unwrap();
        }
        while let Some((item, _)) = victim.get() {
            take(item);
        }
        for item in &items {
            assert_eq!(item.taken.load(Relaxed), 1, "item {} lost", item.id);
        }
    });
}
