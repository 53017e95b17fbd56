//! Four loops that never yield of their own will share the processors. How long is a turn?
//!
//! Each processor counts the slices that it begins; sysmon looks at that number, and so do
//! these loops. When it has changed after a round, one slice has ended and another begun.
//! Three loops come to a guard check ten times in a millisecond. `seldom` comes to one every
//! 3 ms, so it hears a request later.

use stage2_sysmon::rt::arch::getm;
use stage2_sysmon::rt::os::nanotime;
use stage2_sysmon::{Chan, Runtime, STAGE, go, gofunc, prologue, spin};
use std::sync::atomic::Ordering::Relaxed;

fn main() {
    let runtime = Runtime::new(&STAGE).procs(1);
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        runtime.run(|| {
            let often = ["often_a", "often_b", "often_c"].map(|name| (name, 100_000));
            let loops = often.into_iter().chain([("seldom", 3_000_000)]);
            let table = loops.map(|(name, turns)| {
                let result = Chan::new(1);
                let send = result.clone();
                go(name, move || send.send(slices(turns)));
                (name, result)
            });
            println!("loop     slices   shortest    longest");
            for (name, result) in table.collect::<Vec<_>>() {
                let slices = result.recv().unwrap_or_default();
                let ms = |ns: Option<&u64>| ns.map_or(0.0, |&ns| ns as f64 / 1e6);
                let (min, max) = (ms(slices.iter().min()), ms(slices.iter().max()));
                println!("{name:8} {:6} {min:7.1} ms {max:7.1} ms", slices.len());
            }
        });
    }
}

/// Works for about 75 ms and returns how long each slice was. The last one is left out: it
/// ends because the work does.
fn slices(turns: u64) -> Vec<u64> {
    let (mut slices, mut slice) = (Vec::new(), this_slice());
    let (mut begin, mut end) = (nanotime(), nanotime());
    for _ in 0..75_000_000 / turns {
        let now = work(turns);
        if this_slice() != slice {
            slices.push(end - begin);
            (slice, begin) = (this_slice(), now);
        }
        end = nanotime();
    }
    slices
}

/// The processor that runs us, and how many slices it has begun. Never inlined: what looks at the
/// thread stays out of a goroutine's own code.
#[inline(never)]
fn this_slice() -> Option<(usize, u32)> {
    let pp = getm().p.get()?;
    Some((pp.id.get(), pp.schedtick.load(Relaxed)))
}

/// One guard check, and then a round: a turn takes about a nanosecond. Returns when it began.
#[gofunc]
fn work(turns: u64) -> u64 {
    let began = nanotime();
    spin(turns);
    began
}
