//! A day of sysmon's: the run from which the book draws the curve of its sleeps.
//!
//! The row `sysmon_delay` is plugged with a function that asks the real one and notes what
//! it answered, and when. Beside it goroutines work, sit in a system call, and sleep. At
//! the end the notes are printed, a line each: `look TIME SLEEP`, in milliseconds of the
//! run and microseconds, and `note TIME WORDS` where something else begins.

use stage2_sysmon::rt::os::nanotime;
use stage2_sysmon::rt::table::{ROWS, Rows};
use stage2_sysmon::*;
use std::sync::Mutex;
use std::time::Duration;

/// Stage 2, with a row that takes notes.
static STAGE: Stage = Stage {
    more: &[&Rows {
        sysmon_delay: noted_delay,
        ..ROWS
    }],
    ..stage2_sysmon::STAGE
};

/// What was noted, and when. The lock is not held across anything but the push.
static NOTES: Mutex<Vec<(u64, What)>> = Mutex::new(Vec::new());

enum What {
    Sleep(u32),
    Begins(&'static str),
}

fn note(what: What) {
    let now = nanotime();
    NOTES
        .lock()
        .expect("nobody panics in push")
        .push((now, what));
}

/// Stands in the row `sysmon_delay`.
fn noted_delay(idle: u32, delay: u32) -> u32 {
    let delay = (ROWS.sysmon_delay)(idle, delay);
    note(What::Sleep(delay));
    delay
}

fn main() {
    let runtime = Runtime::new(&STAGE).procs(1);
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe { runtime.run(day) };
    let notes = NOTES.lock().expect("the run is over");
    let began = notes.iter().map(|(at, _)| *at).min().unwrap_or(0);
    for (at, what) in notes.iter() {
        let ms = (at - began) as f64 / 1e6;
        match what {
            What::Sleep(us) => println!("look {ms:.3} {us}"),
            What::Begins(words) => println!("note {ms:.3} {words}"),
        }
    }
}

fn day() {
    note(What::Begins("work"));
    hog(320);
    note(What::Begins("a call"));
    let done = WaitGroup::new();
    done.add(1);
    let d = done.clone();
    go("worker", move || {
        hog(150);
        d.done();
    });
    nanosleep(Duration::from_millis(30));
    done.wait();
    note(What::Begins("all sleep"));
    sleep(Duration::from_millis(50));
    note(What::Begins("work"));
    hog(3);
}

fn hog(tenths_of_a_ms: u32) {
    for _ in 0..tenths_of_a_ms {
        work(100_000);
    }
}

/// About 100 us, and one guard check in front of it.
#[gofunc]
fn work(turns: u64) -> u64 {
    spin(turns)
}
