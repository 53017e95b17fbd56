//! What must hold in every trace, and what must hold besides when it is the trace of a whole
//! run. A trace that breaks one of these is the trace of a bug: in the runtime, or here.
//!
//! The [`World`] says what was before each event; here is asked whether the event may happen
//! then. What holds of signals is in `flights.rs`.
//!
//! Tests: `invariants`, `states::the_judge_of_traces_finds_impossible_ones`.

use crate::flights::Flights;
use crate::kinds::{Effect, Next};
use crate::trace::{Broken, Event, Trace};
use crate::world::{State, Step, World};
use std::collections::{HashMap, HashSet};

/// The clocks of two Ms may be this far apart in the order of lines: a goroutine is written
/// down where its waker looks before the event that says so, under a lock.
const SKEW_US: u64 = 20;

impl Trace {
    /// The invariants of every trace, also of one that was cut off. Time goes on. A P belongs
    /// to one M, and is taken only from an M that is in a call with it. A goroutine runs in
    /// one place and alone there, starts only when it can run, wakes only when it waits, does
    /// nothing while it is in a call, and comes back from each once. Every outcome has its
    /// request. At most one signal is on its way to an M, and it lands, or the M ends. And the
    /// reader knows every event.
    ///
    /// # Errors
    /// The first that does not hold.
    pub fn check(&self) -> Result<(), Broken> {
        self.replay_checked().map(|_| ())
    }

    /// [`check`](Trace::check), and what holds when a run is over, however it ended: no
    /// goroutine is lost. Each has ended, waits for something, or `main` has returned, or
    /// somebody else ran and ended the process. And where there is a sysmon, a goroutine that
    /// was asked to yield and could not is asked again, or comes off its processor.
    ///
    /// # Errors
    /// The first that does not hold.
    pub fn check_run(&self) -> Result<(), Broken> {
        let (world, flights) = self.replay_checked()?;
        let event = self.events.len().saturating_sub(1);
        if self.has_sysmon() && !world.over() {
            let at = self.events.last().map_or(0, |e| e.us);
            let forgotten = flights.forgotten(at);
            forgotten.map_or(Ok(()), |what| Err(Broken { event, what }))?;
        }
        let busy = |(_, state)| matches!(state, State::Running(_) | State::InCall(_));
        if world.over() || world.goroutines().any(busy) {
            return Ok(());
        }
        match world
            .goroutines()
            .find(|&(_, state)| state == State::Runnable)
        {
            None => Ok(()),
            Some((g, _)) => Err(Broken {
                event,
                what: format!("g{g} can run, everybody sleeps, and the trace ends: it is lost"),
            }),
        }
    }

    /// The world at the end of a trace in which everything may happen, and the signals then.
    fn replay_checked(&self) -> Result<(World, Flights), Broken> {
        let mut rules = Rules {
            events: &self.events,
            world: World::new(),
            clock: HashMap::new(),
            stops_late: HashSet::new(),
            asked: HashSet::new(),
            dead: HashSet::new(),
            flights: Flights::new(self.header("seed").is_some()),
        };
        for (i, event) in self.events.iter().enumerate() {
            if event.kind.is_none() && !self.kinds.is_empty() {
                let stage = self.stage().unwrap_or("a stage");
                let what = format!(
                    "there is no event `{}` among the kinds that this trace, of {stage}, is read with (a program's stage is chosen with .stage(&STAGE))",
                    event.name
                );
                return Err(Broken { event: i, what });
            }
            rules.step(i).map_err(|what| Broken { event: i, what })?;
        }
        Ok((rules.world, rules.flights))
    }
}

struct Rules<'a> {
    events: &'a [Event],
    /// Before the event.
    world: World,
    clock: HashMap<u32, u64>,
    /// Ms that give a P up in a line behind the next one's start.
    stops_late: HashSet<(u32, u32)>,
    /// Requests to preempt.
    asked: HashSet<u32>,
    /// Goroutines that have ended.
    dead: HashSet<u32>,
    flights: Flights,
}

