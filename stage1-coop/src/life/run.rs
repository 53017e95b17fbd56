//! From `run` to the end of `main`: how a program starts and stops. Mirrors `schedinit`,
//! `runtime.main` and `exit` of `proc.go`.
//!
//! As in Go, when `main` returns the others are not waited for. Unlike Go the process goes
//! on: every M leaves at its next look at the scheduler, what was changed is put back, and
//! `run` can be called again. The frames of goroutines that never finished are leaked: they
//! are never unwound, and their stacks never used again.
//!
//! Tests: `last_words::runs`.

use crate::arch;
use crate::arch::gotext;
use crate::arch::{getg, getm_opt};
use crate::gmp::casgstatus::{casgstatus, readgstatus};
use crate::gmp::{GDEAD, GRUNNABLE, M, MAX_THREADS, SCHED, allp, make_allp};
use crate::last_words::{self, deadly, panics};
use crate::life::config::{self, Config, Settings};
use crate::life::third_party::ThirdParty;
use crate::os;
use crate::queues::free::gfspill;
use crate::queues::global::runqput;
use crate::sched::goexit::goexiting;
use crate::sched::leave::{self, after_main, has_left, main_returned, wait_for_others};
use crate::sched::mstart::{minit, mstart, retire, unminit};
use crate::sched::newproc::{newproc1, store_entry};
use crate::sched::schedule::scheduler;
use crate::sched::template;
use crate::sched::wake::{acquirep, allocm, m_reserve_id, newm, pidleput};
use crate::stack::preempt;
use crate::stack::save_area::morestackinit;
use crate::stack::scavenge;
use crate::stack::slots;
use crate::stage::{Stage, set_stage, stage};
use crate::throw::{no_panic, refused};
use crate::trace;
use safepoint_lockstep::{self as lab, say};
use std::sync::Mutex;
use std::sync::atomic::Ordering::*;

/// One run at a time.
static RUN: Mutex<()> = Mutex::new(());

/// A runtime that has not started: what to run it with.
///
/// ```no_run
/// use stage1_coop::{Runtime, STAGE, go, gosched};
///
/// // SAFETY: nothing in these goroutines keeps anything that belongs to a thread.
/// unsafe {
///     Runtime::new(&STAGE).procs(1).run(|| {
///         go("greeter", || println!("hello from a goroutine"));
///         gosched();
///     });
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Runtime {
    stage: &'static Stage,
    procs: Option<usize>,
    max_threads: i32,
    third_party: Option<fn(&mut ThirdParty)>,
    godebug: Settings,
}

impl Runtime {
    /// A runtime with the decisions of `stage`.
    pub fn new(stage: &'static Stage) -> Runtime {
        Runtime {
            stage,
            procs: None,
            max_threads: MAX_THREADS,
            third_party: None,
            godebug: Settings::default(),
        }
    }

    /// The number of Ps when `GOMAXPROCS` does not say it. Without this: the number of
    /// processors, or 1 in lockstep.
    ///
    /// # Panics
    /// If `n` is not between 1 and 256.
    pub fn procs(mut self, n: usize) -> Runtime {
        assert!(
            (1..=config::MAX_PROCS).contains(&n),
            "procs takes 1 to {}",
            config::MAX_PROCS
        );
        self.procs = Some(n);
        self
    }

    /// How many threads the run may have, 10,000 without this. One more ends the process
    /// with `fatal error: thread exhaustion`: a program whose threads all wait in calls
    /// should not take the machine with it. Go's `debug.SetMaxThreads`.
    ///
    /// # Panics
    /// If `n` is 0, or no `i32`.
    pub fn max_threads(mut self, n: usize) -> Runtime {
        self.max_threads = i32::try_from(n).unwrap_or(0);
        assert!(self.max_threads > 0, "max_threads takes 1 to {}", i32::MAX);
        self
    }

    /// Runs `f` on a thread that has no P, beside the goroutines: some thread has to raise the
    /// flag. With it, Ctrl-C raises the flag too.
    pub fn third_party(mut self, f: fn(&mut ThirdParty)) -> Runtime {
        self.third_party = Some(f);
        self
    }

