//! From the Ms' buffers to a file: the events in the order of their times, rendered in one of
//! the forms, at the end of the run or piece by piece.
//!
//! Each M's events are in order; which of two Ms was first, only their times say. While Ms
//! still write, an event may be rendered once no earlier one can come any more. Free-running,
//! that is what is older than a moment: an M takes its place before it reads the clock, so a
//! place that others do not see yet gets a later time. In lockstep, it is what is older than
//! every clock that can still move.
//!
//! Tests: `chrome::long`, `determinism`.

use super::buffer::Keep;
use super::clock::{self, Anchor, Scale};
use super::{Output, scribe};
use crate::gmp::{M, allm};
use crate::os;
use safepoint_lockstep as lab;
use safepoint_trace::{Cut, Header, Millis, Portable, Record, Writer};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io::{self, BufWriter, Write};

/// What an M's store may need until others see it, and far more.
const MARGIN_NS: u64 = 1_000_000;
/// How long an M gets to finish an event when the run is over: it may have died in it.
const LAST_EVENT_NS: u64 = 20_000_000;
/// Events of one M that are put in order: a handler writes its own first.
const WINDOW: usize = 8;

/// How far an M's events have been taken.
struct Cursor {
    m: &'static M,
    next: usize,
    /// The next ones, in order.
    window: VecDeque<Record>,
    /// The time of the last one.
    last: u64,
}

/// A trace that is being written.
pub(super) struct Job {
    out: BufWriter<Box<dyn Write + Send>>,
    name: String,
    form: Box<dyn Writer>,
    run: Header,
    scale: Scale,
    keep: Keep,
    last: usize,
    cursors: Vec<Cursor>,
    /// All Ms from this one on have one.
    newest: Option<&'static M>,
    written: u64,
    error: Option<io::Error>,
}

impl Job {
    pub(super) fn new(output: Output, run: Header, keep: Keep, last: usize, scale: Scale) -> Job {
        Job {
            out: BufWriter::with_capacity(1 << 16, output.sink),
            name: output.name,
            form: output.form.writer(),
            run,
            scale,
            keep,
            last,
            cursors: Vec::new(),
            newest: None,
            written: 0,
            error: None,
        }
    }

    /// Before the run. Returns whether the trace is to be written while it goes on.
    pub(super) fn begin(&mut self) -> bool {
        let streams = self.keep == Keep::All;
        if streams {
            self.head();
        }
        streams
    }

    fn fails(&mut self, result: io::Result<()>) {
        if let Err(error) = result
            && self.error.is_none()
        {
            // No M need wait for room any more.
            super::stop_keeping();
            // A broken pipe: the reader has seen enough.
            if error.kind() != io::ErrorKind::BrokenPipe {
                lab::say!("SAFEPOINT_TRACE={}: the trace is lost: {error}", self.name);
            }
            self.error = Some(error);
        }
    }

    fn head(&mut self) {
        let result = self.form.head(&self.run, &mut self.out);
        self.fails(result);
    }

    /// Everything that can be ordered while the run goes on. `low`: in lockstep, no earlier
    /// event can come any more.
    pub(super) fn piece(&mut self, low: u64) {
        if self.error.is_some() {
            return;
        }
        let cut = if lab::enabled() {
            low
        } else {
            self.scale.add(Anchor::now());
            clock::ticks() - self.scale.ticks_of(MARGIN_NS)
        };
        let ends = self.look();
        self.merge(&ends, cut, Job::render);
        for cursor in &self.cursors {
            cursor.m.trace.taken_away(cursor.next);
        }
        let result = self.out.flush();
        self.fails(result);
    }

    /// The end of the run: writes all that there is up to `cut`. Returns whether the trace is
    /// whole: a reader that has gone away has what it wanted.
    pub(super) fn rest(&mut self, cut: u64) -> bool {
        self.all_that_is_left(cut);
        let enough = |e: &io::Error| e.kind() == io::ErrorKind::BrokenPipe;
        self.error.as_ref().is_none_or(enough)
    }

    fn all_that_is_left(&mut self, mut cut: u64) {
        if !lab::enabled() {
            self.scale.add(Anchor::now());
        }
        self.run.portable = Some(portable());
        if self.error.is_some() {
            return;
        }
        let ends = self.look();
        self.wait_for_last_events(&ends);
        match self.keep {
            Keep::All => self.merge(&ends, cut, Job::render),
            Keep::First => {
                // Where the first M had no room, the trace ends for all: one with holes would
                // say what never was.
                let full = self.cursors.iter().filter_map(Cursor::full_since).min();
                cut = full.map_or(cut, |at| cut.min(at.saturating_add(1)));
                self.run.ends = full.map(|at| Cut {
                    at: Millis(self.scale.ns(at)).to_string(),
                    missing: 0,
                });
                self.head();
                self.merge(&ends, cut, Job::render);
                if let Some(Cut { missing, .. }) = &mut self.run.ends {
                    let all: u64 = self.cursors.iter().map(|c| c.m.trace.span().1 as u64).sum();
                    *missing = all - self.written;
                }
            }
            Keep::Last => self.last_ones(&ends, cut),
        }
        let result = match self.error {
            None => self.form.end(&self.run, &mut self.out),
            Some(_) => Ok(()),
        };
        self.fails(result);
        let result = self.out.flush();
        self.fails(result);
    }

