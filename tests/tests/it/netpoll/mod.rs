//! The network poller as behaviour: goroutines that wait for descriptors cost no threads, wake
//! when they should, and survive what the network does to them. Rows 37, 49 and 50 of the list
//! of mechanisms, and faults.

use crate::fixture::MS;
use crate::fixture::stage2::{on, step, traced};
use stage2_sysmon::*;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::time::{Duration, Instant};
use tests::{LIMIT, Random, scenario, threads};

const ANY: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(ANY.into()).expect("a port");
    let addr = listener.local_addr().expect("its address");
    (listener, addr)
}

/// Two ends of a connection.
fn connection() -> (TcpStream, TcpStream) {
    let (listener, addr) = listen();
    let client = TcpStream::connect(addr).expect("a connection");
    let (server, from) = listener.accept().expect("a connection");
    assert_eq!(from, client.local_addr().expect("an address"));
    assert_eq!(server.peer_addr().expect("an address"), from);
    assert_eq!(client.peer_addr().expect("an address"), addr);
    (client, server)
}

// ---- Waiting.

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

#[test]
fn a_stream_carries_megabytes_both_ways() {
    on(2, || {
        let (a, b) = connection();
        let (a, b) = (Arc::new(a), Arc::new(b));
        let done = WaitGroup::new();
        let bytes: Arc<Vec<u8>> = Arc::new((0..4_000_000_u32).map(|n| (n / 7) as u8).collect());
        for (out, back) in [(&a, &b), (&b, &a)] {
            done.add(2);
            let (out, back) = (out.clone(), back.clone());
            let (d, data) = (done.clone(), bytes.clone());
            go("writer", move || {
                (&*out).write_all(&data).expect("it is read");
                out.shutdown(Shutdown::Write).expect("it is open");
                d.done();
            });
            let (d, data) = (done.clone(), bytes.clone());
            go("reader", move || {
                let mut got = Vec::new();
                (&*back).read_to_end(&mut got).expect("it is written");
                assert!(got == *data);
                d.done();
            });
        }
        done.wait();
    });
}

#[test]
fn two_readers_of_one_pipe_share_what_comes() {
    for _ in 0..20 {
        let (count, errors) = on(2, || {
            let (reader, mut writer) = pipe().expect("a pipe");
            let reader = Arc::new(reader);
            let (count, errors) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let done = WaitGroup::new();
            for _ in 0..4 {
                done.add(1);
                let (reader, done) = (reader.clone(), done.clone());
                let (count, errors) = (count.clone(), errors.clone());
                go("reader", move || {
                    let mut byte = [0];
                    loop {
                        match (&*reader).read(&mut byte) {
                            Ok(0) => break,
                            Ok(n) => count.fetch_add(n, Relaxed),
                            Err(_) => errors.fetch_add(1, Relaxed),
                        };
                    }
                    done.done();
                });
            }
            for i in 0..500 {
                writer.write_all(&[7]).expect("room for a byte");
                if i % 8 == 0 {
                    gosched();
                }
            }
            drop(writer);
            done.wait();
            (count.load(Relaxed), errors.load(Relaxed))
        });
        assert_eq!((count, errors), (500, 0));
    }
}

#[test]
fn what_several_write_at_once_is_not_mixed() {
    on(2, || {
        let (mut reader, writer) = pipe().expect("a pipe");
        let writer = Arc::new(writer);
        let done = WaitGroup::new();
        for id in 0..4_u8 {
            done.add(1);
            let (writer, done) = (writer.clone(), done.clone());
            // Four times what a pipe takes at once.
            go("writer", move || {
                (&*writer)
                    .write_all(&vec![id; 256 << 10])
                    .expect("it is read");
                done.done();
            });
        }
        drop(writer);
        let mut got = Vec::new();
        reader.read_to_end(&mut got).expect("it is written");
        assert_eq!(got.len(), 1 << 20);
        for part in got.chunks(256 << 10) {
            assert!(part.iter().all(|b| *b == part[0]));
        }
        done.wait();
    });
}

// ---- Deadlines.

fn timed_out<T: std::fmt::Debug>(result: std::io::Result<T>) {
    let error = result.expect_err("nothing comes");
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert_eq!(error.to_string(), "i/o timeout");
}

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

// ---- Closing.

fn is_closed<T: std::fmt::Debug>(result: std::io::Result<T>) {
    let error = result.expect_err("it is closed");
    assert_eq!(error.to_string(), "use of a closed descriptor");
}

