//! Go's own form of a trace (version 2, as of Go 1.22), so that Go's own tools open it:
//! `go tool trace FILE` draws it, `go tool trace -d=parsed FILE` prints it.
//!
//! A file is a row of batches. A batch holds events of one M, in the order in which they
//! happened there; names and stacks have batches of their own. Nothing orders two Ms but
//! time, and times lie closely together. So what several Ms do to one goroutine or one P in
//! turn is counted: its first start is number 1, its waking number 2. Go's reader replays
//! all this as a state machine and refuses what cannot have happened.
//!
//! What an event is in this form follows from what it does ([`Effect`]). What does nothing that
//! Go has an event for is a line in the log of the goroutine that ran. All about a request to
//! preempt, from whichever thread, stands in the log of the goroutine that was asked, under the
//! key `preempt`.
//!
//! Tests: `gotrace`, `stage1-coop/trace/tests/later.rs`.

use crate::forms::{Cut, Header, Writer};
use crate::kinds::{Effect, Next};
use crate::record::{Arguments, Record};
use crate::world::{State, Step, World};
use std::collections::{BTreeSet, HashMap};
use std::io::{self, Write};

const HEADER: &[u8; 16] = b"go 1.22 trace\0\0\0";
/// A batch must not have more bytes, and no event has so many that it could not stay below.
const BATCH: usize = 60_000;
/// A text must not have more.
const TEXT: usize = 1024;
/// Batches that belong to no M have this one.
const NO_M: u64 = u64::MAX;
const IDLE: u64 = 2;

// The numbers of Go's kinds of batches and events.
const STACKS: u8 = 2;
const STACK: u8 = 3;
const STRINGS: u8 = 4;
const STRING: u8 = 5;
const FREQUENCY: u8 = 8;
const PROCS_CHANGE: u8 = 9;
const PROC_START: u8 = 10;
const PROC_STOP: u8 = 11;
const PROC_STEAL: u8 = 12;
const PROC_STATUS: u8 = 13;
const GO_CREATE: u8 = 14;
const GO_START: u8 = 16;
const GO_DESTROY: u8 = 17;
const GO_STOP: u8 = 19;
const GO_BLOCK: u8 = 20;
const GO_UNBLOCK: u8 = 21;
const GO_SYSCALL_BEGIN: u8 = 22;
const GO_SYSCALL_END: u8 = 23;
const GO_SYSCALL_END_BLOCKED: u8 = 24;
const USER_LOG: u8 = 44;

/// A call of an M: its P, and the P's number at that moment. As long as nothing happens to the
/// P, it is the same call. Number 0 is none.
type InCall = [u64; 2];
const NO_CALL: InCall = [0, 0];

/// Why a goroutine comes off by itself, in Go's words, where Go has some for the event.
const STOPS: &[(&str, &str)] = &[("GoSched", "runtime.Gosched")];

/// A trace that is being written in Go's form.
#[derive(Default)]
pub(crate) struct Gov2 {
    /// The finished batches that have not been passed on.
    out: Vec<u8>,
    /// The file has begun.
    begun: bool,
    ms: Vec<Track>,
    /// Before the event that is being written.
    world: World,
    /// Reasons to wait that Go's tracer calls otherwise than its dumps do.
    reasons: &'static [(&'static str, &'static str)],
    /// The last number of each P, and what is known of each goroutine.
    ps: HashMap<u64, u64>,
    gs: HashMap<u64, Goroutine>,
    /// The names of all goroutines so far.
    names: BTreeSet<u64>,
    texts: HashMap<String, u64>,
    /// Which goroutine each request is about.
    asked: HashMap<u32, u64>,
    /// The M of the event that is being written, and when it happened.
    m: usize,
    time: u64,
    procs: u64,
    /// That the trace ends before the run does: a line for the first goroutine's log.
    cut: Option<String>,
}

/// An M's open batch, and what must be known of the M.
#[derive(Default)]
struct Track {
    data: Vec<u8>,
    /// When the batch's first event happened, and its last.
    begin: u64,
    last: u64,
    /// The call that it is in.
    call: InCall,
}

#[derive(Default)]
struct Goroutine {
    name: u64,
    /// The last number of this goroutine.
    seq: u64,
    /// How often it went to sleep, less how often it was woken. In the order of times a
    /// waking may come first.
    asleep: i32,
    /// Lines for its log, for when it runs.
    log: Vec<String>,
}

