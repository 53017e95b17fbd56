//! Threads: what a new one inherits, goroutines that are locked to one, and what remains of
//! one that has ended.

use crate::fixture::stage1::{asked, on};
use crate::fixture::{number, step};
use stage1_coop::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering::*};
use tests::{gettid, long, scenario};

#[test]
fn every_thread_has_the_mask_of_the_one_that_called_run() {
    let ended = scenario!([], "masks");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(number(&ended.stdout, "threads: ") >= 4, "{ended:#?}");
    // SIGUSR2, which the scenario blocks beforehand, and nothing else.
    let mask = format!("masks: {:016x}\n", 1_u64 << (libc::SIGUSR2 - 1));
    assert!(ended.stdout.ends_with(&mask), "{ended:#?}");
}

// ---- Row 28: goroutines that insist on their thread.

#[test]
fn a_locked_goroutine_stays_on_its_thread_and_has_it_alone() {
    let wrong = asked(3, || {
        let wrong = Arc::new(AtomicUsize::new(0));
        let owners: Arc<[AtomicI32; 4]> = Arc::default();
        let (all, over) = (WaitGroup::new(), Arc::new(AtomicBool::new(false)));
        let mutex = Arc::new(Mutex::new(()));
        for i in 0..4 {
            all.add(1);
            let (wrong, owners, all) = (wrong.clone(), owners.clone(), all.clone());
            let mutex = mutex.clone();
            go("locked", move || {
                lock_os_thread();
                let tid = gettid();
                owners[i].store(tid, SeqCst);
                for round in 0..200 {
                    match round % 4 {
                        0 => gosched(),
                        1 => {
                            // Parks, and is woken by another goroutine.
                            let c = Chan::new(0);
                            let to = c.clone();
                            go("waker", move || to.send(()));
                            c.recv();
                        }
                        2 => {
                            let _guard = mutex.lock();
                            gosched();
                        }
                        _ => {
                            for _ in 0..100 {
                                step();
                            }
                        }
                    }
                    wrong.fetch_add(usize::from(gettid() != tid), SeqCst);
                }
                owners[i].store(0, SeqCst);
                unlock_os_thread();
                all.done();
            });
        }
        let guests = WaitGroup::new();
        for _ in 0..4 {
            guests.add(1);
            let (wrong, owners) = (wrong.clone(), owners.clone());
            let (guests, over) = (guests.clone(), over.clone());
            go("guest", move || {
                while !over.load(SeqCst) {
                    // Without a check in between, so this goroutine cannot move.
                    let owned = |tid| owners.iter().any(|o| o.load(SeqCst) == tid);
                    let tid = gettid();
                    wrong.fetch_add(usize::from(owned(tid)), SeqCst);
                    step();
                    gosched();
                }
                guests.done();
            });
        }
        all.wait();
        over.store(true, SeqCst);
        guests.wait();
        wrong.load(SeqCst)
    });
    assert_eq!(wrong, 0);
}

#[test]
fn locks_of_the_thread_nest() {
    let locked = on(2, || {
        let is = || rt::arch::getg().lockedm.get().is_some();
        let mut locked = Vec::new();
        // Without a lock it does nothing.
        unlock_os_thread();
        locked.push(is());
        lock_os_thread();
        lock_os_thread();
        locked.push(is());
        unlock_os_thread();
        locked.push(is());
        gosched();
        locked.push(is());
        unlock_os_thread();
        locked.push(is());
        locked
    });
    assert_eq!(locked, [false, true, true, true, false]);
}

#[test]
fn a_thread_ends_with_the_goroutine_that_was_locked_to_it() {
    let ended = scenario!([], "locked_end");
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:#?}");
    assert_eq!(ended.stdout, "main on its thread: true\n");
}

#[test]
fn the_first_thread_comes_back_from_run_whoever_was_locked_to_it() {
    for env in [&[][..], &[("SAFEPOINT_SEED", "1")]] {
        let exe = tests::program!("scenario");
        let ended = tests::scenario_of(exe, &["locked_end_on_m0"], env);
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:#?}");
        let run =
            "began on m0: true, ended: true, now on m0: false, others there: 0\nback on m0: true\n";
        assert_eq!(ended.stdout, run.repeat(3));
    }
}

