//! Two goroutines hand a ball to each other, and a third one gets its turn all the same.
//!
//! Each send makes the other one runnable *next*: it goes in front of the queue and inherits
//! the time slice. So the pair could keep the processor for ever; but a request stops the
//! slice that both share, and then the bystander has its turn.

use stage1_coop::{Chan, Runtime, STAGE, ThirdParty, WaitGroup, go, gofunc, prologue, spin};
use std::time::Duration;

fn main() {
    let runtime = Runtime::new(&STAGE).procs(1).third_party(raise_the_flag);
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        runtime.run(|| {
            let (there, back) = (Chan::new(0), Chan::new(0));
            let done = WaitGroup::new();
            done.add(3);
            let (a, b, c) = (done.clone(), done.clone(), done.clone());
            let (to, from) = (there.clone(), back.clone());
            go("ping", move || {
                go("bystander", move || {
                    println!("the bystander has its turn");
                    c.done();
                });
                for ball in 0..4 {
                    to.send(ball);
                    println!("ping got {:?}", from.recv());
                }
                to.close();
                a.done();
            });
            go("pong", move || {
                for ball in there.iter() {
                    for _ in 0..20 {
                        play(100_000);
                    }
                    back.send(ball * 10);
                }
                b.done();
            });
            done.wait();
        });
    }
}

/// About 100 us, and one guard check in front of it.
#[gofunc]
fn play(turns: u64) -> u64 {
    spin(turns)
}

/// Runs on a thread of its own, without a processor.
fn raise_the_flag(me: &mut ThirdParty) {
    while me.sleep(Duration::from_millis(5)) {
        me.raise_the_flag();
    }
}
