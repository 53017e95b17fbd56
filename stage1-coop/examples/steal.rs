//! One goroutine makes work for eight, and processors that have none take it.
//!
//! All eight workers start in the queue of the processor that made them. With one processor
//! it runs them one by one. With two or more, each new goroutine wakes a thread that looks
//! for work and steals half of the queue.

use stage1_coop::{Runtime, STAGE, WaitGroup, go, gofunc, prologue, spin};

fn main() {
    let runtime = Runtime::new(&STAGE).procs(2);
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        runtime.run(|| {
            let done = WaitGroup::new();
            for _ in 0..8 {
                done.add(1);
                let done = done.clone();
                go("worker", move || {
                    work(300_000);
                    done.done();
                });
            }
            done.wait();
            println!("all eight are done");
        });
    }
}

/// About 300 us.
#[gofunc]
fn work(turns: u64) -> u64 {
    spin(turns)
}
