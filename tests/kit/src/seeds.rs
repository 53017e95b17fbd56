//! A search over schedules. Each seed is another one, exactly repeatable; so a rule that must
//! hold on every schedule is tried on many, and the first that breaks it has a number.

use crate::scenario::{DIED, Done, Ready};
use crate::trace_of::TraceOf;
use safepoint_trace::{Kinds, Trace};
use std::cell::RefCell;
use std::ops::{Bound, RangeBounds};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::sync_channel;

/// A scenario on many schedules: made by [`TraceOf::seeds`].
#[must_use = "say what must hold, with check"]
pub struct Seeds {
    scenario: TraceOf,
    /// First and last.
    seeds: (u64, u64),
}

/// A schedule that breaks something.
struct Found {
    seed: u64,
    what: String,
    /// Its trace, if it left one.
    trace: Option<(usize, String)>,
}

impl Seeds {
    pub(crate) fn new(scenario: TraceOf, seeds: impl RangeBounds<u64>) -> Seeds {
        let first = match seeds.start_bound() {
            Bound::Included(&n) => n,
            Bound::Excluded(&n) => n.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let last = match seeds.end_bound() {
            Bound::Included(&n) => Some(n),
            Bound::Excluded(&n) => n.checked_sub(1),
            Bound::Unbounded => Some(u64::MAX),
        };
        // An empty range has its last before its first.
        let seeds = last.map_or((1, 0), |last| (first, last));
        Seeds { scenario, seeds }
    }

    /// Runs the scenario once for each seed, and `rule` on each trace. A schedule breaks
    /// something if the scenario does not end well (one of its own assertions fails, it
    /// deadlocks, it exceeds its limit), if an invariant of the trace does not hold, or if
    /// `rule` panics.
    ///
    /// # Panics
    /// If a schedule does: with the first such seed, what it breaks, and of all seeds the one
    /// with the shortest trace, whole. Give that number to [`TraceOf::seed`] to see it again.
    /// Also if there is no seed in the range.
    #[track_caller]
    pub fn check(mut self, rule: impl Fn(&Trace)) {
        let (first, last) = self.seeds;
        assert!(first <= last, "seeds({first}..={last}): there is none");
        let mut ready = match self.scenario.ready() {
            Ok(ready) => ready,
            Err(what) => panic!("{what}"),
        };
        if ready.earlier().is_some() {
            // A child of a later call, on its way there.
            return;
        }
        let rule = Rule {
            holds: &rule,
            may_die: ready.may_die,
            kinds: self.scenario.stage.kinds,
        };
        // One that dies leaves a trace, too.
        ready.may_die = true;
        let broken = search(&ready, first, last, &rule);
        if let Some(message) = report(&broken, last - first, rule.kinds) {
            panic!("{message}");
        }
        ready.keep(&Done::default());
    }
}

/// What must hold on every schedule.
struct Rule<'a> {
    holds: &'a dyn Fn(&Trace),
    may_die: bool,
    kinds: Kinds,
}

/// Runs all seeds, a few at a time, and looks at the results in the order of the seeds. The
/// rule runs on this thread alone, so that a test's output stays the test's.
fn search(ready: &Ready, first: u64, last: u64, rule: &Rule<'_>) -> Vec<Found> {
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let workers = std::thread::available_parallelism().map_or(2, |n| n.get().min(8));
    let (put, get) = sync_channel(workers);
    let mut broken = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let (put, next, stop) = (put.clone(), &next, &stop);
            scope.spawn(move || {
                loop {
                    let n = next.fetch_add(1, SeqCst);
                    let seed = first.saturating_add(n);
                    let over = n > last - first || stop.load(SeqCst);
                    if over || put.send((seed, ready.run(seed))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(put);
        for (seed, result) in get {
            let shortest = broken.iter().filter_map(size).min();
            if let Some(found) = judge(seed, result, rule, shortest) {
                broken.push(found);
            }
            // A scenario that never ends well says so often enough.
            stop.store(broken.len() >= ENOUGH, SeqCst);
        }
    });
    broken.sort_by_key(|found| found.seed);
    broken
}

/// After so many schedules that break something, no new one is begun.
const ENOUGH: usize = 100;

fn size(found: &Found) -> Option<usize> {
    found.trace.as_ref().map(|(events, _)| *events)
}

/// What one schedule breaks, if anything. Its trace is kept if it is shorter than all before.
fn judge(
    seed: u64,
    result: Result<Done, String>,
    rule: &Rule<'_>,
    shortest: Option<usize>,
) -> Option<Found> {
    let done = match result {
        Ok(done) => done,
        Err(what) => {
            let trace = None;
            return Some(Found { seed, what, trace });
        }
    };
    let trace = Trace::parse(&done.trace, rule.kinds);
    let what = if done.code == DIED && !rule.may_die {
        format!("it dies:\n{}", done.errors)
    } else if let Err(broken) = trace.check_run() {
        format!("the trace breaks an invariant: {broken}")
    } else {
        quietly(|| (rule.holds)(&trace)).err()?
    };
    let events = trace.events.len();
    let keep = shortest.is_none_or(|n| events < n);
    Some(Found {
        seed,
        what,
        trace: keep.then_some((events, done.trace)),
    })
}

/// Runs the rule. If it panics, its message and its place are returned, and not printed: they
/// are in the report if this schedule is, and a hundred others would stand in front of it.
fn quietly(rule: impl FnOnce()) -> Result<(), String> {
    thread_local! {
        /// Where the rule that runs on this thread has panicked, while one does.
        static AT: RefCell<Option<String>> = const { RefCell::new(None) };
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let quiet = AT.try_with(|at| {
                let Ok(mut at) = at.try_borrow_mut() else {
                    return false;
                };
                let place = info.location().map(ToString::to_string);
                at.as_mut().is_some_and(|at| {
                    *at = place.unwrap_or_default();
                    true
                })
            });
            if quiet != Ok(true) {
                before(info);
            }
        }));
    });
    AT.set(Some(String::new()));
    let result = catch_unwind(AssertUnwindSafe(rule));
    let at = AT.take().unwrap_or_default();
    result.map_err(|panic| match at.as_str() {
        "" => message(panic.as_ref()),
        at => format!("{} (at {at})", message(panic.as_ref())),
    })
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|&s| s.to_owned()))
        .unwrap_or_else(|| "the rule panicked".to_owned())
}

/// The words about what was found.
fn report(broken: &[Found], more: u64, kinds: Kinds) -> Option<String> {
    let first = broken.first()?;
    let all = more.saturating_add(1);
    let count = match broken.len() {
        ENOUGH.. => format!("{} of the first schedules", broken.len()),
        n => format!("{n} of {all} schedules"),
    };
    let mut out = format!(
        "{count} broke something. The first is .seed({}): {}",
        first.seed, first.what
    );
    let shortest = broken.iter().filter(|f| f.trace.is_some());
    if let Some(found) = shortest.min_by_key(|f| size(f))
        && let Some((events, text)) = &found.trace
    {
        out.push_str(&format!(
            "\nThe shortest trace, {events} events, is .seed({}): {}\n{}{text}",
            found.seed,
            found.what,
            Trace::parse(text, kinds).strip(),
        ));
    }
    Some(out)
}
