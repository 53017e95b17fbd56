//! The clock of a free-running trace: the processor's cycle counter where it can be trusted,
//! `clock_gettime` where not.
//!
//! An event keeps raw ticks. Only its rendering makes nanoseconds of them, from pairs of
//! readings of both clocks ([`Scale`]). So the traced program pays for one instruction, and
//! over a run the times cannot drift away from the machine's clock.
//!
//! Tests: below; `chrome::long::pieces_are_the_whole`, its free run.

use crate::os;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::*};

/// Whether ticks are those of the cycle counter.
static COUNTER: AtomicBool = AtomicBool::new(false);

/// Chooses the clock of the run that begins. `plain`: nanoseconds are needed at once.
pub(super) fn choose(plain: bool) {
    COUNTER.store(!plain && trusted(), Relaxed);
}

/// Whether the cycle counters of all processors run at one constant rate, also while they
/// sleep, and from one origin. The first half is a bit of the processor's; the second only
/// the kernel knows, which compares them and takes `tsc` off its list if they differ.
fn trusted() -> bool {
    let max = core::arch::x86_64::__cpuid(0x8000_0000).eax;
    let invariant =
        max >= 0x8000_0007 && core::arch::x86_64::__cpuid(0x8000_0007).edx & (1 << 8) != 0;
    const LIST: &str = "/sys/devices/system/clocksource/clocksource0/available_clocksource";
    invariant
        && std::fs::read_to_string(LIST)
            .is_ok_and(|list| list.split_whitespace().any(|name| name == "tsc"))
}

/// Now, in ticks.
#[inline]
pub(super) fn ticks() -> u64 {
    if !COUNTER.load(Relaxed) {
        return os::monotonic();
    }
    // SAFETY: every x86-64 processor has both instructions. The fence keeps the reading behind
    // the loads before it: a goroutine that sees what its waker wrote gets a later time than
    // the waker did. `clock_gettime` does the same.
    unsafe {
        core::arch::x86_64::_mm_lfence();
        core::arch::x86_64::_rdtsc()
    }
}

/// One moment by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Anchor {
    ticks: u64,
    ns: u64,
}

impl Anchor {
    /// Now. Of a few readings the one that took least time.
    pub(super) fn now() -> Anchor {
        let read = || {
            let before = ticks();
            let ns = os::monotonic();
            let after = ticks();
            let ticks = before + (after - before) / 2;
            (after - before, Anchor { ticks, ns })
        };
        let best = (0..5).map(|_| read()).min_by_key(|&(took, _)| took);
        best.map_or(Anchor { ticks: 0, ns: 0 }, |(_, anchor)| anchor)
    }
}

/// What a tick is in nanoseconds of the run's clock: straight lines between anchors.
pub(super) struct Scale {
    /// The run's beginning, by the machine's clock.
    origin: u64,
    /// The last ones. Ticks and nanoseconds grow from one to the next.
    anchors: VecDeque<Anchor>,
    /// Ticks are nanoseconds already, from this one on.
    plain: Option<u64>,
}

/// Anchors that are kept: what is rendered lies between the last two or three.
const ANCHORS: usize = 32;

impl Scale {
    /// Of lockstep, whose ticks are nanoseconds.
    pub(super) fn lockstep() -> Scale {
        Scale {
            origin: 0,
            anchors: VecDeque::new(),
            plain: Some(0),
        }
    }

    /// Of a run that began at `first`.
    pub(super) fn new(first: Anchor) -> Scale {
        Scale {
            origin: first.ns,
            anchors: VecDeque::from([first]),
            plain: (!COUNTER.load(Relaxed)).then_some(first.ns),
        }
    }

    /// Everything before `anchor` may be asked for from now on.
    pub(super) fn add(&mut self, anchor: Anchor) {
        let last = self.anchors.back();
        if last.is_some_and(|last| last.ticks < anchor.ticks && last.ns < anchor.ns) {
            self.anchors.push_back(anchor);
        }
        if self.anchors.len() > ANCHORS {
            self.anchors.pop_front();
        }
    }

    /// The time of `ticks`, in nanoseconds since the run began.
    pub(super) fn ns(&self, ticks: u64) -> u64 {
        if let Some(from) = self.plain {
            return ticks.saturating_sub(from);
        }
        // The line that begins last before it; the first and the last go on beyond their ends.
        let n = self.anchors.len();
        let Some(i) = (1..n).rev().find(|&i| self.anchors[i - 1].ticks <= ticks) else {
            return 0;
        };
        let (a, b) = (self.anchors[i - 1], self.anchors[i]);
        let over = u128::from(ticks - a.ticks) * u128::from(b.ns - a.ns);
        a.ns - self.origin + (over / u128::from(b.ticks - a.ticks)) as u64
    }

    /// How many ticks are about so many nanoseconds.
    pub(super) fn ticks_of(&self, ns: u64) -> u64 {
        match (self.anchors.front(), self.anchors.back()) {
            (Some(a), Some(b)) if self.plain.is_none() && b.ns > a.ns => {
                (u128::from(ns) * u128::from(b.ticks - a.ticks) / u128::from(b.ns - a.ns)) as u64
            }
            _ => ns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_nanoseconds_between_two_anchors() {
        COUNTER.store(true, Relaxed);
        let anchor = |ticks, ns| Anchor { ticks, ns };
        let mut scale = Scale::new(anchor(1_000, 5_000));
        scale.plain = None;
        scale.add(anchor(4_000, 6_000));
        // A clock that was set to run faster.
        scale.add(anchor(7_000, 8_000));
        // Readings that go back are none.
        scale.add(anchor(7_500, 7_900));
        let ns: Vec<u64> = [0, 1_000, 2_500, 4_000, 5_500, 7_000, 8_500]
            .map(|t| scale.ns(t))
            .into();
        assert_eq!(ns, [0, 0, 500, 1_000, 2_000, 3_000, 4_000]);
        assert_eq!(scale.ticks_of(1_000), 2_000);
        COUNTER.store(false, Relaxed);
    }

    /// Two threads hand a word to and fro; each reads the clock when it sees the other's word.
    /// No reading is smaller than the one before it, on whichever processors they run.
    #[test]
    fn the_clock_never_goes_back_from_thread_to_thread() {
        use std::sync::atomic::AtomicU64;
        if !trusted() {
            println!("skipped: this machine's cycle counter cannot be trusted");
            return;
        }
        static TURN: AtomicU64 = AtomicU64::new(0);
        static LAST: AtomicU64 = AtomicU64::new(0);
        let player = |me: u64| {
            move || {
                for round in 0..200_000 {
                    let mine = 2 * round + me;
                    let mut looks = 0;
                    while TURN.load(Acquire) != mine {
                        looks += 1;
                        if looks % 1_000 == 0 {
                            std::thread::yield_now();
                        }
                    }
                    // SAFETY: as in `ticks`, which the other test switches.
                    let now = unsafe {
                        core::arch::x86_64::_mm_lfence();
                        core::arch::x86_64::_rdtsc()
                    };
                    assert!(now >= LAST.load(Relaxed), "round {round}");
                    LAST.store(now, Relaxed);
                    TURN.store(mine + 1, Release);
                }
            }
        };
        let other = std::thread::spawn(player(1));
        player(0)();
        other.join().expect("no reading went back");
    }
}
