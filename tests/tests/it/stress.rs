//! Everything at once, free-running: goroutines that yield, talk over channels, take
//! mutexes, start others, lock threads, dive deep and unwind, on 2 to 8 Ps, while a third
//! party raises the flag every few milliseconds. What must hold in the end is a sum: nobody
//! is lost, no wake-up is lost (the run would not end), no value is lost or doubled.
//!
//! Rows 1, 10 to 13, 18 to 24, 28 and 29 of the list of mechanisms, together. Five seconds
//! by default, ten minutes with `SAFEPOINT_LONG=1`.

use stage1_coop::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};
use std::time::{Duration, Instant};
use tests::{Random, gettid, long, within};

/// How long one of the four runs goes on.
fn duration() -> Duration {
    if long() {
        Duration::from_secs(150)
    } else {
        Duration::from_millis(1200)
    }
}

/// Asks everybody every 2 ms, or one P.
fn raise_the_flag(me: &mut ThirdParty) {
    let mut turn = 0;
    while me.sleep(Duration::from_millis(2)) {
        turn += 1;
        if turn % 3 == 0 {
            me.raise_the_flag_on(turn % rt::gmp::gomaxprocs());
        } else {
            me.raise_the_flag();
        }
    }
}

fn run<R: Send + 'static>(procs: usize, main: impl FnOnce() -> R + Send + 'static) -> R {
    let runtime = Runtime::new(&STAGE)
        .procs(procs)
        .third_party(raise_the_flag);
    // SAFETY: nothing in this file keeps anything that belongs to a thread across a yield.
    unsafe { within(duration() + Duration::from_secs(60), runtime, main) }
}

/// What the goroutines of one run share, and what they have done.
struct World {
    until: Instant,
    started: AtomicU64,
    ended: AtomicU64,
    /// Values sent and received through `ring`, as sums.
    sent: AtomicU64,
    received: AtomicU64,
    ring: Chan<u64>,
    pairs: Vec<Chan<u64>>,
    /// Two counters that must stay equal: only together, under the lock.
    twins: Mutex<(u64, u64)>,
    added: AtomicU64,
    /// Things that must never be seen.
    wrong: AtomicUsize,
    everybody: WaitGroup,
}

impl World {
    fn check(&self, holds: bool) {
        if !holds {
            self.wrong.fetch_add(1, Relaxed);
        }
    }
}

#[gofunc]
fn fib(n: u64) -> u64 {
    if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
}

#[gofunc]
fn dive(levels: u64) -> u64 {
    if levels == 0 {
        return 0;
    }
    let mut here = [levels; 32];
    let below = with_frame(1024, || dive(levels - 1));
    std::hint::black_box(&mut here);
    if here.iter().all(|&n| n == levels) {
        below + 1
    } else {
        u64::MAX / 2
    }
}

/// Yields when it is dropped.
struct YieldOnDrop;
impl Drop for YieldOnDrop {
    fn drop(&mut self) {
        gosched();
    }
}

struct Count<'a>(&'a AtomicU64);
impl Drop for Count<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

fn start(world: &Arc<World>, name: &'static str, f: impl FnOnce(&Arc<World>) + Send + 'static) {
    world.started.fetch_add(1, Relaxed);
    world.everybody.add(1);
    let w = world.clone();
    go(name, move || {
        struct End(Arc<World>);
        impl Drop for End {
            fn drop(&mut self) {
                self.0.ended.fetch_add(1, Relaxed);
                self.0.everybody.done();
            }
        }
        let end = End(w);
        f(&end.0);
    });
}

