//! The baton: exactly one thread of the runtime runs at a time, the one with the smallest
//! virtual clock.
//!
//! Every thread of the runtime is an *actor* with a clock. The holder of the baton runs
//! until its clock passes its *horizon*, the clock of the next ready actor; then it hands
//! the baton on. So slices on two Ps overlap in virtual time although one thread runs.
//!
//! Access: every field of every actor belongs to the holder of the baton. They
//! are relaxed atomics only so that a mistake is a wrong number and not undefined
//! behavior; the order comes from the hand-over, a release store of `turn` that the taker
//! acquires. The baton is awaited with all signals blocked, so a signal sent to a waiting
//! thread arrives at the instruction where that thread resumes.
//!
//! Tests: below; `determinism`.

use crate::{CHECK_NS, CLOCK_NS, Config, EVENT_NS, WAKE_NS, fds, sys, trap, watchdog};
use std::cell::UnsafeCell;
use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering::*,
};

/// Index of an actor: the lowest that is free when it registers.
pub type ActorId = usize;

/// Actors that one run may have at once. More threads than this end the run with one line.
pub(crate) const MAX_ACTORS: usize = 512;
/// A waiter looks this often whether the baton has moved. It gives the run up when, at
/// [`STUCK_LOOKS`] looks in a row, the thread that holds the baton slept in the kernel and had
/// not used its processor in between. A thread that computes, or that waits for a processor,
/// may take as long as it likes. The waiter counts its own looks: however long a machine is
/// frozen, that is one look.
const LOOK_MS: i64 = 100;
const STUCK_LOOKS: u32 = 100;

const FREE: u8 = 0;
const READY: u8 = 1;
const BLOCKED: u8 = 2;

pub(crate) struct Actor {
    /// The kernel's number of its thread.
    thread: AtomicI32,
    /// 1 while this actor has been given the baton and has not yet taken it.
    turn: AtomicU32,
    state: AtomicU8,
    /// Virtual nanoseconds. For a sleeping actor: when it wakes.
    pub(crate) clock: AtomicU64,
    /// The actor runs on until its clock passes this.
    pub(crate) horizon: AtomicU64,
    /// Set by `unblock`, so that a timed wait knows why it ended.
    notified: AtomicBool,
    /// Its clock when a timed sleep began.
    pub(crate) slept_at: AtomicU64,
    /// The descriptor that it waits for besides, -1 for none, and the events it wants.
    pub(crate) fd: AtomicI32,
    pub(crate) wanted: AtomicI32,
    /// State of this actor's jitter.
    jitter: AtomicU64,
    /// More than 0 while a raw lock is held: events take time but do not hand on.
    held: AtomicU32,
    pub(crate) watch: watchdog::Watch,
}

impl Actor {
    const fn new() -> Actor {
        Actor {
            thread: AtomicI32::new(0),
            turn: AtomicU32::new(0),
            state: AtomicU8::new(FREE),
            clock: AtomicU64::new(0),
            horizon: AtomicU64::new(0),
            notified: AtomicBool::new(false),
            slept_at: AtomicU64::new(0),
            fd: AtomicI32::new(-1),
            wanted: AtomicI32::new(0),
            jitter: AtomicU64::new(0),
            held: AtomicU32::new(0),
            watch: watchdog::Watch::new(),
        }
    }
}

struct ConfigCell(UnsafeCell<Option<Config>>);
// SAFETY: written by `start` before any second actor exists and before ON is set, read
// only while ON; `stop` writes after every other actor has left.
unsafe impl Sync for ConfigCell {}

static ON: AtomicBool = AtomicBool::new(false);
pub(crate) static ACTORS: [Actor; MAX_ACTORS] = [const { Actor::new() }; MAX_ACTORS];
/// Places that have been used in this run: one more than the largest index.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// Actors that have registered in this run. It enters the jitter.
static REGISTERED: AtomicU64 = AtomicU64::new(0);
/// Hand-overs so far: a waiter that sees it stand still knows that an actor is stuck.
static HANDOVERS: AtomicU64 = AtomicU64::new(0);
/// The actor that has the baton, or is about to take it.
static HOLDER: AtomicUsize = AtomicUsize::new(0);
static STUCK: AtomicBool = AtomicBool::new(false);
static CONFIG: ConfigCell = ConfigCell(UnsafeCell::new(None));
/// Why the trace depends on this build, if it does: 0, or a `Portable` as a number.
static PORTABLE: AtomicU8 = AtomicU8::new(0);

