//! What a text trace says at its end: what became of the requests to yield, and which time
//! slice was the longest. It is counted while the events go by, so that a trace of any
//! length has its totals.
//!
//! Tests: below; `stage1-coop/trace/tests/later.rs`.

use crate::kinds::{Count, Effect};
use crate::record::{Millis, Record};
use std::collections::HashMap;
use std::fmt::Write;

/// What was counted.
#[derive(Default)]
pub(crate) struct Totals {
    requested: u64,
    signalled: u64,
    refused: u64,
    taken: u64,
    /// Requests without an outcome that another one to the same goroutine followed, which was
    /// heard: they are settled.
    overtaken: u64,
    /// Of each goroutine that was asked: the requests that were not taken yet, and whether a
    /// check has met them.
    open: HashMap<u64, Vec<(u32, bool)>>,
    /// Outcomes that lie before their request: two Ms' clocks decide.
    early: HashMap<u32, u64>,
    /// The slice of each P.
    slices: HashMap<i32, Slice>,
    longest: Option<(u64, Slice)>,
    end: u64,
}

/// A time slice, as the glossary has it: the time that a goroutine, or those that share it
/// through `runnext`, has had the P without a break.
#[derive(Clone)]
struct Slice {
    begin: u64,
    gs: Vec<u64>,
    /// A goroutine runs; otherwise the scheduler, and the next one may go on with the slice.
    running: bool,
}

/// Goroutines of a slice that are named.
const NAMED: usize = 4;

impl Totals {
    /// The next event, in the order of times.
    pub(crate) fn event(&mut self, e: &Record) {
        self.end = e.time;
        match e.kind.effect.counts_as() {
            Some(Count::Asked) => self.request(e),
            Some(Count::Signalled) => self.signalled += 1,
            Some(Count::Refused) => {
                self.refused += 1;
                self.heard(e, false);
            }
            Some(Count::Taken) => {
                self.taken += 1;
                self.heard(e, true);
            }
            None => {}
        }
        if !e.kind.effect.in_handler() {
            self.slice(e);
        }
    }

    fn request(&mut self, e: &Record) {
        self.requested += 1;
        let Some(g) = e.named('g').map(u64::from) else {
            return;
        };
        if self.early.remove(&e.flow).is_none() {
            self.open.entry(g).or_default().push((e.flow, false));
        }
        // What the request says of the slice is true, whichever M had it before.
        if let Some(slice) = self.slices.get_mut(&p_of(e))
            && slice.running
            && slice.gs.last() == Some(&g)
        {
            slice.begin = slice
                .begin
                .min(e.time.saturating_sub(e.length().unwrap_or(0)));
        }
    }

    /// Request `e.flow` is answered, by goroutine `e.g` or by a handler that has interrupted
    /// it, or its M.
    fn heard(&mut self, e: &Record, taken: bool) {
        let is = |&(flow, _): &(u32, bool)| flow == e.flow;
        let asked = match e.g {
            0 => self.open.values_mut().find(|open| open.iter().any(is)),
            g => Some(self.open.entry(u64::from(g)).or_default()),
        };
        let open_at = asked.and_then(|open| open.iter().position(is).map(|at| (open, at)));
        let Some((open, at)) = open_at else {
            // A signal is sent after the request, so its handler is not early, but late.
            if !e.kind.effect.in_handler() {
                self.early.insert(e.flow, u64::from(e.g));
            }
            return;
        };
        let before = open.drain(..at);
        self.overtaken += before.filter(|&(_, heard)| !heard).count() as u64;
        if taken {
            open.remove(0);
        } else {
            open[0].1 = true;
        }
    }

