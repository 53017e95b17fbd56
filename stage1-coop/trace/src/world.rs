//! Who runs, who waits, which P is whose: the one place where events are followed. What an
//! event does is said with its kind ([`Effect`]); here it is done.
//!
//! The world follows whatever it is told, also a trace that begins in the middle of a run or
//! breaks its own rules: whether an event may happen is asked in `invariants.rs`, of the world
//! before it. Readers that draw, count or judge look at the world after each event
//! ([`Trace::replay`]).
//!
//! Tests: `stage1-coop/trace/tests/later.rs`, `invariants`.
//!
//! [`Trace::replay`]: crate::Trace::replay

use crate::kinds::{Effect, Next};
use crate::record::Record;
use std::collections::BTreeMap;

/// An event as the world sees it, wherever it was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// When: nanoseconds of a record, microseconds of a line.
    pub at: u64,
    /// The M on which it happened.
    pub m: u32,
    /// The P that the M held.
    pub p: Option<u32>,
    /// The goroutine that ran there before the event.
    pub g: Option<u32>,
    /// What it does.
    pub effect: Effect,
    /// The goroutine that it names.
    pub named_g: Option<u32>,
    /// The P that it names.
    pub named_p: Option<u32>,
    /// The M that it names.
    pub named_m: Option<u32>,
}

impl Step {
    /// The record `e` of M `m`.
    pub fn of(m: usize, e: &Record) -> Step {
        Step {
            at: e.time,
            m: m as u32,
            p: u32::try_from(e.p).ok(),
            g: (e.g != 0).then_some(e.g),
            effect: e.kind.effect,
            named_g: e.named('g'),
            named_p: e.named('p'),
            named_m: e.named('m'),
        }
    }
}

/// What a goroutine does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It can run, and has no P.
    Runnable,
    /// It runs on this M.
    Running(u32),
    /// It is in a system call on this M.
    InCall(u32),
    /// It waits. It went to sleep on this M.
    Waiting(u32),
}

/// A goroutine that has not ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Goroutine {
    state: State,
    /// Woken before the event that puts it to sleep, which comes at once.
    woken: bool,
}

/// A goroutine on a processor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// The goroutine.
    pub g: u32,
    /// The P on which it started.
    pub p: Option<u32>,
    /// When.
    pub since: u64,
}

/// An M in a system call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Call {
    /// The goroutine that called.
    pub g: u32,
    /// The P, until somebody takes it.
    pub p: Option<u32>,
    /// The M gives the P up by itself.
    pub blocks: bool,
}

#[derive(Default)]
struct Machine {
    runs: Option<Run>,
    call: Option<Call>,
}

#[derive(Default)]
struct Processor {
    /// The M that has it, also in a call, until it is taken.
    holder: Option<u32>,
    /// The goroutine that has it, and whether that runs or is in a call.
    has: Option<(u32, bool)>,
    /// Left in a call at the end of a run: no M uses it any more.
    left: bool,
}

/// The world after some events.
#[derive(Default)]
pub struct World {
    gs: BTreeMap<u32, Goroutine>,
    ps: BTreeMap<u32, Processor>,
    ms: BTreeMap<u32, Machine>,
    /// `main` has ended.
    over: bool,
}

/// The goroutine that runs `main`.
const MAIN: u32 = 1;

impl World {
    /// Before the first event.
    pub fn new() -> World {
        World::default()
    }

    /// The state of a goroutine that was made and has not ended.
    pub fn state(&self, g: u32) -> Option<State> {
        self.gs.get(&g).map(|g| g.state)
    }

