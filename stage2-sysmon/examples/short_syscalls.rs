//! Many system calls, each over at once: the processor stays where it is.
//!
//! Between two looks of sysmon dozens of calls begin and end. A counter tells it that this is
//! not the call that it saw before, so it leaves the processor alone, although another
//! goroutine waits for it.

use stage2_sysmon::{Runtime, STAGE, WaitGroup, go, libc_call};

fn main() {
    let runtime = Runtime::new(&STAGE).procs(1);
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        runtime.run(|| {
            let done = WaitGroup::new();
            done.add(2);
            let (a, b) = (done.clone(), done.clone());
            go("waiter", move || {
                println!("the waiter has its turn");
                a.done();
            });
            go("caller", move || {
                let mut parents = 0;
                for _ in 0..12 {
                    let parent = libc_call(|| libc::getppid());
                    parents += usize::from(parent.is_ok());
                }
                println!("asked {parents} times who the parent is");
                b.done();
            });
            done.wait();
        });
    }
}
