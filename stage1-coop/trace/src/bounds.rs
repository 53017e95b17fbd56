//! How long a goroutine or a P may have to wait: what must hold besides in lockstep, where time is
//! exact, once there is a sysmon. It is about the rules of the scheduler, so it holds for
//! programs that run with them as they are, and not for those that replace a row.
//!
//! Whether there is a sysmon, the reader's kinds say: it is what takes a P out of a call.
//! Tests: `invariants`.

use crate::kinds::{Effect, Next};
use crate::parse::number;
use crate::trace::{Broken, Trace};
use crate::world::{Step, World};
use std::collections::{BTreeMap, HashMap};

/// Microseconds after which sysmon has acted on a slice or a call. It looks at least every
/// 10 ms while a P is in use. At its first look it sees something new and notes the time; at
/// the first look that comes 10 ms after that, it acts. Its sleeps double up to 10 ms, so the
/// two looks together come within 20 ms; what it does itself takes less than one more.
const LOOKS_US: u64 = 21_000;

/// Microseconds after which an idle P has found work that was made while it was idle. What
/// makes it wakes an M (5 us), which visits all queues in four passes (a few us each); or
/// there is an M that looks already, and it wakes the next when it finds something. A
/// millisecond is more than all of that takes on 8 Ps.
const WAKING_US: u64 = 1_000;

/// On each P, one turn in so many is for the global queue. A turn is a start with a fresh
/// slice; those that inherit one are not counted, here and there.
const GLOBAL_EVERY: u32 = 61;

/// A local queue with fewer goroutines never spills into the global one.
const RING: usize = 256;

impl Trace {
    /// In the lockstep trace of a stage with sysmon, which is one whose kinds have an event that
    /// takes a P out of a call ([`Effect::StealsP`]): no goroutine keeps a P for longer than two
    /// looks of sysmon without being asked to yield, or keeps one in a system call for
    /// longer than that; no P stays idle while a goroutine that was made or woken waits; and
    /// no runnable goroutine is passed over for ever. Of other traces this says nothing.
    ///
    /// # Errors
    /// The first that does not hold.
    pub fn check_waits(&self) -> Result<(), Broken> {
        if self.header("seed").is_none() || !self.has_sysmon() {
            return Ok(());
        }
        let mut waits = Waits {
            procs: self.header("procs").and_then(number).unwrap_or(1),
            ..Waits::default()
        };
        for (i, event) in self.events.iter().enumerate() {
            let e = event.step();
            waits.world.step(&e);
            if waits.world.over() {
                // Main has returned: nothing is waited for.
                break;
            }
            let late = waits.late(e.at);
            late.or_else(|| waits.step(&e))
                .map_or(Ok(()), |what| Err(Broken { event: i, what }))?;
        }
        Ok(())
    }

    /// Whether it is the trace of a stage with sysmon.
    pub(crate) fn has_sysmon(&self) -> bool {
        let mut kinds = self.kinds.iter().copied().flatten();
        kinds.any(|kind| kind.effect == Effect::StealsP)
    }
}

#[derive(Default)]
struct Waits {
    /// How many Ps there are, as the head has it. It is a number in a text, so nothing here
    /// counts up to it: a P that no event names was idle all the time.
    procs: u32,
    /// After the event.
    world: World,
    /// When sysmon could begin to count, for each P whose goroutine runs: at a fresh slice,
    /// at the return from a call, at the last request.
    slices: BTreeMap<u32, u64>,
    /// Since when an M is in a call with this P.
    calls: BTreeMap<u32, u64>,
    /// Since when there has been an idle P, if there is one.
    idle: Option<u64>,
    /// Who can run and does not.
    waiting: BTreeMap<u32, Waiting>,
    /// How many of them there were at most.
    peak: usize,
}

struct Waiting {
    since: u64,
    /// Whether somebody was woken for it. Who yields goes to the global queue, and nobody is
    /// woken for that; so in Go 1.15, too.
    announced: bool,
    /// See [`Waits::turn`].
    epochs: u32,
    turns: HashMap<u32, u32>,
}