/// Both stages, and both worlds of time.
const EVERYWHERE: [(&str, &[(&str, &str)]); 6] = [
    ("1", &[]),
    ("2", &[]),
    ("2", &[("GOMAXPROCS", "1")]),
    ("2", &[("GOMAXPROCS", "8")]),
    ("1", &[("SAFEPOINT_SEED", "1"), ("GOMAXPROCS", "2")]),
    ("2", &[("SAFEPOINT_SEED", "1")]),
];

fn scenario_in(stage: &str, env: &[(&str, &str)], words: &[&str]) -> tests::Ended {
    let words: Vec<&str> = [&words[..1], &[stage], &words[1..]].concat();
    tests::scenario_of(env!("CARGO_BIN_EXE_scenario"), &words, env)
}

/// Runs `n` goroutines that end locked, one after the other: nothing of their threads is left.
fn nothing_is_left_of(n: usize, stage: &str, env: &[(&str, &str)]) {
    let ended = scenario_in(stage, env, &["locked_exits", &n.to_string()]);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:#?}");
    let (early, late) = ended.stdout.split_once('\n').expect("two lines");
    let grown = |what| number(late, what).saturating_sub(number(early, what));
    // Each had at least two mappings, 1 MiB of addresses, 9 KiB of memory and an M. Some of
    // the C library's own come with the most threads that there are at once.
    assert!(grown("maps: ") < 250 && n >= 500, "{ended:#?}");
    assert!(number(late, "threads: ") < 16, "{ended:#?}");
    assert!(number(late, "Ms: ") < 24, "{ended:#?}");
    assert!(grown("KiB: ") < 4 * n.min(2_000), "{ended:#?}");
}

#[test]
fn a_thread_that_has_ended_leaves_nothing_behind() {
    for (stage, env) in EVERYWHERE {
        // In lockstep there is room for 512 at once.
        nothing_is_left_of(700, stage, env);
    }
    nothing_is_left_of(if long() { 60_000 } else { 3_000 }, "2", &[]);
    let ended = scenario_in("2", &[], &["locked_exits_at_once", "100"]);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:#?}");
    assert!(number(&ended.stdout, "threads: ") < 16, "{ended:#?}");
}

#[test]
fn a_changed_thread_is_nobody_s_mother() {
    for (stage, env) in EVERYWHERE {
        for name in ["changed_and_ended", "changed_and_waits"] {
            let ended = scenario_in(stage, env, &[name]);
            assert_eq!(
                (ended.code, &*ended.stdout, &*ended.stderr),
                (Some(0), "clean\n", ""),
                "{name} {stage} {env:?} {ended:#?}"
            );
        }
        let ended = scenario_in(stage, env, &["changed_before_run"]);
        assert_eq!(ended.stdout, "all alike\n", "{ended:#?}");
    }
    let ended = scenario_in("1", &[("GOMAXPROCS", "8")], &["changed_from_outside"]);
    assert_eq!(ended.stdout, "clean\n", "{ended:#?}");
}

#[test]
fn every_thread_has_the_timer_slack_of_the_one_that_called_run() {
    for procs in ["1", "2", "4"] {
        let ended = scenario_in("2", &[("GOMAXPROCS", procs)], &["slacks"]);
        assert_eq!(
            (ended.code, &*ended.stdout),
            (Some(0), "wrong: 0\n"),
            "{ended:#?}"
        );
    }
}

#[test]
fn without_room_for_a_thread_the_words_say_so() {
    let ended = scenario_in("2", &[], &["no_room_for_threads"]);
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    tests::in_order(
        &ended.stderr,
        &[
            "runtime: failed to create new OS thread (have ",
            "no room for its stack",
            "fatal error: newosproc",
        ],
    );
    assert!(!ended.stderr.contains("ulimit -u"), "{ended:#?}");
}
