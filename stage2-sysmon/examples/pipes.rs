//! Four goroutines in a row, each behind the one before by a pipe. All of them read, and there
//! is nothing to read; yet no thread sleeps for any of them.
//!
//! A read that would block parks its goroutine. The last thread that finds nothing to do waits
//! for all the pipes at once, and runs whoever can go on.

use stage2_sysmon::{PipeReader, PipeWriter, Runtime, STAGE, go, pipe, sleep};
use std::io::{Read, Write};
use std::time::Duration;

fn main() {
    let runtime = Runtime::new(&STAGE).procs(1);
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        runtime.run(|| {
            let (mut from, mut first) = pipe().expect("a pipe");
            for _ in 0..4 {
                let (reader, writer) = pipe().expect("a pipe");
                let before = std::mem::replace(&mut from, reader);
                go("link", move || add_one(before, writer));
            }
            // Now everybody waits, and so does main.
            sleep(Duration::from_millis(1));
            first.write_all(&[0]).expect("room for a byte");
            let mut number = [0];
            from.read_exact(&mut number).expect("a byte");
            println!("after four goroutines: {}", number[0]);
        });
    }
}

fn add_one(mut from: PipeReader, mut to: PipeWriter) {
    let mut number = [0];
    from.read_exact(&mut number).expect("a byte");
    to.write_all(&[number[0] + 1]).expect("room for a byte");
}