    /// Gives a key of `GODEBUG` a value, as a `//go:debug` line does in Go: for programs that
    /// need it whatever they are started with. The environment wins. README lists the keys and
    /// the stages that have them.
    ///
    /// ```no_run
    /// use stage1_coop::{Runtime, STAGE};
    ///
    /// let runtime = Runtime::new(&STAGE).godebug("asyncpreemptoff", 1);
    /// // SAFETY: nothing runs.
    /// unsafe { runtime.run(|| ()) };
    /// ```
    ///
    /// A key that the stage does not have is named on stderr and ignored. A value that is no
    /// number from 0 to 4294967295 ends the process with one line and status 2.
    pub fn godebug(mut self, key: &str, value: impl std::fmt::Display) -> Runtime {
        let keys = (self.stage.godebug)();
        let set = self.godebug.set(keys, key, &value.to_string());
        set.unwrap_or_else(|line| usage(&line));
        self
    }

    /// Runs `main` as goroutine 1 and returns when it has returned. The calling thread is
    /// M0 meanwhile, and the run's other threads are copies of it: they have its signal mask
    /// and timer slack, its priority, its namespaces. (A thread that the program makes itself,
    /// changes, and lets wake goroutines may pass on what it is; once a goroutine has locked
    /// its thread, that cannot happen either.)
    ///
    /// A second `run` of the process waits for the first. If an M cannot be made to leave
    /// within a second (its goroutine is in a loop that cannot be stopped, or in a call that
    /// does not return), one line says so and the process ends with status 0, as a Go program
    /// would.
    ///
    /// Bad values in the environment (see the README's list of switches) end the process
    /// with one line and status 2.
    ///
    /// # Panics
    /// On a thread of a run that is not over.
    ///
    /// # Safety
    /// Rust cannot check what follows, and everything else of this crate relies on it. A
    /// goroutine may move to another thread **wherever it calls or blocks**: at a guard
    /// check, and in every function of this crate, whether it waits or not, because they
    /// begin with one, as Go's do. (Cloning and dropping a handle, the `new` of what waits
    /// for nothing, and [`user_log`](crate::user_log) never yield.) Across such a point, code
    /// that runs on goroutines must not keep
    ///
    /// * a reference into a `thread_local!`, or a value taken out of one that belongs to
    ///   its thread (an `Rc`, a `RefCell` borrow). The compiler may even keep the address
    ///   by itself, in code that mentions the variable before and after; so keep
    ///   `thread_local!` out of goroutines that yield;
    /// * a guard that must be released by the thread that took it: `std`'s `MutexGuard`
    ///   and `RwLock` guards, the lock of `stdout`. (Use [`Mutex`](crate::Mutex).) Besides,
    ///   another goroutine of the same thread would wait for it for ever.
    ///
    /// It may use `std` freely between such points: print, allocate, format, panic, spawn
    /// threads. It may call anything that blocks; that keeps a P busy.
    ///
    /// While a run lasts, SIGSEGV, SIGBUS, SIGABRT and (with a third party) SIGINT are the
    /// runtime's. With a trace, so is every signal that would end the process: the trace is
    /// written first, and then the signal does what it would have done. A handler that the
    /// program has installed before the run stays, except for the two faults, where it is
    /// called after ours. One that it installs meanwhile stays, too, and is not replaced at
    /// the end, when what was there before is put back.
    ///
    /// A trace that is lost, because its file could not be written, is told in one line; the
    /// process then ends with status 74 where it would have ended with 0.
    ///
    /// What a run leaves behind belongs to it: a channel, mutex or wait group on which
    /// goroutines of an earlier run still wait must not be used in a later one.
    ///
    /// A goroutine has 216 KiB of stack, and code without checks 32 KiB below that; a guard
    /// page ends what overflows. Before Linux 6.13 only the first thousands of stacks have one
    /// each; if another one overflows, that is noticed when its goroutine yields, waits or
    /// ends, and other goroutines' memory may be damaged by then.
    pub unsafe fn run<F: FnOnce() + Send + 'static>(self, main: F) {
        assert!(
            getm_opt().is_none(),
            "Runtime::run: called on a thread of a run that is not over"
        );
        let _one = RUN.lock().unwrap_or_else(|e| e.into_inner());
        // SAFETY: the caller's promise.
        no_panic(|| unsafe { self.run_here(main) });
    }

    /// The run itself, on the thread that becomes M0.
    ///
    /// # Safety
    /// As for [`Runtime::run`].
    unsafe fn run_here<F: FnOnce() + Send + 'static>(self, main: F) {
        let mp = self.schedinit();
        let pp = &allp()[0];
        let before = minit(mp);
        // SAFETY: this thread is mp; the P was made for this run and is in no list.
        unsafe { acquirep(mp, pp) };
        {
            let mut sched = SCHED.lock();
            for pp in allp()[1..].iter().rev() {
                pidleput(&mut sched, pp);
            }
        }

        let gp = newproc1("main");
        store_entry(gp, move || {
            (stage().main_start)();
            main();
            if !goexiting(getg()) {
                main_returned();
            }
        });
        trace::go_create(gp);
        // SAFETY: it is new, and ours alone.
        unsafe { casgstatus::<GDEAD, GRUNNABLE>(gp) };
        // Not into runnext: main begins a slice, it inherits none.
        runqput(pp, gp, false);
        if let Some(f) = self.third_party {
            newm(Some(Box::new(move || ThirdParty::sit(f))), None, false);
        }

        let controls = arch::default_fp_controls();
        scheduler(mp);
        if mp.leaving.load(Relaxed) {
            // A goroutine ended while locked to M0. Go parks the main thread for ever then.
            retire(mp, false);
            mp.park.sleep();
        }
        arch::set_fp_controls(controls);
        after_main(mp);
        has_left();
        wait_for_others();
        self.cleanup(mp);
        unminit(mp, before);
        // As long as the trace is not written, a signal that ends the process waits for it.
        trace::end();
        os::restoresig();
        if lab::enabled() {
            lab::stop();
            os::lift_guards(false);
        }
    }

    /// Everything before the first goroutine. Go's `schedinit`.
    fn schedinit(&self) -> &'static M {
        last_words::install();
        os::set_thread_body(mstart);
        let Config { procs, seed, trace } = self.config();
        if let Some(seed) = seed {
            let lab = lab::Config {
                seed,
                in_gotext: gotext::contains,
                last_words: panics::save_the_trace,
            };
            lab::start(lab).unwrap_or_else(|line| usage(&line));
        }
        let procs = procs.or(self.procs).unwrap_or_else(|| {
            if seed.is_some() {
                1
            } else {
                std::thread::available_parallelism().map_or(1, usize::from)
            }
        });
        let procs = procs.min(config::MAX_PROCS);
        os::lift_guards(seed.is_some());
        os::note_mask();
        set_stage(self.stage);
        preempt::reset();
        // The last run's ATTENTION_STOP still stands, so a thread that wakes a goroutine now
        // turns back. One that came before it may still be between the two halves of that.
        while SCHED.outside.load(SeqCst) != 0 {
            std::thread::yield_now();
        }
        make_allp(procs);
        template::reset();
        os::note_timer_slack();
        leave::reset();
        SCHED.reset();
        SCHED.lock().reset(self.max_threads);
        let header = || config::header(stage().name, stage().wait_reasons_traced, procs);
        trace::start(trace, header).unwrap_or_else(|line| usage(&line));
        morestackinit().unwrap_or_else(|line| usage(&line));
        os::initsig(deadly::hands(), deadly::signals()).unwrap_or_else(|(signal, error)| {
            refused(format_args!("a handler for signal {signal}"), &error)
        });
        let Some(reserved) = m_reserve_id(&mut SCHED.lock()) else {
            unreachable!("max_threads is at least 1");
        };
        let mp = allocm(reserved);
        // Last, when every list and every count is this run's: from here on a thread of the
        // program's own that wakes a goroutine finds a P and starts an M for it.
        SCHED.attention.reset();
        mp
    }

    /// What the environment asks for, and the program.
    fn config(&self) -> Config {
        let keys = (self.stage.godebug)();
        config::read(keys, &self.godebug).unwrap_or_else(|line| usage(&line))
    }

    /// Every other M has left: wait for the last thread's end, keep what can be used again.
    fn cleanup(&self, mp: &'static M) {
        os::ends(None);
        mp.p.set(None);
        for pp in allp() {
            gfspill(pp, 0);
            slots::flush(pp);
        }
        scavenge::stop();
        // Goroutines that did not finish are lost on purpose, stacks and all.
        SCHED.lock().allgs.retain(|gp| readgstatus(gp) == GDEAD);
    }
}

fn usage(line: &str) -> ! {
    say!("{line}");
    std::process::exit(2)
}
