//! What the tests of this program share: runs in this process, a log, a check, a request that
//! comes at a fixed moment. Whatever runs here keeps nothing that belongs to a thread across a
//! yield; that is what makes these functions safe to call.

use stage1_coop::{Runtime, Stage, ThirdParty, gofunc, prologue, rt};
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};
use tests::{LIMIT, within};

/// A millisecond.
pub const MS: Duration = Duration::from_millis(1);

/// Runs `main` on `runtime` and returns its result.
pub fn with<R: Send + 'static>(runtime: Runtime, main: impl FnOnce() -> R + Send + 'static) -> R {
    // SAFETY: see above.
    unsafe { within(LIMIT, runtime, main) }
}

/// Runs `main` on `procs` Ps with the decisions of `stage` and returns its result.
pub fn on_stage<R: Send + 'static>(
    stage: &'static Stage,
    procs: usize,
    main: impl FnOnce() -> R + Send + 'static,
) -> R {
    with(Runtime::new(stage).procs(procs), main)
}

/// Runs of stage 1.
pub mod stage1 {
    use super::*;
    use stage1_coop::STAGE;

    /// Runs `main` on `procs` Ps and returns its result.
    pub fn on<R: Send + 'static>(procs: usize, main: impl FnOnce() -> R + Send + 'static) -> R {
        on_stage(&STAGE, procs, main)
    }

    /// As [`on`], with a third party that asks all Ps to yield every millisecond.
    pub fn asked<R: Send + 'static>(procs: usize, main: impl FnOnce() -> R + Send + 'static) -> R {
        let runtime = Runtime::new(&STAGE)
            .procs(procs)
            .third_party(raise_the_flag);
        with(runtime, main)
    }
}

/// Runs of stage 2.
pub mod stage2 {
    use super::*;
    use stage2_sysmon::STAGE;
    use tests::{TraceOf, trace_of};

    /// Runs `main` on `procs` Ps and returns its result.
    pub fn on<R: Send + 'static>(procs: usize, main: impl FnOnce() -> R + Send + 'static) -> R {
        on_stage(&STAGE, procs, main)
    }

    /// The trace of a closure on a stage's own table.
    #[track_caller]
    pub fn traced(main: impl FnOnce() + Send + 'static) -> TraceOf {
        static TRACED: Stage = STAGE;
        // SAFETY: see above.
        unsafe { trace_of(&TRACED, main) }
    }

    /// A check, and about a microsecond of work.
    #[gofunc]
    pub fn step() {
        stage2_sysmon::spin(1_000);
    }
}

/// Runs of stage 3.
pub mod stage3 {
    use super::*;
    use stage3_signals::rt::table::Rows;
    use stage3_signals::{ROWS, STAGE};
    use std::any::Any;
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::AtomicU32;

    /// Runs `main` on `procs` Ps and returns its result.
    pub fn on<R: Send + 'static>(procs: usize, main: impl FnOnce() -> R + Send + 'static) -> R {
        on_stage(&STAGE, procs, main)
    }

    /// As [`on`], with other rows of this stage's own.
    pub fn with_rows<R: Send + 'static>(
        rows: Rows,
        procs: usize,
        main: impl FnOnce() -> R + Send + 'static,
    ) -> R {
        tables(rows, stage2_sysmon::ROWS, procs, main)
    }

    /// As [`on`], and nothing asks by itself: neither sysmon nor a timer after a refusal.
    pub fn quiet<R: Send + 'static>(procs: usize, main: impl FnOnce() -> R + Send + 'static) -> R {
        let rows = Rows {
            refused: |_, _| {},
            ..ROWS
        };
        let sysmon = stage2_sysmon::rt::table::Rows {
            retake: |_| 0,
            ..stage2_sysmon::ROWS
        };
        tables(rows, sysmon, procs, main)
    }

    fn tables<R: Send + 'static>(
        rows: Rows,
        sysmon: stage2_sysmon::rt::table::Rows,
        procs: usize,
        main: impl FnOnce() -> R + Send + 'static,
    ) -> R {
        let more: Vec<&(dyn Any + Send + Sync)> =
            vec![Box::leak(Box::new(rows)), Box::leak(Box::new(sysmon))];
        let stage = Stage {
            more: more.leak(),
            ..STAGE
        };
        on_stage(Box::leak(Box::new(stage)), procs, main)
    }

    /// Asks the calling goroutine, as another thread would, but leaves the flag down: only a
    /// signal finds the request.
    pub fn ask() {
        rt::arch::getg().preempt.store(true, Relaxed);
    }

    /// A loop that calls nothing, until `stop`.
    #[gofunc]
    pub fn hog(stop: &AtomicBool) {
        while !stop.load(Relaxed) {}
    }

    /// Runs `main` while a thread of the program's own asks all Ms again and again. `main` gets a
    /// counter: how often a goroutine was stopped by a signal.
    pub fn stormy<R: Send + 'static>(
        procs: usize,
        main: impl FnOnce(&'static AtomicU32) -> R + Send + 'static,
    ) -> R {
        static STOPPED: AtomicU32 = AtomicU32::new(0);
        let rows = Rows {
            push_call: |context, target| {
                STOPPED.fetch_add(1, Relaxed);
                (ROWS.push_call)(context, target);
            },
            ..ROWS
        };
        with_rows(rows, procs, || {
            let over = Arc::new(AtomicBool::new(false));
            let until = over.clone();
            let asker = std::thread::spawn(move || {
                while !until.load(Relaxed) {
                    rt::stack::preemptall();
                    std::thread::sleep(Duration::from_micros(20));
                }
            });
            STOPPED.store(0, Relaxed);
            let result = main(&STOPPED);
            over.store(true, Relaxed);
            asker.join().expect("no panic");
            result
        })
    }
}

