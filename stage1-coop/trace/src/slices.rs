//! Stretches of a trace that readers ask for by name: slices and system calls.
//!
//! Tests: `stage1-coop/trace/tests/later.rs`, `determinism`.

use crate::kinds::Effect;
use crate::trace::Trace;

/// A time on a processor without a break.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slice {
    /// The event with which it starts.
    pub from: usize,
    /// The event that ends it, or the last one of the trace.
    pub to: usize,
    /// The goroutine.
    pub g: u32,
    /// How long, in microseconds.
    pub us: u64,
}

/// A system call: the event that begins it, and those that end it and take its P.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SysCall {
    /// It is entered.
    pub began: usize,
    /// Its P is taken, if that came before its end.
    pub taken: Option<usize>,
    /// It is over.
    pub over: Option<usize>,
}

impl Trace {
    /// All slices, in the order in which they began.
    pub fn slices(&self) -> Vec<Slice> {
        let last = self.events.len().saturating_sub(1);
        let starts = (0..self.events.len()).filter(|&i| self.events[i].effect().starts());
        starts
            .filter_map(|from| {
                let g = self.events[from].target()?;
                let to = self.after(from, |e| e.g == Some(g) && e.ends_slice());
                let to = to.unwrap_or(last);
                let us = self.from_to(from, Some(to))?;
                Some(Slice { from, to, g, us })
            })
            .collect()
    }

    /// The system calls of goroutine `g`, in order.
    pub fn calls(&self, g: Option<u32>) -> Vec<SysCall> {
        let enters = |&i: &usize| {
            let e = &self.events[i];
            e.effect() == Effect::EntersCall && e.g == g
        };
        (0..self.events.len())
            .filter(enters)
            .map(|began| {
                let (m, p) = (self.events[began].m, self.events[began].p);
                let back = [Effect::LeavesCall, Effect::LeavesCallWithoutP];
                let over = self.after(began, |e| back.contains(&e.effect()) && e.g == g);
                let taken = self.after(began, |e| {
                    let step = e.step();
                    step.effect == Effect::StealsP && step.named_p == p && step.named_m == Some(m)
                });
                let taken = taken.filter(|&i| over.is_none_or(|over| i < over));
                SysCall { began, taken, over }
            })
            .collect()
    }

    /// Microseconds from one event to another, if there is one.
    pub fn from_to(&self, from: usize, to: Option<usize>) -> Option<u64> {
        Some(self.events[to?].us.saturating_sub(self.events[from].us))
    }
}
