//! Channels and their like at the end of their patience.

use crate::{forever, run};
use stage1_coop::*;
use std::sync::Arc;

crate::scenarios!(
    send_on_closed,
    select_send_on_closed,
    try_send_on_closed,
    close_of_closed,
    parked_sender_and_close,
    negative_wait_group,
    blocked_for_ever,
    foreign_thread,
);

/// Runs `f` as goroutine 2, whose name is `culprit`.
fn culprit(f: impl FnOnce() + Send + 'static) {
    run(1, || {
        go("culprit", f);
        forever();
    });
}

fn send_on_closed(_: &[String]) {
    culprit(|| {
        let c = Chan::new(1);
        c.close();
        c.send(1);
    });
}

fn select_send_on_closed(_: &[String]) {
    culprit(|| {
        let (c, other) = (Chan::new(1), Chan::<u32>::new(0));
        c.close();
        select! {
            send(c, 1) => println!("sent"),
            recv(other) -> _ => println!("received"),
        }
    });
}

fn try_send_on_closed(_: &[String]) {
    culprit(|| {
        let c = Chan::new(1);
        c.close();
        println!("{:?}", c.try_send(1));
    });
}

fn close_of_closed(_: &[String]) {
    culprit(|| {
        let c = Chan::<u32>::new(0);
        c.close();
        c.close();
    });
}

/// The sender waits already when the channel is closed.
fn parked_sender_and_close(_: &[String]) {
    run(1, || {
        let c = Chan::new(0);
        let sender = c.clone();
        go("culprit", move || sender.send(Loud));
        gosched();
        c.close();
        forever();
    });
}

struct Loud;
impl Drop for Loud {
    fn drop(&mut self) {
        println!("the value that was not sent is dropped");
    }
}

fn negative_wait_group(_: &[String]) {
    culprit(|| WaitGroup::new().done());
}

/// All that can block, blocked: the dump names each reason.
fn blocked_for_ever(_: &[String]) {
    run(1, || {
        go("receives", forever);
        go("sends", || Chan::new(0).send(1));
        go("selects", || {
            let (a, b) = (Chan::<u32>::new(0), Chan::new(0));
            select! {
                recv(a) -> _ => {},
                send(b, 1) => {},
            }
        });
        go("selects_nothing", || select! {});
        go("waits", || {
            let group = WaitGroup::new();
            group.add(1);
            group.wait();
        });
        go("locks", || {
            let mutex = Mutex::new(());
            let _first = mutex.lock();
            let _second = mutex.lock();
        });
        for _ in 0..3 {
            gosched();
        }
        rt::last_words::throw("look at them");
    });
}

/// A goroutine waits, and a thread that the runtime does not know does what would wake it.
/// Either that works, or it is refused and can be done again from a goroutine.
fn foreign_thread(arguments: &[String]) {
    let what = arguments[0].clone();
    run(1, move || {
        let (c, group, mutex) = (
            Chan::<u32>::new(0),
            WaitGroup::new(),
            Arc::new(Mutex::new(())),
        );
        group.add(1);
        let woken = Chan::new(1);
        let (c2, group2, mutex2, woken2) = (c.clone(), group.clone(), mutex.clone(), woken.clone());
        let foreign = |f: Box<dyn FnOnce() + Send>| std::thread::spawn(f).join().is_err();
        match what.as_str() {
            "send" | "close" => {
                go("waiter", move || {
                    c2.recv();
                    woken2.send(());
                });
                gosched();
                let close = what == "close";
                let act = move || {
                    if close {
                        c.close();
                    } else if c.try_send(1).is_err() {
                        println!("nobody waits any more");
                    }
                };
                if foreign(Box::new(act.clone())) {
                    act();
                }
            }
            "done" => {
                go("waiter", move || {
                    group2.wait();
                    woken2.send(());
                });
                gosched();
                let g = group.clone();
                if foreign(Box::new(move || g.done())) {
                    group.done();
                }
            }
            _ => {
                let m = mutex.clone();
                let (held, go_on) = (std::sync::mpsc::channel(), std::sync::mpsc::channel());
                let holder = std::thread::spawn(move || {
                    let guard = m.lock();
                    let _ = held.0.send(());
                    let _ = go_on.1.recv();
                    drop(guard);
                });
                // Refused, the thread has ended, and the sender with it.
                let _ = held.1.recv();
                go("waiter", move || {
                    drop(mutex2.lock());
                    woken2.send(());
                });
                gosched();
                let _ = go_on.0.send(());
                let _ = holder.join();
            }
        }
        for _ in 0..5 {
            gosched();
        }
        match woken.try_recv() {
            Ok(_) => println!("the waiter goes on"),
            Err(_) => println!("the waiter is lost"),
        }
    });
}