    /// The last events of all, from a moment on from which no M lacks any.
    fn last_ones(&mut self, ends: &[usize], cut: u64) {
        let from = self
            .cursors
            .iter_mut()
            .filter_map(Cursor::forgot_before)
            .max();
        let from = from.unwrap_or(0);
        let mut kept: VecDeque<(usize, Record)> = VecDeque::with_capacity(self.last.min(1 << 16));
        let last = self.last;
        self.merge(ends, cut, |_, m, e| {
            if e.time >= from {
                if kept.len() == last {
                    kept.pop_front();
                }
                kept.push_back((m, e));
            }
        });
        let all: u64 = self.cursors.iter().map(|c| c.m.trace.span().1 as u64).sum();
        let missing = all - kept.len() as u64;
        if missing > 0
            && let Some((_, first)) = kept.front()
        {
            let at = Millis(self.scale.ns(first.time)).to_string();
            self.run.begins = Some(Cut { at, missing });
        }
        self.head();
        for (m, e) in kept {
            self.render(m, e);
        }
    }

    /// Ms that are new since the last look get their cursors. Returns where each one's events
    /// end now.
    fn look(&mut self) -> Vec<usize> {
        // New ones are put in front; one that comes meanwhile is seen next time.
        let newest = std::mem::replace(&mut self.newest, allm().next());
        let known = |m: &&'static M| newest.is_some_and(|newest| std::ptr::eq(*m, newest));
        let from = self.newest;
        let begun = |m: &&'static M| from.is_none_or(|from| !std::ptr::eq(*m, from));
        for m in allm().skip_while(begun).take_while(|m| !known(m)) {
            self.cursors.push(Cursor {
                m,
                next: m.trace.span().0.start,
                window: VecDeque::with_capacity(WINDOW + 1),
                last: 0,
            });
        }
        self.cursors
            .iter()
            .map(|c| c.m.trace.span().0.end)
            .collect()
    }

    /// Gives Ms that are about to write an event the time for it.
    fn wait_for_last_events(&self, ends: &[usize]) {
        let until = os::monotonic() + LAST_EVENT_NS;
        for (cursor, &end) in self.cursors.iter().zip(ends) {
            for n in cursor.next.max(end.saturating_sub(WINDOW))..end {
                while cursor.m.trace.event(n).is_none() && os::monotonic() < until {
                    std::thread::yield_now();
                }
            }
        }
    }

    /// Passes on the events before `cut`, in the order of their times; of one time, the M with
    /// the smaller number first.
    fn merge(&mut self, ends: &[usize], mut cut: u64, mut f: impl FnMut(&mut Job, usize, Record)) {
        let over = scribe::over();
        let mut cursors = std::mem::take(&mut self.cursors);
        let mut heads = BinaryHeap::new();
        let mut until = cut;
        let mut next = |heads: &mut BinaryHeap<_>, cursor: &mut Cursor, i: usize| {
            match cursor.peek(ends[i], over) {
                Some(time) => heads.push(Reverse((time, cursor.m.id.get(), i))),
                // An event that is being written is not older than the one before it.
                None if cursor.next < ends[i] => cut = cut.min(cursor.last),
                None => {}
            }
            cut
        };
        for (i, cursor) in cursors.iter_mut().enumerate() {
            until = next(&mut heads, cursor, i);
        }
        while let Some(Reverse((time, m, i))) = heads.pop() {
            if time >= until {
                break;
            }
            let cursor = &mut cursors[i];
            if let Some(e) = cursor.window.pop_front() {
                cursor.last = e.time;
                f(self, m, e);
            }
            until = next(&mut heads, cursor, i);
        }
        self.cursors = cursors;
    }

    fn render(&mut self, m: usize, mut e: Record) {
        if self.error.is_some() {
            return;
        }
        self.written += 1;
        if self.written.is_multiple_of(256) {
            scribe::progress();
        }
        let ticks = e.time;
        let now = self.scale.ns(ticks);
        e.time = now;
        if let Some(length) = e.length_mut() {
            *length = now - self.scale.ns(ticks.saturating_sub(*length));
        }
        let result = self.form.event(m, &e, &mut self.out);
        self.fails(result);
    }
}

impl Cursor {
    /// Fills the window from the events before `end`, up to one that is not complete.
    fn fill(&mut self, end: usize) {
        while self.window.len() < WINDOW && self.next < end {
            let Some(e) = self.m.trace.event(self.next) else {
                return;
            };
            self.next += 1;
            let later = self.window.iter().rev().take_while(|x| x.time > e.time);
            let at = self.window.len() - later.count();
            self.window.insert(at, e);
        }
    }

    /// The time of the next event. `over`: what is not complete now never will be.
    fn peek(&mut self, end: usize, over: bool) -> Option<u64> {
        loop {
            self.fill(end);
            if self.next >= end || !over || self.window.len() == WINDOW {
                return self.window.front().map(|e| e.time);
            }
            self.next += 1;
        }
    }

    /// If events found no room: when the last one happened that did.
    fn full_since(&self) -> Option<u64> {
        let (range, len) = self.m.trace.span();
        let last = || range.clone().rev().find_map(|n| self.m.trace.event(n));
        (len > range.end).then(|| last().map_or(0, |e| e.time))
    }

    /// If events were written over: when the oldest one happened that is left.
    fn forgot_before(&mut self) -> Option<u64> {
        let (range, _) = self.m.trace.span();
        let first = || range.clone().find_map(|n| self.m.trace.event(n));
        (range.start > 0).then(|| first().map_or(u64::MAX, |e| e.time))
    }
}

/// Whether the trace is the same everywhere, as its head says it.
fn portable() -> Portable {
    match lab::portable() {
        lab::Portable::Yes => Portable::Yes,
        lab::Portable::NearWatchdog => Portable::NearWatchdog,
        lab::Portable::StackGrowth => Portable::StackGrowth,
        lab::Portable::Blocked => Portable::Blocked,
        lab::Portable::Outside => Portable::Outside,
    }
}