impl Waits {
    /// Who has waited for too long at this time?
    fn late(&self, now: u64) -> Option<String> {
        let late = |(_, since): &(&u32, &u64)| **since + LOOKS_US < now;
        if let Some((p, since)) = self.slices.iter().find(late) {
            let ms = (now - since) / 1000;
            return Some(format!("p{p} runs on for {ms} ms, and nobody asks"));
        }
        if let Some((p, since)) = self.calls.iter().find(late) {
            let ms = (now - since) / 1000;
            return Some(format!(
                "p{p} is in a call for {ms} ms, and nobody takes it"
            ));
        }
        let idle = self.idle?;
        let waits = |w: &Waiting| w.announced && w.since.max(idle) + WAKING_US < now;
        let (g, _) = self.waiting.iter().find(|(_, w)| waits(w))?;
        Some(format!("g{g} can run and a P is idle, and nobody is woken"))
    }

    fn step(&mut self, e: &Step) -> Option<String> {
        match (e.effect, e.named_p.or(e.p)) {
            (Effect::StopsP | Effect::StealsP, Some(p)) => self.gone(p),
            (Effect::EntersCall, Some(p)) => {
                self.slices.remove(&p);
                self.calls.insert(p, e.at);
            }
            (Effect::LeavesCall, Some(p)) => {
                self.calls.remove(&p);
                self.slices.insert(p, e.at);
            }
            (Effect::Asks, Some(p)) => {
                self.slices.entry(p).and_modify(|since| *since = e.at);
            }
            (Effect::Starts, Some(p)) => {
                self.waiting.remove(&e.named_g?);
                self.slices.insert(p, e.at);
                if let Some(what) = self.turn(p) {
                    return Some(what);
                }
            }
            (Effect::StartsNext, Some(_)) => {
                self.waiting.remove(&e.named_g?);
            }
            _ => {}
        }
        match e.effect {
            Effect::Makes | Effect::Wakes => self.can_run(e.named_g?, e.at, true),
            Effect::Leaves(Next::Runnable) | Effect::Obeys => self.can_run(e.g?, e.at, false),
            Effect::LeavesCallWithoutP => self.can_run(e.g?, e.at, true),
            _ => {}
        }
        if self.world.held() as u32 >= self.procs {
            self.idle = None;
        } else {
            self.idle.get_or_insert(e.at);
        }
        None
    }

    fn gone(&mut self, p: u32) {
        self.slices.remove(&p);
        self.calls.remove(&p);
    }

    fn can_run(&mut self, g: u32, since: u64, announced: bool) {
        let waiting = Waiting {
            since,
            announced,
            epochs: 0,
            turns: HashMap::new(),
        };
        self.waiting.insert(g, waiting);
        self.peak = self.peak.max(self.waiting.len());
    }

    /// A goroutine starts with a fresh slice. Has somebody been passed over too often?
    ///
    /// Call it an epoch when every P has had so many turns that it has taken as many
    /// goroutines from the global queue as there are, `peak`, and somewhat more; or has been
    /// idle, so that nobody waits in its queue. Who waits in the global queue when an epoch
    /// begins has left it when it ends. Who waits in a P's queue has had its turn, or has been
    /// stolen. A thief takes half, so in its queue there is at most half as much in front;
    /// that can happen only so often. So the number of epochs is bounded.
    fn turn(&mut self, p: u32) -> Option<String> {
        if self.peak >= RING {
            return None;
        }
        let turns = GLOBAL_EVERY * (self.peak as u32 + 2);
        let epochs = 4 + (self.peak + 1).ilog2();
        for (g, w) in &mut self.waiting {
            *w.turns.entry(p).or_default() += 1;
            let world = &self.world;
            let enough = |p| {
                let had = w.turns.get(&p).copied().unwrap_or(0);
                had >= turns || world.holder(p).is_none()
            };
            if world.ps().all(enough) {
                w.turns.clear();
                w.epochs += 1;
                if w.epochs > epochs {
                    return Some(format!("g{g} can run, and is passed over again and again"));
                }
            }
        }
        None
    }
}
