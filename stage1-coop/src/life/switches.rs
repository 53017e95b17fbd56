//! The environment variables that the runtime reads: one list for the code that takes them out
//! of a child's environment, and for the table in README. `config.rs` reads them.
//! Tests: `switches`.

/// An environment variable.
#[derive(Clone, Copy, Debug)]
pub struct Switch {
    /// Its name; Go's, where Go has it.
    pub name: &'static str,
    /// What it may be set to, and what that does, in Markdown.
    pub values: &'static [(&'static str, &'static str)],
}

/// Those that the runtime reads. The keys of `GODEBUG` are [`GodebugKey`](crate::rt::life::GodebugKey)s.
pub const SWITCHES: &[Switch] = &[
    Switch {
        name: "GOMAXPROCS",
        values: &[(
            "1 to 256",
            "the number of Ps; it wins over what the program says",
        )],
    },
    Switch {
        name: "GODEBUG",
        values: &[(
            "`KEY=N,...`",
            "the keys below; they win over `Runtime::godebug`, and those that we do not have are named and ignored",
        )],
    },
    Switch {
        name: "GOTRACEBACK",
        values: &[(
            "`none`, `single`, `all`, `system`, `crash`",
            "how much a dying program prints; `crash` also aborts",
        )],
    },
    Switch {
        name: "SAFEPOINT_SEED",
        values: &[("a number", "lockstep with this seed")],
    },
    Switch {
        name: "SAFEPOINT_TRACE",
        values: &[
            ("`-`", "the trace as text on stderr"),
            ("`FILE.txt`", "the same text in a file"),
            (
                "`FILE.json`",
                "for Perfetto or `chrome://tracing`: a lane for each P, arrows from a request to \
                 its yield",
            ),
            (
                "`FILE.trace`",
                "for Go's own tools, `go tool trace FILE.trace`: requests to preempt are in the \
                 log of the goroutine that was asked",
            ),
        ],
    },
    Switch {
        name: "SAFEPOINT_TRACE_STREAM",
        values: &[(
            "`1`",
            "the trace is written while the program runs, by a thread of its own: it can be as \
             long as the run, and what was written is there whatever ends the process. Without \
             it, each thread keeps its first 1.4 million events, and a trace that ran full says \
             where it ends.",
        )],
    },
    Switch {
        name: "SAFEPOINT_TRACE_LAST",
        values: &[(
            "a number",
            "only this many of the last events, for `-`, `.txt` and `.json`; not together with \
             `SAFEPOINT_TRACE_STREAM`",
        )],
    },
    Switch {
        name: "SAFEPOINT_REPLAY",
        values: &[(
            "a command",
            "what the head of a trace says after `replay:`, for programs that are started in a \
             way of their own",
        )],
    },
    Switch {
        name: "SAFEPOINT_TRACE_MAP",
        values: &[(
            "`FILE`",
            "the last events also go to this file, which must have its length already (`truncate \
             -s 64K FILE`) and room for it on its disk, and can be read there whatever becomes of \
             the process: `strings -n 20 FILE \\| sort -n`",
        )],
    },
];
