//! The word between a goroutine that waits for a descriptor and whoever wakes it: the very
//! file of the runtime, with loom's word in it, and around it what `netpoll/polldesc.rs` and the
//! kernel do.
//!
//! The kernel is a lock with a flag behind it: a write puts bytes there and then tells the
//! poller; a read takes them or says "not now". A goroutine that nobody wakes would wait for
//! ever, and loom finds that nothing can go on.

use crate::pollword::PollWord;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*, fence};
use loom::sync::{Arc, Mutex, Notify};
use loom::thread;

/// A goroutine: it sleeps here.
struct G {
    awake: Notify,
    /// Written before it can be found, read by who finds it. Relaxed: only the word orders it.
    status: AtomicUsize,
}

struct Pd {
    word: PollWord<G>,
    closing: AtomicBool,
    /// Whether the kernel was told of the descriptor in this run.
    known_in: AtomicUsize,
    /// Bytes in the kernel.
    bytes: Mutex<usize>,
}

/// The number of this run.
const RUN: usize = 1;

fn pd() -> Arc<Pd> {
    Arc::new(Pd {
        word: PollWord::new(),
        closing: AtomicBool::new(false),
        known_in: AtomicUsize::new(RUN),
        bytes: Mutex::new(0),
    })
}

/// Never freed within a model, as the runtime's.
fn goroutine() -> &'static G {
    Box::leak(Box::new(G {
        awake: Notify::new(),
        status: AtomicUsize::new(0),
    }))
}

fn wake(gp: Option<&'static G>) {
    if let Some(gp) = gp {
        assert_eq!(gp.status.load(Relaxed), 1, "it was found before it waited");
        gp.awake.notify();
    }
}

impl Pd {
    /// The kernel's end: bytes come, and the poller hears of it.
    fn bytes_come(&self) {
        *self.bytes.lock().unwrap() += 1;
        wake(self.word.unblock(true));
    }

    /// `evict`: whoever waits shall not.
    fn close(&self) {
        self.closing.store(true, Release);
        wake(self.stop_waiting(true));
    }

    fn stop_waiting(&self, barrier: bool) -> Option<&'static G> {
        if barrier {
            fence(SeqCst);
        }
        if self.known_in.load(Acquire) != RUN {
            return None;
        }
        self.word.stop_waiting()
    }

    fn try_read(&self) -> bool {
        let mut bytes = self.bytes.lock().unwrap();
        let some = *bytes > 0;
        *bytes -= usize::from(some);
        some
    }

    /// `wait`: false when it was closed.
    fn wait(&self, gp: &'static G) -> bool {
        loop {
            if self.closing.load(Acquire) {
                return false;
            }
            if !self.word.prepare() {
                return true;
            }
            if !self.closing.load(Acquire) {
                gp.status.store(1, Relaxed);
                if self.word.commit(gp) {
                    gp.awake.wait();
                }
            }
            if self.word.finish() {
                return true;
            }
        }
    }

    /// `attempt`: whether a byte was read.
    fn read(&self, gp: &'static G) -> bool {
        if self.closing.load(Acquire) {
            return false;
        }
        self.word.reset();
        loop {
            if self.try_read() {
                return true;
            }
            if !self.wait(gp) {
                return false;
            }
        }
    }
}

#[test]
fn what_comes_is_read_whenever_it_comes() {
    loom::model(|| {
        let pd = pd();
        let kernel = {
            let pd = pd.clone();
            thread::spawn(move || pd.bytes_come())
        };
        assert!(pd.read(goroutine()));
        kernel.join().unwrap();
    });
}

#[test]
fn what_comes_twice_is_read_twice() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let pd = pd();
        let kernel = {
            let pd = pd.clone();
            thread::spawn(move || {
                pd.bytes_come();
                pd.bytes_come();
            })
        };
        let gp = goroutine();
        assert!(pd.read(gp));
        assert!(pd.read(gp));
        kernel.join().unwrap();
    });
}

#[test]
fn who_waits_for_what_is_closed_wakes() {
    loom::model(|| {
        let pd = pd();
        let closer = {
            let pd = pd.clone();
            thread::spawn(move || pd.close())
        };
        assert!(!pd.read(goroutine()));
        closer.join().unwrap();
    });
}

/// Bytes and the close at the same time: one of the two ends the wait, and nobody is woken
/// twice.
#[test]
fn closing_and_bytes_at_once() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let pd = pd();
        let kernel = {
            let pd = pd.clone();
            thread::spawn(move || pd.bytes_come())
        };
        let closer = {
            let pd = pd.clone();
            thread::spawn(move || pd.close())
        };
        pd.read(goroutine());
        kernel.join().unwrap();
        closer.join().unwrap();
    });
}

