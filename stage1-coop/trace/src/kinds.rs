//! The kinds of events: the vocabulary of a trace. A kind says once what it is called, how its
//! arguments print, and what the event does to the goroutines and the Ps ([`Effect`]). All that
//! reads a trace goes by the effect, so a later stage adds an event in one line, and no reader
//! changes.
//!
//! Here are the kinds of stage 1; each later stage declares its own with [`kinds!`](crate::kinds)
//! and registers them in its table. The legend in the book is made of them. Tests:
//! `stage1-coop/trace/tests/later.rs`.

use Effect::{
    Asks, Leaves, Makes, MakesM, Nothing, Obeys, Refuses, Starts, StartsNext, StartsP, StopsP,
    Wakes, Works,
};
use Next::{Dead, Runnable, Waiting};

/// A kind of event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kind {
    /// Its name: Go's where Go has one.
    pub name: &'static str,
    /// How its arguments print: `{n}` a number, `{t}` a time, `{s}` a text (two words). The
    /// letter in front of a number says what it counts: `g{n}` is a goroutine.
    pub form: &'static str,
    /// What it means, for the legend.
    pub doc: &'static str,
    /// What it does.
    pub effect: Effect,
}

/// The kinds that a trace may hold: one list from each stage, as its table has them.
pub type Kinds = &'static [&'static [&'static Kind]];

/// What an event does: who runs, who waits, which P is whose. "The M", "the P" and "the
/// goroutine" are those of the event's columns; what its arguments name is *named*.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// None of all this.
    Nothing,
    /// None of all this; but the M, or its goroutine, works, so it is in no call.
    Works,
    /// The named M gets a thread.
    MakesM,
    /// The M takes the named P.
    StartsP,
    /// The M gives the named P up.
    StopsP,
    /// The named P is taken out of the call of the named M. An M that takes it for itself has
    /// it in its column already.
    StealsP,
    /// The named goroutine is made, and can run.
    Makes,
    /// The named goroutine gets the processor, for a fresh time slice.
    Starts,
    /// The named goroutine gets the processor for the rest of the slice.
    StartsNext,
    /// The goroutine comes off its processor by itself.
    Leaves(Next),
    /// The goroutine comes off its processor because it was asked to, and can run.
    Obeys,
    /// The named goroutine waited, and can run again.
    Wakes,
    /// The named goroutine, on the named P, is asked to yield.
    Asks,
    /// The goroutine met a request to yield, and runs on.
    Refuses,
    /// A signal is sent to the named M, so that it answers the request. Until it has landed no
    /// other one is sent there.
    Sends,
    /// The signal has landed on the M, whose handler runs. What that has interrupted may be in
    /// the middle of anything that is an event, so the columns show what it found, and nothing
    /// follows from them.
    Lands,
    /// A signal that was sent for no request, a clock's or a stranger's, has interrupted the M.
    /// The columns are as for [`Lands`](Effect::Lands).
    Interrupts,
    /// The handler lets the goroutine run on: it cannot be stopped where it is. The columns are
    /// as for [`Lands`](Effect::Lands).
    Declines,
    /// The goroutine enters a system call. Its P stays with it until it is taken.
    EntersCall,
    /// The call is known to block: the M gives its P up by itself.
    CallBlocks,
    /// The goroutine is back from its call and runs on, with the P of the event.
    LeavesCall,
    /// The goroutine is back from its call, has no P, and can run.
    LeavesCallWithoutP,
}

/// What the totals of a trace count events as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Count {
    /// Requests to yield.
    Asked,
    /// Signals that were sent so that a request is answered.
    Signalled,
    /// Answers to a request: not now.
    Refused,
    /// Answers to a request: the goroutine yields.
    Taken,
}

/// What a goroutine that comes off its processor is from then on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// It can run.
    Runnable,
    /// It waits until it is woken.
    Waiting,
    /// It has ended.
    Dead,
}

impl Effect {
    /// What the goroutine that ran is from here on, if it comes off its processor.
    pub fn leaves(self) -> Option<Next> {
        match self {
            Leaves(next) => Some(next),
            Obeys | Effect::LeavesCallWithoutP => Some(Runnable),
            _ => None,
        }
    }

    /// Whether the named goroutine gets the processor.
    pub fn starts(self) -> bool {
        matches!(self, Starts | StartsNext)
    }

    /// What the event counts as.
    pub fn counts_as(self) -> Option<Count> {
        match self {
            Asks => Some(Count::Asked),
            Effect::Sends => Some(Count::Signalled),
            Refuses | Effect::Declines => Some(Count::Refused),
            Obeys => Some(Count::Taken),
            _ => None,
        }
    }

    /// Whether the handler of a signal says so, which may have interrupted anything.
    pub fn in_handler(self) -> bool {
        matches!(self, Effect::Lands | Effect::Interrupts | Effect::Declines)
    }
}

