//! What must hold in every trace, and what must hold besides when it is the trace of a whole
//! run. A trace that breaks one of these is the trace of a bug: in the runtime, or here.

use crate::trace::{Broken, Event, Trace, id};
use std::collections::{HashMap, HashSet};

/// The clocks of two Ms may be this far apart in the order of lines: a goroutine is written
/// down where its waker looks before the event that says so, under a lock.
const SKEW_US: u64 = 20;

impl Trace {
    /// The invariants of every trace, also of one that was cut off. Time goes on. A P belongs
    /// to one M, and is taken only from an M that is in a call with it. A goroutine runs in
    /// one place and alone there, starts only when it can run, wakes only when it waits, does
    /// nothing while it is in a call, and comes back from each once. Every outcome has its
    /// request.
    ///
    /// # Errors
    /// The first that does not hold.
    pub fn check(&self) -> Result<(), Broken> {
        let mut state = State::new(self);
        for i in 0..self.events.len() {
            state.step(i).map_err(|what| Broken { event: i, what })?;
        }
        Ok(())
    }

    /// [`check`](Trace::check), and what holds when a run is over, however it ended: no
    /// goroutine is lost. Each has ended, waits for something, or `main` has returned, or
    /// somebody else ran and ended the process.
    ///
    /// # Errors
    /// The first that does not hold.
    pub fn check_run(&self) -> Result<(), Broken> {
        let mut state = State::new(self);
        for i in 0..self.events.len() {
            state.step(i).map_err(|what| Broken { event: i, what })?;
        }
        let busy = |g: &G| matches!(g, G::Running(_) | G::InCall(_));
        if state.over || state.gs.values().any(busy) {
            return Ok(());
        }
        match state.gs.iter().find(|(_, g)| **g == G::Runnable) {
            None => Ok(()),
            Some((g, _)) => Err(Broken {
                event: self.events.len().saturating_sub(1),
                what: format!("g{g} can run, everybody sleeps, and the trace ends: it is lost"),
            }),
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum G {
    Runnable,
    Running(u32),
    InCall(u32),
    Waiting(u32),
    Dead,
}

/// What an M in a call has.
struct Call {
    g: u32,
    /// The P, until somebody takes it.
    p: Option<u32>,
    /// It gives the P up by itself.
    blocks: bool,
}

struct State<'a> {
    events: &'a [Event],
    clock: HashMap<u32, u64>,
    /// Who has each P. In a call the M still has it, until it is taken.
    holder: HashMap<u32, u32>,
    /// Ms that give a P up in a line behind the next one's start.
    stops_late: HashSet<(u32, u32)>,
    gs: HashMap<u32, G>,
    /// Who runs on each M.
    running: HashMap<u32, u32>,
    calls: HashMap<u32, Call>,
    /// Ps that an M left in a call at the end of a run. Nobody uses them any more.
    left: HashSet<u32>,
    /// Requests to preempt.
    asked: HashSet<u32>,
    /// Woken before the line that puts it to sleep, which comes at once.
    woken: HashSet<u32>,
    /// `main` has ended.
    over: bool,
}

impl State<'_> {
    fn new(trace: &Trace) -> State<'_> {
        State {
            events: &trace.events,
            clock: HashMap::new(),
            holder: HashMap::new(),
            stops_late: HashSet::new(),
            gs: HashMap::new(),
            running: HashMap::new(),
            calls: HashMap::new(),
            left: HashSet::new(),
            asked: HashSet::new(),
            woken: HashSet::new(),
            over: false,
        }
    }

