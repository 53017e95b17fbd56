//! What becomes of threads: those that end with their goroutine, those that a goroutine has
//! changed, and those that are made meanwhile.

use crate::{eventually, forever, start};
use stage2_sysmon::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicUsize, Ordering::*};
use std::time::Duration;
use tests::{gettid, memory, threads};

crate::scenarios!(
    masks,
    locked_end,
    locked_end_on_m0,
    locked_exits,
    locked_exits_at_once,
    changed_and_ended,
    changed_and_waits,
    changed_from_outside,
    changed_before_run,
    slacks,
    no_room_for_threads,
);

/// Runs `main` in the stage `args[0]`, on as many Ps as the environment says.
fn run(args: &[String], main: impl FnOnce() + Send + 'static) {
    let stage = match args.first().map(String::as_str) {
        Some("1") => &stage1_coop::STAGE,
        _ => &STAGE,
    };
    start(Runtime::new(stage).procs(2), main);
}

fn number(args: &[String], i: usize) -> usize {
    args.get(i).and_then(|n| n.parse().ok()).unwrap_or(1)
}

fn maps() -> usize {
    std::fs::read_to_string("/proc/self/maps").map_or(0, |maps| maps.lines().count())
}

/// Starts `n` goroutines that end locked to their thread, and waits for them.
fn end_locked(n: usize) {
    let done = WaitGroup::new();
    done.add(n);
    for _ in 0..n {
        let done = done.clone();
        go("locked", move || {
            lock_os_thread();
            done.done();
        });
    }
    done.wait();
}

/// `locked_exits STAGE N`: one after the other. Prints how much is left after a tenth of
/// them, and in the end.
fn locked_exits(args: &[String]) {
    let n = number(args, 1);
    run(args, move || {
        for i in 0..n {
            end_locked(1);
            if i == n / 10 || i == n - 1 {
                let (resident, space) = memory();
                println!(
                    "maps: {} threads: {} Ms: {} KiB: {resident} space: {space}",
                    maps(),
                    threads().len(),
                    rt::gmp::allm().count(),
                );
            }
        }
    });
}

/// `locked_exits_at_once STAGE N`: many at a time; what is left of their threads.
fn locked_exits_at_once(args: &[String]) {
    let n = number(args, 1);
    run(args, move || {
        for _ in 0..5 {
            end_locked(n);
        }
        for _ in 0..2_000 {
            if threads().len() < 10 {
                break;
            }
            rt::os::usleep(1_000);
        }
        println!("maps: {} threads: {}", maps(), threads().len());
    });
}

/// The nice value of the calling thread.
#[inline(never)]
fn nice() -> i64 {
    // SAFETY: plain numbers; on Linux it is the thread's.
    i64::from(unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) })
}

/// The calling thread is changed, as a goroutine may do with one that it has locked.
#[inline(never)]
fn change_thread() {
    // SAFETY: plain numbers.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 15) };
}

/// A goroutine changes its thread and ends: where main goes on.
fn changed_and_ended(args: &[String]) {
    let before = nice();
    run(args, move || {
        for _ in 0..10 {
            let done = WaitGroup::new();
            done.add(1);
            let d = done.clone();
            go("changes its thread", move || {
                lock_os_thread();
                change_thread();
                d.done();
            });
            done.wait();
            assert_eq!(nice(), before, "main goes on, on a changed thread");
        }
        println!("clean");
    });
}

/// A goroutine changes its thread and lives on: what others run on that it starts.
fn changed_and_waits(args: &[String]) {
    let before = nice();
    run(args, move || {
        let all = WaitGroup::new();
        all.add(1);
        let a = all.clone();
        go("changes its thread", move || {
            lock_os_thread();
            change_thread();
            let inner = WaitGroup::new();
            for _ in 0..8 {
                inner.add(1);
                let inner = inner.clone();
                go("innocent", move || {
                    assert_eq!(nice(), before, "an innocent one, on a changed thread");
                    // Keeps its thread, so that there must be another for the next.
                    std::thread::sleep(Duration::from_millis(2));
                    inner.done();
                });
            }
            inner.wait();
            a.done();
        });
        all.wait();
        println!("clean");
    });
}

