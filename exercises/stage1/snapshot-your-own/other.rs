//! A snapshot of my own: a hog, and a goroutine that waits for a turn.

use stage1_coop::{Chan, go, gosched, prologue, spin};

/// Runs as `main`, on one processor.
pub fn scenario() {
    let ball = Chan::new(1);
    let to = ball.clone();
    go("hog", move || {
        for _ in 0..250 {
            prologue!();
            spin(100_000);
        }
        to.send(());
    });
    go("bystander", || {});
    gosched();
    ball.recv();
}

/// The kinds of events that tell its story.
pub const EVENTS: &[&str] = &["GoCreate", "GoPreempt", "GoStart", "GoEnd"];

/// What they were, with seed 1: run it, read what happened, and paste it here.
pub const EXPECTED: &str = "\
m0  p0  --   GoCreate     g1 main
m0  p0  --   GoStart      g1
m0  p0  g1   GoCreate     g2 hog
m0  p0  g1   GoCreate     g3 bystander
m0  p0  --   GoStart      g3 next
m0  p0  g3   GoEnd
m0  p0  --   GoStart      g2
m0  p0  g2   GoPreempt    coop #1
m0  p0  --   GoStart      g1
m0  p0  --   GoStart      g2
m0  p0  g2   GoPreempt    coop #2
m0  p0  --   GoStart      g2
m0  p0  g2   GoEnd
m0  p0  --   GoStart      g1 next
m0  p0  g1   GoEnd
";