impl Writer for Gov2 {
    fn head(&mut self, run: &Header, out: &mut dyn Write) -> io::Result<()> {
        self.procs = run.procs as u64;
        self.reasons = run.reasons_traced;
        self.cut = run.ends.as_ref().map(|Cut { at, .. }| {
            format!("this trace ends at {at} ms, and the run does not: a thread had no room for more events")
        });
        // One tick is a nanosecond. There is no time 0 in Go's form.
        self.batch(NO_M, 1, &[&[FREQUENCY], &*varint(1_000_000_000)].concat());
        for p in 0..self.procs {
            self.time = 1;
            self.add(PROC_STATUS, &[p, IDLE]);
        }
        self.pass_on(out)
    }

    fn event(&mut self, m: usize, e: &Record, out: &mut dyn Write) -> io::Result<()> {
        (self.time, self.m) = (e.time + 1, m);
        self.preempt(e);
        self.in_go(e);
        self.world.step(&Step::of(m, e));
        self.pass_on(out)
    }

    fn end(&mut self, _: &Header, out: &mut dyn Write) -> io::Result<()> {
        self.finish();
        self.pass_on(out)
    }
}

impl Gov2 {
    /// Adds an event to the M that the trace has come to.
    fn add(&mut self, kind: u8, args: &[u64]) {
        self.add_on(self.m, kind, args);
    }

    fn add_on(&mut self, m: usize, kind: u8, args: &[u64]) {
        if self.track_of(m).data.len() > BATCH {
            self.flush(m);
        }
        let time = self.time;
        let track = self.track_of(m);
        if track.data.is_empty() {
            (track.begin, track.last) = (time, time);
        }
        track.data.push(kind);
        track.data.extend(varint(time - track.last));
        track.last = time;
        for &arg in args {
            track.data.extend(varint(arg));
        }
    }

    fn track(&mut self) -> &mut Track {
        self.track_of(self.m)
    }

    fn track_of(&mut self, m: usize) -> &mut Track {
        if self.ms.len() <= m {
            self.ms.resize_with(m + 1, Track::default);
        }
        &mut self.ms[m]
    }

    /// The last number of the P.
    fn p_seq(&mut self, p: u64) -> u64 {
        *self.ps.entry(p).or_default()
    }

    /// The next number of the P.
    fn next_p_seq(&mut self, p: u64) -> u64 {
        let seq = self.ps.entry(p).or_default();
        *seq += 1;
        *seq
    }

    fn next_g_seq(&mut self, g: u64) -> u64 {
        let seq = &mut self.gs.entry(g).or_default().seq;
        *seq += 1;
        *seq
    }

    /// The stack of the goroutine: one frame, which is called as it is.
    fn stack(&mut self, g: u64) -> u64 {
        self.gs.entry(g).or_default().name
    }

    /// The number of this text.
    fn text(&mut self, text: &str) -> u64 {
        let mut end = text.len().min(TEXT);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let next = self.texts.len() as u64 + 1;
        *self.texts.entry(text[..end].to_owned()).or_insert(next)
    }

    /// The M on which the goroutine runs, with a P: its log can be written to.
    fn runs_on(&self, g: u64) -> Option<usize> {
        match self.world.state(g as u32) {
            Some(State::Running(m)) => Some(m as usize),
            _ => None,
        }
    }