/// Whether the trace is the same with another compiler or profile, and if not, why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Portable {
    /// Nothing that the compiler decides entered the clock.
    Yes,
    /// A loop without a check burned more than half of the watchdog's time.
    NearWatchdog,
    /// A thread slept in the kernel with the baton in its hands, and the run was given up.
    Blocked,
    /// A stack grew where the compiler's frame sizes decide.
    StackGrowth,
    /// An actor waited for the world outside the process, whose clock is another.
    Outside,
}

/// Whether the trace so far is portable.
pub fn portable() -> Portable {
    match PORTABLE.load(Relaxed) {
        0 => Portable::Yes,
        1 => Portable::NearWatchdog,
        2 => Portable::StackGrowth,
        4 => Portable::Blocked,
        _ => Portable::Outside,
    }
}

/// Marks the trace as dependent on this build. The first reason stands.
pub fn not_portable(why: Portable) {
    let code = match why {
        Portable::Yes => return,
        Portable::NearWatchdog => 1,
        Portable::StackGrowth => 2,
        Portable::Outside => 3,
        Portable::Blocked => 4,
    };
    let _ = PORTABLE.compare_exchange(0, code, Relaxed, Relaxed);
}

/// Whether this process runs in lockstep. One relaxed load.
#[inline]
pub fn enabled() -> bool {
    ON.load(Relaxed)
}

pub(crate) fn config() -> Config {
    // SAFETY: ON is set, so the cell was written and is only read now (see ConfigCell).
    unsafe { (*CONFIG.0.get()).expect("the laboratory runs") }
}

/// Whether this process can run in lockstep.
///
/// # Errors
/// One line, when a debugger traces the process: it would take the `int3` of the clock.
pub fn possible() -> Result<(), String> {
    match sys::tracer() {
        None => Ok(()),
        // It passes the signal on.
        Some(Ok(name)) if name == "strace" => Ok(()),
        Some(Ok(name)) => Err(format!(
            "lockstep needs the int3 instruction, which {name} takes for itself; run without SAFEPOINT_SEED or without {name}"
        )),
        Some(Err(pid)) => Err(format!(
            "lockstep needs the int3 instruction, which most tracers take for themselves; process {pid} traces this one, and its name cannot be read"
        )),
    }
}

/// The calling thread becomes actor 0 and holds the baton.
///
/// # Errors
/// Those of [`possible`].
pub fn start(config: Config) -> Result<(), String> {
    possible()?;
    // SAFETY: ON is false, so no thread reads the cell.
    unsafe { *CONFIG.0.get() = Some(config) };
    for actor in &ACTORS[..COUNT.swap(0, Relaxed)] {
        actor.state.store(FREE, Relaxed);
    }
    REGISTERED.store(0, Relaxed);
    PORTABLE.store(0, Relaxed);
    fds::begin();
    trap::install()?;
    if let Err(line) = watchdog::install() {
        trap::uninstall();
        return Err(line);
    }
    ON.store(true, SeqCst);
    let me = register();
    debug_assert_eq!(me, 0);
    ACTORS[me].clock.store(0, Relaxed);
    ACTORS[me].horizon.store(u64::MAX, Relaxed);
    trap::set_me(Some(me));
    HOLDER.store(me, Relaxed);
    ACTORS[me].thread.store(sys::thread_id(), Relaxed);
    watchdog::begin(&ACTORS[me].watch);
    Ok(())
}

/// Ends the laboratory. Every other actor must have left.
pub fn stop() {
    if let Some(me) = trap::me() {
        watchdog::end(&ACTORS[me].watch);
    }
    trap::set_me(None);
    ON.store(false, SeqCst);
    watchdog::uninstall();
    trap::uninstall();
}

