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
//! Tests: `timers::ticks`, `timers::runs`.

use crate::timers::sleep::{from_now, nanoseconds};
use crate::timers::{
    Fire, NEVER, SharedAlarm, announce, deltimer, is_of_this_run, my_p, one_reason_less, put,
    take_due,
};
use stage1_coop::rt::arch::{getm, on_goroutine, systemstack};
use stage1_coop::rt::gmp::P;
use stage1_coop::rt::life::GodebugKey;
use stage1_coop::rt::os::{Lock, nanotime};
use stage1_coop::rt::sched::go_on_g0;
use stage1_coop::rt::sync::Source;
use stage1_coop::rt::word::{Link, Word};
use stage1_coop::{Chan, Receiver, prologue};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Go's switch back to timers that fire only when a P looks at them.
pub static ASYNCTIMERCHAN: GodebugKey = GodebugKey {
    name: "asynctimerchan",
    doc: "1: a channel's timer fires when a P looks at its timers, as until Go 1.22, and not when the channel is asked",
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
    /// The P whose timer it is: written under the lock. While it is set, it stays with one P of
    /// one run; a later run's takes it over, see [`Tick::come_along`].
    pp: Link<P>,
    /// Where it is in that P's heap (under the heap's lock).
    place: Word,
    /// When it fires, [`NEVER`] if it does not. Written under the lock, read by all.
    when: AtomicU64,
    /// Counts how often it was set or stopped: older ones are not meant any more. Under the
    /// lock.
    seq: Word,
}

impl Tick {
    #[inline(never)]
    fn new(period: u64, call: Option<Box<dyn Fn() + Send + Sync>>) -> Arc<Tick> {
        let pp = Link::none();
        pp.set(Some(my_p()));
        Arc::new(Tick {
            lock: Lock::new(),
            c: Chan::new(1),
            call,
            period,
            pp,
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
        if let Some(pp) = self.pp.get() {
            deltimer(pp, &self.place);
        }
        if !async_timer_chan() {
            let _ = self.c.try_recv();
        }
        self.when.swap(NEVER, Relaxed) != NEVER
    }

    /// Stops it, and sets it again unless `when` is [`NEVER`]. On `g0`, because a guard check
    /// with the lock in hand would be refused, and in a system call, where a timer may well be
    /// dropped, it would be the end.
    #[inline(never)]
    fn set(self: &Arc<Tick>, when: u64) -> bool {
        let mut was = false;
        if when != NEVER {
            // Panics off the runtime's threads, and must not do so with the lock in hand.
            getm();
        }
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

    /// The lock is held, and it is in no heap.
    fn arm(self: &Arc<Tick>, when: u64) {
        self.when.store(when, Relaxed);
        put(self.home(), when, Fire::Shared(self.clone(), self.number()));
    }

    /// The P whose timer it becomes: the same as before, if that one is of this run. The lock
    /// is held, and it is in no heap.
    fn home(&self) -> &'static P {
        match self.pp.get() {
            Some(pp) if is_of_this_run(pp) => pp,
            _ => {
                let pp = my_p();
                self.pp.set(Some(pp));
                pp
            }
        }
    }

    /// Whether it is set, but to a P of an earlier run, whose timers no M looks at any more.
    /// Without the lock: only what [`come_along`](Self::come_along) finds counts.
    fn is_left_behind(&self) -> bool {
        self.pp.get().is_some_and(|pp| !is_of_this_run(pp))
    }

    /// A timer that was set in an earlier run moves to a P of this one, with the time that it
    /// has. Go's process is one run, so it has nothing like this.
    #[cold]
    #[inline(never)]
    fn come_along(&self) {
        systemstack(|| {
            self.lock.raw_lock();
            let old = self.pp.get().filter(|pp| !is_of_this_run(pp));
            let moved = old.and_then(|old| take_due(old, &self.place, NEVER));
            let when = moved.map(|(when, fire)| {
                put(self.home(), when, fire);
                when
            });
            // SAFETY: taken above, on this thread.
            unsafe { self.lock.unlock() };
            if let Some(when) = when {
                announce(when);
            }
        });
    }

    /// As [`take_due`], from the P that it is set to.
    fn take(&self, now: u64) -> Option<(u64, Fire)> {
        self.lock.raw_lock();
        let due = self.pp.get().and_then(|pp| take_due(pp, &self.place, now));
        // SAFETY: taken above, on this thread.
        unsafe { self.lock.unlock() };
        due
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
    #[inline(never)]
    fn look(&self) {
        let tick = &self.0;
        let when = tick.when.load(Relaxed);
        if when == NEVER || !on_goroutine() {
            return;
        }
        if tick.is_left_behind() {
            tick.come_along();
        }
        if async_timer_chan() {
            return;
        }
        let now = nanotime();
        if when <= now {
            systemstack(|| {
                if let Some((when, Fire::Shared(tick, seq))) = tick.take(now) {
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
#[inline(never)]
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
///
/// One that is kept over the end of its run goes on in the next as soon as something receives
/// from it there.
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
/// It can be kept over the end of its run. In the next one it fires if it is set again, or as
/// soon as something receives from it; a function of [`after_func`] is called only if it is set
/// again.
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
    #[inline(never)]
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
    #[inline(never)]
    pub fn reset(&self, time: Duration) -> bool {
        prologue!();
        self.tick.set(from_now(time))
    }
}

/// Calls `f` on a goroutine of its own when this time has passed, unless it is stopped before.
/// Dropping what it returns does not stop it. Go's `time.AfterFunc`.
///
/// When the run is over, so is the wait: the function would be a goroutine of that run. In a
/// later one it is called if the timer is set again.
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