#[test]
fn who_closes_wakes_who_waits() {
    for procs in [1, 2] {
        on(procs, || {
            let (listener, _) = listen();
            let (reader, _writer) = pipe().expect("a pipe");
            let (a, _b) = UnixStream::pair().expect("a pair");
            let (listener, reader, a) = (Arc::new(listener), Arc::new(reader), Arc::new(a));
            let done = WaitGroup::new();
            done.add(6);
            // The second of each queues behind the first.
            for _ in 0..2 {
                let (listener, reader, a) = (listener.clone(), reader.clone(), a.clone());
                let (d, e, f) = (done.clone(), done.clone(), done.clone());
                go("accept", move || {
                    is_closed(listener.accept().map(|_| ()));
                    d.done();
                });
                go("read", move || {
                    is_closed((&*reader).read(&mut [0]));
                    e.done();
                });
                go("write", move || {
                    is_closed((&*a).write_all(&vec![0; 1 << 20]));
                    f.done();
                });
            }
            sleep(10 * MS);
            listener.close().expect("it is open");
            reader.close().expect("it is open");
            a.close().expect("it is open");
            done.wait();
            is_closed(listener.close());
            is_closed((&*reader).read(&mut [0]));
            is_closed(reader.set_read_deadline(None));
            is_closed(a.shutdown(Shutdown::Both));
            is_closed(listener.local_addr());
        });
    }
}

/// One closes while others are in the middle: each of them gets bytes, the end or the error,
/// never somebody else's descriptor.
#[test]
fn closing_races_with_reading() {
    on(2, || {
        for round in 0..500 {
            let (a, b) = UnixStream::pair().expect("a pair");
            let b = Arc::new(b);
            let done = WaitGroup::new();
            done.add(2);
            let (reader, d) = (b.clone(), done.clone());
            go("reader", move || {
                while (&*reader).read(&mut [0; 4]).is_ok_and(|n| n > 0) {}
                d.done();
            });
            let d = done.clone();
            go("writer", move || {
                while (&a).write_all(&[1]).is_ok() {
                    gosched();
                }
                d.done();
            });
            for _ in 0..round % 7 {
                gosched();
            }
            b.close().expect("it is open");
            done.wait();
        }
    });
}

