//! The events that this stage adds to a trace: what each is called, and what it does. Nothing
//! here needs the runtime, so readers that cannot link it (the book) include this file. What
//! records them is in `events.rs`.
//!
//! Tests: `traces::generated_pages`, `invariants`.

use safepoint_trace::Effect::{
    CallBlocks, EntersCall, LeavesCall, LeavesCallWithoutP, StealsP, Works,
};

safepoint_trace::kinds! {
    GO_SYS_CALL "GoSysCall" "" "The goroutine enters a system call. From here on its P can be taken away." => EntersCall;
    GO_SYS_BLOCK "GoSysBlock" "" "The call is known to block: the M gives its P away at once." => CallBlocks;
    GO_SYS_EXIT "GoSysExit" "" "The goroutine is back from its call and runs on, with the P that the column shows." => LeavesCall;
    GO_SYS_EXIT_BLOCKED "GoSysExit" "blocked" "It is back, and there is no P for it: it has to queue, and its M sleeps." => LeavesCallWithoutP;
    PROC_STEAL "ProcSteal" "p{n} m{n}" "Somebody takes this P away from that M, whose system call takes long." => StealsP;
    NET_POLL "NetPoll" "{s} n={n}" "Descriptors are ready for this many goroutines. Who asked: `findrunnable`, the last idle thread (`sleeper`), or `sysmon`." => Works;
}
