//! Two loops that never yield of their own will, on one processor, and nobody who asks by
//! hand.
//!
//! The same program as stage 1's `two_hogs`, without its third party. A thread that has no
//! processor looks on: it sees that the same slice has lasted for 10 ms, and raises the flag.

use stage2_sysmon::{Runtime, STAGE, WaitGroup, go, gofunc, prologue, spin};

fn main() {
    let runtime = Runtime::new(&STAGE).procs(1);
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