/// Makes room for a thread that is about to be created. It is ready at once, a little
/// later than its maker, and begins with [`enter`].
pub fn register() -> ActorId {
    // A place is free again as soon as its thread has handed the baton on for the last time.
    let id = ACTORS
        .iter()
        .position(|a| a.state.load(Relaxed) == FREE)
        .unwrap_or_else(|| {
            crate::die(
                &config(),
                format_args!("more than {MAX_ACTORS} threads at once"),
            )
        });
    COUNT.fetch_max(id + 1, Relaxed);
    let actor = &ACTORS[id];
    let clock = trap::me().map_or(0, |me| later(ACTORS[me].clock.load(Relaxed), WAKE_NS));
    actor.clock.store(clock, Relaxed);
    actor.notified.store(false, Relaxed);
    actor.held.store(0, Relaxed);
    actor.turn.store(0, Relaxed);
    actor.fd.store(-1, Relaxed);
    actor.thread.store(0, Relaxed);
    // Splitmix of seed and number: neighboring seeds and actors get unrelated streams.
    let number = REGISTERED.fetch_add(1, Relaxed) + 1;
    let mut z = config()
        .seed
        .wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    actor.jitter.store((z ^ (z >> 31)) | 1, Relaxed);
    actor.state.store(READY, Relaxed);
    if let Some(me) = trap::me() {
        ACTORS[me].horizon.fetch_min(clock, Relaxed);
    }
    id
}

/// A thread that could not be created after all gives its place back.
pub fn unregister(id: ActorId) {
    ACTORS[id].state.store(FREE, Relaxed);
}

/// The calling thread is the actor `id` from now on; returns when it has the baton.
pub fn enter(id: ActorId) {
    let old = sys::block_signals();
    trap::set_me(Some(id));
    ACTORS[id].thread.store(sys::thread_id(), Relaxed);
    wait(id);
    watchdog::begin(&ACTORS[id].watch);
    sys::restore_signals(old);
}

/// The calling thread leaves for good and hands the baton on. Its signals stay blocked.
pub fn leave() {
    let me = holder();
    watchdog::end(&ACTORS[me].watch);
    sys::block_signals();
    ACTORS[me].state.store(FREE, Relaxed);
    trap::set_me(None);
    give(pick(ACTORS[me].clock.load(Relaxed)));
}

pub(crate) fn holder() -> ActorId {
    trap::me().expect("only a thread of the runtime may call into the laboratory")
}

/// The actor that the calling thread is, if it is one.
pub(crate) fn actor() -> Option<&'static Actor> {
    trap::me().map(|me| &ACTORS[me])
}

pub(crate) fn nobody_left() -> ! {
    crate::die(
        &config(),
        format_args!(
            "every thread sleeps and no timer is set: nothing can happen any more (free-running, this program would hang)"
        ),
    )
}

/// The next actor, at the time `now` of the one that gives the baton up. Those that wait for a
/// descriptor are looked at first, and again before the clock jumps.
fn pick(now: u64) -> ActorId {
    fds::look(now);
    loop {
        let next = earliest();
        let until = next.map(|id| ACTORS[id].clock.load(Relaxed));
        match next {
            Some(id) if !fds::before_a_jump(now, until) => return id,
            None if !fds::before_a_jump(now, None) => nobody_left(),
            _ => {}
        }
    }
}

/// The ready actor with the smallest clock (ties: smallest id); sets its horizon.
fn earliest() -> Option<ActorId> {
    let mut best: Option<(u64, ActorId)> = None;
    let mut second = u64::MAX;
    for (id, actor) in ACTORS[..COUNT.load(Relaxed)].iter().enumerate() {
        if actor.state.load(Relaxed) != READY {
            continue;
        }
        let clock = actor.clock.load(Relaxed);
        match best {
            Some((least, _)) if clock >= least => second = second.min(clock),
            _ => {
                if let Some((least, _)) = best {
                    second = second.min(least);
                }
                best = Some((clock, id));
            }
        }
    }
    let (_, id) = best?;
    ACTORS[id].horizon.store(second, Relaxed);
    Some(id)
}

/// Whether another actor than the caller could run.
pub(crate) fn others_ready() -> bool {
    let me = trap::me();
    ACTORS[..COUNT.load(Relaxed)]
        .iter()
        .enumerate()
        .any(|(id, a)| Some(id) != me && a.state.load(Relaxed) == READY)
}

/// Whether the calling thread has the baton.
pub(crate) fn is_held() -> bool {
    trap::me() == Some(HOLDER.load(Relaxed))
}

fn give(next: ActorId) {
    HANDOVERS.fetch_add(1, Relaxed);
    HOLDER.store(next, Relaxed);
    sys::publish(&ACTORS[next].turn, 1);
    sys::futex_wake(&ACTORS[next].turn);
}

/// The holder of the baton is not stuck: it waits, and those that wait for it go on waiting.
pub fn not_stuck() {
    HANDOVERS.fetch_add(1, Relaxed);
}

