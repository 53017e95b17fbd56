//! The parts of the runtime that are compiled into the goroutine's own code: channels, `select!`,
//! locks, `go`, sections and system calls.

use stage3_signals::{
    Chan, Mutex, WaitGroup, acquirem, go, gofunc, gosched, prologue, select, syscall,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Channels, with a goroutine at the other end: both sides wait in turn.
#[gofunc]
pub fn sends(turns: u64) -> u64 {
    let (there, back) = (Chan::new(0), Chan::new(1));
    let (other_there, other_back) = (there.clone(), back.clone());
    go("echo", move || {
        while let Some(n) = other_there.recv() {
            other_back.send(n * 3);
        }
        other_back.close();
    });
    let mut sum = 1_u64;
    for n in 0..turns {
        there.send(n + sum % 7);
        sum = sum.wrapping_mul(31) ^ back.recv().unwrap_or(u64::MAX);
    }
    there.close();
    sum ^ back.recv().unwrap_or(5)
}

/// `select!` with an arm that is ready, one that never is, and with none that is.
#[gofunc]
pub fn selects(turns: u64) -> u64 {
    let (ready, never) = (Chan::new(1), Chan::<u64>::new(0));
    let mut sum = 1_u64;
    for n in 0..turns {
        let got = select! {
            send(ready, n) => 1,
            recv(never) -> got => got.unwrap_or(2),
        };
        sum = sum.wrapping_mul(31) ^ got;
        let got = select! {
            recv(ready) -> got => got.unwrap_or(3),
            recv(never) -> got => got.unwrap_or(4),
        };
        sum = sum.wrapping_mul(31) ^ got;
        let got = select! {
            recv(ready) -> got => got.unwrap_or(5),
            recv(never) -> got => got.unwrap_or(6),
            default => 7,
        };
        sum = sum.wrapping_mul(31) ^ got;
    }
    sum
}

/// A lock that another goroutine holds now and then.
#[gofunc]
pub fn locks(turns: u64) -> u64 {
    let (lock, done) = (Arc::new(Mutex::new(1_u64)), WaitGroup::new());
    done.add(1);
    let (other, other_done) = (lock.clone(), done.clone());
    go("holder", move || {
        for _ in 0..turns {
            let mut held = other.lock();
            // So that it is held while it is asked for.
            gosched();
            *held += 2;
        }
        other_done.done();
    });
    for n in 0..turns {
        *lock.lock() += n * 5;
    }
    done.wait();
    *lock.lock()
}

/// Goroutines that are started, and waited for.
#[gofunc]
pub fn starts(turns: u64) -> u64 {
    let (sum, done) = (Arc::new(AtomicU64::new(1)), WaitGroup::new());
    for n in 0..turns {
        done.add(1);
        let (sum, done) = (sum.clone(), done.clone());
        go("adds", move || {
            sum.fetch_add(n * n + 1, Relaxed);
            done.done();
        });
    }
    done.wait();
    sum.load(Relaxed)
}

/// Sections in which the goroutine stays on its thread.
#[gofunc]
pub fn holds_its_thread(turns: u64) -> u64 {
    let mut sum = 1_u64;
    for n in 0..turns {
        let section = acquirem();
        sum = sum.rotate_left(5) ^ n;
        drop(section);
        sum = sum.wrapping_mul(31);
    }
    sum
}

/// System calls, short ones.
#[gofunc]
pub fn calls_the_system(turns: u64) -> u64 {
    let mut sum = 1_u64;
    for n in 0..turns {
        let got = u64::from(syscall(std::process::id));
        sum = sum.wrapping_mul(31) ^ got.wrapping_add(n);
    }
    sum
}