/// Raises the flag on all Ps every millisecond.
pub fn raise_the_flag(me: &mut ThirdParty) {
    while me.sleep(MS) {
        me.raise_the_flag();
    }
}

/// A check: where a request to yield is found.
#[gofunc]
pub fn step() {}

/// What a third party does to a goroutine, done by itself: at a moment that is fixed.
pub fn ask_myself() {
    let gp = rt::arch::getg();
    gp.preempt.store(true, Relaxed);
    gp.stackguard0.store(rt::stack::STACK_PREEMPT, Relaxed);
}

/// The P that the caller holds.
#[inline(never)]
pub fn my_p() -> &'static rt::gmp::P {
    match rt::arch::getm().p.get() {
        Some(pp) => pp,
        None => rt::last_words::throw("a goroutine without a P"),
    }
}

/// Waits, on its thread, until `f` holds: no check, so the P is kept.
#[track_caller]
pub fn until(f: impl Fn() -> bool) {
    let begin = Instant::now();
    while !f() {
        assert!(begin.elapsed() < LIMIT / 2, "it does not come");
        std::thread::yield_now();
    }
}

/// What happened, in order. The lock is held for one push and never across a yield.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Adds a line.
    pub fn say(&self, what: impl ToString) {
        let mut log = self.0.lock().expect("no panic while it is held");
        log.push(what.to_string());
    }

    /// All lines so far.
    pub fn all(&self) -> Vec<String> {
        self.0.lock().expect("no panic while it is held").clone()
    }
}

/// Counts the values that are alive.
pub struct Alive(Arc<AtomicUsize>);

impl Alive {
    /// One more.
    pub fn new(count: &Arc<AtomicUsize>) -> Alive {
        count.fetch_add(1, SeqCst);
        Alive(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// The number after `name` in what a scenario printed.
pub fn number(text: &str, name: &str) -> usize {
    let number = text.split_once(name).map(|(_, rest)| {
        let end = rest.find(|c: char| !c.is_ascii_digit());
        &rest[..end.unwrap_or(rest.len())]
    });
    number
        .and_then(|n| n.parse().ok())
        .unwrap_or_else(|| panic!("{name:?} is missing in {text:?}"))
}

/// Calls `f` while `hook` stands in for the process's panic hook: one test at a time.
///
/// The hook itself is put in place once and stays. To take one off and put it back would lose
/// those that the runtime or the kit has put in front meanwhile, in another test's thread.
pub fn with_panic_hook<R>(
    hook: impl Fn(&std::panic::PanicHookInfo<'_>) + Send + Sync + 'static,
    f: impl FnOnce() -> R,
) -> R {
    type Hook = dyn Fn(&std::panic::PanicHookInfo<'_>) + Send + Sync;
    static ONE: Mutex<()> = Mutex::new(());
    static STANDS_IN: Mutex<Option<Arc<Hook>>> = Mutex::new(None);
    static ONCE: Once = Once::new();
    fn stands_in() -> MutexGuard<'static, Option<Arc<Hook>>> {
        STANDS_IN.lock().unwrap_or_else(PoisonError::into_inner)
    }

    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    // The runtime puts its own in front once, in the first run.
    stage1::on(1, || ());
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // Not held meanwhile: it may panic.
            let hook = stands_in().clone();
            match hook {
                Some(hook) => hook(info),
                None => before(info),
            }
        }));
    });
    *stands_in() = Some(Arc::new(hook));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
    *stands_in() = None;
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
