//! Deadlines of reads, writes and accepts.

use super::{connection, listen, timed_out};
use crate::fixture::MS;
use crate::fixture::stage2::{on, traced};
use stage2_sysmon::*;
use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::time::{Duration, Instant};
use tests::Random;

#[test]
fn a_deadline_ends_a_read_and_those_after_it() {
    on(1, || {
        let (mut reader, mut writer) = pipe().expect("a pipe");
        let mut byte = [0];
        let begin = Instant::now();
        reader.set_read_deadline(Some(20 * MS)).expect("open");
        timed_out(reader.read(&mut byte));
        assert!(begin.elapsed() >= 20 * MS);
        // Even if there is something to read now.
        writer.write_all(&[3]).expect("room for a byte");
        timed_out(reader.read(&mut byte));
        reader.set_read_deadline(None).expect("open");
        assert_eq!(reader.read(&mut byte).expect("a byte"), 1);
        reader
            .set_read_deadline(Some(Duration::ZERO))
            .expect("open");
        timed_out(reader.read(&mut byte));
    });
}

#[test]
fn a_deadline_ends_a_write() {
    on(1, || {
        let (_reader, mut writer) = pipe().expect("a pipe");
        writer.set_write_deadline(Some(20 * MS)).expect("open");
        timed_out(writer.write_all(&vec![0; 1 << 20]));
        let (a, b) = connection();
        a.set_write_deadline(Some(20 * MS)).expect("open");
        timed_out((&a).write_all(&vec![0; 64 << 20]));
        drop(b);
    });
}

#[test]
fn an_accept_may_have_a_deadline() {
    on(1, || {
        let (listener, addr) = listen();
        listener.set_deadline(Some(10 * MS)).expect("open");
        timed_out(listener.accept().map(|_| ()));
        listener.set_deadline(None).expect("open");
        let _client = TcpStream::connect(addr).expect("a connection");
        listener.accept().expect("a connection");
    });
}

/// While somebody sleeps, its deadline comes nearer, goes further away, and goes altogether. In
/// lockstep, where nobody is late.
#[test]
fn a_deadline_can_be_moved_while_somebody_sleeps() {
    traced(|| {
        let (reader, mut writer) = pipe().expect("a pipe");
        let reader = Arc::new(reader);
        let results = Chan::new(0);
        let deadline = |ms: Option<u32>| {
            let time = ms.map(|ms| ms * MS);
            reader.set_read_deadline(time).expect("open");
        };
        let read = || {
            let (reader, results) = (reader.clone(), results.clone());
            go("reader", move || {
                let begin = rt::os::nanotime();
                let result = (&*reader).read(&mut [0]);
                let ms = (rt::os::nanotime() - begin) / 1_000_000;
                results.send((result.map_err(|e| e.kind()), ms));
            });
            sleep(5 * MS);
        };
        let timed_out_after = |ms| {
            let answer = results.recv().expect("an answer");
            assert_eq!(answer, (Err(ErrorKind::TimedOut), ms));
        };
        // Nearer.
        for first in [None, Some(1_000_000)] {
            deadline(first);
            read();
            deadline(Some(10));
            timed_out_after(15);
        }
        // Further away, and nearer again, but still behind the timer that is set.
        deadline(Some(20));
        read();
        deadline(Some(60));
        deadline(Some(40));
        timed_out_after(45);
        // Away.
        deadline(Some(20));
        read();
        deadline(None);
        sleep(40 * MS);
        writer.write_all(&[1]).expect("room for a byte");
        assert_eq!(results.recv().expect("an answer"), (Ok(1), 45));
    })
    .trace();
}

/// Bytes come when the deadline is over, more or less. None may be lost, and nobody may sleep
/// for ever.
#[test]
fn deadlines_race_with_data() {
    let (bytes, late) = on(2, || {
        let (a, b) = UnixStream::pair().expect("a pair");
        let b = Arc::new(b);
        let done = WaitGroup::new();
        done.add(1);
        let d = done.clone();
        const N: usize = 3_000;
        go("writer", move || {
            let mut random = Random::new(1);
            for _ in 0..N {
                sleep(Duration::from_micros(random.below(60)));
                (&a).write_all(&[1]).expect("room for a byte");
            }
            d.done();
        });
        let mover = b.clone();
        let stop = Arc::new(AtomicBool::new(false));
        let (s, d) = (stop.clone(), done.clone());
        done.add(1);
        go("mover", move || {
            let mut random = Random::new(2);
            while !s.load(Relaxed) {
                let us = Duration::from_micros(random.below(80));
                mover.set_read_deadline(Some(us)).expect("open");
                sleep(Duration::from_micros(random.below(50)));
            }
            d.done();
        });
        let (mut bytes, mut late) = (0, 0);
        while bytes < N {
            match (&*b).read(&mut [0; 8]) {
                Ok(n) => bytes += n,
                Err(e) if e.kind() == ErrorKind::TimedOut => {
                    late += 1;
                    let us = Duration::from_micros(30);
                    b.set_read_deadline(Some(us)).expect("open");
                }
                Err(e) => panic!("{e}"),
            }
        }
        stop.store(true, Relaxed);
        done.wait();
        (bytes, late)
    });
    assert_eq!(bytes, 3_000);
    assert!(late > 0);
}

/// In lockstep deadlines are over in virtual time: an hour takes no time.
#[test]
fn deadlines_are_virtual_in_lockstep() {
    let begin = Instant::now();
    let trace = traced(|| {
        let (mut reader, _writer) = pipe().expect("a pipe");
        let hour = Duration::from_secs(3_600);
        reader.set_read_deadline(Some(hour)).expect("open");
        let before = rt::os::nanotime();
        timed_out(reader.read(&mut [0]));
        let took = Duration::from_nanos(rt::os::nanotime() - before);
        assert!(took >= hour && took < hour + MS, "{took:?}");
    })
    .only(&["GoBlock", "GoUnblock"]);
    assert_eq!(trace.matches("IO wait").count(), 1, "{trace}");
    assert_eq!(trace.matches("GoUnblock").count(), 1, "{trace}");
    assert!(begin.elapsed() < Duration::from_secs(30));
}