fn wait(me: ActorId) {
    let turn = &ACTORS[me].turn;
    let mut looks = Looks::default();
    while sys::observe(turn) == 0 {
        if sys::futex_wait(turn, 0, LOOK_MS) {
            continue;
        }
        // Only one speaks, and only if nothing moved at all.
        if looks.again() >= STUCK_LOOKS && !STUCK.swap(true, Relaxed) {
            not_portable(Portable::Blocked);
            crate::die(
                &config(),
                format_args!(
                    "the thread that holds the baton has not come back for {} s; it is blocked outside the runtime (a std lock held across a yield? a blocking call?)",
                    i64::from(STUCK_LOOKS) * LOOK_MS / 1_000
                ),
            );
        }
    }
    turn.store(0, Relaxed);
}

/// What a waiter has seen of the thread that holds the baton.
#[derive(Default)]
struct Looks {
    handovers: u64,
    /// Its processor time, in nanoseconds.
    used: u64,
    /// Looks in a row at which it slept, and nothing had changed.
    asleep: u32,
}

impl Looks {
    /// Looks once more; returns how many looks in a row have found it asleep.
    fn again(&mut self) -> u32 {
        let thread = ACTORS[HOLDER.load(Relaxed)].thread.load(Relaxed);
        let handovers = HANDOVERS.load(Relaxed);
        // A thread that has not begun yet has no number: it waits for a processor.
        let used = sys::processor_time(thread);
        let same = handovers == self.handovers && used == self.used;
        (self.handovers, self.used) = (handovers, used);
        self.asleep = match same && thread != 0 && sys::sleeps(thread) {
            true => self.asleep + 1,
            false => 0,
        };
        self.asleep
    }
}

/// Hands the baton to the next actor, now that it is `now` for the caller. Signals must be
/// blocked.
pub(crate) fn hand_over_blocked(me: ActorId, now: u64) {
    let next = pick(now);
    if next != me {
        give(next);
        wait(me);
    }
}

fn hand_over(me: ActorId, now: u64) {
    debug_assert!(
        !watchdog::in_handler(&ACTORS[me].watch),
        "a handler of the runtime waits"
    );
    let old = sys::block_signals();
    hand_over_blocked(me, now);
    sys::restore_signals(old);
}

/// Hands the baton on if the caller's clock has passed its horizon, and it is in no handler.
pub fn pass() {
    let me = holder();
    let a = &ACTORS[me];
    if watchdog::in_handler(&a.watch) {
        return;
    }
    // What the caller did since it was here last may have made a descriptor ready: then
    // its actor can go on from now, and not from the next time that the baton moves.
    fds::look(a.clock.load(Relaxed));
    if a.clock.load(Relaxed) > a.horizon.load(Relaxed) && a.held.load(Relaxed) == 0 {
        hand_over(me, a.clock.load(Relaxed));
    }
}

/// The caller's clock, in virtual nanoseconds, for a time stamp: it costs nothing.
pub fn now() -> u64 {
    actor().map_or(0, |a| a.clock.load(Relaxed))
}

/// Moves the caller's clock on.
pub fn advance(ns: u64) {
    let a = &ACTORS[holder()];
    a.clock.store(later(a.clock.load(Relaxed), ns), Relaxed);
}

/// The time `ns` after `now`. Time ends after 584 years, and stands still there: that is what
/// a sleep "for ever" comes to.
pub(crate) fn later(now: u64, ns: u64) -> u64 {
    now.saturating_add(ns)
}

/// A trace event: returns its time, then costs [`EVENT_NS`] and the seed's jitter.
/// It does not hand on by itself: the caller records the event first, then [`pass`]es.
pub fn event() -> u64 {
    let Some(a) = actor() else { return 0 };
    fds::something_happened();
    watchdog::tick(&a.watch);
    let t = a.clock.load(Relaxed);
    let mut x = a.jitter.load(Relaxed);
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    a.jitter.store(x, Relaxed);
    a.clock
        .store(later(t, EVENT_NS + ((x >> 33) % 4) * 1_000), Relaxed);
    t
}

/// No event before this time can come any more: the caller goes on from its own clock, and
/// the others from their clocks, of which its horizon is the smallest. A woken actor begins
/// later than the one that wakes it.
pub fn low_water() -> u64 {
    actor().map_or(0, |a| a.clock.load(Relaxed).min(a.horizon.load(Relaxed)))
}