#[test]
fn a_pipe_ends_when_its_other_end_does() {
    on(1, || {
        let (mut reader, writer) = pipe().expect("a pipe");
        go("closer", move || writer.close().expect("it is open"));
        assert_eq!(reader.read(&mut [0]).expect("the end"), 0);
        let (reader, mut writer) = pipe().expect("a pipe");
        go("closer", move || drop(reader));
        let error = writer
            .write_all(&vec![0; 1 << 20])
            .expect_err("nobody reads");
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

// ---- Faults.

#[test]
fn a_peer_that_resets() {
    on(1, || {
        let (client, mut server) = connection();
        go("resetter", move || {
            let linger = libc::linger {
                l_onoff: 1,
                l_linger: 0,
            };
            let len = size_of_val(&linger) as libc::socklen_t;
            // SAFETY: the option is ours, and of this length.
            let rc = unsafe {
                libc::setsockopt(
                    client.as_raw_fd(),
                    libc::SOL_SOCKET,
                    libc::SO_LINGER,
                    (&raw const linger).cast(),
                    len,
                )
            };
            assert_eq!(rc, 0);
            drop(client);
        });
        let error = server.read(&mut [0]).expect_err("a reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let error = server.write_all(&[0]).expect_err("nobody is there");
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_socket_that_is_half_closed() {
    on(1, || {
        let (mut client, mut server) = connection();
        go("client", move || {
            client.write_all(b"question").expect("room");
            client.shutdown(Shutdown::Write).expect("it is open");
            let mut answer = String::new();
            client.read_to_string(&mut answer).expect("an answer");
            assert_eq!(answer, "answer");
        });
        let mut question = String::new();
        server.read_to_string(&mut question).expect("a question");
        assert_eq!(question, "question");
        server.write_all(b"answer").expect("room");
    });
}

#[test]
fn nobody_listens_there() {
    on(1, || {
        let (listener, addr) = listen();
        drop(listener);
        let error = TcpStream::connect(addr).map(|_| ()).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn without_descriptors_accept_fails_and_goes_on_afterwards() {
    let ended = scenario!([], "no_descriptors");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!(
        ended.stdout,
        "accept: Too many open files (os error 24)\nthen all 3 came\n"
    );
}

#[test]
fn a_storm_of_signals_changes_nothing() {
    let ended = scenario!([], "echo_in_a_storm");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(ended.stdout.starts_with("echoed"), "{ended:#?}");
}

// ---- Runs.

/// The poller sleeps without an end when the run is over: it must wake. A thread that does not
/// leave within a second ends the process, which `within` does not forgive.
#[test]
fn the_end_of_a_run_wakes_the_poller() {
    for procs in [1, 2, 4] {
        for i in 0..50 {
            on(procs, move || {
                let (mut reader, writer) = pipe().expect("a pipe");
                go("reader", move || {
                    let _ = reader.read(&mut [0]);
                });
                if i % 2 == 0 {
                    // Somebody gets to sleep there, on another thread than main's.
                    nanosleep(Duration::from_micros(500));
                } else {
                    gosched();
                }
                std::mem::forget(writer);
            });
        }
    }
}

/// A listener that is used in one run after another, and one on which somebody still waited
/// when its run was over: it is closed between runs, and nobody wakes the goroutine of a run
/// that is gone.
#[test]
fn a_descriptor_may_outlive_its_run() {
    let (listener, addr) = listen();
    let listener = Arc::new(listener);
    for _ in 0..5 {
        let listener = listener.clone();
        on(2, move || {
            go("client", move || drop(TcpStream::connect(addr)));
            listener.set_deadline(Some(LIMIT / 2)).expect("open");
            let (mut stream, _) = listener.accept().expect("a connection");
            assert_eq!(stream.read(&mut [0]).expect("the end"), 0);
        });
    }
    for _ in 0..5 {
        let (listener, addr) = listen();
        let listener = Arc::new(listener);
        let ours = listener.clone();
        on(2, move || {
            ours.set_deadline(Some(20 * MS)).expect("open");
            let lost = ours.clone();
            go("lost", move || drop(lost.accept()));
            sleep(MS);
        });
        let _client = TcpStream::connect(addr);
        on(2, || sleep(30 * MS));
        listener.close().expect("it is open");
        on(2, || sleep(MS));
    }
}

#[test]
fn a_hundred_runs_leak_nothing() {
    let ended = scenario!([], "a_hundred_runs");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!(ended.stdout, "no more descriptors than after the first\n");
}

#[test]
fn a_descriptor_can_be_closed_when_the_run_of_its_goroutines_is_over() {
    let ended = scenario!([], "closed_without_its_goroutines");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!(ended.stdout, "no more descriptors than before\n");
}

// ---- Off a goroutine.

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

// ---- Lockstep and the world outside.

#[test]
fn what_comes_from_outside_is_waited_for_and_marked() {
    let exe = tests::program!("scenario");
    for name in ["read_stdin", "read_stdin_blocking"] {
        let mut child = std::process::Command::new(exe)
            .arg(name)
            .env("SAFEPOINT_SEED", "1")
            .env("SAFEPOINT_TRACE", "-")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("the program can be started");
        std::thread::sleep(500 * MS);
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin.write_all(b"at last").expect("it reads");
        drop(stdin);
        let out = child.wait_with_output().expect("it ends");
        let (stdout, stderr) = (
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr),
        );
        assert!(
            stdout.contains("read: at last"),
            "{name}: {stdout} {stderr}"
        );
        assert!(
            stderr.contains("portable=no (it waited for the world outside"),
            "{name}: {stderr}"
        );
    }
}

#[test]
fn who_waits_in_vain_is_told_so() {
    let exe = tests::program!("scenario");
    let mut child = std::process::Command::new(exe)
        .arg("read_stdin")
        .env("SAFEPOINT_SEED", "1")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let stdin = child.stdin.take();
    let out = child.wait_with_output().expect("it ends");
    drop(stdin);
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("lockstep: nobody can go on but those who wait for a descriptor"),
        "{stderr}"
    );
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

/// Where nobody listens, nobody answers: not even we ourselves, when the kernel chooses the very
/// port for our end.
#[test]
fn a_connection_to_itself_is_refused() {
    on(1, || {
        let (listener, addr) = listen();
        drop(listener);
        // The kernel chooses even ports for clients.
        let addr = SocketAddr::new(addr.ip(), addr.port() & !1);
        for _ in 0..25_000 {
            if let Ok(stream) = TcpStream::connect(addr) {
                assert_ne!(stream.local_addr().ok(), stream.peer_addr().ok());
            }
        }
    });
}

/// The descriptor that is lent stays open and is the same one, although it is closed meanwhile.
#[test]
fn a_borrowed_descriptor_outlives_a_close() {
    on(1, || {
        let (a, mut b) = UnixStream::pair().expect("two sockets");
        let copy = a.with_fd(|fd| {
            a.close().expect("open");
            let _other = std::fs::File::open("/dev/null").expect("a file");
            fd.try_clone_to_owned().expect("still open")
        });
        assert_eq!(
            a.with_fd(|_| ()).unwrap_err().kind(),
            ErrorKind::NotConnected
        );
        b.write_all(b"x").expect("a reader");
        let mut byte = [0];
        let mut copy = std::fs::File::from(copy.expect("open"));
        copy.read_exact(&mut byte).expect("what was written");
        assert_eq!(&byte, b"x");
    });
}

#[test]
fn a_clone_is_the_same_connection_and_closed_by_itself() {
    on(2, || {
        let (mut client, mut server) = connection();
        let mut other = client.try_clone().expect("open");
        client.set_deadline(Some(Duration::ZERO)).expect("open");
        assert_eq!(
            client.read(&mut [0]).unwrap_err().kind(),
            ErrorKind::TimedOut
        );
        assert_eq!(client.write(b"x").unwrap_err().kind(), ErrorKind::TimedOut);
        client.close().expect("open");
        other
            .write_all(b"x")
            .expect("the handle's deadlines are its own");
        server.read_exact(&mut [0]).expect("still connected");
        drop(other);
        assert_eq!(server.read(&mut [0]).expect("the end"), 0);
    });
}

// ---- Sockets with a path.

fn a_path(name: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("safepoint-{}-{name}", std::process::id()))
}

#[test]
fn connections_arrive_at_a_path() {
    let sum = on(2, || {
        let path = a_path("arrive");
        let listener = UnixListener::bind(&path).expect("a path");
        for i in 0..100_u8 {
            let path = path.clone();
            go("client", move || {
                let mut stream = UnixStream::connect(&path).expect("a connection");
                stream.write_all(&[i; 100]).expect("room");
            });
        }
        let (sums, mut sum) = (Chan::new(100), 0);
        for _ in 0..100 {
            let (mut stream, sums) = (listener.accept().expect("a connection"), sums.clone());
            go("server", move || {
                let mut bytes = Vec::new();
                stream.read_to_end(&mut bytes).expect("all of it");
                sums.send(bytes.iter().map(|b| usize::from(*b)).sum::<usize>());
            });
        }
        for _ in 0..100 {
            sum += sums.recv().expect("it is open");
        }
        sum
    });
    assert_eq!(sum, 100 * (0..100).sum::<usize>());
}

#[test]
fn closing_a_listener_removes_its_path_once() {
    on(2, || {
        let path = a_path("removed");
        let listener = Arc::new(UnixListener::bind(&path).expect("a path"));
        let again = UnixListener::bind(&path).err().map(|e| e.kind());
        assert_eq!(again, Some(ErrorKind::AddrInUse));
        assert!(path.exists(), "one that was not made removes nothing");
        listener.set_deadline(Some(MS)).expect("open");
        timed_out(listener.accept().map(drop));
        listener.set_deadline(None).expect("open");
        let (waits, woken) = (listener.clone(), Chan::new(1));
        let send = woken.clone();
        go("waits", move || send.send(waits.accept().map(drop)));
        sleep(MS);
        listener.close().expect("it is open");
        is_closed(woken.recv().expect("it is open"));
        assert!(!path.exists());
        // Another one's by now.
        let other = UnixListener::bind(&path).expect("a path");
        is_closed(listener.close());
        drop(listener);
        assert!(path.exists());
        other.set_unlink_on_close(false);
        drop(other);
        assert!(path.exists(), "it was to stay");
        let refused = UnixStream::connect(&path).err().map(|e| e.kind());
        assert_eq!(refused, Some(ErrorKind::ConnectionRefused));
        std::fs::remove_file(&path).expect("it is there");
        let gone = UnixStream::connect(&path).err().map(|e| e.kind());
        assert_eq!(gone, Some(ErrorKind::NotFound));
        drop(UnixListener::bind(&path).expect("a path"));
        assert!(!path.exists(), "dropping removes it too");
        for bad in [String::new(), "a\0b".into(), "a".repeat(108)] {
            let no = UnixStream::connect(bad).err().map(|e| e.kind());
            assert_eq!(no, Some(ErrorKind::InvalidInput));
        }
    });
}
