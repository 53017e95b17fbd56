//! What a goroutine in a call must not do, and what is seen of it.

use super::{checked, forever, run};
use stage2_sysmon::rt;
use stage2_sysmon::*;
use std::time::Duration;

crate::scenarios!(
    check_in_a_call,
    go_in_a_call,
    wait_in_a_call,
    call_in_a_call,
    yield_in_a_call,
    dump_of_a_call,
    panic_in_a_call,
    main_returns_beside_a_call,
);

/// Calls `f` on a goroutine as a system call of the form that the first word names.
fn in_a_call(form: &[String], f: impl FnOnce() + Send + 'static) {
    let wired = form.first().is_some_and(|form| form == "wired");
    run(1, move || if wired { syscall_wired(f) } else { syscall(f) });
}

fn check_in_a_call(form: &[String]) {
    in_a_call(form, checked);
}

fn go_in_a_call(form: &[String]) {
    in_a_call(form, || go("too_early", || {}));
}

fn wait_in_a_call(form: &[String]) {
    in_a_call(form, forever);
}

fn call_in_a_call(form: &[String]) {
    in_a_call(form, || syscall(|| ()));
}

fn yield_in_a_call(form: &[String]) {
    in_a_call(form, gosched);
}

/// A dump while a goroutine is in a call shows where it made it.
fn dump_of_a_call(_: &[String]) {
    run(2, || {
        go("caller", in_the_kernel);
        sleep(Duration::from_millis(50));
        rt::last_words::throw("look around");
    });
}

#[inline(never)]
fn in_the_kernel() {
    nanosleep(Duration::from_secs(30));
    std::hint::black_box(());
}

/// Main returns while another goroutine is in a call that is soon over.
fn main_returns_beside_a_call(_: &[String]) {
    for _ in 0..3 {
        run(2, || {
            for _ in 0..4 {
                go("caller", || nanosleep(Duration::from_millis(100)));
            }
            gosched();
            sleep(Duration::from_millis(10));
        });
    }
    println!("and again");
}

fn panic_in_a_call(_: &[String]) {
    run(2, || syscall(|| panic!("out of the kernel")));
}