    /// What stands for the event.
    fn in_go(&mut self, e: &Record) {
        let named = |letter| e.named(letter).map_or(0, u64::from);
        let g = u64::from(e.g);
        match e.kind.effect {
            Effect::StartsP => {
                let p = named('p');
                let seq = self.next_p_seq(p);
                self.add(PROC_START, &[p, seq]);
            }
            Effect::StopsP => self.add(PROC_STOP, &[]),
            Effect::StealsP => self.taken(e, named('p')),
            Effect::Makes => {
                let name = self.text(e.text().unwrap_or_default());
                self.made(named('g'), name);
                let maker = self.stack(g);
                self.add(GO_CREATE, &[named('g'), name, maker]);
            }
            Effect::Starts | Effect::StartsNext => self.start(named('g')),
            Effect::Wakes => self.wake(named('g')),
            Effect::Leaves(Next::Dead) => {
                self.add(GO_DESTROY, &[]);
                self.gs.remove(&g);
            }
            Effect::Leaves(Next::Runnable) => {
                let name = e.kind.name;
                let known = STOPS.iter().find(|(kind, _)| *kind == name);
                self.stops(g, known.map_or(name, |&(_, why)| why));
            }
            Effect::Obeys => self.stops(g, "preempted"),
            Effect::Leaves(Next::Waiting) => {
                let why = self.reason(e.text().unwrap_or_default());
                let args = [self.text(why), self.stack(g)];
                self.gs.entry(g).or_default().asleep += 1;
                self.add(GO_BLOCK, &args);
            }
            Effect::EntersCall
            | Effect::CallBlocks
            | Effect::LeavesCall
            | Effect::LeavesCallWithoutP => self.in_a_call(e, g),
            Effect::Nothing
            | Effect::Works
            | Effect::MakesM
            | Effect::Asks
            | Effect::Refuses
            | Effect::Sends
            | Effect::Lands
            | Effect::Interrupts
            | Effect::Declines => self.in_log(e),
        }
    }

    /// What Go has no event for is a line in the log; what is about a request is there already.
    fn in_log(&mut self, e: &Record) {
        let here = self.world.on_m(self.m as u32).map(|run| u64::from(run.g));
        if let Some(g) = here.filter(|&g| e.flow == 0 && self.runs_on(g) == Some(self.m)) {
            self.log(self.m, g, e.kind.name, &Arguments(e).to_string());
        }
    }

    fn stops(&mut self, g: u64, why: &str) {
        let args = [self.text(why), self.stack(g)];
        self.add(GO_STOP, &args);
    }

    /// Goroutine `g` goes into a call, or comes back from it.
    fn in_a_call(&mut self, e: &Record, g: u64) {
        match e.kind.effect {
            Effect::EntersCall => {
                let p = e.p as u64;
                let args = [self.next_p_seq(p), self.stack(g)];
                self.add(GO_SYSCALL_BEGIN, &args);
                self.track().call = [p, args[0]];
            }
            // The M stops its P by itself, which is an event of its own.
            Effect::CallBlocks => self.track().call = NO_CALL,
            Effect::LeavesCall => {
                let p = e.p as u64;
                let same = [p, self.p_seq(p)];
                if std::mem::replace(&mut self.track().call, NO_CALL) == same {
                    self.add(GO_SYSCALL_END, &[]);
                } else {
                    self.add(GO_SYSCALL_END_BLOCKED, &[]);
                    self.start(g);
                }
            }
            _ => {
                let [p, seq] = std::mem::replace(&mut self.track().call, NO_CALL);
                if seq != 0 && self.p_seq(p) == seq {
                    // At the end of a run nobody took it, and the M must not. In Go's form it
                    // has to be gone, so the M takes it from itself.
                    self.steal(p, self.m);
                }
                self.add(GO_SYSCALL_END_BLOCKED, &[]);
            }
        }
    }

    /// The P is taken out of a call.
    fn taken(&mut self, e: &Record, p: u64) {
        let call = [p, self.p_seq(p)];
        let Some(from) = self.ms.iter().position(|m| m.call == call) else {
            // Left by its M at the end of a run, as above.
            return;
        };
        self.steal(p, from);
        if e.p as u64 == p {
            let seq = self.next_p_seq(p);
            self.add(PROC_START, &[p, seq]);
        }
    }

    fn steal(&mut self, p: u64, from: usize) {
        let seq = self.next_p_seq(p);
        self.add(PROC_STEAL, &[p, seq, from as u64]);
    }

