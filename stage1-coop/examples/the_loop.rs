//! A loop that never calls anything, and a goroutine that waits for its turn behind it.
//!
//! The flag goes up again and again, but only a function call looks for it, and this loop makes
//! none. After a second the third party reports what it sees and ends the program. Ctrl-C
//! raises the flag, too. The same program in every stage: whether there is another way to
//! stop the loop is the stage's affair.

use stage1_coop::{Runtime, STAGE, ThirdParty, WaitGroup, exit, go, gofunc, prologue};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

static HAD_ITS_TURN: AtomicBool = AtomicBool::new(false);

fn main() {
    let runtime = Runtime::new(&STAGE).procs(1).third_party(raise_the_flag);
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        runtime.run(|| {
            let stopped = WaitGroup::new();
            stopped.add(1);
            go("patient", || {
                HAD_ITS_TURN.store(true, SeqCst);
                println!("the patient goroutine has its turn");
            });
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

/// Runs on a thread of its own, without a processor.
fn raise_the_flag(me: &mut ThirdParty) {
    println!("the loop begins; the flag goes up every 50 ms");
    while me.elapsed() < Duration::from_secs(1) {
        if !me.sleep(Duration::from_millis(50)) {
            return;
        }
        me.raise_the_flag();
    }
    let turn = match HAD_ITS_TURN.load(SeqCst) {
        true => "has had its turn",
        false => "has never had a turn",
    };
    println!(
        "after 1 s: asked {} times; the patient goroutine {turn}",
        me.asked()
    );
    exit(0);
}