/// A changed thread of the program's own wakes goroutines, once there is somebody who makes
/// threads for it.
fn changed_from_outside(args: &[String]) {
    let before = nice();
    run(args, move || {
        lock_os_thread();
        unlock_os_thread();
        let (all, calls) = (WaitGroup::new(), Chan::new(0));
        for _ in 0..6 {
            all.add(1);
            let (all, calls) = (all.clone(), calls.clone());
            go("woken", move || {
                calls.recv();
                assert_eq!(nice(), before, "woken on a changed thread");
                std::thread::sleep(Duration::from_millis(60));
                all.done();
            });
        }
        std::thread::spawn(move || {
            change_thread();
            let mut left = 6;
            while left > 0 {
                if calls.try_send(()).is_ok() {
                    left -= 1;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        all.wait();
        println!("clean");
    });
}

/// The thread that calls `run` is changed: all are copies of it.
fn changed_before_run(args: &[String]) {
    change_thread();
    run(args, || {
        end_locked(1);
        for mp in rt::gmp::living() {
            let id = mp.procid.load(Acquire);
            // SAFETY: plain numbers. A thread that has not begun yet has no number.
            let nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, id as libc::id_t) };
            assert!(nice == 15 || id == 0, "m{} has {nice}", mp.id.get());
        }
        println!("all alike");
    });
}

/// The timer slacks of the threads that run goroutines, while sysmon makes them.
fn slacks(args: &[String]) {
    static WRONG: AtomicI64 = AtomicI64::new(0);
    fn look() {
        // SAFETY: PR_GET_TIMERSLACK has no arguments.
        let slack = unsafe { libc::prctl(libc::PR_GET_TIMERSLACK) };
        if slack != 70_000 {
            WRONG.store(i64::from(slack), SeqCst);
        }
    }
    // SAFETY: a number, of the calling thread.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 70_000) };
    run(args, || {
        let all = WaitGroup::new();
        for _ in 0..6 {
            all.add(1);
            let all = all.clone();
            go("caller", move || {
                look();
                syscall(|| std::thread::sleep(Duration::from_millis(30)));
                look();
                all.done();
            });
        }
        all.wait();
        println!("wrong: {}", WRONG.load(SeqCst));
    });
}

/// Threads until there is no more address space for them.
fn no_room_for_threads(args: &[String]) {
    run(args, || {
        // Sysmon's thread is still being set up by std, which needs room for that.
        std::thread::sleep(Duration::from_millis(200));
        let limit = libc::rlimit {
            rlim_cur: (memory().1 as u64 + (40 << 10)) << 10,
            rlim_max: libc::RLIM_INFINITY,
        };
        // SAFETY: the structure is ours.
        unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) };
        let here = Arc::new(());
        for _ in 0..1_000 {
            let here = here.clone();
            go("blocks", move || {
                let _here = here;
                syscall_block(|| std::thread::sleep(Duration::from_secs(30)));
            });
            gosched();
        }
        forever();
    });
}

/// Which signals each thread of a run blocks: all the same, those of the thread that called
/// `run`, although they were all blocked while the thread was made.
fn masks(_: &[String]) {
    // SAFETY: a zeroed set is valid; blocking a signal of our own thread harms nobody.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&mut set, libc::SIGUSR2);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
    }
    crate::run(4, || {
        static THERE: AtomicUsize = AtomicUsize::new(0);
        let all = WaitGroup::new();
        for _ in 0..4 {
            all.add(1);
            let all = all.clone();
            go("worker", move || {
                // All four at once, so there are four threads; main's P is one of them.
                THERE.fetch_add(1, SeqCst);
                while THERE.load(SeqCst) < 4 {
                    std::thread::yield_now();
                }
                all.done();
            });
        }
        all.wait();
        let mut masks: Vec<String> = rt::gmp::allm()
            .filter_map(|m| {
                let tid = m.procid.load(Acquire);
                let status = std::fs::read_to_string(format!("/proc/self/task/{tid}/status"));
                let status = status.ok()?;
                let mask = status.lines().find_map(|l| l.strip_prefix("SigBlk:"))?;
                Some(mask.trim().to_owned())
            })
            .collect();
        println!("threads: {}", masks.len());
        masks.sort();
        masks.dedup();
        println!("masks: {}", masks.join(" "));
    });
}

/// A goroutine ends while it is locked to its thread: the thread ends with it.
fn locked_end(_: &[String]) {
    static TID: AtomicI32 = AtomicI32::new(0);
    crate::run(4, || {
        // Main stays on M0, so the other goroutine gets another thread.
        lock_os_thread();
        let main_tid = gettid();
        for round in 0..20 {
            TID.store(0, SeqCst);
            let goes = round % 2 == 0;
            go("locked", move || {
                lock_os_thread();
                lock_os_thread();
                if goes {
                    unlock_os_thread();
                    unlock_os_thread();
                }
                TID.store(gettid(), SeqCst);
                if round % 4 == 1 {
                    goexit();
                }
            });
            if !eventually(|| TID.load(SeqCst) != 0) {
                println!("{round}: it never ran");
            }
            let tid = TID.load(SeqCst);
            if goes {
                std::thread::sleep(Duration::from_millis(5));
                if !threads().contains(&tid) {
                    println!("{round}: unlocked, and its thread ended");
                }
            } else if !eventually(|| !threads().contains(&tid)) {
                println!("{round}: locked, and its thread lives on");
            }
        }
        println!("main on its thread: {}", gettid() == main_tid);
        unlock_os_thread();
    });
}

/// The same on M0: that thread called `run` and must come back from it, but no goroutine may
/// run there any more.
fn locked_end_on_m0(_: &[String]) {
    static OTHERS: AtomicUsize = AtomicUsize::new(0);
    static ENDED: AtomicBool = AtomicBool::new(false);
    let m0 = gettid();
    for _ in 0..3 {
        ENDED.store(false, SeqCst);
        crate::run(1, move || {
            let on_m0 = gettid() == m0;
            go("locked", || {
                lock_os_thread();
                ENDED.store(true, SeqCst);
            });
            gosched();
            for _ in 0..100 {
                go("other", move || {
                    OTHERS.fetch_add(usize::from(gettid() == m0), SeqCst);
                });
                gosched();
            }
            println!(
                "began on m0: {on_m0}, ended: {}, now on m0: {}, others there: {}",
                ENDED.load(SeqCst),
                gettid() == m0,
                OTHERS.load(SeqCst)
            );
        });
        println!("back on m0: {}", gettid() == m0);
    }
}
