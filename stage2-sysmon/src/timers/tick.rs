//! Timers that programs hold: a channel that gets a value when a time has come,
//! once or again and again, or a function that is called then. Mirrors `sleep.go` and `tick.go`
//! of Go's package `time`, and `timer.maybeRunChan` of the runtime's `time.go`.
//!
//! In two points we follow Go 1.23, where these timers changed. A timer that is due fires
//! before a goroutine asks its channel (`GODEBUG=asynctimerchan=1` takes that back: then, as
//! until 1.22, it fires when a P looks at its timers). And a timer from whose channel no
//! goroutine can receive any more is taken away; until 1.22 an [`after`] that had lost its
//! `select!` stayed until its time had come.
//!
//! Tests: `timers.rs`, from `after_sends_once` on.

use crate::timers::sleep::{from_now, nanoseconds};
use crate::timers::{
    Fire, NEVER, SharedAlarm, announce, deltimer, my_p, one_reason_less, put, take_due,
};
use stage1_coop::rt::arch::{on_goroutine, systemstack};
use stage1_coop::rt::gmp::P;
use stage1_coop::rt::life::GodebugKey;
use stage1_coop::rt::os::{Lock, nanotime};
use stage1_coop::rt::sched::go_on_g0;
use stage1_coop::rt::sync::Source;
use stage1_coop::rt::word::Word;
use stage1_coop::{Chan, Receiver, prologue};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Go's switch back to timers that fire only when a P looks at them.
pub static ASYNCTIMERCHAN: GodebugKey = GodebugKey {
    name: "asynctimerchan",
    doc: "1: a channel's timer fires when a P looks at its timers, as until Go 1.22",
    value: AtomicI64::new(0),
};

fn async_timer_chan() -> bool {
    ASYNCTIMERCHAN.value.load(Relaxed) != 0
}

/// A timer with what it does. Go's `timer`, inside of `time.Timer` and `time.Ticker`.
struct Tick {
    /// Taken before the P's lock of its timers, and held over a send: after [`Tick::disarm`]
    /// nothing comes that was meant before. Go's `sendLock`.
    lock: Lock,
    /// Only this file sends here, and it never closes the channel: others have a [`Receiver`].
    c: Chan<()>,
    /// What to call instead of sending.
    call: Option<Box<dyn Fn() + Send + Sync>>,
    /// Nanoseconds until it fires again, or 0.
    period: u64,
    /// The P whose timer it is, and where it is in that one's heap (under the heap's lock).
    pp: &'static P,
    place: Word,
    /// When it fires, [`NEVER`] if it does not. Written under the lock, read by all.
    when: AtomicU64,
    /// Counts how often it was set or stopped: older ones are not meant any more. Under the
    /// lock.
    seq: Word,
}

impl Tick {
    fn new(period: u64, call: Option<Box<dyn Fn() + Send + Sync>>) -> Arc<Tick> {
        Arc::new(Tick {
            lock: Lock::new(),
            c: Chan::new(1),
            call,
            period,
            pp: my_p(),
            place: Word::new(0),
            when: AtomicU64::new(NEVER),
            seq: Word::new(0),
        })
    }

    /// The lock is held: takes the timer away, and a value that was not received. Returns
    /// whether it was set.
    fn disarm(&self) -> bool {
        // If it is on its way already, the number stops it.
        self.seq.bump();
        deltimer(self.pp, &self.place);
        if !async_timer_chan() {
            let _ = self.c.try_recv();
        }
        self.when.swap(NEVER, Relaxed) != NEVER
    }

    /// Stops it, and sets it again unless `when` is [`NEVER`]. On `g0`, because a guard check
    /// with the lock in hand would be refused, and in a system call, where a timer may well be
    /// dropped, it would be the end.
    fn set(self: &Arc<Tick>, when: u64) -> bool {
        let mut was = false;
        systemstack(|| {
            self.lock.raw_lock();
            was = self.disarm();
            if when != NEVER {
                self.arm(when);
            }
            // SAFETY: taken above, on this thread.
            unsafe { self.lock.unlock() };
            if when == NEVER {
                one_reason_less();
            } else {
                announce(when);
            }
        });
        was
    }

    /// The lock is held.
    fn arm(self: &Arc<Tick>, when: u64) {
        self.when.store(when, Relaxed);
        put(self.pp, when, Fire::Shared(self.clone(), self.number()));
    }

    /// Of the timer that is set now, the low bits: older ones are out of date.
    fn number(&self) -> u32 {
        self.seq.get() as u32
    }
}

impl SharedAlarm for Tick {
    fn place(&self) -> &Word {
        &self.place
    }

    /// It was due at `when`, and is out of its heap. On `g0`, where nothing of the program's may
    /// run: a function gets a goroutine of its own, and what it owns is dropped there. Go's
    /// `sendTime` and `goFunc`, and the part of `unlockAndRun` for timers that repeat.
    fn fire(self: Arc<Tick>, seq: u32, when: u64, now: u64) {
        self.lock.raw_lock();
        let meant = self.number() == seq;
        if meant {
            self.when.store(NEVER, Relaxed);
            // The next multiple that is not over yet: a late ticker does not catch up.
            if let Some(missed) = now.saturating_sub(when).checked_div(self.period) {
                let further = self.period.saturating_mul(missed + 1);
                self.arm(when.saturating_add(further).min(NEVER - 1));
            }
            if self.call.is_none() {
                // A full channel has a tick that was not taken yet; one is enough.
                let _ = self.c.try_send(());
            }
        }
        // SAFETY: taken above, on this thread.
        unsafe { self.lock.unlock() };
        if self.call.is_some() {
            go_on_g0("timer", move || {
                if let (true, Some(f)) = (meant, &self.call) {
                    f();
                }
            });
        }
    }
}

