//! yield: two goroutines on one P yield in turn; nanoseconds per yield. A round is twice
//! 10,000 yields; 1,000 rounds after one that is thrown away.

use bench::{emit, now, procs, scale};
use stage1_coop::{Runtime, STAGE, WaitGroup, go, gosched};
use std::sync::mpsc;

const ROUNDS: usize = 1001;
const PER: usize = 10_000;

fn main() {
    let [rounds, per] = scale([ROUNDS, PER]);
    let (tx, rx) = mpsc::channel();
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        Runtime::new(&STAGE).procs(procs()).run(move || {
            for _ in 0..rounds {
                let wg = WaitGroup::new();
                wg.add(2);
                let t = now();
                for _ in 0..2 {
                    let wg = wg.clone();
                    go("yielder", move || {
                        for _ in 0..per {
                            gosched();
                        }
                        wg.done();
                    });
                }
                wg.wait();
                let _ = tx.send((now() - t) as f64 / (2 * per) as f64);
            }
        });
    }
    let s: Vec<f64> = rx.iter().collect();
    emit("yield", "ns_per_gosched", "ns", &s[1..], &[]);
}
