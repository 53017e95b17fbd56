//! chanping: two channels without a buffer, a round trip of one number; nanoseconds per
//! round trip. A round is 5,000 trips; 1,000 rounds after one that is thrown away.

use bench::{emit, now, procs, scale};
use stage1_coop::{Chan, Runtime, STAGE, go};
use std::sync::mpsc;

const ROUNDS: usize = 1001;
const PER: usize = 5000;

fn main() {
    let [rounds, per] = scale([ROUNDS, PER]);
    let (tx, rx) = mpsc::channel();
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        Runtime::new(&STAGE).procs(procs()).run(move || {
            let (ping, pong) = (Chan::<usize>::new(0), Chan::<usize>::new(0));
            let (from, to) = (ping.clone(), pong.clone());
            go("echo", move || {
                for v in from.iter() {
                    to.send(v + 1);
                }
            });
            for _ in 0..rounds {
                let t = now();
                for i in 0..per {
                    ping.send(i);
                    assert_eq!(pong.recv(), Some(i + 1), "wrong echo");
                }
                let _ = tx.send((now() - t) as f64 / per as f64);
            }
        });
    }
    let s: Vec<f64> = rx.iter().collect();
    emit("chan_pingpong", "ns_round_trip", "ns", &s[1..], &[]);
}
