//! From events to lanes: which goroutine ran on which P, and what each goroutine did.
//!
//! The same events are told twice. A lane per P shows which thread had it; a lane per goroutine
//! shows whether it ran, could have run (the state that preemption is about), or waited
//! for something. A thread without a P gets a lane only when it did something.

use std::collections::{BTreeMap, BTreeSet};

use super::marks::Sign;
use crate::trace::{Event, Trace, describe};
use safepoint_trace::{Effect, State as Now, World};

/// What a goroutine is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It has a P.
    Running,
    /// It could run and has no P.
    Runnable,
    /// It waits for something.
    Blocked,
    /// It is in a system call. On a P's lane: the P is free to be taken.
    InCall,
}

/// A stretch of time in which goroutine `g` ran, or was in one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// First microsecond.
    pub from: u64,
    /// Last microsecond.
    pub to: u64,
    /// The goroutine.
    pub g: u32,
    /// Its state (on a P's lane `Running` or `InCall`).
    pub state: State,
}

/// A lane of the upper half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// A thread without a P.
    M(u32),
    /// A P.
    P(u32),
}

/// A sign at one moment of one lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub us: u64,
    /// Where.
    pub lane: Lane,
    /// Which sign.
    pub sign: Sign,
    /// The event in words.
    pub text: String,
    /// Joins a request to its outcome.
    pub flow: Option<u32>,
}

/// Everything that the picture shows.
#[derive(Debug, Default)]
pub struct Timeline {
    /// First and last time.
    pub start: u64,
    /// First and last time.
    pub end: u64,
    /// The upper half, threads without a P first.
    pub lanes: BTreeMap<Lane, Vec<Span>>,
    /// The lower half, by goroutine number.
    pub goroutines: BTreeMap<u32, Vec<Span>>,
    /// The names given to `go`.
    pub names: BTreeMap<u32, String>,
    /// The signs, in order of time.
    pub marks: Vec<Mark>,
    /// Every moment at which something happened.
    pub moments: BTreeSet<u64>,
}

impl Timeline {
    /// Reads the events.
    pub fn new(trace: &Trace) -> Timeline {
        let mut reader = Reader::default();
        let mut replay = trace.replay();
        while let Some((event, world)) = replay.forward() {
            reader.event(event, world);
        }
        reader.finish(trace)
    }

    /// Is there anything to draw?
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }
}

#[derive(Default)]
struct Reader {
    out: Timeline,
    /// P → the goroutine on it, or in a call with it, and since when.
    on_p: BTreeMap<u32, (u32, State, u64)>,
    /// Goroutine → its state and since when.
    state: BTreeMap<u32, (State, u64)>,
}

impl Reader {
    /// An event, and the world after it: what is no longer as it was ends here.
    fn event(&mut self, event: &Event, world: &World) {
        let now = event.us;
        self.out.moments.insert(now);
        if let Some(p) = event.p {
            self.out.lanes.entry(Lane::P(p)).or_default();
        }
        if let (Effect::Makes, Some(g), true) =
            (event.effect(), event.target(), event.args.len() > 1)
        {
            self.out.names.insert(g, event.args[1..].join(" "));
        }
        for p in world.ps() {
            let state = |runs| if runs { State::Running } else { State::InCall };
            let has = world.on_p(p).map(|(g, runs)| (g, state(runs)));
            if self.on_p.get(&p).map(|&(g, state, _)| (g, state)) != has {
                self.free(p, now);
                if let Some((g, state)) = has {
                    self.on_p.insert(p, (g, state, now));
                }
            }
        }
        // Only these can be others now.
        for g in [event.g, event.target()].into_iter().flatten() {
            let state = world.state(g).map(|state| match state {
                Now::Runnable => State::Runnable,
                Now::Running(_) => State::Running,
                Now::InCall(_) => State::InCall,
                Now::Waiting(_) => State::Blocked,
            });
            if self.state.get(&g).map(|&(state, _)| state) != state {
                self.turn(g, state, now);
            }
        }
        if let Some(sign) = Sign::of(event) {
            let lane = event.p.map_or(Lane::M(event.m), Lane::P);
            self.mark(lane, sign, event, event.flow);
            // What is taken away is on another lane than its taker: an arrow joins them.
            if let (Sign::Took, Some(p)) = (sign, event.named_p()) {
                // A number of its own, that no request has.
                let joined = u32::MAX - self.out.marks.len() as u32;
                if let Some(mark) = self.out.marks.last_mut() {
                    mark.flow = Some(joined);
                }
                self.mark(Lane::P(p), sign, event, Some(joined));
            }
        }
    }

    fn mark(&mut self, lane: Lane, sign: Sign, event: &Event, flow: Option<u32>) {
        self.out.lanes.entry(lane).or_default();
        self.out.marks.push(Mark {
            us: event.us,
            lane,
            sign,
            text: describe(event),
            flow,
        });
    }

    /// Whatever ran on `p` ends here.
    fn free(&mut self, p: u32, now: u64) {
        if let Some((g, state, from)) = self.on_p.remove(&p) {
            let span = Span {
                from,
                to: now,
                g,
                state,
            };
            self.out.lanes.entry(Lane::P(p)).or_default().push(span);
        }
    }

    /// `g` goes to another state; `None` is its end.
    fn turn(&mut self, g: u32, next: Option<State>, now: u64) {
        if let Some((state, from)) = self.state.remove(&g) {
            let span = Span {
                from,
                to: now,
                g,
                state,
            };
            self.out.goroutines.entry(g).or_default().push(span);
        }
        if let Some(next) = next {
            self.out.goroutines.entry(g).or_default();
            self.state.insert(g, (next, now));
        }
    }

    fn finish(mut self, trace: &Trace) -> Timeline {
        self.out.start = trace.events.first().map_or(0, |event| event.us);
        self.out.end = trace.events.last().map_or(0, |event| event.us);
        let end = self.out.end;
        // What was still going on when the trace ended reaches to its edge.
        for p in self.on_p.keys().copied().collect::<Vec<_>>() {
            self.free(p, end);
        }
        for g in self.state.keys().copied().collect::<Vec<_>>() {
            self.turn(g, None, end);
        }
        self.out
    }
}
