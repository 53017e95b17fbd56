//! Two hogs and a pair: how far each gets.

use crate::{forever, start, work};
use stage1_coop::*;
use std::sync::atomic::{AtomicU64, Ordering::*};
use std::time::Duration;

crate::scenarios!(hog_and_pair);

/// Two hogs, and a pair that hands a ball to each other for ever, on one P: in turns of
/// 10 ms, which the third party ends. How far does each get? (Lockstep.)
fn hog_and_pair(_: &[String]) {
    static COUNTS: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
    fn raise_the_flag(me: &mut ThirdParty) {
        for _ in 0..60 {
            if !me.sleep(Duration::from_millis(10)) {
                return;
            }
            me.raise_the_flag();
        }
        let [a, b, pair] = COUNTS.each_ref().map(|c| c.load(Relaxed));
        println!("{a} {b} {pair}");
        exit(0);
    }
    let runtime = Runtime::new(&STAGE).procs(1).third_party(raise_the_flag);
    start(runtime, || {
        for count in &COUNTS[..2] {
            go("hog", move || {
                loop {
                    work(100_000);
                    count.fetch_add(1, Relaxed);
                }
            });
        }
        let (there, back) = (Chan::new(0), Chan::new(0));
        let (from, to) = (there.clone(), back.clone());
        go("pong", move || {
            loop {
                from.recv();
                work(100_000);
                to.send(());
            }
        });
        go("ping", move || {
            loop {
                there.send(());
                back.recv();
                COUNTS[2].fetch_add(1, Relaxed);
            }
        });
        forever();
    });
}
