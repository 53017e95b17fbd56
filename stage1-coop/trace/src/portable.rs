//! Whether a trace of lockstep is the same on every machine and with every compiler, and why
//! not: as the head of a text says it, and as a reader finds it there.
//!
//! Tests: `stage1-coop/trace/tests/later.rs`, `trace_of::refused::what_is_refused_says_what_to_do`.

/// What the head of a trace says after `portable=`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Portable {
    /// The same bytes everywhere.
    Yes,
    /// A compiled loop without a check ran long.
    NearWatchdog,
    /// A stack grew because of the compiler's own frames, or nearly did.
    StackGrowth,
    /// A thread blocked where the runtime does not see it.
    Blocked,
    /// The run waited for the world outside.
    Outside,
}

const ALL: [Portable; 5] = [
    Portable::Yes,
    Portable::NearWatchdog,
    Portable::StackGrowth,
    Portable::Blocked,
    Portable::Outside,
];

impl Portable {
    /// As a trace says it.
    pub fn words(self) -> &'static str {
        match self {
            Portable::Yes => "yes",
            Portable::NearWatchdog => "no (a loop without a check ran long)",
            Portable::StackGrowth => "no (the compiler's frames decide when a stack grows)",
            Portable::Blocked => "no (a thread blocked outside the runtime)",
            Portable::Outside => "no (it waited for the world outside the process)",
        }
    }

    /// What is said behind `portable=` in this line, if it is something that can be said.
    pub fn read(line: &str) -> Option<Portable> {
        let (_, said) = line.split_once("portable=")?;
        ALL.into_iter()
            .find(|known| said.starts_with(known.words()))
    }

    /// What its author can do to make a scenario portable; of a portable one, nothing.
    pub fn ways_out(self) -> &'static str {
        match self {
            Portable::Yes => "",
            Portable::NearWatchdog => {
                "put a check into the loop (#[gofunc], prologue!()), or let time pass in spin(n)"
            }
            Portable::StackGrowth => {
                "let a stack grow in with_frame, whose frame is the same everywhere; or build with opt-level = 1 under [profile.dev], so that the compiler's frames are smaller"
            }
            Portable::Blocked => {
                "wait with the runtime's own means (channels, locks, sleep), so that lockstep sees it; or call what blocks in syscall"
            }
            Portable::Outside => {
                "let both sides of a socket or a pipe be goroutines of the scenario, so that it waits for nothing outside"
            }
        }
    }
}