/// A guard check: one tick of the clock, and perhaps the end of the caller's turn.
pub fn check() {
    let a = &ACTORS[holder()];
    watchdog::tick(&a.watch);
    advance(CHECK_NS);
    pass();
}

/// Reading the clock takes a little time, so that a loop that waits for a moment ends.
pub fn clock_read() -> u64 {
    let Some(a) = actor() else { return 0 };
    watchdog::tick(&a.watch);
    advance(CLOCK_NS);
    pass();
    a.clock.load(Relaxed)
}

/// `sched_yield`: a microsecond passes.
pub fn osyield() {
    advance(1_000);
    pass();
}

/// A raw lock was taken: from here on events cost time but do not hand on, or another
/// thread could spin for ever on the lock.
pub fn hold_events() {
    if let Some(a) = actor() {
        a.held.store(a.held.load(Relaxed) + 1, Relaxed);
    }
}

/// The raw lock was released.
pub fn release_events() {
    if let Some(a) = actor() {
        a.held.store(a.held.load(Relaxed) - 1, Relaxed);
    }
}

/// Sleeps for virtual nanoseconds: the caller's clock is its waking time.
pub fn sleep(ns: u64) {
    advance(ns);
    pass();
}

/// Sleeps until the caller is [`unblock`]ed.
pub fn block() {
    let me = holder();
    ACTORS[me].notified.store(false, Relaxed);
    ACTORS[me].state.store(BLOCKED, Relaxed);
    hand_over(me, ACTORS[me].clock.load(Relaxed));
}

/// Sleeps until the caller is [`unblock`]ed or its clock would pass `deadline`.
/// Returns whether it was unblocked.
pub fn block_until(deadline: u64) -> bool {
    let me = holder();
    let a = &ACTORS[me];
    let now = a.clock.load(Relaxed);
    a.notified.store(false, Relaxed);
    a.slept_at.store(now, Relaxed);
    a.clock.fetch_max(deadline, Relaxed);
    hand_over(me, now);
    a.notified.load(Relaxed)
}

/// Makes a sleeping actor ready, [`WAKE_NS`] after the caller.
pub fn unblock(id: ActorId) {
    let me = &ACTORS[holder()];
    make_ready(&ACTORS[id], later(me.clock.load(Relaxed), WAKE_NS));
    me.horizon
        .fetch_min(ACTORS[id].clock.load(Relaxed), Relaxed);
}

/// Makes a sleeping actor ready at the time `wake`.
pub(crate) fn make_ready(a: &Actor, wake: u64) {
    if a.state.load(Relaxed) == BLOCKED {
        // Its clock stopped when it went to sleep.
        a.clock.fetch_max(wake, Relaxed);
        a.state.store(READY, Relaxed);
    } else {
        // A timed sleeper: wake it before its time, but not before it went to sleep.
        let wake = wake.max(a.slept_at.load(Relaxed));
        a.clock.fetch_min(wake, Relaxed);
    }
    a.notified.store(true, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    /// A thread that computes is not stuck, however long it takes; one asleep in the kernel is.
    #[test]
    fn a_waiter_tells_computing_from_sleep() {
        let looks = |n: u32| {
            let mut looks = Looks::default();
            for _ in 0..n {
                std::thread::sleep(std::time::Duration::from_millis(20));
                looks.again();
            }
            looks.asleep
        };
        let (say, said) = channel();
        let (wake, sleep) = channel::<()>();
        let computes = std::thread::spawn({
            let say = say.clone();
            move || {
                let _ = say.send(sys::thread_id());
                while sleep.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {}
                let _ = say.send(0);
            }
        });
        ACTORS[0]
            .thread
            .store(said.recv().expect("a number"), Relaxed);
        assert_eq!(looks(10), 0);
        let (end, for_ever) = channel::<()>();
        let sleeps = std::thread::spawn(move || {
            let _ = say.send(sys::thread_id());
            let _ = for_ever.recv();
        });
        ACTORS[0]
            .thread
            .store(said.recv().expect("a number"), Relaxed);
        assert!(looks(10) >= 5);
        // A thread that has not begun only waits for a processor.
        ACTORS[0].thread.store(0, Relaxed);
        assert_eq!(looks(3), 0);
        let _ = (wake.send(()), end.send(()));
        let _ = (computes.join(), sleeps.join());
    }
}
