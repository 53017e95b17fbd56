//! One switch, made visible: on which stack are we, before, during and after?
//!
//! The traveller takes the address of a local variable, four times: at home, inside
//! `systemstack`, in a function that `mcall` runs on `g0`, and at home again. Each address
//! lies on the goroutine's own stack or it does not.

use stage1_coop::rt;
use stage1_coop::rt::gmp::G;
use stage1_coop::{Runtime, STAGE, WaitGroup, go, user_log};

fn main() {
    let runtime = Runtime::new(&STAGE).procs(1);
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        runtime.run(|| {
            let done = WaitGroup::new();
            done.add(1);
            let d = done.clone();
            go("traveller", move || {
                travel();
                d.done();
            });
            done.wait();
        });
    }
}

/// Never inlined: what switches stacks stays out of a goroutine's own code.
#[inline(never)]
fn travel() {
    let home = rt::arch::getg();
    look("at home", home);
    rt::arch::systemstack(|| look("in systemstack", home));
    // SAFETY: we are on a goroutine, and hold nothing that belongs to the thread.
    unsafe { rt::arch::mcall(on_g0) };
    look("home again", home);
}

/// Runs on `g0`, with the goroutine that was left. Returning it says: go on with this one.
fn on_g0(gp: &'static G) -> Option<&'static G> {
    look("in mcall", gp);
    Some(gp)
}

/// Says where a local variable of this very call is, and which goroutine the thread runs.
#[inline(never)]
fn look(place: &'static str, home: &'static G) {
    let local = 0_u8;
    let address = (&raw const local).addr();
    let mine = (home.stack.lo.get()..home.stack.hi.get()).contains(&address);
    let stack = if mine { "my own" } else { "another" };
    user_log(place);
    println!(
        "{place}: g is {}, the stack is {stack}",
        rt::arch::getg().name.get()
    );
}