impl Rules<'_> {
    fn step(&mut self, i: usize) -> Result<(), String> {
        let (event, e) = (&self.events[i], self.events[i].step());
        let last = self.clock.entry(e.m).or_insert(0);
        if e.at < *last {
            return Err(format!("the clock of m{} goes back", e.m));
        }
        *last = e.at;
        self.flights.step(&e, event.flow)?;
        if !e.effect.in_handler() {
            self.processors(i, &e)?;
            self.in_a_call(event, &e)?;
        }
        if let (Some(next), false) = (e.effect.leaves(), e.effect == Effect::LeavesCallWithoutP) {
            self.stops(event, &e, next)?;
        }
        if let Some(g) = e.named_g {
            self.happens_to(i, &e, g)?;
        }
        match event.flow {
            Some(flow) if e.effect == Effect::Asks => {
                self.asked.insert(flow);
            }
            Some(flow)
                if !self.asked.contains(&flow)
                    && !self.soon(i, |e| e.effect() == Effect::Asks && e.flow == Some(flow)) =>
            {
                return Err(format!("the outcome of request #{flow}, which nobody made"));
            }
            _ => {}
        }
        self.world.step(&e);
        Ok(())
    }

    /// Whether an event of this kind comes soon: the clocks of two Ms are not quite one.
    fn soon(&self, i: usize, f: impl Fn(&Event) -> bool) -> bool {
        let latest = self.events[i].us + SKEW_US;
        let next = self.events[i + 1..].iter();
        next.take_while(|e| e.us <= latest).any(f)
    }

    /// A P belongs to one M.
    fn processors(&mut self, i: usize, e: &Step) -> Result<(), String> {
        let m = e.m;
        match (e.effect, e.named_p) {
            (Effect::StartsP, Some(p)) => {
                if self.world.left(p) {
                    return Err(format!("p{p} was left behind in a call, and runs again"));
                }
                if let Some(other) = self.world.holder(p) {
                    if self.in_call(other) == Some(p) {
                        return Err(format!("p{p} starts, and m{other} is in a call with it"));
                    }
                    if !self.soon(i, |e| e.m == other && e.effect() == Effect::StopsP) {
                        return Err(format!("p{p} belongs to m{other} already"));
                    }
                    self.stops_late.insert((other, p));
                }
            }
            (Effect::StopsP, Some(p)) => {
                if self.in_call(m).is_some() && !self.world.call(m).is_some_and(|c| c.blocks) {
                    return Err(format!("m{m} stops p{p} in the middle of a call"));
                }
                if self.world.holder(p) != Some(m) && !self.stops_late.remove(&(m, p)) {
                    return Err(format!("m{m} gives p{p} up and does not hold it"));
                }
            }
            (Effect::StealsP, Some(p)) => {
                let from = e.named_m;
                let in_call = from.is_some_and(|from| self.in_call(from) == Some(p));
                if !in_call && !self.world.left(p) {
                    return Err(format!(
                        "p{p} is taken from an M that is in no call with it"
                    ));
                }
            }
            _ => {
                if let Some(p) = e.p
                    && self.world.holder(p) != Some(m)
                {
                    return Err(format!("m{m} works with p{p} and does not hold it"));
                }
            }
        }
        Ok(())
    }

    /// The P with which the M is in a call.
    fn in_call(&self, m: u32) -> Option<u32> {
        self.world.call(m)?.p
    }

    /// Calls begin where a goroutine runs, and end there once; meanwhile it does nothing.
    fn in_a_call(&self, event: &Event, e: &Step) -> Result<(), String> {
        let (m, name) = (e.m, &event.name);
        let call = self.world.call(m);
        match (e.effect, e.g) {
            (Effect::EntersCall, Some(g)) => {
                if self.world.state(g) != Some(State::Running(m)) {
                    return Err(format!("{name} of g{g}, which does not run here"));
                }
                if e.p.is_none() {
                    return Err(format!("g{g} enters a call without a P"));
                }
            }
            (Effect::CallBlocks | Effect::LeavesCall | Effect::LeavesCallWithoutP, g) => {
                let Some(call) = call.filter(|call| Some(call.g) == g) else {
                    return Err(format!("{name} on m{m}, whose goroutine is in no call"));
                };
                if e.effect == Effect::LeavesCall && e.p.is_none() {
                    let g = call.g;
                    return Err(format!("g{g} is back from its call and has no P"));
                }
            }
            (effect, g) => {
                let Some(call) = call.filter(|call| Some(call.g) == g) else {
                    return Ok(());
                };
                // On the way in and out threads are made and Ps change hands.
                let may = match effect {
                    Effect::StartsP | Effect::StopsP | Effect::StealsP => true,
                    Effect::Nothing | Effect::MakesM | Effect::Asks | Effect::Sends => true,
                    // An M that hands its P over before the call is the scheduler still, and
                    // may wake.
                    Effect::Wakes => call.blocks,
                    _ => false,
                };
                if !may {
                    return Err(format!("{name} by g{}, which is in a call", call.g));
                }
            }
        }
        Ok(())
    }

    /// The goroutine that runs here comes off.
    fn stops(&mut self, event: &Event, e: &Step, next: Next) -> Result<(), String> {
        let (name, Some(g)) = (&event.name, e.g) else {
            return Err(format!("{} of nobody", event.name));
        };
        if self.world.state(g) != Some(State::Running(e.m)) {
            return Err(format!("{name} of g{g}, which does not run here"));
        }
        if next == Next::Dead {
            self.dead.insert(g);
        }
        Ok(())
    }

    /// Goroutine `g` is made, starts, or is woken.
    fn happens_to(&self, i: usize, e: &Step, g: u32) -> Result<(), String> {
        let state = self.world.state(g);
        match e.effect {
            Effect::Makes if state.is_some() || self.dead.contains(&g) => {
                return Err(format!("g{g} is made twice"));
            }
            Effect::Starts | Effect::StartsNext => {
                match state {
                    // It went to sleep, and found at the last moment that it need not.
                    Some(State::Waiting(m)) if m == e.m && e.effect == Effect::StartsNext => {}
                    Some(State::Runnable) => {}
                    Some(State::Running(m)) => {
                        return Err(format!("g{g} starts while it runs on m{m}"));
                    }
                    Some(State::InCall(m)) => {
                        return Err(format!("g{g} starts while it is in a call on m{m}"));
                    }
                    Some(State::Waiting(_)) => return Err(format!("g{g} starts while it waits")),
                    None if self.dead.contains(&g) => {
                        return Err(format!("g{g} starts after its end"));
                    }
                    None => return Err(format!("g{g} starts and was never made")),
                }
                if e.p.is_none() {
                    return Err(format!("g{g} starts on an M without a P"));
                }
                if let Some(other) = self.world.on_m(e.m) {
                    let (m, other) = (e.m, other.g);
                    return Err(format!("g{g} starts on m{m}, where g{other} runs"));
                }
            }
            Effect::Wakes => {
                let blocks = Effect::Leaves(Next::Waiting);
                let waits = matches!(state, Some(State::Waiting(_)));
                if !waits && !self.soon(i, |e| e.g == Some(g) && e.effect() == blocks) {
                    return Err(format!("g{g} is woken and does not wait"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
