//! A value goes from one goroutine to another: the one that comes first waits.
//!
//! The channel has no buffer, so each value passes straight from the sender's stack to the
//! receiver's. Sometimes the sender is early and sometimes the receiver.

use stage1_coop::{Chan, Runtime, STAGE, WaitGroup, go};

fn main() {
    let runtime = Runtime::new(&STAGE).procs(1);
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        runtime.run(|| {
            let done = WaitGroup::new();
            done.add(2);
            let (a, b) = (done.clone(), done.clone());
            let to = Chan::new(0);
            let from = to.clone();
            go("receiver", move || {
                for value in from.iter() {
                    println!("got {value}");
                }
                a.done();
            });
            go("sender", move || {
                for value in 1..=4 {
                    to.send(value);
                }
                to.close();
                b.done();
            });
            done.wait();
        });
    }
}