/// Goes to sleep as `wait` does, and does not sleep: when `closer` is done, somebody must have
/// woken the goroutine.
fn must_be_woken(pd: &Pd, look_again: bool, closer: thread::JoinHandle<bool>) {
    let mut asleep = false;
    if !pd.closing.load(Acquire) && pd.word.prepare() && !(look_again && pd.closing.load(Acquire)) {
        asleep = pd.word.commit(goroutine());
    }
    let woke = closer.join().unwrap();
    assert!(woke || !asleep, "it sleeps for ever");
}

#[test]
fn who_closes_finds_who_sleeps() {
    loom::model(|| {
        let pd = pd();
        let closer = {
            let pd = pd.clone();
            thread::spawn(move || {
                pd.closing.store(true, Release);
                pd.word.stop_waiting().is_some()
            })
        };
        must_be_woken(&pd, true, closer);
    });
}

/// The model notices when whoever waits looks at `closing` before it says that it waits, and
/// not again afterwards: then a close in between wakes nobody.
#[test]
#[should_panic = "it sleeps for ever"]
fn who_looks_only_before_it_says_that_it_waits_sleeps_for_ever() {
    loom::model(|| {
        let pd = pd();
        let closer = {
            let pd = pd.clone();
            thread::spawn(move || {
                pd.closing.store(true, Release);
                pd.word.stop_waiting().is_some()
            })
        };
        must_be_woken(&pd, false, closer);
    });
}

/// And when whoever closes has no barrier between writing that down and looking for somebody
/// who waits.
#[test]
#[should_panic = "it sleeps for ever"]
fn without_the_barrier_each_misses_the_other() {
    loom::model(|| {
        let pd = pd();
        let closer = {
            let pd = pd.clone();
            thread::spawn(move || {
                pd.closing.store(true, Release);
                pd.word.unblock(false).is_some()
            })
        };
        must_be_woken(&pd, true, closer);
    });
}

/// The first one who waits in a run makes the descriptor known, and somebody closes it at that
/// moment: who closes looks whether it is known, who waits whether it is closed.
fn closed_while_it_becomes_known(barrier: bool) {
    loom::model(move || {
        let pd = pd();
        pd.known_in.store(0, Relaxed);
        let closer = {
            let pd = pd.clone();
            thread::spawn(move || {
                pd.closing.store(true, Release);
                pd.stop_waiting(barrier).is_some()
            })
        };
        // `make_known`: before the kernel is told.
        pd.known_in.store(RUN, Release);
        must_be_woken(&pd, true, closer);
    });
}

#[test]
fn who_closes_finds_the_first_one_who_waits() {
    closed_while_it_becomes_known(true);
}

/// The model notices when whoever closes has no barrier before the look whether anybody of this
/// run can wait.
#[test]
#[should_panic = "it sleeps for ever"]
fn without_the_barrier_the_first_one_who_waits_is_missed() {
    closed_while_it_becomes_known(false);
}

/// `make_known` of one mode fails. Meanwhile the descriptor counts as known, and a goroutine of
/// the other mode goes to sleep: it must wake and try itself.
fn the_kernel_refuses(wakes: bool, look_again: bool) {
    loom::model(move || {
        let pd = pd();
        let refused = {
            let pd = pd.clone();
            thread::spawn(move || {
                pd.known_in.store(0, Release);
                wakes && pd.word.stop_waiting().is_some()
            })
        };
        let known = || pd.known_in.load(Acquire) == RUN;
        let mut asleep = false;
        if known() && pd.word.prepare() && (!look_again || known()) {
            asleep = pd.word.commit(goroutine());
        }
        let woke = refused.join().unwrap();
        assert!(woke || !asleep, "it sleeps for ever");
    });
}

#[test]
fn a_refusal_is_told_to_the_other_side() {
    the_kernel_refuses(true, true);
}

/// The model notices when the one that is refused wakes nobody, and when the other one does not
/// look again after it has said that it waits.
#[test]
#[should_panic = "it sleeps for ever"]
fn a_refusal_that_wakes_nobody_leaves_the_other_side_asleep() {
    the_kernel_refuses(false, true);
}

/// See above.
#[test]
#[should_panic = "it sleeps for ever"]
fn without_a_second_look_the_other_side_is_missed() {
    the_kernel_refuses(true, false);
}