    fn slice(&mut self, e: &Record) {
        match (e.kind.effect, e.named('g').map(u64::from)) {
            (Effect::StartsP | Effect::StopsP | Effect::StealsP, _) => self.over(p_of(e), e.time),
            (Effect::Starts, Some(g)) => {
                self.over(e.p, e.time);
                self.begin(e.p, e.time, g);
            }
            (Effect::StartsNext, Some(g)) => match self.slices.get_mut(&e.p) {
                Some(slice) => {
                    slice.running = true;
                    slice.gs.retain(|&other| other != g);
                    slice.gs.push(g);
                }
                None => self.begin(e.p, e.time, g),
            },
            (effect, _) if effect.leaves().is_some() => {
                if let Some(slice) = self.slices.get_mut(&e.p).filter(|slice| slice.running) {
                    slice.running = false;
                    let slice = slice.clone();
                    self.candidate(e.time, slice);
                }
            }
            _ if e.p >= 0 && e.g != 0 && !self.slices.contains_key(&e.p) => {
                // Back from a call, with a P that was idle.
                self.begin(e.p, e.time, u64::from(e.g));
            }
            _ => {}
        }
    }

    fn begin(&mut self, p: i32, begin: u64, g: u64) {
        let slice = Slice {
            begin,
            gs: vec![g],
            running: true,
        };
        self.slices.insert(p, slice);
    }

    /// The slice of `p`, if it has one, is over, however it ended.
    fn over(&mut self, p: i32, time: u64) {
        if let Some(slice) = self.slices.remove(&p).filter(|slice| slice.running) {
            self.candidate(
                time,
                Slice {
                    running: false,
                    ..slice
                },
            );
        }
    }

    fn candidate(&mut self, end: u64, slice: Slice) {
        let length = end.saturating_sub(slice.begin);
        if self.longest.as_ref().is_none_or(|&(most, _)| length > most) {
            self.longest = Some((length, slice));
        }
    }

    /// The line. `late`: the trace begins after the run does; `cut`: it ends before.
    pub(crate) fn write(mut self, out: &mut String, late: bool, cut: bool) {
        let mut last: Vec<Slice> = self.slices.drain().map(|(_, slice)| slice).collect();
        // In an order that does not differ from run to run.
        last.sort_by_key(|slice| (slice.begin, slice.gs.last().copied()));
        for slice in last.into_iter().filter(|slice| slice.running) {
            self.candidate(self.end, slice);
        }
        let unheard = self.open.values().flatten().filter(|(_, heard)| !heard);
        let _ = write!(
            out,
            "# preempt: {} requested{}, {} refused, {} taken, {} unheard{}",
            self.requested,
            Some(self.signalled)
                .filter(|&n| n > 0)
                .map_or(String::new(), |n| format!(", {n} signalled")),
            self.refused,
            self.taken,
            unheard.count(),
            match (late, cut) {
                (_, true) => " so far",
                (true, false) => " since then",
                (false, false) => "",
            },
        );
        if self.overtaken > 0 {
            let _ = write!(out, ", {} overtaken", self.overtaken);
        }
        if let Some((length, slice)) = &self.longest {
            let _ = write!(out, "   longest slice ");
            for (i, g) in slice.gs.iter().take(NAMED).enumerate() {
                let _ = write!(out, "{}g{g}", if i > 0 { "+" } else { "" });
            }
            if slice.gs.len() > NAMED {
                out.push_str("+..");
            }
            let still = match (slice.running, cut) {
                (false, _) => "",
                (true, false) => " and still running",
                (true, true) => " and still running where the trace ends",
            };
            let _ = write!(out, " {}{still}", Millis(*length));
        }
        out.push('\n');
    }
}

/// The P that the event names, as events have it in their column.
fn p_of(e: &Record) -> i32 {
    e.named('p').map_or(-1, |p| p as i32)
}

#[cfg(test)]
mod tests {
    use super::Totals;
    use crate::kinds::{
        Effect, GO_BLOCK, GO_END, GO_PREEMPT, GO_START, GO_START_NEXT, Kind, POLL_HIT, PREEMPT,
        PROC_START, PROC_STOP,
    };
    use crate::record::Record;