    /// Go's tracer calls some reasons to wait by another name than its dumps do.
    fn reason<'a>(&self, dump: &'a str) -> &'a str {
        match self.reasons.iter().find(|(name, _)| *name == dump) {
            Some((_, traced)) => traced,
            None if dump.starts_with("sync.") => "sync",
            // A channel that is no channel, a select of nothing.
            None if dump.ends_with(')') => "forever",
            None => dump,
        }
    }

    /// The goroutine runs on the M from now on.
    fn start(&mut self, g: u64) {
        if self.gs.entry(g).or_default().asleep > 0 {
            // It was about to sleep, and found at the last moment that it need not.
            self.wake(g);
        }
        let seq = self.next_g_seq(g);
        self.add(GO_START, &[g, seq]);
        if self.procs > 0 {
            let (procs, stack) = (std::mem::take(&mut self.procs), self.stack(g));
            self.add(PROCS_CHANGE, &[procs, stack]);
        }
        if let Some(line) = self.cut.take() {
            self.log(self.m, g, "trace", &line);
        }
        for line in std::mem::take(&mut self.gs.entry(g).or_default().log) {
            self.log(self.m, g, "preempt", &line);
        }
    }

    /// The goroutine is made, and this is its name.
    fn made(&mut self, g: u64, name: u64) {
        self.gs.entry(g).or_default().name = name;
        self.names.insert(name);
    }

    /// The goroutine is woken.
    fn wake(&mut self, g: u64) {
        self.gs.entry(g).or_default().asleep -= 1;
        let seq = self.next_g_seq(g);
        self.add(GO_UNBLOCK, &[g, seq, 0]);
    }

    fn log(&mut self, m: usize, g: u64, key: &str, line: &str) {
        let (key, line, stack) = (self.text(key), self.text(line), self.stack(g));
        self.add_on(m, USER_LOG, &[0, key, line, stack]);
    }

    /// If the event is about a request, the goroutine that was asked logs it, at once or
    /// when it runs again.
    fn preempt(&mut self, e: &Record) {
        if e.flow == 0 {
            return;
        }
        if let (Effect::Asks, Some(g)) = (e.kind.effect, e.named('g')) {
            self.asked.insert(e.flow, u64::from(g));
        }
        let Some(&g) = self.asked.get(&e.flow) else {
            return;
        };
        let line = format!("#{} {} {}", e.flow, e.kind.name, Arguments(e));
        match self.runs_on(g) {
            Some(m) => self.log(m, g, "preempt", line.trim_end()),
            None => self.gs.entry(g).or_default().log.push(line),
        }
    }

    /// Closes the batch of `m`.
    fn flush(&mut self, m: usize) {
        let data = std::mem::take(&mut self.ms[m].data);
        if !data.is_empty() {
            self.batch(m as u64, self.ms[m].begin, &data);
        }
    }

    fn batch(&mut self, m: u64, begin: u64, data: &[u8]) {
        if !std::mem::replace(&mut self.begun, true) {
            self.out.extend(HEADER);
        }
        // The first 1 is Go's number of a batch, the second that of the generation: there is
        // one only.
        self.out.extend([1, 1]);
        for n in [m, begin, data.len() as u64] {
            self.out.extend(varint(n));
        }
        self.out.extend(data);
    }

    /// Passes the finished batches on.
    fn pass_on(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let result = out.write_all(&self.out);
        self.out.clear();
        result
    }

    fn finish(&mut self) {
        for m in 0..self.ms.len() {
            self.flush(m);
        }
        // In the order of their numbers, so that the same run gives the same bytes.
        let mut texts: Vec<(String, u64)> = std::mem::take(&mut self.texts).into_iter().collect();
        texts.sort_unstable_by_key(|&(_, id)| id);
        let strings = texts.iter().map(|(text, id)| {
            let words = [varint(*id), varint(text.len() as u64)].concat();
            [&[STRING], &*words, text.as_bytes()].concat()
        });
        self.table(STRINGS, strings);
        // A stack is one frame: a place in the program, its function, no file, no line.
        let names = std::mem::take(&mut self.names);
        let stacks = names.into_iter().map(|name| {
            let words = [name, 1, name, name, 0, 0];
            [vec![STACK], words.map(varint).concat()].concat()
        });
        self.table(STACKS, stacks);
    }

    /// Batches of the entries of a table.
    fn table(&mut self, kind: u8, entries: impl Iterator<Item = Vec<u8>>) {
        let mut data = vec![kind];
        for entry in entries {
            if data.len() + entry.len() > BATCH {
                self.batch(NO_M, 1, &data);
                data.truncate(1);
            }
            data.extend(entry);
        }
        self.batch(NO_M, 1, &data);
    }
}

/// A number in groups of seven bits, the lowest first; all but the last have the high bit.
fn varint(mut n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out
}