/// As long as a goroutine can receive from the timer's channel.
struct Wanted(Arc<Tick>);

impl Source for Wanted {
    /// Go's `maybeRunChan`.
    fn look(&self) {
        let tick = &self.0;
        let when = tick.when.load(Relaxed);
        if when == NEVER || !on_goroutine() || async_timer_chan() {
            return;
        }
        let now = nanotime();
        if when <= now {
            systemstack(|| {
                if let Some((when, Fire::Shared(tick, seq))) = take_due(tick.pp, &tick.place, now) {
                    tick.fire(seq, when, now);
                }
            });
        }
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.set(NEVER);
    }
}

/// A timer, set, and the end from which its ticks are received.
fn start(time: Duration, period: u64) -> (Arc<Tick>, Receiver<()>) {
    prologue!();
    let tick = Tick::new(period, None);
    tick.set(from_now(time));
    let c = Receiver::with_source(tick.c.clone(), Arc::new(Wanted(tick.clone())));
    (tick, c)
}

/// A channel that gets one value when this time has passed. Go's `time.After`.
///
/// # Panics
/// On a thread that the runtime did not make.
pub fn after(time: Duration) -> Receiver<()> {
    start(time, 0).1
}

/// A channel that gets a value again and again. Ticks that are not taken in time are left
/// out. Go's `time.Ticker`; dropping it stops it.
/// It belongs to its run.
pub struct Ticker {
    tick: Arc<Tick>,
    c: Receiver<()>,
}

impl Ticker {
    /// Ticks every `period`, for the first time one period from now. Go's `time.NewTicker`.
    ///
    /// # Panics
    /// If the period is zero; and on a thread that the runtime did not make.
    pub fn new(period: Duration) -> Ticker {
        assert!(!period.is_zero(), "non-positive interval for Ticker::new");
        let (tick, c) = start(period, nanoseconds(period));
        Ticker { tick, c }
    }

    /// Where the ticks come. The channel stays open when the ticker stops, and nothing comes
    /// any more.
    pub fn c(&self) -> &Receiver<()> {
        &self.c
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.tick.set(NEVER);
    }
}

/// A time that has not come yet, and that can be called off. Go's `time.Timer`.
///
/// It belongs to the run in which it was made: set in a later one, it never fires.
///
/// ```no_run
/// # use std::time::Duration;
/// # use stage2_sysmon::{Runtime, STAGE, Timer};
/// # unsafe { Runtime::new(&STAGE).run(|| {
/// let timer = Timer::new(Duration::from_secs(60));
/// assert!(timer.reset(Duration::from_millis(1)), "it was still to come");
/// timer.c().recv();
/// assert!(!timer.stop(), "it has come");
/// # }) };
/// ```
pub struct Timer {
    tick: Arc<Tick>,
    c: Receiver<()>,
}

impl Timer {
    /// Sends once when this time has passed. Go's `time.NewTimer`.
    ///
    /// # Panics
    /// On a thread that the runtime did not make.
    pub fn new(time: Duration) -> Timer {
        let (tick, c) = start(time, 0);
        Timer { tick, c }
    }

    /// Where the value comes. From a timer of [`after_func`] nothing ever does.
    pub fn c(&self) -> &Receiver<()> {
        &self.c
    }

    /// Calls it off; returns whether it was still to come. A value that has come and was not
    /// received is gone. A function that has begun is not waited for. Go's `Stop`.
    pub fn stop(&self) -> bool {
        prologue!();
        self.tick.set(NEVER)
    }

    /// As [`stop`](Self::stop), without a check: for what is dropped.
    pub(crate) fn release(&self) {
        self.tick.set(NEVER);
    }

    /// Sets it to this long from now, whatever it was set to before. Returns what
    /// [`stop`](Self::stop) would. Go's `Reset`.
    ///
    /// # Panics
    /// On a thread that the runtime did not make.
    pub fn reset(&self, time: Duration) -> bool {
        prologue!();
        self.tick.set(from_now(time))
    }
}

/// Calls `f` on a goroutine of its own when this time has passed, unless it is stopped before.
/// Dropping what it returns does not stop it. Go's `time.AfterFunc`.
///
/// ```no_run
/// # use std::time::Duration;
/// # use stage2_sysmon::{Chan, Runtime, STAGE, after_func};
/// # unsafe { Runtime::new(&STAGE).run(|| {
/// let rang = Chan::new(1);
/// let ring = rang.clone();
/// let alarm = after_func(Duration::from_millis(1), move || ring.send("late"));
/// assert_eq!(rang.recv(), Some("late"));
/// assert!(!alarm.stop());
/// # }) };
/// ```
///
/// # Panics
/// On a thread that the runtime did not make.
pub fn after_func(time: Duration, f: impl Fn() + Send + Sync + 'static) -> Timer {
    prologue!();
    let tick = Tick::new(0, Some(Box::new(f)));
    tick.set(from_now(time));
    let c = tick.c.clone().into();
    Timer { tick, c }
}
