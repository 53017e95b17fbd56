//! What must hold of requests that a signal carries to an M: at most one signal is on its way
//! to each, each lands unless the M ends, and a goroutine that could not be stopped is asked
//! again.
//!
//! A sender takes the right to send, then records that it does, and sends. The handler gives that
//! right back, and then records that the signal has landed. In lockstep nothing comes in between.
//! Free-running, the events may be later than what they tell of, and so the second may stand in
//! front of the first:
//!
//! * the next sender's event comes before the handler's: then the handler's is the next one of
//!   that M;
//! * another signal of the same number, a clock's or a stranger's, arrives while the sender is
//!   about to send, and its handler takes it for the one that was sent.
//!
//! Tests: `stage1-coop/trace/tests/signals.rs`.

use crate::kinds::{Count, Effect};
use crate::world::Step;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Microseconds in which a signal lands on an M that works: an M blocks signals only while it
/// makes a thread, and for at most 210 ms, when the system has none for it.
const LANDS_US: u64 = 300_000;

/// Microseconds after which a goroutine that could not be stopped was asked again. Sysmon
/// asks after 10 ms, on a machine that has the time for it.
const ASKED_AGAIN_US: u64 = 1_000_000;

/// The signals of a trace.
pub(crate) struct Flights {
    /// One M at a time runs.
    lockstep: bool,
    to: HashMap<u32, Flight>,
    /// Goroutines that run on although they were asked to yield, and when they said so.
    refused: BTreeMap<u32, u64>,
}

/// The signals on their way to one M.
#[derive(Default)]
struct Flight {
    /// When each was sent, and for which request.
    sent: VecDeque<(u64, Option<u32>)>,
    /// So many have landed whose senders' events are still to come.
    early: u32,
}

impl Flights {
    /// Before the first event.
    pub(crate) fn new(lockstep: bool) -> Flights {
        Flights {
            lockstep,
            to: HashMap::new(),
            refused: BTreeMap::new(),
        }
    }

    /// The event happens, in a trace in which it may; `flow` is its request.
    pub(crate) fn step(&mut self, e: &Step, flow: Option<u32>) -> Result<(), String> {
        let lockstep = self.lockstep;
        if let Some(flight) = self.to.get(&e.m) {
            flight.is_possible(e, lockstep)?;
        }
        match (e.effect, e.named_m) {
            (Effect::Sends, Some(m)) => self.to.entry(m).or_default().sends(e.at, flow),
            (Effect::Lands, _) => self.to.entry(e.m).or_default().lands(),
            // The last thread of this M has ended, and what was sent to it with it.
            (Effect::MakesM, Some(m)) => drop(self.to.remove(&m)),
            _ => {}
        }
        self.answers(e);
        Ok(())
    }

    /// Which goroutines were asked in vain.
    fn answers(&mut self, e: &Step) {
        if e.effect == Effect::Asks
            && let Some(g) = e.named_g
        {
            self.refused.remove(&g);
        }
        let Some(g) = e.g else { return };
        if e.effect.counts_as() == Some(Count::Refused) {
            self.refused.insert(g, e.at);
        } else if e.effect.leaves().is_some() || e.effect == Effect::EntersCall {
            self.refused.remove(&g);
        }
    }

    /// A run has ended at this time, by other means than the end of `main`. Which goroutine was
    /// not asked again?
    pub(crate) fn forgotten(&self, end: u64) -> Option<String> {
        let late = |(_, since): &(&u32, &u64)| **since + ASKED_AGAIN_US < end;
        let (g, since) = self.refused.iter().find(late)?;
        let ms = (end - since) / 1_000;
        Some(format!(
            "g{g} could not yield when it was asked, and was not asked again for {ms} ms"
        ))
    }
}

impl Flight {
    fn sends(&mut self, at: u64, flow: Option<u32>) {
        if self.early > 0 {
            self.early -= 1;
        } else {
            self.sent.push_back((at, flow));
        }
    }

    fn lands(&mut self) {
        if self.sent.pop_front().is_none() {
            self.early += 1;
        }
    }

    /// The M of this flight does something, so its thread is there: is everything that was sent to
    /// it accounted for?
    fn is_possible(&self, e: &Step, lockstep: bool) -> Result<(), String> {
        let Some(&(sent, flow)) = self.sent.front() else {
            return Ok(());
        };
        let (m, which) = (e.m, number(flow));
        let unsaid = !lockstep && e.effect == Effect::Lands;
        if self.sent.len() > 1 + usize::from(unsaid) {
            return Err(format!(
                "a signal was sent to m{m} while another one{which} was on its way there"
            ));
        }
        if e.effect != Effect::Lands && e.at > sent + LANDS_US {
            let ms = (e.at - sent) / 1_000;
            return Err(format!(
                "m{m} works on, and the signal{which} that was sent to it {ms} ms ago has not landed"
            ));
        }
        Ok(())
    }
}

fn number(flow: Option<u32>) -> String {
    flow.map_or(String::new(), |n| format!(" (#{n})"))
}
