// Every way to die, for the test that each leaves a readable trace: `deaths WHICH`. Built in
// the place of an attempt.

use stage1_coop::{Chan, Runtime, STAGE, go, gofunc, gosched, prologue, spin, user_log};
use std::hint::black_box;

fn main() {
    let which = std::env::args().nth(1).unwrap_or_default();
    exercises::attempt::enter(|_| {
        // SAFETY: nothing is kept across a yield; what dies here is meant to.
        unsafe {
            Runtime::new(&STAGE).run(move || {
                go("bystander", || {});
                gosched();
                user_log("about to die");
                die(&which);
                gosched();
            })
        };
    });
}

fn die(which: &str) {
    match which {
        "endless" => loop {
            black_box(0);
        },
        "endless with checks" => loop {
            prologue!();
            black_box(spin(1000));
        },
        "segfault" => {
            // SAFETY: none: this is the fault.
            unsafe { black_box(std::ptr::without_provenance::<u64>(8)).read_volatile() };
        }
        "abort" => std::process::abort(),
        "killed" => {
            // SAFETY: kill takes no pointers.
            unsafe { libc::kill(std::process::id() as i32, libc::SIGKILL) };
            loop {
                std::thread::sleep(std::time::Duration::from_secs(1));
            }
        }
        "deadlock" => {
            Chan::<()>::new(0).recv();
        }
        "overflow" => {
            black_box(deeper(1));
        }
        "unchecked overflow" => {
            black_box(unchecked(1));
        }
        "memory" => {
            let mut all = Vec::new();
            loop {
                all.push(black_box(vec![1_u8; 16 << 20]));
            }
        }
        "panic" => panic!("on purpose"),
        "printer" => loop {
            println!("again and again and again and again and again and again");
        },
        other => panic!("no such death: {other}"),
    }
}

#[gofunc]
#[allow(unconditional_recursion)]
fn deeper(n: u64) -> u64 {
    black_box(deeper(n + 1)) + n
}

#[allow(unconditional_recursion)]
fn unchecked(n: u64) -> u64 {
    let room = black_box([n; 64]);
    black_box(unchecked(n + 1)) + room[3]
}
