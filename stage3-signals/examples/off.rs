//! `the_loop` with preemption by signals switched off: it hangs as in stages 1 and 2.
//!
//! Sysmon asks every 10 ms, by the flag alone. The program says so itself; Go's switch in the
//! environment, `GODEBUG=asyncpreemptoff=1`, does the same for any program, and with 0 it wins
//! over the program.

use stage3_signals::{Runtime, STAGE, ThirdParty, WaitGroup, exit, go, gofunc, prologue};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

static HAD_ITS_TURN: AtomicBool = AtomicBool::new(false);

fn main() {
    let runtime = Runtime::new(&STAGE)
        .procs(1)
        .godebug("asyncpreemptoff", 1)
        .third_party(look_on);
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        runtime.run(|| {
            let stopped = WaitGroup::new();
            stopped.add(1);
            go("patient", || HAD_ITS_TURN.store(true, SeqCst));
            go("the_loop", the_loop);
            stopped.wait();
        });
    }
}

/// One check at the start, and then never again.
#[gofunc]
fn the_loop() {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns + 1);
    }
}

/// Runs on a thread of its own, without a processor. It asks for nothing: sysmon does.
fn look_on(me: &mut ThirdParty) {
    if !me.sleep(Duration::from_millis(200)) {
        return;
    }
    let turn = match HAD_ITS_TURN.load(SeqCst) {
        true => "has had its turn",
        false => "has never had a turn",
    };
    println!(
        "after 200 ms: asked {} times; the patient goroutine {turn}",
        me.asked()
    );
    exit(0);
}
