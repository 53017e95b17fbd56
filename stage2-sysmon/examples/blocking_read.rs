//! One goroutine reads from a pipe and there is nothing to read, so its thread sleeps in the
//! kernel. Another one has work for a while, and writes then. On one processor.
//!
//! The reader's thread has taken nothing along: the processor that it had lies there. Sysmon
//! finds it in the same call twice and hands it to another thread, which runs the writer.

use stage2_sysmon::{File, Runtime, STAGE, WaitGroup, go, gofunc, prologue, spin};
use std::io::{Read, Write};

fn main() {
    let runtime = Runtime::new(&STAGE).procs(1);
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        runtime.run(|| {
            let (reader, writer) = std::io::pipe().expect("a pipe");
            // In the kernel's ordinary form: a read really blocks.
            let (mut reader, mut writer) = (File::new(reader), File::new(writer));
            let done = WaitGroup::new();
            done.add(2);
            let (a, b) = (done.clone(), done.clone());
            go("writer", move || {
                for _ in 0..30 {
                    work(100_000);
                }
                writer.write_all(b"here you are").expect("room for a line");
                a.done();
            });
            go("reader", move || {
                let mut line = String::new();
                reader.read_to_string(&mut line).expect("a line");
                println!("the reader has read: {line}");
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
