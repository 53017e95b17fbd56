//! Who waits costs no thread, and wakes when somebody polls: `findrunnable`, sysmon, the last M.

use super::{is_closed, listen, timed_out};
use crate::fixture::MS;
use crate::fixture::stage2::{on, step, traced};
use stage2_sysmon::*;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::time::{Duration, Instant};
use tests::{LIMIT, threads};

#[test]
fn a_thousand_that_wait_cost_no_threads() {
    raise_limit(4_096);
    let (most, sum) = on(2, || {
        let before = threads().len();
        let sum = Arc::new(AtomicUsize::new(0));
        let done = WaitGroup::new();
        let mut writers = Vec::new();
        for _ in 0..1_000 {
            let (mut reader, writer) = pipe().expect("a pipe");
            writers.push(writer);
            done.add(1);
            let (sum, done) = (sum.clone(), done.clone());
            go("reader", move || {
                let mut byte = [0];
                reader.read_exact(&mut byte).expect("a byte");
                sum.fetch_add(usize::from(byte[0]), Relaxed);
                done.done();
            });
        }
        sleep(20 * MS);
        let most = threads().len().saturating_sub(before);
        for mut writer in writers {
            writer.write_all(&[1]).expect("room for a byte");
        }
        done.wait();
        (most, sum.load(Relaxed))
    });
    assert_eq!(sum, 1_000);
    // Other tests of this process have threads, too.
    assert!(most <= 16, "{most} threads more");
}

fn raise_limit(descriptors: u64) {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the limit is ours.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = limit.rlim_cur.max(descriptors.min(limit.rlim_max));
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
    }
}

/// Nobody looks for work, so nobody polls but sysmon: row 37.
#[test]
fn sysmon_polls_when_all_are_busy() {
    let late = on(2, || {
        let (mut reader, mut writer) = pipe().expect("a pipe");
        let stop = Arc::new(AtomicBool::new(false));
        let done = WaitGroup::new();
        done.add(1);
        let (s, d) = (stop.clone(), done.clone());
        let began = Instant::now();
        go("reader", move || {
            let mut byte = [0];
            reader.read_exact(&mut byte).expect("a byte");
            s.store(true, Relaxed);
            d.done();
        });
        gosched();
        let written = Arc::new(AtomicBool::new(false));
        for _ in 0..2 {
            done.add(1);
            let (s, d, w) = (stop.clone(), done.clone(), written.clone());
            go("hog", move || {
                while !s.load(Relaxed) && (began.elapsed() < LIMIT / 2) {
                    step();
                    std::hint::black_box(&w);
                }
                d.done();
            });
        }
        let begin = Instant::now();
        while begin.elapsed() < 30 * MS {
            step();
        }
        let begin = Instant::now();
        writer.write_all(&[1]).expect("room for a byte");
        written.store(true, Relaxed);
        done.wait();
        begin.elapsed()
    });
    // Somebody's slice is over after 10 ms to 20 ms, and so is sysmon's patience.
    assert!(late < Duration::from_secs(1), "{late:?}");
}

/// The same in lockstep: sysmon is the one who polls, within 10 ms and a slice.
#[test]
fn sysmon_s_poll_is_in_the_trace() {
    let trace = traced(|| {
        let (mut reader, mut writer) = pipe().expect("a pipe");
        let done = WaitGroup::new();
        done.add(1);
        let d = done.clone();
        go("reader", move || {
            let mut byte = [0];
            reader.read_exact(&mut byte).expect("a byte");
            d.done();
        });
        gosched();
        writer.write_all(&[1]).expect("room for a byte");
        // Yields to nobody, as far as it can.
        for _ in 0..25_000 {
            step();
        }
        done.wait();
    })
    .only(&["NetPoll"]);
    assert!(trace.contains("sysmon n=1"), "{trace}");
}

/// Row 49: who polls takes the first for itself; of the others as many go to the global queue
/// as there are idle Ps.
#[test]
fn three_ready_and_two_idle() {
    let trace = traced(|| {
        let done = WaitGroup::new();
        let mut writers = Vec::new();
        for _ in 0..3 {
            let (mut reader, writer) = pipe().expect("a pipe");
            writers.push(writer);
            done.add(1);
            let done = done.clone();
            go("reader", move || {
                let mut byte = [0];
                reader.read_exact(&mut byte).expect("a byte");
                spin(1_000_000);
                done.done();
            });
        }
        sleep(5 * MS);
        for writer in &mut writers {
            writer.write_all(&[1]).expect("room for a byte");
        }
        done.wait();
    })
    .procs(3)
    .only(&["NetPoll", "GoStart", "ProcStart"]);
    let (_, after) = trace.split_once("NetPoll").expect("somebody polls");
    assert!(after.trim_start().contains("n=3"), "{trace}");
    // All three run at once, each on a P of its own.
    let ps: std::collections::BTreeSet<&str> = after
        .lines()
        .filter(|l| l.contains("GoStart"))
        .take(3)
        .filter_map(|l| l.split_whitespace().nth(1))
        .collect();
    assert_eq!(ps.len(), 3, "{trace}");
}

/// Many clients at once: all of them may wait for an accept, as many as the system allows. With
/// the standard library's 128 the others' packets are dropped, and come again after a second.
#[test]
fn more_than_128_connections_wait_to_be_accepted() {
    let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap_or_default();
    if most.trim().parse().unwrap_or(0) < 400 {
        return;
    }
    on(1, || {
        let (_listener, addr) = listen();
        let connect = |_| TcpStream::connect_timeout(addr, 5 * LIMIT / 10);
        let all: Vec<_> = (0..300).map(connect).collect();
        assert!(all.iter().all(Result::is_ok));
    });
}

#[test]
fn off_a_goroutine_the_thread_waits() {
    let (listener, addr) = listen();
    let client = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(addr).expect("a connection");
        stream.write_all(b"hello").expect("room");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    });
    let (mut stream, _) = listener.accept().expect("a connection");
    let mut word = [0; 5];
    stream.read_exact(&mut word).expect("a word");
    stream.set_read_deadline(Some(10 * MS)).expect("open");
    timed_out(stream.read(&mut word));
    stream.write_all(&word).expect("room");
    drop(stream);
    assert_eq!(client.join().expect("no panic"), "hello");
    // A thread that waits notices a close, too.
    let (reader, _writer) = pipe().expect("a pipe");
    let reader = Arc::new(reader);
    let r = reader.clone();
    let waiting = std::thread::spawn(move || is_closed((&*r).read(&mut [0])));
    std::thread::sleep(20 * MS);
    reader.close().expect("it is open");
    waiting.join().expect("the right error");
}
