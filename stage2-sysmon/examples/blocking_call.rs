//! One goroutine sits in a system call for 5 ms; another has work. On one processor.
//!
//! The thread in the call keeps the processor, and says nothing to anybody. Sysmon sees the
//! same call twice, and somebody waits: it takes the processor away and finds another
//! thread for it. When the call is over, its goroutine has to queue like everybody.

use stage2_sysmon::{Runtime, STAGE, WaitGroup, go, gofunc, nanosleep, prologue, spin};
use std::time::Duration;

fn main() {
    let runtime = Runtime::new(&STAGE).procs(1);
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        runtime.run(|| {
            let done = WaitGroup::new();
            done.add(2);
            let (a, b) = (done.clone(), done.clone());
            go("worker", move || {
                for _ in 0..80 {
                    work(100_000);
                }
                println!("the worker is done");
                a.done();
            });
            go("caller", move || {
                nanosleep(Duration::from_millis(5));
                println!("the call is over");
                b.done();
            });
            done.wait();
        });
    }
}

/// About 100 us, and one guard check in front of it.
#[gofunc]
fn work(turns: u64) -> u64 {
    spin(turns)
}
