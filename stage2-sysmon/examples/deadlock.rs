//! Everybody waits for somebody else, and the program says so.
//!
//! Two goroutines want to hand something over, each before it takes what the other one has.
//! When the last thread finds nothing to do, no goroutine can ever run again: the process
//! ends with Go's last words and status 2.

use stage2_sysmon::{Chan, Runtime, STAGE, go};

fn main() {
    let runtime = Runtime::new(&STAGE).procs(1);
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        runtime.run(|| {
            let (there, back) = (Chan::new(0), Chan::new(0));
            let (give, take) = (back.clone(), there.clone());
            go("polite", move || {
                give.send("after you");
                take.recv();
            });
            there.send("no, after you");
            back.recv();
        });
    }
}
