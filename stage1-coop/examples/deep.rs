//! A function that calls itself, and a stack that grows under it.
//!
//! Each level takes 1 KiB: the ruler `with_frame` sees to that, whatever the compiler makes
//! of the function. The guard check fails where the usable part ends, and `newstack` doubles
//! it: 8 KiB, 16, 32, ... Without a bottom, the last doubling is refused.
//!
//! Try: --forever

use stage1_coop::{Runtime, STAGE, WaitGroup, go, gofunc, prologue, with_frame};

fn main() {
    let forever = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--forever") => true,
        Some(other) => {
            eprintln!("deep: takes --forever or nothing, not {other:?}");
            std::process::exit(2)
        }
    };
    let levels = if forever { u64::MAX } else { 150 };
    let runtime = Runtime::new(&STAGE).procs(1);
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        runtime.run(move || {
            let done = WaitGroup::new();
            done.add(1);
            let d = done.clone();
            go("diver", move || {
                println!("deep({levels}) = {}", deep(levels));
                d.done();
            });
            done.wait();
        });
    }
}

#[gofunc]
fn deep(levels: u64) -> u64 {
    if levels == 0 {
        return 0;
    }
    with_frame(1024, || 1 + deep(levels - 1))
}
