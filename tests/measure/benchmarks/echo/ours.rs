//! echo: 64 connections over the loopback, a goroutine for each end, all in this process. A
//! client writes 1 KiB and reads 1 KiB back, again and again: 0.3 s to warm up, and four
//! windows of a second. After it the same by a bare epoll loop in C, if `BENCH_C` names one.

use bench::{emit, now, procs};
use stage2_sysmon::{Chan, Runtime, STAGE, TcpListener, TcpStream, go};
use std::io::{Read, Write};
use std::process::Command;
use std::sync::mpsc;

const CONNECTIONS: usize = 64;
const SIZE: usize = 1024;
const WINDOWS: usize = 4;
const SECOND: u64 = 1_000_000_000;

fn serve(listener: &TcpListener) {
    while let Ok((mut stream, _)) = listener.accept() {
        go("server", move || {
            let mut bytes = [0; SIZE];
            while stream.read_exact(&mut bytes).is_ok() {
                stream.write_all(&bytes).expect("the client reads");
            }
        });
    }
}

/// When each request came back, and how long it took, between two times.
fn ask(mut stream: TcpStream, begin: u64, end: u64) -> Vec<(u64, u64)> {
    let mut samples = Vec::with_capacity(1 << 16);
    let mut bytes = [0; SIZE];
    loop {
        let asked = now();
        stream.write_all(&bytes).expect("the server reads");
        stream.read_exact(&mut bytes).expect("the server answers");
        let at = now();
        if at >= end {
            return samples;
        }
        if at >= begin {
            samples.push((at, at - asked));
        }
    }
}

/// The samples of all connections, and when the first window began.
fn measure() -> (Vec<(u64, u64)>, u64) {
    let listener = TcpListener::bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let addr = listener.local_addr().expect("its address");
    go("acceptor", move || serve(&listener));
    let connect = |_| {
        let stream = TcpStream::connect(addr).expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        stream
    };
    let streams: Vec<TcpStream> = (0..CONNECTIONS).map(connect).collect();
    let begin = now() + 3 * SECOND / 10;
    let end = begin + WINDOWS as u64 * SECOND;
    let done = Chan::new(CONNECTIONS);
    for stream in streams {
        let done = done.clone();
        go("client", move || done.send(ask(stream, begin, end)));
    }
    let all = (0..CONNECTIONS).filter_map(|_| done.recv()).flatten();
    (all.collect(), begin)
}

fn main() {
    let (send, receive) = mpsc::channel();
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        Runtime::new(&STAGE).procs(procs()).run(move || {
            let _ = send.send(measure());
        });
    }
    let (samples, begin) = receive.recv().expect("the run sends its samples");
    let mut requests = [0.0; WINDOWS];
    for (at, _) in &samples {
        requests[((at - begin) / SECOND) as usize] += 1.0;
    }
    let latency: Vec<f64> = samples.iter().map(|s| s.1 as f64 / 1e3).collect();
    emit("echo", "requests_per_s", "1/s", &requests, &[]);
    emit("echo", "latency", "us", &latency, &[]);
    if let Some(program) = std::env::var_os("BENCH_C") {
        let status = Command::new(program).status().expect("the loop in C runs");
        assert!(status.success(), "the loop in C: {status}");
    }
}
