//! The five programs behind the questions of the book's review of stage 1: `review NAME`.
//!
//! The book describes each in words and asks which events come in which order; the answers
//! are these runs in lockstep, on one P. Answer there before you read on here.

use stage1_coop::*;
use std::time::Duration;

fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    match name.as_str() {
        "once" => run(once, |me| ask(me, 1)),
        "three" => run(three, |me| ask(me, u32::MAX)),
        "pair" => run(pair, |me| ask(me, u32::MAX)),
        "section" => run(section, |me| ask(me, 2)),
        "wake" => run(wake, |me| ask(me, 1)),
        _ => {
            eprintln!("usage: review once | three | pair | section | wake");
            std::process::exit(64);
        }
    }
}

fn run(main: fn(), third_party: fn(&mut ThirdParty)) {
    let runtime = Runtime::new(&STAGE).procs(1).third_party(third_party);
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe { runtime.run(main) };
}

/// Raises the flag every 10 ms, so many times.
fn ask(me: &mut ThirdParty, times: u32) {
    for _ in 0..times {
        if !me.sleep(Duration::from_millis(10)) {
            return;
        }
        me.raise_the_flag();
    }
}

/// About 100 us, and one guard check in front of it.
#[gofunc]
fn work(turns: u64) -> u64 {
    spin(turns)
}

fn hog(tenths_of_a_ms: u32) {
    for _ in 0..tenths_of_a_ms {
        work(100_000);
    }
}

/// Makes a goroutine for each name, which hogs for 26 ms, and waits for all.
fn hogs(names: &[&'static str]) {
    let done = WaitGroup::new();
    for name in names {
        done.add(1);
        let done = done.clone();
        go(name, move || {
            hog(260);
            done.done();
        });
    }
    done.wait();
}

/// Two hogs; the flag goes up once.
fn once() {
    hogs(&["ann", "bob"]);
}

/// Three hogs.
fn three() {
    hogs(&["ann", "bob", "cyd"]);
}

/// A hog, and a pair that hands a ball to each other.
fn pair() {
    let (there, back) = (Chan::new(0), Chan::new(0));
    let (to, from) = (there.clone(), back.clone());
    let done = WaitGroup::new();
    done.add(3);
    let (a, b, c) = (done.clone(), done.clone(), done.clone());
    go("hog", move || {
        hog(250);
        a.done();
    });
    go("ping", move || {
        for ball in 0..4 {
            to.send(ball);
            from.recv();
        }
        to.close();
        b.done();
    });
    go("pong", move || {
        for ball in there.iter() {
            hog(60);
            back.send(ball);
        }
        c.done();
    });
    done.wait();
}

/// A hog, and another one that must not be stopped for 25 ms; the flag goes up twice.
fn section() {
    let done = WaitGroup::new();
    done.add(2);
    let (a, b) = (done.clone(), done.clone());
    go("hog", move || {
        hog(100);
        a.done();
    });
    go("holder", move || {
        {
            let _section = acquirem();
            hog(250);
        }
        hog(50);
        b.done();
    });
    done.wait();
}

/// A hog that wakes a reader and then makes a child; the flag goes up once.
fn wake() {
    let to = Chan::new(0);
    let from = to.clone();
    let done = WaitGroup::new();
    done.add(3);
    let (a, b, c) = (done.clone(), done.clone(), done.clone());
    go("hog", move || {
        hog(40);
        to.send(());
        hog(20);
        go("child", move || c.done());
        hog(100);
        a.done();
    });
    go("reader", move || {
        from.recv();
        b.done();
    });
    done.wait();
}
