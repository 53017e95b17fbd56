//! Programs whose traces are looked at: names that would break a line, more events than there
//! is room for, runs without an end.

use crate::start;
use stage2_sysmon::*;
use std::time::{Duration, Instant};

crate::scenarios!(names, yields, pairs, for_ever);

fn on(procs: usize) -> Runtime {
    Runtime::new(&STAGE).procs(procs)
}

fn number(words: &[String], at: usize) -> u64 {
    words.get(at).and_then(|n| n.parse().ok()).unwrap_or(1)
}

/// Names and lines that want to be events.
fn names(_: &[String]) {
    start(on(1), || {
        go("a\n    0.001  m0  p0  g1   GoEnd", || {
            user_log("two\nlines")
        });
        go("fix for #7", || user_log("\x1b[31mred"));
        gosched();
    });
}

/// `yields N`: two goroutines yield N times each. Says how long a yield took, in nanoseconds, and
/// how much memory the program had at most, in KiB, its trace included.
fn yields(words: &[String]) {
    let n = number(words, 0);
    start(on(1), move || {
        let done = WaitGroup::new();
        let begin = Instant::now();
        for _ in 0..2 {
            done.add(1);
            let done = done.clone();
            go("yielder", move || {
                (0..n).for_each(|_| gosched());
                done.done();
            });
        }
        done.wait();
        println!("{}", begin.elapsed().as_nanos() as u64 / (2 * n));
    });
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    println!("{}", peak.expect("a peak").trim().trim_end_matches(" kB"));
}

/// `pairs N`: two pairs, each with a ball of its own that goes N times to and fro.
fn pairs(words: &[String]) {
    let n = number(words, 0);
    start(on(2), move || {
        let done = WaitGroup::new();
        for _ in 0..2 {
            done.add(2);
            let (a, b) = (Chan::new(0), Chan::new(0));
            let players = [(a.clone(), b.clone(), true), (b, a, false)];
            for (mine, other, serves) in players {
                let done = done.clone();
                go("player", move || {
                    for i in 0..n {
                        if serves {
                            other.send(i);
                        }
                        mine.recv();
                        if !serves {
                            other.send(i);
                        }
                    }
                    done.done();
                });
            }
        }
        done.wait();
    });
}

/// Says that it has begun, and never ends.
fn for_ever(_: &[String]) {
    start(on(2), || {
        println!("begun");
        loop {
            user_log("still here");
            sleep(Duration::from_millis(1));
        }
    });
}
