//! One signal in flight (`signalword.rs` of stage 3, which this runs): threads that ask, a
//! handler that answers, strangers whose signals merge with ours, and a thread that ends. Around
//! the word are what `preempt_m`, `sigtrampgo` and `minit` do, and a kernel that has room for one
//! pending signal.
//!
//! The kernel's word is relaxed: that a request is seen must not rest on how a signal travels.

use crate::signalword::SignalWord;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering::*};
use loom::thread;

/// A pending signal: none, or by whom the first one was sent. Later ones merge into it.
const NONE: u32 = 0;
const OURS: u32 = 1;
const STRANGERS: u32 = 2;

struct M {
    word: SignalWord,
    pending: AtomicU32,
    /// What askers leave, one word each.
    requests: [AtomicU32; 2],
}

impl M {
    fn new() -> Arc<M> {
        Arc::new(M {
            word: SignalWord::new(),
            pending: AtomicU32::new(NONE),
            requests: [AtomicU32::new(0), AtomicU32::new(0)],
        })
    }

    fn kill(&self, by: u32) {
        let _ = self.pending.compare_exchange(NONE, by, Relaxed, Relaxed);
    }

    /// `preempt_m`.
    fn ask(&self, who: usize) {
        self.requests[who].store(1, Relaxed);
        if self.word.ask().is_some() {
            self.kill(OURS);
        }
    }

    /// The requests that are seen, one bit each.
    fn look(&self) -> u32 {
        let bit = |who: usize| self.requests[who].load(Relaxed) << who;
        bit(0) | bit(1)
    }

    /// `sigtrampgo`, if a signal is pending.
    fn handle(&self) -> u32 {
        match self.pending.swap(NONE, Relaxed) {
            NONE => 0,
            _ => {
                self.word.landed();
                self.look()
            }
        }
    }
}

/// Two threads ask; on the M `handle` runs while they do and at the end. Which requests were
/// seen.
fn seen(handle: fn(&M) -> u32, strangers: bool) -> u32 {
    let m = M::new();
    let others: Vec<_> = (0..2)
        .map(|who| {
            let m = m.clone();
            thread::spawn(move || {
                if strangers && who == 1 {
                    m.kill(STRANGERS);
                } else {
                    m.ask(who);
                }
            })
        })
        .collect();
    let mut seen = handle(&m);
    for other in others {
        other.join().unwrap();
    }
    // What is pending still lands; nothing new comes.
    seen |= handle(&m);
    assert!(!m.word.in_flight(), "it is not pending");
    seen
}

#[test]
fn the_handler_sees_every_request_whoever_has_sent_the_signal() {
    loom::model(|| assert_eq!(seen(M::handle, false), 0b11));
}

#[test]
fn a_stranger_s_signal_answers_too() {
    loom::model(|| assert_eq!(seen(M::handle, true), 1));
}

/// The mark is cleared last: a request in between finds a signal in flight, and none comes.
#[test]
#[should_panic]
fn cleared_last_a_request_is_lost() {
    fn handle(m: &M) -> u32 {
        match m.pending.swap(NONE, Relaxed) {
            NONE => 0,
            _ => {
                let seen = m.look();
                m.word.landed();
                seen
            }
        }
    }
    loom::model(|| assert_eq!(seen(handle, false), 0b11));
}

/// The mark is cleared only by a signal that says it is ours: merged with a stranger's, it
/// does not say so.
#[test]
#[should_panic]
fn cleared_by_our_own_signals_alone_a_request_is_lost() {
    fn handle(m: &M) -> u32 {
        match m.pending.swap(NONE, Relaxed) {
            OURS => {
                m.word.landed();
                m.look()
            }
            _ => 0,
        }
    }
    loom::model(|| assert_eq!(seen(handle, true), 1));
}

/// Asking by an exchange that may fail: whoever finds the mark set releases nothing, so the
/// handler need not see its request.
#[test]
#[should_panic]
fn an_exchange_that_fails_releases_nothing() {
    loom::model(|| {
        let m = Arc::new((AtomicU32::new(0), M::new()));
        let others: Vec<_> = (0..2)
            .map(|who| {
                let m = m.clone();
                thread::spawn(move || {
                    let (word, m) = &*m;
                    m.requests[who].store(1, Relaxed);
                    if word.compare_exchange(0, 1, AcqRel, Relaxed).is_ok() {
                        m.kill(OURS);
                    }
                })
            })
            .collect();
        let handle = || match m.1.pending.swap(NONE, Relaxed) {
            NONE => 0,
            _ => {
                m.0.swap(0, AcqRel);
                m.1.look()
            }
        };
        let mut seen = handle();
        for other in others {
            other.join().unwrap();
        }
        seen |= handle();
        assert_eq!(seen, 0b11);
    });
}

/// The thread ends and another becomes the M, while a request is made: no signal counts as in
/// flight for ever.
#[test]
fn a_thread_that_ends_takes_no_mark_with_it() {
    loom::model(|| {
        let word = Arc::new(SignalWord::new());
        // Number of the M's thread as others see it: 1, 0 for none, 2.
        let procid = Arc::new(AtomicU32::new(1));
        // The kernel's: which thread lives, and whether a signal is pending on it.
        let (alive, pending) = (Arc::new(AtomicU32::new(1)), Arc::new(AtomicU32::new(0)));
        let asker = {
            let (word, procid) = (word.clone(), procid.clone());
            let (alive, pending) = (alive.clone(), pending.clone());
            thread::spawn(move || {
                for _ in 0..2 {
                    let Some(sender) = word.ask() else { continue };
                    let thread = procid.load(Acquire);
                    if thread != 0 && alive.load(Acquire) == thread {
                        pending.store(thread, Release);
                    } else {
                        word.vanished(sender);
                    }
                }
            })
        };
        procid.store(0, Release);
        alive.store(2, Release);
        procid.store(2, Release);
        word.landed();
        asker.join().unwrap();
        // A signal of the last thread's is gone with it.
        if word.in_flight() {
            assert_eq!(pending.load(Acquire), 2);
        }
    });
}
