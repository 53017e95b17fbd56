//! The kinds of events and the reasons for waiting: the vocabulary of a trace. Each stage
//! registers its own kinds as constants like these; the legend in the book is made of them.

use super::gov2::{InGo, log};
use super::in_go::{
    go_block, go_create, go_end, go_preempt, go_sched, go_start, go_unblock, proc_start, proc_stop,
};

/// A kind of event.
pub struct Kind {
    /// Its name: Go's where Go has one.
    pub name: &'static str,
    /// How its arguments print: `{n}` a number, `{t}` a time, `{s}` a text (two words).
    pub form: &'static str,
    /// What it means, for the legend.
    pub doc: &'static str,
    /// Whether the goroutine that ran leaves its processor with it.
    pub leaves: bool,
    /// Whether it takes the P that it names first away from whoever has it.
    pub takes: bool,
    /// What it is in Go's form of a trace.
    pub go: InGo,
}

impl Kind {
    /// The argument that is a length of time, if one is.
    pub(super) fn length<'a>(&self, args: &'a mut [u64; 3]) -> Option<&'a mut u64> {
        let (before, _) = self.form.split_once("{t}")?;
        let words = |text: &str| 2 * text.matches("{s}").count() + text.matches("{n}").count();
        args.get_mut(words(before))
    }
}

macro_rules! kinds {
    ($( $id:ident $name:literal $form:literal $doc:literal $($leaves:ident)? => $go:ident; )+) => {
        $(
            #[doc = $doc]
            pub static $id: Kind = Kind {
                name: $name,
                form: $form,
                doc: $doc,
                leaves: kinds!(@ $($leaves)?),
                takes: false,
                go: $go,
            };
        )+
        /// The kinds that this stage registers.
        pub const KINDS: &[&Kind] = &[$(&$id),+];
    };
    (@) => { false };
    (@ leaves) => { true };
}

kinds! {
    PROC_START "ProcStart" "p{n}" "An M takes this P and may run goroutines." => proc_start;
    PROC_STOP "ProcStop" "p{n}" "The M gives this P up: there is nothing to run." => proc_stop;
    THREAD_START "ThreadStart" "m{n}" "A new thread is made for this M." => log;
    GO_CREATE "GoCreate" "g{n} {s}" "A goroutine is made, with this name; it can run now." => go_create;
    GO_START "GoStart" "g{n}" "This goroutine gets the processor, for a fresh time slice." => go_start;
    GO_START_NEXT "GoStart" "g{n} next" "The same from `runnext`: it inherits the rest of the slice." => go_start;
    GO_END "GoEnd" "" "The goroutine has finished." leaves => go_end;
    GO_SCHED "GoSched" "" "The goroutine lets others run, of its own will." leaves => go_sched;
    GO_PREEMPT "GoPreempt" "{s}" "The goroutine heeds a request and yields: `coop`, at a guard check." leaves => go_preempt;
    GO_BLOCK "GoBlock" "{s}" "The goroutine parks, for this reason." leaves => go_block;
    GO_UNBLOCK "GoUnblock" "g{n}" "This parked goroutine can run again." => go_unblock;
    PREEMPT "Preempt" "p{n}/g{n} ran={t}" "Somebody asks the goroutine on this P to yield; `ran` is how long its slice is." => log;
    POLL_HIT "PollHit" "refused={s}" "A guard check met a request and could not obey, for this reason." => log;
    STACK_GROW "StackGrow" "{n}K" "The goroutine may use this much stack from now on." => log;
    STEAL "Steal" "p{n} n={n}" "The P takes this many goroutines from that P's queue." => log;
    USER_LOG "UserLog" "{s}" "A line of the program's own." => log;
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

/// Why a goroutine waits. The names are Go's, as dumps and traces print them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum WaitReason {
    /// It does not.
    Zero,
    /// Receiving from a channel.
    ChanReceive,
    /// Sending to a channel.
    ChanSend,
    /// Receiving from a channel that is no channel: for ever.
    ChanReceiveNil,
    /// Sending to a channel that is no channel: for ever.
    ChanSendNil,
    /// Waiting for one of several channels.
    Select,
    /// Waiting for one of no channels: for ever.
    SelectNoCases,
    /// Waiting for a mutex.
    SyncMutexLock,
    /// Waiting for others to be done.
    SyncWaitGroupWait,
    /// Waiting to read beside other readers.
    SyncRWMutexRLock,
    /// Waiting to write alone.
    SyncRWMutexLock,
    /// Waiting for a condition.
    SyncCondWait,
    /// The first of the stage's own: `Stage::wait_reasons` names it.
    Later0,
    /// The second.
    Later1,
    /// The third.
    Later2,
    /// The fourth.
    Later3,
}

impl WaitReason {
    /// Go's name of the reason.
    pub fn name(self) -> &'static str {
        match self {
            WaitReason::Zero => "",
            WaitReason::ChanReceive => "chan receive",
            WaitReason::ChanSend => "chan send",
            WaitReason::ChanReceiveNil => "chan receive (nil chan)",
            WaitReason::ChanSendNil => "chan send (nil chan)",
            WaitReason::Select => "select",
            WaitReason::SelectNoCases => "select (no cases)",
            WaitReason::SyncMutexLock => "sync.Mutex.Lock",
            WaitReason::SyncWaitGroupWait => "sync.WaitGroup.Wait",
            WaitReason::SyncRWMutexRLock => "sync.RWMutex.RLock",
            WaitReason::SyncRWMutexLock => "sync.RWMutex.Lock",
            WaitReason::SyncCondWait => "sync.Cond.Wait",
            later => {
                let n = later as usize - WaitReason::Later0 as usize;
                crate::stage::stage()
                    .wait_reasons
                    .get(n)
                    .copied()
                    .unwrap_or("")
            }
        }
    }

    /// The reason that a G's `waitreason` holds.
    pub fn from_u8(n: u8) -> WaitReason {
        use WaitReason::*;
        const ALL: [WaitReason; 16] = [
            Zero,
            ChanReceive,
            ChanSend,
            ChanReceiveNil,
            ChanSendNil,
            Select,
            SelectNoCases,
            SyncMutexLock,
            SyncWaitGroupWait,
            SyncRWMutexRLock,
            SyncRWMutexLock,
            SyncCondWait,
            Later0,
            Later1,
            Later2,
            Later3,
        ];
        ALL.get(usize::from(n)).copied().unwrap_or(Zero)
    }
}
