//! The life of one goroutine, watched by another: in which state is it now?
//!
//! `main` looks after each step. The subject lets others run once, waits for a value once,
//! and ends.

use stage1_coop::rt;
use stage1_coop::rt::gmp::SCHED;
use stage1_coop::{Chan, Runtime, STAGE, go, gosched};

fn main() {
    let runtime = Runtime::new(&STAGE).procs(1);
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        runtime.run(|| {
            let value = Chan::new(0);
            let from = value.clone();
            go("subject", move || {
                look("it has the processor");
                gosched();
                from.recv();
            });
            look("just made");
            gosched();
            look("it let others run");
            gosched();
            look("it asked for a value");
            value.send(42);
            look("the value is there");
            gosched();
            look("its function returned");
        });
    }
}

/// Prints the state of the subject, which stands in the list of all Gs.
fn look(when: &str) {
    let sched = SCHED.lock();
    let subject = sched.allgs.iter().find(|gp| gp.name.get() == "subject");
    let state = subject.map_or("???", |gp| rt::gmp::gstatus_name(rt::gmp::readgstatus(gp)));
    drop(sched);
    println!("{when}: {state}");
}
