//! spawn: making, running and ending a goroutine that only says that it is done; in batches
//! of 1,000 and one at a time.

use bench::{emit, now, procs, scale};
use stage1_coop::{Runtime, STAGE, WaitGroup, go};
use std::sync::mpsc;

fn round(batches: usize, batch: usize) -> f64 {
    let wg = WaitGroup::new();
    let t = now();
    for _ in 0..batches {
        wg.add(batch);
        for _ in 0..batch {
            let wg = wg.clone();
            go("done", move || wg.done());
        }
        wg.wait();
    }
    (now() - t) as f64 / (batches * batch) as f64
}

fn main() {
    let [batched, single, per] = scale([3001, 1001, 1000]);
    let (tx, rx) = mpsc::channel();
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        Runtime::new(&STAGE).procs(procs()).run(move || {
            let a: Vec<f64> = (0..batched).map(|_| round(1, 1000)).collect();
            let b: Vec<f64> = (0..single).map(|_| round(per, 1)).collect();
            let _ = tx.send((a, b));
        });
    }
    let (a, b) = rx.recv().expect("the run sends its samples");
    emit("spawn", "ns_each_batch1000", "ns", &a[1..], &[]);
    emit("spawn", "ns_each_batch1", "ns", &b[1..], &[]);
}
