//! Descriptors and the ends of runs.

use super::listen;
use crate::fixture::MS;
use crate::fixture::stage2::on;
use stage2_sysmon::*;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;
use tests::{LIMIT, scenario};

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
