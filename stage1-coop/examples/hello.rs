//! Two goroutines take turns on one processor.
//!
//! `go` makes a goroutine and returns at once; `gosched` lets others run first. The trace
//! has every step.

use stage1_coop::{Runtime, STAGE, go, gosched};

fn main() {
    let runtime = Runtime::new(&STAGE).procs(1);
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        runtime.run(|| {
            go("greeter", || println!("hello from goroutine 2"));
            println!("main lets the others run");
            gosched();
            println!("main ends, and with it the program");
        });
    }
}
