//! A request that comes at the wrong moment is refused, and not forgotten.
//!
//! Between `acquirem` and the end of its scope the goroutine must stay where it is. The
//! check still finds the request, and says no. The moment the section ends, the flag goes up
//! again by itself, and the very next check obeys.

use stage1_coop::{Runtime, STAGE, ThirdParty, WaitGroup, acquirem, go, gofunc, prologue, spin};
use std::time::Duration;

fn main() {
    let runtime = Runtime::new(&STAGE).procs(1).third_party(raise_the_flag);
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        runtime.run(|| {
            let done = WaitGroup::new();
            done.add(2);
            let (a, b) = (done.clone(), done.clone());
            go("bystander", move || {
                println!("the bystander has its turn");
                a.done();
            });
            go("holder", move || {
                {
                    let _section = acquirem();
                    for _ in 0..300 {
                        work(100_000);
                    }
                    println!("the section ends after 30 ms");
                }
                work(100_000);
                println!("the holder is back");
                b.done();
            });
            done.wait();
        });
    }
}

/// About 100 us, and one guard check in front of it.
#[gofunc]
fn work(turns: u64) -> u64 {
    spin(turns)
}

/// Asks once, after 10 ms, while the section is held.
fn raise_the_flag(me: &mut ThirdParty) {
    if me.sleep(Duration::from_millis(10)) {
        me.raise_the_flag();
    }
}
