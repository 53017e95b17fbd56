//! Functions of the runtime that may be inlined into a goroutine's own code, and why. A goroutine
//! may be stopped at each of their instructions, and go on on another thread.

/// Why, and which: `file: function`.
const SHELLS: &[(&str, &[&str])] = &[
    (
        "The entry of a goroutine: reads the closure out of its own G, once, and calls it.",
        &[
            "stage1-coop/src/sched/newproc.rs: shim",
            "stage1-coop/src/sched/newproc.rs: shim_boxed",
            "stage1-coop/src/life/run.rs: run_here",
            "stage1-coop/src/sched/goexit.rs: goexiting",
            "stage2-sysmon/src/timers/tick.rs: fire",
        ],
    ),
    (
        "Asks g alone, which is the goroutine itself on whatever thread it runs.",
        &[
            "stage1-coop/src/arch/tls.rs: getg",
            "stage1-coop/src/arch/tls.rs: goroutine",
            "stage1-coop/src/arch/tls.rs: on_goroutine",
        ],
    ),
    (
        "Reads or writes one word, which one its caller says; or reads what is the same for all threads.",
        &[
            "stage1-coop/src/word.rs: get",
            "stage1-coop/src/word.rs: set",
            "stage1-coop/src/word.rs: load",
            "stage1-coop/src/word.rs: from",
            "stage1-coop/src/stage.rs: stage",
            "stage1-coop/src/stack/slots.rs: frames_room",
            "stage1-coop/lockstep/src/baton.rs: enabled",
        ],
    ),
    (
        "Starts a goroutine: writes into a G that nothing else knows yet.",
        &[
            "stage1-coop/src/sched/newproc.rs: go",
            "stage1-coop/src/sched/newproc.rs: go_borrowing",
            "stage1-coop/src/sched/newproc.rs: store_entry",
            "stage1-coop/src/sync/scope.rs: go",
            "stage1-coop/src/sync/scope.rs: scope",
        ],
    ),
    (
        "Counts in a word of the thread, by one instruction.",
        &[
            "stage1-coop/src/stack/preempt.rs: acquirem",
            "stage1-coop/src/stack/preempt.rs: enter_malloc",
            "stage1-coop/src/stack/preempt.rs: leave_malloc",
            "stage1-coop/src/stack/preempt.rs: look_for_requests",
        ],
    ),
    (
        "Moves the stack pointer within the goroutine's own stack.",
        &[
            "stage1-coop/src/stack/ruler.rs: with_frame",
            "stage1-coop/src/stack/ruler.rs: next_mark",
            "stage1-coop/src/stack/ruler.rs: approximate_sp",
        ],
    ),
    (
        "Makes a value or a handle, follows it, or counts its references: memory that no thread owns.",
        &[
            "stage1-coop/src/sync/chan.rs: new",
            "stage1-coop/src/sync/chan.rs: hchan",
            "stage1-coop/src/sync/chan.rs: clone",
            "stage1-coop/src/sync/chan.rs: iter",
            "stage1-coop/src/sync/receiver.rs: from",
            "stage1-coop/src/sync/receiver.rs: chan",
            "stage1-coop/src/sync/receiver.rs: source",
            "stage1-coop/src/sync/receiver.rs: iter",
            "stage1-coop/src/sync/receiver.rs: end",
            "stage1-coop/src/sync/mutex.rs: new",
            "stage1-coop/src/sync/rwlock.rs: new",
            "stage1-coop/src/sync/waitgroup.rs: new",
            "stage1-coop/src/sync/waitgroup.rs: default",
            "stage1-coop/src/sync/waitgroup.rs: derive",
            "stage1-coop/src/sync/waitgroup.rs: add",
            "stage1-coop/src/sync/cases.rs: new",
            "stage1-coop/src/sync/select.rs: recv",
            "stage1-coop/src/sync/select.rs: send",
            "stage2-sysmon/src/io/pipe.rs: new",
        ],
    ),
    (
        "Exchanges one word that no thread owns; what follows if another goroutine was first is never inlined.",
        &[
            "stage1-coop/src/sync/mutex.rs: lock",
            "stage1-coop/src/sync/mutex.rs: drop",
        ],
    ),
    (
        "A shell: keeps a value in a variable of its own and calls what is never inlined.",
        &[
            "stage1-coop/src/sync/chan.rs: send",
            "stage1-coop/src/sync/chan.rs: recv",
            "stage1-coop/src/sync/chan.rs: close",
            "stage1-coop/src/sync/chan.rs: try_send",
            "stage1-coop/src/sync/chan.rs: try_recv",
            "stage1-coop/src/sync/chan.rs: len",
            "stage1-coop/src/sync/chan.rs: is_empty",
            "stage1-coop/src/sync/chan.rs: is_closed",
            "stage1-coop/src/sync/receiver.rs: recv",
            "stage1-coop/src/sync/receiver.rs: try_recv",
            "stage1-coop/src/sync/receiver.rs: len",
            "stage1-coop/src/sync/receiver.rs: is_empty",
            "stage1-coop/src/sync/receiver.rs: is_closed",
            "stage1-coop/src/sync/cases.rs: case",
            "stage1-coop/src/sync/cases.rs: end",
            "stage1-coop/src/sync/cases.rs: recv",
            "stage1-coop/src/sync/cases.rs: wait",
            "stage2-sysmon/src/io/net.rs: connect",
        ],
    ),
    (
        "Around a system call: in between, the goroutine's state says that it is not to be stopped.",
        &[
            "stage2-sysmon/src/syscall/enter.rs: syscall",
            "stage2-sysmon/src/syscall/enter.rs: syscall_block",
            "stage2-sysmon/src/syscall/enter.rs: here",
            "stage2-sysmon/src/syscall/enter.rs: drop",
            "stage2-sysmon/src/syscall/wired.rs: syscall_wired",
            "stage2-sysmon/src/syscall/wired.rs: drop",
            "stage2-sysmon/src/io/calls.rs: libc_call",
            "stage2-sysmon/src/io/calls.rs: nanosleep",
            "stage2-sysmon/src/io/calls.rs: read",
            "stage2-sysmon/src/io/calls.rs: write",
        ],
    ),
];

/// The entry for `file: function`.
pub(super) fn find(item: &str) -> Option<&'static str> {
    all().find(|shell| *shell == item)
}

/// Every entry.
pub fn all() -> impl Iterator<Item = &'static str> {
    SHELLS.iter().flat_map(|(_, shells)| shells.iter().copied())
}