    /// A P is taken, as a later stage's event says.
    static TAKEN: Kind = Kind {
        effect: Effect::StealsP,
        ..PROC_STOP
    };

    /// Time in us, kind, P, goroutine that ran, arguments, request.
    type Line = (u64, &'static Kind, i32, u32, [u64; 3], u32);

    fn totals(events: &[Line]) -> String {
        let mut totals = Totals::default();
        for &(us, kind, p, g, args, flow) in events {
            // SAFETY: no line here has a text.
            let mut e = unsafe { Record::new(kind, args) };
            (e.time, e.p, e.g, e.flow) = (us * 1_000, p, g, flow);
            totals.event(&e);
        }
        let mut out = String::new();
        totals.write(&mut out, false, false);
        out
    }

    const NONE: [u64; 3] = [0; 3];

    #[test]
    fn a_slice_goes_on_through_runnext() {
        let text = totals(&[
            (0, &PROC_START, 0, 0, NONE, 0),
            (0, &GO_START, 0, 0, [2, 0, 0], 0),
            (1_000, &GO_BLOCK, 0, 2, NONE, 0),
            (1_001, &GO_START_NEXT, 0, 0, [3, 0, 0], 0),
            (3_000, &GO_BLOCK, 0, 3, NONE, 0),
            (3_001, &GO_START_NEXT, 0, 0, [2, 0, 0], 0),
            (4_986, &GO_END, 0, 2, NONE, 0),
            // Another slice; and one that follows a break is another one, too.
            (4_987, &GO_START, 0, 0, [4, 0, 0], 0),
            (5_000, &GO_BLOCK, 0, 4, NONE, 0),
            (5_001, &PROC_STOP, -1, 0, NONE, 0),
            (9_000, &PROC_START, 0, 0, NONE, 0),
            (9_001, &GO_START_NEXT, 0, 0, [4, 0, 0], 0),
            (9_002, &GO_END, 0, 4, NONE, 0),
        ]);
        assert!(text.ends_with("   longest slice g3+g2 4.986\n"), "{text}");
    }

    #[test]
    fn a_slice_ends_when_the_p_is_taken() {
        let text = totals(&[
            (0, &PROC_START, 0, 0, NONE, 0),
            (0, &GO_START, 0, 0, [2, 0, 0], 0),
            (56, &TAKEN, -1, 0, NONE, 0),
            (60, &PROC_START, 0, 0, NONE, 0),
            (61, &GO_START, 0, 0, [3, 0, 0], 0),
            (81, &GO_END, 0, 3, NONE, 0),
            // It comes back without a P, much later, and gets one.
            (3_107, &GO_BLOCK, -1, 2, NONE, 0),
        ]);
        assert!(text.ends_with("   longest slice g2 0.056\n"), "{text}");
        // A request that says how old the slice is cannot be contradicted below.
        let text = totals(&[
            (9_000, &GO_START_NEXT, 0, 0, [2, 0, 0], 0),
            (9_100, &PREEMPT, -1, 0, [0, 2, 8_000_000], 1),
            (9_200, &GO_PREEMPT, 0, 2, NONE, 1),
        ]);
        assert!(text.ends_with("   longest slice g2 8.100\n"), "{text}");
    }

    #[test]
    fn a_request_that_was_overtaken_is_settled() {
        let ask = |flow, g| (flow as u64, &PREEMPT, -1, 0, [0, g, 0], flow);
        let text = totals(&[
            ask(1, 2),
            ask(2, 2),
            ask(3, 3),
            (4, &POLL_HIT, 0, 2, NONE, 2),
            (5, &GO_PREEMPT, 0, 2, NONE, 2),
            // Its clock was a little ahead of the asker's.
            (6, &GO_PREEMPT, 0, 4, NONE, 9),
            ask(9, 4),
        ]);
        assert!(
            text.starts_with("# preempt: 4 requested, 1 refused, 2 taken, 1 unheard, 1 overtaken"),
            "{text}"
        );
    }
}
