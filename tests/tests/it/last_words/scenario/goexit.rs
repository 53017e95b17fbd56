//! Goroutines, and `main`, that end with `goexit`.

use super::{culprit, thrower};
use crate::run;
use stage1_coop::*;
use std::panic::catch_unwind;
use std::time::Duration;

crate::scenarios!(
    main_goexits,
    goexit_is_caught,
    main_goexits_and_returns,
    goexit_in_a_destructor,
);

/// The others go on without main, as in Go.
fn main_goexits(_: &[String]) {
    struct Dropped;
    impl Drop for Dropped {
        fn drop(&mut self) {
            println!("what main held is dropped");
        }
    }
    run(2, || {
        let _dropped = Dropped;
        go("heir", || {
            std::thread::sleep(Duration::from_millis(50));
            println!("the heir goes on");
            exit(7);
        });
        goexit();
    });
}

/// `goexit_is_caught HOW`
fn goexit_is_caught(arguments: &[String]) {
    let how = arguments[0].clone();
    run(1, move || {
        let done = WaitGroup::new();
        done.add(1);
        let d = done.clone();
        go("ends", move || {
            struct Done(WaitGroup);
            impl Drop for Done {
                fn drop(&mut self) {
                    println!("dropped");
                    self.0.done();
                }
            }
            let _done = Done(d);
            match how.as_str() {
                "ignored" => {
                    let _ = catch_unwind(ends);
                    println!("still here");
                }
                "tested" => {
                    if catch_unwind(ends).is_err() {
                        println!("an error");
                    }
                    println!("still here");
                }
                "looked at" => {
                    if let Err(e) = catch_unwind(ends) {
                        println!("an error: {}", e.is::<&str>());
                    }
                    println!("still here");
                }
                "thrown on" => {
                    if let Err(e) = catch_unwind(ends) {
                        std::panic::resume_unwind(e);
                    }
                    println!("still here");
                }
                "twice" => loop {
                    let _ = catch_unwind(|| {
                        let _ = catch_unwind(ends);
                        println!("still here");
                    });
                    println!("still here, too");
                },
                _ => {
                    // On another goroutine it is nothing special.
                    let (c, ended) = (Chan::new(1), Chan::new(0));
                    let (from, end) = (c.clone(), ended.clone());
                    go("takes it", move || {
                        drop(from.recv());
                        println!("the other one goes on");
                        end.send(());
                    });
                    c.send(catch_unwind(ends).map_err(Payload));
                    ended.recv();
                    println!("for a while");
                }
            }
        });
        done.wait();
        gosched();
        println!("main goes on");
    });
}

struct Payload(#[allow(dead_code)] Box<dyn std::any::Any + Send>);

/// Main has called `goexit`, keeps what was thrown, and returns.
fn main_goexits_and_returns(_: &[String]) {
    run(2, || {
        go("heir", || {
            std::thread::sleep(Duration::from_millis(50));
            // If the run were over, the heir would not come back from here.
            gosched();
            println!("the heir goes on");
            exit(7);
        });
        std::mem::forget(catch_unwind(ends));
        println!("main returns");
    });
}

fn goexit_in_a_destructor(_: &[String]) {
    struct Exits;
    impl Drop for Exits {
        fn drop(&mut self) {
            goexit();
        }
    }
    culprit(|| {
        let _exits = Exits;
        thrower("str");
    });
}

fn ends() {
    goexit();
}
