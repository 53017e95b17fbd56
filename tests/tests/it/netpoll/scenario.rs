//! Programs that use the network poller and need a process for themselves.

use crate::start;
use stage2_sysmon::*;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::time::{Duration, Instant};

crate::scenarios!(
    no_descriptors,
    echo_in_a_storm,
    a_hundred_runs,
    closed_without_its_goroutines,
    read_stdin,
    read_stdin_blocking
);

fn run(procs: usize, main: impl FnOnce() + Send + 'static) {
    start(Runtime::new(&STAGE).procs(procs), main);
}

/// An accept loop while the process has no descriptor left, and afterwards.
fn no_descriptors(_: &[String]) {
    run(2, || {
        let listener = TcpListener::bind(([127, 0, 0, 1], 0).into()).expect("a port");
        let addr = listener.local_addr().expect("its address");
        let clients: Vec<_> = (0..3)
            .map(|_| TcpStream::connect(addr).expect("a connection"))
            .collect();
        let mut hoard = Vec::new();
        while let Ok(fd) = std::io::stdin().as_fd().try_clone_to_owned() {
            hoard.push(fd);
            assert!(hoard.len() < 2_000_000, "no limit");
        }
        let mut errors = 0;
        let mut came = Vec::new();
        while came.len() < clients.len() {
            match listener.accept() {
                Ok((stream, _)) => came.push(stream),
                Err(error) => {
                    if errors == 0 {
                        println!("accept: {error}");
                    }
                    errors += 1;
                    // As a server would: wait a little, and something is free again.
                    sleep(Duration::from_millis(2));
                    hoard.pop();
                }
            }
        }
        println!("then all {} came", came.len());
    });
}

extern "C" fn nothing(_: i32) {}

/// Goroutines echo for a quarter of a second while signals interrupt every call they can.
fn echo_in_a_storm(_: &[String]) {
    // SAFETY: a zeroed sigaction is a valid one; the handler does nothing. Without SA_RESTART,
    // so calls really end with EINTR; on the signal stack, because goroutines have none.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as *const () as usize;
        action.sa_flags = libc::SA_ONSTACK;
        libc::sigaction(libc::SIGURG, &action, std::ptr::null_mut());
    }
    static STOP: AtomicBool = AtomicBool::new(false);
    static STORM: AtomicUsize = AtomicUsize::new(0);
    let storm = std::thread::spawn(|| {
        // SAFETY: plain numbers.
        let pid = unsafe { libc::getpid() };
        while !STOP.load(Relaxed) {
            for task in tests::threads() {
                // SAFETY: plain numbers; a thread that is gone is an error, and no harm.
                unsafe { libc::syscall(libc::SYS_tgkill, pid, task, libc::SIGURG) };
                STORM.fetch_add(1, Relaxed);
            }
        }
    });
    run(2, || {
        let listener = TcpListener::bind(([127, 0, 0, 1], 0).into()).expect("a port");
        let addr = listener.local_addr().expect("its address");
        go("server", move || {
            while let Ok((mut stream, _)) = listener.accept() {
                go("echo", move || {
                    let mut bytes = [0; 1024];
                    while let Ok(n @ 1..) = stream.read(&mut bytes) {
                        stream.write_all(&bytes[..n]).expect("the client is there");
                    }
                });
            }
        });
        let (done, count) = (WaitGroup::new(), Arc::new(AtomicUsize::new(0)));
        for id in 0..16 {
            done.add(1);
            let (done, count) = (done.clone(), count.clone());
            go("client", move || {
                let mut stream = TcpStream::connect(addr).expect("a connection");
                let begin = Instant::now();
                while begin.elapsed() < Duration::from_millis(250) {
                    stream.write_all(&[id; 1024]).expect("room");
                    let mut answer = [0; 1024];
                    stream.read_exact(&mut answer).expect("an answer");
                    assert_eq!(answer, [id; 1024]);
                    count.fetch_add(1, Relaxed);
                }
                done.done();
            });
        }
        done.wait();
        println!("echoed {} times", count.load(Relaxed));
    });
    STOP.store(true, Relaxed);
    storm.join().expect("the storm ends");
    assert!(STORM.load(Relaxed) > 100);
}

/// Runs that use the poller, one after another, and what they leave open.
fn a_hundred_runs(_: &[String]) {
    let again = || {
        run(2, || {
            let listener = TcpListener::bind(([127, 0, 0, 1], 0).into()).expect("a port");
            let addr = listener.local_addr().expect("its address");
            let done = WaitGroup::new();
            done.add(2);
            let (c, d) = (done.clone(), done.clone());
            go("client", move || {
                let mut stream = TcpStream::connect(addr).expect("a connection");
                assert_eq!(stream.read(&mut [0]).expect("the end"), 0);
                drop(stream);
                c.done();
            });
            let (mut reader, mut writer) = pipe().expect("a pipe");
            go("writer", move || {
                writer.write_all(&[1]).expect("room for a byte");
                drop(writer);
                d.done();
            });
            assert_eq!(reader.read(&mut [0]).expect("a byte"), 1);
            drop(listener.accept().expect("a connection"));
            done.wait();
        });
        std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
    };
    let first = again();
    for _ in 0..100 {
        let now = again();
        assert!(
            now <= first,
            "{now} descriptors, {first} after the first run"
        );
    }
    println!("no more descriptors than after the first");
}

/// Descriptors at which a goroutine waits when its run is over: whoever closes them, and
/// whenever, they go back to the kernel.
fn closed_without_its_goroutines(_: &[String]) {
    // The goroutine never ends, so what it holds is not dropped: nothing happens by itself.
    let waited_at = |main: fn(&PipeReader)| {
        let (reader, writer) = pipe().expect("a pipe");
        let reader = Arc::new(reader);
        let (lost, ours) = (reader.clone(), reader.clone());
        run(1, move || {
            go("lost", move || drop((&*lost).read(&mut [0])));
            gosched();
            main(&ours);
        });
        drop(writer);
        reader
    };
    let open = || std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    // The poller's own, and whatever else a first run opens.
    run(1, || ());
    let before = open();
    for i in 0..30 {
        match i % 3 {
            0 => {
                let reader = waited_at(|_| ());
                reader.close().expect("it was open");
            }
            1 => {
                let reader = waited_at(|_| ());
                run(1, move || reader.close().expect("it was open"));
            }
            _ => {
                // The goroutine is woken and gets no turn any more. The second close, or a
                // drop, ends what it has left.
                let reader = waited_at(|reader| reader.close().expect("it was open"));
                reader.close().expect_err("it was closed");
            }
        }
        assert_eq!(open(), before, "after {} of them", i + 1);
    }
    println!("no more descriptors than before");
}

fn stdin() -> OwnedFd {
    std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .expect("a descriptor")
}

/// Reads what comes from outside, parked.
fn read_stdin(_: &[String]) {
    run(1, || {
        let mut reader = PipeReader::new(stdin()).expect("a pipe");
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("some text");
        println!("read: {text}");
    });
}

/// Reads what comes from outside, in a call that blocks.
fn read_stdin_blocking(_: &[String]) {
    run(1, || {
        let mut text = String::new();
        File::new(stdin())
            .read_to_string(&mut text)
            .expect("some text");
        println!("read: {text}");
    });
}