    /// All goroutines that have not ended, and their states, by number.
    pub fn goroutines(&self) -> impl Iterator<Item = (u32, State)> + '_ {
        self.gs.iter().map(|(&g, about)| (g, about.state))
    }

    /// The goroutine on this M, from its start until it comes off, also in a call.
    pub fn on_m(&self, m: u32) -> Option<Run> {
        self.ms.get(&m)?.runs
    }

    /// All Ms with a goroutine, by number.
    pub fn running(&self) -> impl Iterator<Item = (u32, Run)> + '_ {
        self.ms
            .iter()
            .filter_map(|(&m, about)| Some((m, about.runs?)))
    }

    /// The call that this M is in.
    pub fn call(&self, m: u32) -> Option<Call> {
        self.ms.get(&m)?.call
    }

    /// The goroutine that has this P, with `true` if it runs, and `false` if it is in a call.
    pub fn on_p(&self, p: u32) -> Option<(u32, bool)> {
        self.ps.get(&p)?.has
    }

    /// The P of this goroutine, if it has one.
    pub fn p_of(&self, g: u32) -> Option<u32> {
        let has = |about: &Processor| about.has.is_some_and(|(on, _)| on == g);
        self.ps
            .iter()
            .find(|(_, about)| has(about))
            .map(|(&p, _)| p)
    }

    /// All Ps that anything is known of, by number.
    pub fn ps(&self) -> impl Iterator<Item = u32> + '_ {
        self.ps.keys().copied()
    }

    /// The M that has this P, also in a call.
    pub fn holder(&self, p: u32) -> Option<u32> {
        self.ps.get(&p)?.holder
    }

    /// How many Ps have an M.
    pub fn held(&self) -> usize {
        self.ps.values().filter(|p| p.holder.is_some()).count()
    }

    /// Whether the P was left in a call at the end of a run.
    pub fn left(&self, p: u32) -> bool {
        self.ps.get(&p).is_some_and(|p| p.left)
    }

    /// Whether `main` has ended.
    pub fn over(&self) -> bool {
        self.over
    }

    /// The event happens.
    pub fn step(&mut self, e: &Step) {
        if e.effect.in_handler() {
            return;
        }
        // A trace may begin in the middle: an event of g on p says that g runs there. Only a
        // goroutine in a call still stands in the column, and does not run.
        if let (Some(p), Some(g)) = (e.p, e.g)
            && !matches!(self.state(g), Some(State::InCall(_)))
        {
            self.runs(e, p, g);
        }
        match (e.effect, e.g) {
            (Effect::StartsP | Effect::StopsP | Effect::StealsP | Effect::CallBlocks, _) => {
                self.processor(e);
            }
            (Effect::EntersCall | Effect::LeavesCall | Effect::LeavesCallWithoutP, Some(g)) => {
                self.in_a_call(e, g);
            }
            (Effect::Makes | Effect::Wakes | Effect::Starts | Effect::StartsNext, _) => {
                if let Some(g) = e.named_g {
                    self.happens_to(e, g);
                }
            }
            (Effect::Leaves(_) | Effect::Obeys, Some(g)) => self.comes_off(e, g),
            _ => {}
        }
    }

    fn processor(&mut self, e: &Step) {
        let Some(p) = e.named_p.or(e.p) else { return };
        match e.effect {
            Effect::StartsP => self.p(p).holder = Some(e.m),
            Effect::StopsP => {
                if let Some(call) = &mut self.m(e.m).call {
                    call.p = None;
                }
                let about = self.p(p);
                about.has = None;
                if about.holder == Some(e.m) {
                    about.holder = None;
                }
            }
            Effect::StealsP => {
                if let Some(from) = e.named_m
                    && let Some(call) = &mut self.m(from).call
                {
                    call.p = None;
                }
                let about = self.p(p);
                about.has = None;
                about.holder = (e.p == Some(p)).then_some(e.m);
            }
            _ => {
                self.p(p).has = None;
                if let Some(call) = &mut self.m(e.m).call {
                    call.blocks = true;
                }
            }
        }
    }

    /// Goroutine `g` goes into a call, or comes back from it.
    fn in_a_call(&mut self, e: &Step, g: u32) {
        match (e.effect, e.p) {
            (Effect::EntersCall, p) => {
                let blocks = false;
                self.m(e.m).call = Some(Call { g, p, blocks });
                self.set(g, State::InCall(e.m));
                if let Some(p) = p {
                    self.p(p).has = Some((g, false));
                }
            }
            (Effect::LeavesCall, Some(p)) => {
                self.m(e.m).call = None;
                self.set(g, State::Running(e.m));
                self.p(p).has = Some((g, true));
            }
            _ => {
                // There was a P, and it must not take it: everything is over.
                if let Some(p) = self.m(e.m).call.take().and_then(|call| call.p) {
                    let about = self.p(p);
                    about.holder = None;
                    about.left = true;
                }
                self.m(e.m).runs = None;
                self.set(g, State::Runnable);
            }
        }
    }

    /// Goroutine `g` is made, starts, or is woken.
    fn happens_to(&mut self, e: &Step, g: u32) {
        match (e.effect, self.gs.get_mut(&g)) {
            (Effect::Makes, _) => self.set(g, State::Runnable),
            (Effect::Wakes, Some(about)) if !matches!(about.state, State::Waiting(_)) => {
                about.woken = about.state != State::Runnable;
            }
            (Effect::Wakes, _) => self.set(g, State::Runnable),
            (_, _) => {
                let (p, since) = (e.p, e.at);
                self.m(e.m).runs = Some(Run { g, p, since });
                self.set(g, State::Running(e.m));
                if let Some(p) = e.p {
                    self.p(p).has = Some((g, true));
                }
            }
        }
    }

    /// Goroutine `g`, which ran here, comes off its processor.
    fn comes_off(&mut self, e: &Step, g: u32) {
        if let Some(p) = e.p {
            self.p(p).has = None;
        }
        self.m(e.m).runs = None;
        let woken = self.gs.get(&g).is_some_and(|g| g.woken);
        match e.effect.leaves() {
            Some(Next::Dead) => {
                self.over |= g == MAIN;
                self.gs.remove(&g);
            }
            Some(Next::Waiting) if !woken => self.set(g, State::Waiting(e.m)),
            _ => self.set(g, State::Runnable),
        }
    }

    /// Goroutine `g` runs on `p`, or still does.
    fn runs(&mut self, e: &Step, p: u32, g: u32) {
        if self.on_p(p) != Some((g, true)) {
            self.p(p).has = Some((g, true));
        }
        let state = State::Running(e.m);
        if self.state(g) != Some(state) {
            self.set(g, state);
        }
        let since = e.at;
        let run = Run { g, p: e.p, since };
        self.m(e.m).runs.get_or_insert(run);
    }

    fn set(&mut self, g: u32, state: State) {
        let woken = false;
        self.gs.insert(g, Goroutine { state, woken });
    }

    fn p(&mut self, p: u32) -> &mut Processor {
        self.ps.entry(p).or_default()
    }

    fn m(&mut self, m: u32) -> &mut Machine {
        self.ms.entry(m).or_default()
    }
}
