//! Goroutines that sleep cost no thread. This is the sorting that nobody should do: each
//! number sleeps as long as it is large.
//!
//! With nothing else to do, the last thread sleeps until the first timer is due. In lockstep
//! the clock jumps there.

use stage2_sysmon::{Chan, Runtime, STAGE, go, sleep};
use std::time::Duration;

fn main() {
    let runtime = Runtime::new(&STAGE).procs(1);
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        runtime.run(|| {
            let numbers = [40, 10, 30, 20];
            let sorted = Chan::new(0);
            for n in numbers {
                let sorted = sorted.clone();
                go("sleeper", move || {
                    sleep(Duration::from_millis(n));
                    sorted.send(n);
                });
            }
            for _ in numbers {
                if let Some(n) = sorted.recv() {
                    println!("{n}");
                }
            }
        });
    }
}