impl Kind {
    /// A kind, if it is one: a text can have any number of words, so what is numbered, and is
    /// to be found again in a line, comes before the first text.
    pub const fn new(
        name: &'static str,
        form: &'static str,
        doc: &'static str,
        effect: Effect,
    ) -> Kind {
        let bytes = form.as_bytes();
        let (mut at, mut text) = (0, false);
        while at + 2 < bytes.len() {
            if bytes[at] == b'{' {
                let counts = bytes[at + 1] == b'n' && at > 0;
                assert!(
                    !(text && counts && matches!(bytes[at - 1], b'g' | b'p' | b'm')),
                    "a number of a G, P or M comes before the first text"
                );
                text |= bytes[at + 1] == b's';
            }
            at += 1;
        }
        Kind {
            name,
            form,
            doc,
            effect,
        }
    }

    /// The place among the arguments of the first number behind `letter`, and of the first
    /// length of time for `letter` 't'.
    pub(crate) fn place(&self, letter: char) -> Option<usize> {
        let mut at = 0;
        for (open, hole) in self.holes() {
            match hole {
                "{s}" => at += 2,
                "{t}" if letter == 't' => return Some(at),
                "{n}" if self.form[..open].ends_with(letter) => return Some(at),
                _ => at += 1,
            }
        }
        None
    }

    /// The places in the form where arguments stand.
    fn holes(&self) -> impl Iterator<Item = (usize, &'static str)> {
        self.form
            .match_indices('{')
            .map(|(open, _)| (open, &self.form[open..open + 3]))
    }
}

/// Declares kinds of events, one a line, and their list, `KINDS`:
///
/// ```
/// use safepoint_trace::{Effect::{Leaves, Nothing}, Next::Runnable, kinds};
///
/// kinds! {
///     GO_PAUSE "GoPause" "{s}" "The goroutine makes room, for this reason." => Leaves(Runnable);
///     SIGNAL "Signal" "m{n}" "A signal is sent to this M." => Nothing;
/// }
/// assert_eq!(KINDS.len(), 2);
/// ```
#[macro_export]
macro_rules! kinds {
    ($( $id:ident $name:literal $form:literal $doc:literal => $effect:expr; )+) => {
        $(
            #[doc = $doc]
            pub static $id: $crate::Kind = $crate::Kind::new($name, $form, $doc, $effect);
        )+
        /// All of these.
        pub const KINDS: &[&$crate::Kind] = &[$(&$id),+];
    };
}

kinds! {
    PROC_START "ProcStart" "p{n}" "An M takes this P and may run goroutines." => StartsP;
    PROC_STOP "ProcStop" "p{n}" "The M gives this P up: there is nothing to run." => StopsP;
    THREAD_START "ThreadStart" "m{n}" "A new thread is made for this M." => MakesM;
    GO_CREATE "GoCreate" "g{n} {s}" "A goroutine is made, with this name; it can run now." => Makes;
    GO_START "GoStart" "g{n}" "This goroutine gets the processor, for a fresh time slice." => Starts;
    GO_START_NEXT "GoStart" "g{n} next" "The same from `runnext`: it inherits the rest of the slice." => StartsNext;
    GO_END "GoEnd" "" "The goroutine has finished." => Leaves(Dead);
    GO_SCHED "GoSched" "" "The goroutine lets others run, of its own will." => Leaves(Runnable);
    GO_PREEMPT "GoPreempt" "{s}" "The goroutine heeds a request and yields: `coop`, at a guard check." => Obeys;
    GO_BLOCK "GoBlock" "{s}" "The goroutine parks, for this reason." => Leaves(Waiting);
    GO_UNBLOCK "GoUnblock" "g{n}" "This parked goroutine can run again." => Wakes;
    PREEMPT "Preempt" "p{n}/g{n} ran={t}" "Somebody asks the goroutine on this P to yield; `ran` is how long its slice is." => Asks;
    POLL_HIT "PollHit" "refused={s}" "A guard check met a request and could not obey, for this reason." => Refuses;
    STACK_GROW "StackGrow" "{n}K" "The goroutine may use this much stack from now on." => Works;
    STEAL "Steal" "p{n} n={n}" "The P takes this many goroutines from that P's queue." => Works;
    USER_LOG "UserLog" "{s}" "A line of the program's own." => Nothing;
}

/// The legend of `kinds` as Markdown.
pub fn legend(kinds: &[&Kind]) -> String {
    use std::fmt::Write;
    let mut out = String::from("| event | arguments | meaning |\n|---|---|---|\n");
    for kind in kinds {
        let form = if kind.form.is_empty() {
            String::new()
        } else {
            let shown = kind
                .form
                .replace("ran={t}", "ran=TIME")
                .replace("{n}K", "SIZE")
                .replace("{n}", "N")
                .replace("refused={s}", "refused=WHY")
                .replace("{s}", "TEXT");
            format!("`{shown}`")
        };
        let _ = writeln!(out, "| `{}` | {form} | {} |", kind.name, kind.doc);
    }
    out
}
