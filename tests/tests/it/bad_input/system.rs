//! Systems that refuse something: guard pages, threads, memory, an address space of any size.

use super::{Folder, SEED};
use std::process::Command;
use tests::{Ended, LIMIT, in_order, long, run, scenario};

/// Whether the system lets a process filter its own system calls; says so if not.
fn filters(ended: &Ended) -> bool {
    let none = ended.stdout.starts_with("no filter here");
    if none {
        println!("skipped: {}", ended.stdout.trim());
    }
    !none
}

#[test]
fn guard_pages_work_on_kernels_without_guard_advice() {
    let ended = scenario!([], "guards", "mprotect");
    if !filters(&ended) {
        return;
    }
    assert_eq!(
        (ended.code, &*ended.stdout),
        (Some(0), "hello\n"),
        "{ended:#?}"
    );
    assert_eq!(ended.stderr, "");
    // And they do guard.
    let ended = scenario!([], "guards", "overflow");
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    in_order(
        &ended.stderr,
        &[
            "fatal error: stack overflow\n",
            "the guard page stopped it\n",
        ],
    );
}

#[test]
fn on_an_older_kernel_there_are_as_many_goroutines_as_on_a_new_one() {
    let n = if long() { "1000000" } else { "40000" };
    for env in [&[][..], &[("GOMAXPROCS", "4")]] {
        let exe = env!("CARGO_BIN_EXE_scenario");
        let ended = tests::scenario_of(exe, &["guards", "old", n], env);
        if !filters(&ended) {
            return;
        }
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:#?}");
        in_order(&ended.stdout, &["parked: ", " maps: ", "all went on\n"]);
        let number = |name: &str| -> usize {
            let rest = ended.stdout.split_once(name).expect(name).1;
            let word = rest.split_whitespace().next().expect("a number");
            word.parse().expect("a number")
        };
        // Room is left for the program's own mappings.
        assert!(number("unguarded: ") > 20_000, "{ended:#?}");
        assert!(number("maps: ") < 55_000, "{ended:#?}");
    }
}

#[test]
fn a_stack_without_a_guard_page_is_looked_at() {
    for env in [&[][..], &[SEED]] {
        let exe = env!("CARGO_BIN_EXE_scenario");
        let run = |how| tests::scenario_of(exe, &["guards", how], env);
        // Back from where it should not have been: at the next event, or when it ends.
        for how in ["old_canary", "old_end"] {
            let ended = run(how);
            if !filters(&ended) {
                return;
            }
            assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{ended:#?}");
            in_order(
                &ended.stderr,
                &[
                    "fatal error: stack overflow: goroutine 6 (culprit) has used more than its 252 KiB",
                    "goroutine 2 [chan receive, no guard page]:",
                ],
            );
        }
        // And one that never comes back meets the guard page of a slot below.
        let ended = run("old_overflow");
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        in_order(
            &ended.stderr,
            &[
                "fatal error: stack overflow\n",
                "the guard page stopped it\n",
            ],
        );
    }
}

#[test]
fn half_a_gigabyte_of_addresses_is_enough() {
    for (package, names) in [
        ("stage1-coop", vec!["hello".to_owned()]),
        ("stage2-sysmon", tests::examples("stage2-sysmon")),
    ] {
        for name in names {
            let about = tests::about(package, &name);
            let mut sh = Command::new("sh");
            sh.args(["-c", "ulimit -v 524288 && exec \"$0\""]);
            sh.arg(tests::example(package, &name));
            // As on a machine with more processors than this one has.
            let ended = run(&mut sh, &[("GOMAXPROCS", "4")], LIMIT);
            assert_eq!(ended.code, Some(about.exit), "{name}: {ended:#?}");
            assert!(!ended.stderr.contains("memory"), "{name}: {ended:#?}");
        }
    }
}

/// The last words when the system refuses what nobody can do without: these two lines.
#[track_caller]
fn gives_up(ended: &Ended, words: &[&str], last: &str) {
    assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{ended:#?}");
    assert_eq!(ended.stderr.lines().count(), 2, "{ended:#?}");
    in_order(&ended.stderr, words);
    assert!(ended.stderr.ends_with(last), "{ended:#?}");
}

#[test]
fn without_guard_pages_nothing_runs() {
    let ended = scenario!([], "guards", "neither");
    if filters(&ended) {
        gives_up(
            &ended,
            &[
                "runtime: cannot get memory for the guard page",
                "not permitted\n",
            ],
            "\nfatal error: out of memory\n",
        );
    }
}

#[test]
fn without_threads_the_program_ends_with_go_s_words() {
    for env in [&[][..], &[("SAFEPOINT_SEED", "1")]] {
        let exe = tests::program!("scenario");
        let ended = tests::scenario_of(exe, &["no_threads"], env);
        if filters(&ended) {
            assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{ended:#?}");
            assert_eq!(
                ended.stderr,
                "runtime: failed to create new OS thread (have 1 already; errno=11)\n\
                 runtime: may need to increase max user processes (ulimit -u)\n\
                 fatal error: newosproc\n"
            );
        }
    }
}

#[test]
fn without_memory_the_program_ends_with_one_reason() {
    gives_up(
        &scenario!([], "little_memory", "12"),
        &[
            "runtime: cannot get memory for an arena of goroutine stacks: ",
            "memory\n",
        ],
        "\nfatal error: out of memory\n",
    );
    let folder = Folder::new("memory");
    let trace = folder.file("trace.txt");
    gives_up(
        &scenario!([("SAFEPOINT_TRACE", &*trace)], "little_memory", "32"),
        &[
            "runtime: cannot get memory for the events of a trace: ",
            "memory\n",
        ],
        "\nfatal error: out of memory\n",
    );
}
