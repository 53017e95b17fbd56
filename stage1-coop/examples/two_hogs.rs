//! Two loops that never yield of their own will, on one processor, and a thread that asks.
//!
//! Each turn of the loop calls a function, and every call passes the guard check. A thread
//! without a processor raises the flag every 10 ms: the check finds it, and the other loop
//! gets its turn. Ctrl-C raises the flag too.

use stage1_coop::{Runtime, STAGE, ThirdParty, WaitGroup, go, gofunc, prologue, spin};
use std::time::Duration;

fn main() {
    let runtime = Runtime::new(&STAGE).procs(1).third_party(raise_the_flag);
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        runtime.run(|| {
            let done = WaitGroup::new();
            done.add(2);
            let (a, b) = (done.clone(), done.clone());
            go("hog_a", move || hog("a", a));
            go("hog_b", move || hog("b", b));
            done.wait();
        });
    }
}

fn hog(name: &str, done: WaitGroup) {
    let mut sum = 0;
    for _ in 0..400 {
        sum ^= work(100_000);
    }
    println!("hog {name} is done");
    std::hint::black_box(sum);
    done.done();
}

/// About 100 us, and one guard check in front of it.
#[gofunc]
fn work(turns: u64) -> u64 {
    spin(turns)
}

/// Runs on a thread of its own, without a processor.
fn raise_the_flag(me: &mut ThirdParty) {
    while me.sleep(Duration::from_millis(10)) {
        me.raise_the_flag();
    }
}
