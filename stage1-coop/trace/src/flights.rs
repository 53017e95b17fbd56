//! What must hold of requests that a signal carries to an M: at most one signal is on its way
//! to each, each lands unless the M ends, and a goroutine that could not be stopped is asked
//! again.
//!
//! Tests: `stage1-coop/trace/tests/signals.rs`.

use crate::kinds::{Count, Effect};
use crate::world::Step;
use std::collections::{BTreeMap, HashMap};

/// Microseconds in which a signal lands on an M that works: an M blocks signals only while it
/// makes a thread, and for at most 210 ms, when the system has none for it.
const LANDS_US: u64 = 300_000;

/// Microseconds after which a goroutine that could not be stopped was asked again. Sysmon
/// asks after 10 ms, on a machine that has the time for it.
const ASKED_AGAIN_US: u64 = 1_000_000;

#[derive(Default)]
pub(crate) struct Flights {
    /// The signal on its way to each M: when it was sent, and for which request.
    flying: HashMap<u32, (u64, Option<u32>)>,
    /// Goroutines that run on although they were asked to yield, and when they said so.
    refused: BTreeMap<u32, u64>,
}

impl Flights {
    /// The event happens, in a trace in which it may; `flow` is its request.
    pub(crate) fn step(&mut self, e: &Step, flow: Option<u32>) -> Result<(), String> {
        match (e.effect, e.named_m) {
            (Effect::Sends, Some(m)) => {
                if let Some((_, other)) = self.flying.insert(m, (e.at, flow)) {
                    let which = number(other);
                    return Err(format!(
                        "a signal is sent to m{m}, and another one{which} is on its way there"
                    ));
                }
            }
            (Effect::Lands, _) => {
                self.flying.remove(&e.m);
            }
            // The last thread of this M has ended, and what was sent to it with it.
            (Effect::MakesM, Some(m)) => {
                self.flying.remove(&m);
            }
            _ => {}
        }
        if let Some(&(sent, flow)) = self.flying.get(&e.m)
            && e.at > sent + LANDS_US
        {
            let (m, ms, which) = (e.m, (e.at - sent) / 1_000, number(flow));
            return Err(format!(
                "m{m} works on, and the signal{which} that was sent to it {ms} ms ago has not landed"
            ));
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

fn number(flow: Option<u32>) -> String {
    flow.map_or(String::new(), |n| format!(" (#{n})"))
}