/// One goroutine's life: one thing after the other, chosen at random.
fn live(w: &Arc<World>, seed: u64) {
    let mut random = Random::new(seed);
    while Instant::now() < w.until {
        match random.below(12) {
            0 => gosched(),
            1 => {
                // A value goes round: whoever sends it also takes one out, later.
                let n = random.below(1000);
                select! {
                    send(w.ring, n) => { w.sent.fetch_add(n, Relaxed); }
                    recv(w.ring) -> got => { w.received.fetch_add(got.unwrap_or(0), Relaxed); }
                }
            }
            2 => {
                let mut twins = w.twins.lock();
                twins.0 += 1;
                if random.below(4) == 0 {
                    // Kept across a yield, perhaps to another thread.
                    gosched();
                }
                w.check(twins.0 == twins.1 + 1);
                twins.1 += 1;
                w.added.fetch_add(1, Relaxed);
            }
            3 => {
                // A burst of short ones, and somebody who waits for them: the same group
                // again and again.
                let all = WaitGroup::new();
                let count = Arc::new(AtomicU64::new(0));
                for round in 1..=3 {
                    let n = 1 + random.below(8);
                    let before = count.load(Relaxed);
                    all.add(n as usize);
                    for _ in 0..n {
                        let (all, count) = (all.clone(), count.clone());
                        start(w, "short", move |_| {
                            count.fetch_add(round, Relaxed);
                            all.done();
                        });
                    }
                    all.wait();
                    w.check(count.load(Relaxed) == before + n * round);
                }
            }
            4 => {
                lock_os_thread();
                let tid = gettid();
                for _ in 0..random.below(3) {
                    gosched();
                    w.check(gettid() == tid);
                }
                fib(10);
                w.check(gettid() == tid);
                unlock_os_thread();
            }
            5 => {
                let levels = random.below(100);
                w.check(dive(levels) == levels);
            }
            6 => {
                let section = acquirem();
                let tid = gettid();
                fib(12);
                w.check(gettid() == tid);
                drop(section);
            }
            7 => w.check(fib(18) == 2584),
            8 => {
                // A rendezvous with a fresh goroutine, both ways.
                let (there, back) = (Chan::new(0), Chan::new(random.below(2) as usize));
                let (from, to) = (there.clone(), back.clone());
                start(w, "echo", move |_| {
                    for n in from.iter() {
                        to.send(n + 1);
                    }
                    to.close();
                });
                for n in 0..3_u64 {
                    there.send(n);
                    w.check(back.recv() == Some(n + 1));
                }
                there.close();
                w.check(back.recv().is_none());
            }
            9 => {
                // Ends in the middle of a call, and its frames are still dropped.
                let (ended, end) = (Arc::new(AtomicU64::new(0)), Chan::<()>::new(0));
                let (e, c) = (ended.clone(), end.clone());
                start(w, "goexit", move |_| {
                    struct Close(Chan<()>);
                    impl Drop for Close {
                        fn drop(&mut self) {
                            self.0.close();
                        }
                    }
                    let _last = Close(c);
                    let _first = Count(&e);
                    goexit();
                });
                w.check(end.recv().is_none());
                w.check(ended.load(Relaxed) == 1);
            }
            10 => {
                // Unwinds through a destructor that yields: the same thread throughout, and
                // its count of panics is right again afterwards.
                let tids = catch_unwind(AssertUnwindSafe(|| {
                    let _yield = YieldOnDrop;
                    std::panic::resume_unwind(Box::new(gettid()));
                }));
                let tid = tids.err().and_then(|p| p.downcast_ref::<i32>().copied());
                w.check(tid.is_some() && !std::thread::panicking());
            }
            _ => {
                // Three who pass a number round.
                let i = random.below(w.pairs.len() as u64) as usize;
                select! {
                    recv(w.pairs[i]) -> n => w.check(n == Some(i as u64)),
                    send(w.pairs[i], i as u64) => {},
                    default => gosched(),
                }
            }
        }
    }
}

fn stress(procs: usize) {
    let world = run(procs, move || {
        let world = Arc::new(World {
            until: Instant::now() + duration(),
            started: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            ring: Chan::new(16),
            pairs: (0..3).map(|_| Chan::new(0)).collect(),
            twins: Mutex::new((0, 0)),
            added: AtomicU64::new(0),
            wrong: AtomicUsize::new(0),
            everybody: WaitGroup::new(),
        });
        let seed = if long() {
            u64::from(std::process::id())
        } else {
            procs as u64
        };
        for i in 0..24 {
            start(&world, "life", move |w| live(w, seed * 100 + i));
        }
        // The ring and the pairs keep somebody waiting when all others have ended: this one
        // serves them until nobody is left.
        let over = Chan::<()>::new(0);
        let (w, o) = (world.clone(), over.clone());
        let served = WaitGroup::new();
        served.add(1);
        let s = served.clone();
        go("server", move || {
            let mut open = true;
            while open {
                select! {
                    recv(o) -> _ => open = false,
                    recv(w.ring) -> got => { w.received.fetch_add(got.unwrap_or(0), Relaxed); }
                    send(w.ring, 1) => { w.sent.fetch_add(1, Relaxed); }
                    recv(w.pairs[0]) -> n => w.check(n == Some(0)),
                    recv(w.pairs[1]) -> n => w.check(n == Some(1)),
                    recv(w.pairs[2]) -> n => w.check(n == Some(2)),
                }
            }
            s.done();
        });
        world.everybody.wait();
        over.close();
        served.wait();
        while let Ok(Some(n)) = world.ring.try_recv() {
            world.received.fetch_add(n, Relaxed);
        }
        world
    });
    assert_eq!(
        world.wrong.load(Relaxed),
        0,
        "something was not as it must be"
    );
    assert_eq!(world.started.load(Relaxed), world.ended.load(Relaxed));
    assert_eq!(world.sent.load(Relaxed), world.received.load(Relaxed));
    let twins = world.twins.try_lock().expect("nobody holds it any more");
    assert_eq!(*twins, (twins.0, twins.0));
    assert_eq!(twins.0, world.added.load(Relaxed));
    // It did run: not all the time was spent waiting for one another.
    assert!(world.started.load(Relaxed) > 24);
}

#[test]
fn everything_at_once_on_two_ps() {
    stress(2);
}

#[test]
fn everything_at_once_on_three_ps() {
    stress(3);
}

#[test]
fn everything_at_once_on_four_ps() {
    stress(4);
}

#[test]
fn everything_at_once_on_eight_ps() {
    stress(8);
}

/// A wait group is used again as soon as `wait` has returned, while the last `done` of the
/// round before may still be on its way out. It must not wake the wait of the new round.
#[test]
fn a_wait_group_serves_one_round_after_the_other() {
    let rounds = if long() { 50_000_000 } else { 300_000 };
    let early = run(4, move || {
        let all = WaitGroup::new();
        let ended = Arc::new(AtomicU64::new(0));
        for round in 1..=rounds {
            all.add(1);
            let (a, e) = (all.clone(), ended.clone());
            go("short", move || {
                e.fetch_add(1, Relaxed);
                a.done();
            });
            all.wait();
            if ended.load(Relaxed) != round {
                return Some(round);
            }
        }
        None
    });
    assert_eq!(early, None, "wait has returned before done was called");
}