    fn step(&mut self, i: usize) -> Result<(), String> {
        let e = &self.events[i];
        let last = self.clock.entry(e.m).or_insert(0);
        if e.us < *last {
            return Err(format!("the clock of m{} goes back", e.m));
        }
        *last = e.us;
        self.processors(i, e)?;
        self.in_a_call(e)?;
        if e.ends_slice() && e.name != "GoSysExit" {
            self.stops(e)?;
        }
        if let Some(g) = e.target() {
            self.happens_to(i, e, g)?;
        }
        match e.flow {
            Some(flow) if e.name == "Preempt" => {
                self.asked.insert(flow);
            }
            Some(flow)
                if !self.asked.contains(&flow)
                    && !self.soon(i, |e| e.name == "Preempt" && e.flow == Some(flow)) =>
            {
                return Err(format!("the outcome of request #{flow}, which nobody made"));
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether an event of this kind comes soon: the clocks of two Ms are not quite one.
    fn soon(&self, i: usize, f: impl Fn(&Event) -> bool) -> bool {
        let latest = self.events[i].us + SKEW_US;
        let next = self.events[i + 1..].iter();
        next.take_while(|e| e.us <= latest).any(f)
    }

    /// A P belongs to one M.
    fn processors(&mut self, i: usize, e: &Event) -> Result<(), String> {
        let m = e.m;
        let named = e.args.first().and_then(|word| id(word, 'p'));
        match (e.name.as_str(), named) {
            ("ProcStart", Some(p)) => {
                if self.left.contains(&p) {
                    return Err(format!("p{p} was left behind in a call, and runs again"));
                }
                if let Some(other) = self.holder.insert(p, m) {
                    if self.in_call(other) == Some(p) {
                        return Err(format!("p{p} starts, and m{other} is in a call with it"));
                    }
                    if !self.soon(i, |e| e.m == other && e.name == "ProcStop") {
                        return Err(format!("p{p} belongs to m{other} already"));
                    }
                    self.stops_late.insert((other, p));
                }
            }
            ("ProcStop", Some(p)) => {
                if self.in_call(m).is_some() {
                    let call = self.calls.get_mut(&m).filter(|call| call.blocks);
                    let Some(call) = call else {
                        return Err(format!("m{m} stops p{p} in the middle of a call"));
                    };
                    call.p = None;
                }
                if self.holder.get(&p) == Some(&m) {
                    self.holder.remove(&p);
                } else if !self.stops_late.remove(&(m, p)) {
                    return Err(format!("m{m} gives p{p} up and does not hold it"));
                }
            }
            ("ProcSteal", Some(p)) => {
                let from = e.args.get(1).and_then(|word| id(word, 'm'));
                let in_call = from.is_some_and(|from| self.in_call(from) == Some(p));
                if !in_call && !self.left.contains(&p) {
                    return Err(format!(
                        "p{p} is taken from an M that is in no call with it"
                    ));
                }
                if let Some(call) = from.and_then(|from| self.calls.get_mut(&from)) {
                    call.p = None;
                }
                self.holder.remove(&p);
                // An M that is back from a call takes it for itself.
                if e.p == Some(p) {
                    self.holder.insert(p, m);
                }
            }
            _ => {
                if let Some(p) = e.p
                    && self.holder.get(&p) != Some(&m)
                {
                    return Err(format!("m{m} works with p{p} and does not hold it"));
                }
            }
        }
        Ok(())
    }

    /// The P with which the M is in a call.
    fn in_call(&self, m: u32) -> Option<u32> {
        self.calls.get(&m)?.p
    }

    /// Calls begin where a goroutine runs, and end there once; meanwhile it does nothing.
    fn in_a_call(&mut self, e: &Event) -> Result<(), String> {
        let (m, name) = (e.m, e.name.as_str());
        match (name, e.g) {
            ("GoSysCall", Some(g)) => {
                if self.gs.get(&g) != Some(&G::Running(m)) {
                    return Err(format!("GoSysCall of g{g}, which does not run here"));
                }
                if e.p.is_none() {
                    return Err(format!("g{g} enters a call without a P"));
                }
                self.gs.insert(g, G::InCall(m));
                let (p, blocks) = (e.p, false);
                self.calls.insert(m, Call { g, p, blocks });
            }
            ("GoSysBlock" | "GoSysExit", g) => {
                let Some(call) = self.calls.get_mut(&m).filter(|call| Some(call.g) == g) else {
                    return Err(format!("{name} on m{m}, whose goroutine is in no call"));
                };
                if name == "GoSysBlock" {
                    call.blocks = true;
                    return Ok(());
                }
                let (g, p) = (call.g, call.p);
                self.calls.remove(&m);
                if !e.ends_slice() {
                    if e.p.is_none() {
                        return Err(format!("g{g} is back from its call and has no P"));
                    }
                    self.gs.insert(g, G::Running(m));
                    return Ok(());
                }
                self.gs.insert(g, G::Runnable);
                self.running.remove(&m);
                // There was one, and it must not take it: everything is over.
                if let Some(p) = p {
                    self.holder.remove(&p);
                    self.left.insert(p);
                }
            }
            _ if self.calls.get(&m).is_some_and(|call| Some(call.g) == e.g) => {
                // On the way in and out threads are made and Ps change hands.
                let may = ["ProcStart", "ProcStop", "ProcSteal", "ThreadStart"];
                let may_too = ["UserLog", "Preempt"];
                // Who hands the P over before the call is the scheduler still, and may wake.
                let hands_over = self.calls[&m].blocks && name == "GoUnblock";
                if !may.contains(&name) && !may_too.contains(&name) && !hands_over {
                    let g = self.calls[&m].g;
                    return Err(format!("{name} by g{g}, which is in a call"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The goroutine that runs here comes off.
    fn stops(&mut self, e: &Event) -> Result<(), String> {
        let (name, Some(g)) = (e.name.as_str(), e.g) else {
            return Err(format!("{} of nobody", e.name));
        };
        if self.gs.get(&g) != Some(&G::Running(e.m)) {
            return Err(format!("{name} of g{g}, which does not run here"));
        }
        self.running.remove(&e.m);
        self.over |= name == "GoEnd" && g == MAIN;
        self.gs.insert(
            g,
            match name {
                "GoEnd" => G::Dead,
                "GoBlock" if !self.woken.remove(&g) => G::Waiting(e.m),
                _ => G::Runnable,
            },
        );
        Ok(())
    }

    /// Goroutine `g` is made, starts, or is woken.
    fn happens_to(&mut self, i: usize, e: &Event, g: u32) -> Result<(), String> {
        match e.name.as_str() {
            "GoCreate" if self.gs.insert(g, G::Runnable).is_some() => {
                return Err(format!("g{g} is made twice"));
            }
            "GoStart" => {
                match self.gs.insert(g, G::Running(e.m)) {
                    // It went to sleep, and found at the last moment that it need not.
                    Some(G::Waiting(m)) if m == e.m && e.args.len() > 1 => {}
                    Some(G::Runnable) => {}
                    Some(G::Running(m)) => {
                        return Err(format!("g{g} starts while it runs on m{m}"));
                    }
                    Some(G::InCall(m)) => {
                        return Err(format!("g{g} starts while it is in a call on m{m}"));
                    }
                    Some(G::Waiting(_)) => return Err(format!("g{g} starts while it waits")),
                    Some(G::Dead) => return Err(format!("g{g} starts after its end")),
                    None => return Err(format!("g{g} starts and was never made")),
                }
                if e.p.is_none() {
                    return Err(format!("g{g} starts on an M without a P"));
                }
                if let Some(other) = self.running.insert(e.m, g) {
                    return Err(format!("g{g} starts on m{}, where g{other} runs", e.m));
                }
            }
            "GoUnblock" => {
                if matches!(self.gs.get(&g), Some(G::Waiting(_))) {
                    self.gs.insert(g, G::Runnable);
                } else if self.soon(i, |e| e.g == Some(g) && e.name == "GoBlock") {
                    self.woken.insert(g);
                } else {
                    return Err(format!("g{g} is woken and does not wait"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// The goroutine that runs `main`.
const MAIN: u32 = 1;
