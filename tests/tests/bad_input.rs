//! What a program gets that asks for nonsense, or runs where the system refuses: one clear
//! line on stderr, status 2, nothing on stdout and nothing half-done. And what lockstep says
//! when it cannot go on.
//!
//! Rows 11, 25 and 31 of the list of mechanisms, and the switches.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tests::{Ended, LIMIT, in_order, long, run, scenario};

/// A folder of its own for a test, which is gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("safepoint-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder can be made");
        Folder(path)
    }
    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Refused: one line with these words in it, status 2, and `main` never ran.
#[track_caller]
fn refused(ended: &Ended, words: &[&str]) {
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert_eq!(ended.stdout, "", "{ended:#?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:#?}");
    assert!(ended.stderr.ends_with('\n'));
    in_order(&ended.stderr, words);
}

#[test]
fn a_switch_that_cannot_be_understood_is_refused_in_one_line() {
    for (name, value, words) in [
        (
            "GOMAXPROCS",
            "abc",
            "not a number of processors; use 1 to 256",
        ),
        ("GOMAXPROCS", "0", "use 1 to 256"),
        ("GOMAXPROCS", "-1", "use 1 to 256"),
        ("GOMAXPROCS", "257", "use 1 to 256"),
        ("GOMAXPROCS", " 2", "use 1 to 256"),
        ("GOMAXPROCS", "99999999999999999999", "use 1 to 256"),
        ("GOMAXPROCS", "+5", "use 1 to 256"),
        ("SAFEPOINT_SEED", "+5", "not a seed"),
        ("SAFEPOINT_TRACE_LAST", "+5", "not a number of events"),
        ("GODEBUG", "asyncpreemptoff=+1", "takes a number, not `+1`"),
        (
            "GODEBUG",
            "asyncpreemptoff=x",
            "`asyncpreemptoff` takes a number, not `x`",
        ),
        ("GODEBUG", "asyncpreemptoff=", "takes a number, not ``"),
        ("GODEBUG", "foo", "`foo` is not of the form key=number"),
        (
            "GODEBUG",
            "asyncpreemptoff=1,foo",
            "`foo` is not of the form key=number",
        ),
        (
            "SAFEPOINT_SEED",
            "x",
            "not a seed; use a number from 0 to 18446744073709551615",
        ),
        ("SAFEPOINT_SEED", "-1", "not a seed"),
        (
            "GOTRACEBACK",
            "nonsense",
            "use none, single, all, system or crash",
        ),
        (
            "SAFEPOINT_TRACE",
            "trace",
            "end the name in .txt (text), .json",
        ),
        (
            "SAFEPOINT_TRACE",
            "trace.xml",
            "end the name in .txt (text), .json",
        ),
        (
            "SAFEPOINT_TRACE",
            "/nonexistent/trace.txt",
            "cannot be written: No such file or directory",
        ),
    ] {
        let ended = scenario!([(name, value)], "hello");
        refused(&ended, &[&format!("{name}={value}: "), words]);
    }
}

#[test]
fn a_value_is_shown_in_one_line_whatever_is_in_it() {
    for name in [
        "GOMAXPROCS",
        "GODEBUG",
        "SAFEPOINT_SEED",
        "GOTRACEBACK",
        "SAFEPOINT_TRACE",
        "SAFEPOINT_TRACE_LAST",
        "SAFEPOINT_TRACE_MAP",
        "SAFEPOINT_TRACE_STREAM",
    ] {
        let ended = scenario!([(name, "a'ü\n\x1b[31m\u{202e}b")], "hello");
        refused(
            &ended,
            &[&format!("{name}=a'ü\\n\\u{{1b}}[31m\\u{{202e}}b: ")],
        );
    }
}

#[test]
fn an_example_says_which_arguments_it_takes() {
    let mut deep = Command::new(tests::example("stage1-coop", "deep"));
    let ended = run(deep.arg("--for\never"), &[], LIMIT);
    refused(
        &ended,
        &["deep: takes --forever or nothing, not \"--for\\never\""],
    );
}

/// Without its handlers a run could not tell an overflow from a wild pointer, and lockstep
/// would die of its own clock.
#[test]
fn a_system_that_refuses_handlers_is_named_in_one_line() {
    for (what, seed, words) in [
        (
            "SIGSEGV",
            false,
            "refuses a handler for signal 11: Operation not permitted",
        ),
        (
            "SIGBUS",
            false,
            "refuses a handler for signal 7: Operation not permitted",
        ),
        (
            "sigaltstack",
            false,
            "refuses a signal stack: Operation not permitted",
        ),
        (
            "SIGTRAP",
            true,
            "needs a handler for signal 5, and the system refuses it",
        ),
        (
            "SIGVTALRM",
            true,
            "needs a handler for signal 26, and the system refuses it",
        ),
    ] {
        let env: &[_] = if seed {
            &[("SAFEPOINT_SEED", "1")]
        } else {
            &[]
        };
        let ended = tests::scenario_of(env!("CARGO_BIN_EXE_scenario"), &["no_handlers", what], env);
        if ended.stdout.starts_with("no filter here") {
            println!("skipped: {}", ended.stdout);
            return;
        }
        refused(&ended, &[words]);
    }
}

#[test]
fn a_value_that_is_no_text_is_refused() {
    for name in ["GOMAXPROCS", "GODEBUG", "SAFEPOINT_SEED", "SAFEPOINT_TRACE"] {
        // An invalid byte; `run` removes the switches, so it goes through a shell's hands.
        let mut command = Command::new("env");
        let mut assignment = name.as_bytes().to_vec();
        assignment.extend(b"=\xff");
        command.arg(OsStr::from_bytes(&assignment));
        command.args([tests::program!("scenario"), "hello"]);
        refused(&run(&mut command, &[], LIMIT), &[name, ": not UTF-8"]);
    }
}

#[test]
fn an_empty_value_is_no_value() {
    for name in [
        "GOMAXPROCS",
        "GODEBUG",
        "GOTRACEBACK",
        "SAFEPOINT_SEED",
        "SAFEPOINT_TRACE",
    ] {
        let ended = scenario!([(name, "")], "hello");
        assert_eq!(ended.code, Some(0), "{name}: {ended:#?}");
        assert_eq!((&*ended.stdout, &*ended.stderr), ("hello\n", ""), "{name}");
    }
}

#[test]
fn what_go_knows_and_this_stage_does_not_is_said_and_ignored() {
    let ended = scenario!([("GODEBUG", "gctrace=1,asyncpreemptoff=1")], "hello");
    assert_eq!((ended.code, &*ended.stdout), (Some(0), "hello\n"));
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:#?}");
    in_order(&ended.stderr, &["GODEBUG: `gctrace`", "ignored\n"]);
}

#[test]
fn every_number_of_ps_works() {
    for procs in ["1", "2", "7", "256"] {
        let ended = scenario!([("GOMAXPROCS", procs)], "hello");
        assert_eq!(
            (ended.code, &*ended.stdout),
            (Some(0), "hello\n"),
            "{procs}"
        );
        assert_eq!(ended.stderr, "", "{procs}");
    }
}

#[test]
fn a_trace_that_cannot_be_opened_is_refused() {
    let folder = Folder::new("open");
    let directory = folder.file("directory.txt");
    std::fs::create_dir(&directory).expect("a folder can be made");
    let ended = scenario!([("SAFEPOINT_TRACE", &*directory)], "hello");
    refused(&ended, &["cannot be written: Is a directory"]);
}

#[test]
fn nothing_is_half_done_when_another_switch_is_refused() {
    let folder = Folder::new("half");
    let (new, old) = (folder.file("new.txt"), folder.file("old.txt"));
    std::fs::write(&old, "an earlier trace\n").expect("a file can be written");
    for bad in [("GOMAXPROCS", "x"), ("GODEBUG", "x"), ("GOTRACEBACK", "x")] {
        for trace in [&new, &old] {
            let ended = scenario!([bad, ("SAFEPOINT_TRACE", trace)], "hello");
            refused(&ended, &[bad.0]);
        }
    }
    assert!(!PathBuf::from(&new).exists());
    let text = std::fs::read_to_string(&old).unwrap_or_default();
    assert_eq!(text, "an earlier trace\n");
}

#[test]
fn a_full_disk_costs_the_trace_and_shows_in_the_status() {
    let folder = Folder::new("full");
    for name in ["full.txt", "full.json", "full.trace"] {
        let link = folder.file(name);
        std::os::unix::fs::symlink("/dev/full", &link).expect("a link can be made");
        let ended = scenario!([("SAFEPOINT_TRACE", &*link)], "hello");
        // The program itself has done its work; that its trace is lost is said, and a script
        // can see it.
        assert_eq!((ended.code, &*ended.stdout), (Some(74), "hello\n"));
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:#?}");
        in_order(
            &ended.stderr,
            &[
                "SAFEPOINT_TRACE=",
                name,
                ": the trace is lost: No space left",
            ],
        );
        // Any other status says more.
        let ended = scenario!([("SAFEPOINT_TRACE", &*link)], "exits");
        assert_eq!(ended.code, Some(7), "{ended:#?}");
        let ended = scenario!([("SAFEPOINT_TRACE", &*link)], "panic_with", "str");
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        in_order(&ended.stderr, &["panic: boom\n", "the trace is lost"]);
    }
}

/// Whoever writes may find the disk full before the run has begun. Nobody waits for room then.
#[test]
fn a_full_disk_does_not_stop_a_run_that_streams() {
    let folder = Folder::new("full-stream");
    let link = folder.file("full.txt");
    std::os::unix::fs::symlink("/dev/full", &link).expect("a link can be made");
    for _ in 0..10 {
        let env = [("SAFEPOINT_TRACE", &*link), ("SAFEPOINT_TRACE_STREAM", "1")];
        // More events than an M may be ahead.
        let ended = scenario!(env, "yields", "40000");
        assert_eq!(ended.code, Some(74), "{ended:#?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:#?}");
        in_order(&ended.stderr, &["the trace is lost: No space left"]);
    }
}

#[test]
fn a_map_without_room_on_its_disk_is_refused() {
    // Twice the file: a hole that the disk cannot fill.
    let script = format!(
        "d=$(mktemp -d) && mount -t tmpfs -o size=64k none $d && truncate -s 1M $d/map && \
         SAFEPOINT_TRACE_MAP=$d/map {} hello; s=$?; umount $d; rmdir $d; exit $s",
        env!("CARGO_BIN_EXE_scenario")
    );
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", &script]);
    let ended = run(&mut command, &[], LIMIT);
    if ended.stderr.contains("unshare: ") || ended.stderr.contains("mount: ") {
        println!("skipped: {}", ended.stderr.trim());
        return;
    }
    refused(
        &ended,
        &[
            "SAFEPOINT_TRACE_MAP=",
            "/map: no room for all of it: No space left",
        ],
    );
}

#[test]
fn one_file_for_the_trace_and_the_map_is_refused() {
    let folder = Folder::new("same");
    let (map, link) = (folder.file("map.txt"), folder.file("link.txt"));
    std::fs::write(&map, [0; 4096]).expect("a file can be written");
    std::os::unix::fs::symlink(&map, &link).expect("a link can be made");
    for trace in [&map, &link] {
        let env = [
            ("SAFEPOINT_TRACE", &**trace),
            ("SAFEPOINT_TRACE_MAP", &*map),
        ];
        refused(
            &scenario!(env, "hello"),
            &["this is the file of SAFEPOINT_TRACE_MAP; use two files"],
        );
        let bytes = std::fs::read(&map).unwrap_or_default();
        assert_eq!(bytes, [0; 4096], "nothing is half-done");
    }
}

#[test]
fn lockstep_refuses_to_run_under_a_tracer() {
    let free = scenario!([], "traced");
    if free.stdout.starts_with("nobody may trace here") {
        println!("skipped: {}", free.stdout.trim());
        return;
    }
    assert_eq!(
        (free.code, &*free.stdout),
        (Some(0), "hello\n"),
        "{free:#?}"
    );
    let folder = Folder::new("traced");
    let trace = folder.file("old.txt");
    std::fs::write(&trace, "an earlier trace\n").expect("a file can be written");
    let env = [("SAFEPOINT_SEED", "1"), ("SAFEPOINT_TRACE", &*trace)];
    refused(
        &scenario!(env, "traced"),
        &["lockstep needs the int3 instruction, which scenario takes for itself"],
    );
    let text = std::fs::read_to_string(&trace).unwrap_or_default();
    assert_eq!(text, "an earlier trace\n", "nothing is half-done");
}

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

const SEED: (&str, &str) = ("SAFEPOINT_SEED", "1");

/// What lockstep says when it cannot go on: one line, after what the program has printed.
#[track_caller]
fn lockstep_ends(ended: &Ended, stdout: &str, words: &str) {
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert_eq!(ended.stdout, stdout, "{ended:#?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:#?}");
    in_order(&ended.stderr, &["lockstep: ", words]);
}

#[test]
fn lockstep_says_when_nothing_can_happen_any_more() {
    for procs in ["1", "2", "4"] {
        let ended = scenario!([SEED, ("GOMAXPROCS", procs)], "deadlock");
        lockstep_ends(
            &ended,
            "nobody will wake us\n",
            "every thread sleeps and no timer is set",
        );
    }
    // The trace is saved all the same.
    let ended = scenario!([SEED, ("SAFEPOINT_TRACE", "-")], "deadlock");
    in_order(
        &ended.stderr,
        &[
            "# safepoint trace v1",
            "GoBlock      chan receive",
            "\nlockstep: every thread sleeps",
        ],
    );
}

#[test]
fn lockstep_says_when_a_loop_never_ends_and_nobody_is_left() {
    // It may be a loop that only takes long. So a line is all there is, and the run goes on.
    let mut command = Command::new(env!("CARGO_BIN_EXE_scenario"));
    command
        .arg("endless")
        .envs([SEED, ("GOMAXPROCS", "1")])
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the scenario can be started");
    let mut line = String::new();
    let stderr = child.stderr.take().expect("stderr is piped");
    BufReader::new(stderr).read_line(&mut line).expect("a line");
    assert!(
        line.starts_with("lockstep: a loop without a check has taken 2 s"),
        "{line}"
    );
    assert!(child.try_wait().expect("a child").is_none(), "it was ended");
    let _ = child.kill();
    let _ = child.wait();
}

/// A loop without a check while nobody else can run: however long it takes, nothing depends
/// on it.
#[test]
fn lockstep_lets_a_program_compute() {
    let env = [SEED, ("SAFEPOINT_TRACE", "-"), ("GOMAXPROCS", "1")];
    let ended = scenario!(env, "computes", "200");
    assert_eq!(portable(&ended), "yes");
    assert_eq!(ended.stdout, "computed\n");
    if !long() {
        println!("skipped: a hog of 15 s; set SAFEPOINT_LONG=1");
        return;
    }
    // Each turn is short for the watchdog, and the clock is slow: a check is a microsecond.
    let ended = scenario!(env, "hog", "15000");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!(ended.stdout, "computed\n");
}

#[test]
fn lockstep_says_when_a_thread_blocks_outside_the_runtime() {
    if !long() {
        println!("skipped: waits 10 s for each number of Ps; set SAFEPOINT_LONG=1");
        return;
    }
    // On one P there is one thread, and nobody who could notice.
    for procs in ["2", "4"] {
        let begin = Instant::now();
        let ended = scenario!([SEED], "std_lock", procs);
        lockstep_ends(
            &ended,
            "",
            "the thread that holds the baton has not come back",
        );
        assert!(begin.elapsed() < Duration::from_secs(35), "{procs}");
    }
}

/// The first line of a trace: who, on how many, and whether another build gives the same.
fn portable(ended: &Ended) -> &str {
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let head = ended.stderr.lines().next().unwrap_or_default();
    head.split_once(" portable=").map_or("", |(_, p)| p)
}

#[test]
fn a_trace_says_when_a_loop_s_length_decides_it() {
    let env = [SEED, ("SAFEPOINT_TRACE", "-")];
    let ended = scenario!(env, "long_loop", "0");
    assert_eq!(portable(&ended), "yes");
    // Two of the watchdog's periods of 20 ms decide. The kernel looks at a thread's clock only
    // at its own ticks, and under load at few of them.
    let ended = scenario!(env, "long_loop", "200");
    assert_eq!(portable(&ended), "no (a loop without a check ran long)");
    in_order(&ended.stderr, &["UserLog      the loop has ended"]);
}

#[test]
fn a_trace_says_when_the_compiler_s_frames_decide_it() {
    let env = [SEED, ("SAFEPOINT_TRACE", "-")];
    let ended = scenario!(env, "frames", "compiled");
    let compilers = "no (the compiler's frames decide when a stack grows)";
    assert_eq!(portable(&ended), compilers);
    in_order(&ended.stderr, &["StackGrow    16K"]);
    // Here it just did not grow. With larger frames it would have.
    let ended = scenario!(env, "frames", "small");
    assert!(!ended.stderr.contains("StackGrow"), "{ended:#?}");
    assert_eq!(portable(&ended), compilers);
    // A few calls stay away from the end of the stack in every build.
    let ended = scenario!(env, "frames", "few");
    assert_eq!(portable(&ended), "yes");
    let ended = scenario!(env, "frames", "ruled");
    assert_eq!(portable(&ended), "yes");
    in_order(&ended.stderr, &["StackGrow    16K"]);
}

/// Runs a scenario with stderr as the shell makes it: `2>/dev/full`, `2>&-`.
fn with_stderr(redirection: &str, env: &[(&str, &str)], words: &str) -> Ended {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!(
        "exec {} {words} {redirection}",
        env!("CARGO_BIN_EXE_scenario")
    ));
    run(&mut shell, env, LIMIT)
}

#[test]
fn words_that_cannot_be_said_change_nothing() {
    for stderr in ["2>/dev/full", "2>&-"] {
        let ended = with_stderr(stderr, &[("GODEBUG", "gctrace=1")], "hello");
        assert_eq!(
            (ended.code, &*ended.stdout),
            (Some(0), "hello\n"),
            "{stderr}"
        );
        let ended = with_stderr(stderr, &[("GOMAXPROCS", "0")], "hello");
        assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{stderr}");
        let ended = with_stderr(stderr, &[], "panic_with str");
        assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{stderr}");
    }
}

/// As `prog | head -1`: the reader has seen enough, which is no fault of the program.
#[test]
fn a_reader_of_the_trace_may_go_away() {
    for env in [
        &[("SAFEPOINT_TRACE", "-")][..],
        &[("SAFEPOINT_TRACE", "-"), SEED],
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let ended = Command::new(env!("CARGO_BIN_EXE_scenario"))
            .arg("hello")
            .envs(env.iter().copied())
            .stderr(writer)
            .output()
            .expect("the program can be started");
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        assert_eq!(ended.stdout, b"hello\n");
    }
}

/// `eprintln!` panics when stderr is gone, and takes a lock that a goroutine may hold. The lint
/// is clippy's; that it is denied where it must be is ours.
#[test]
fn no_crate_of_the_runtime_speaks_by_std() {
    let mut crates = 0;
    let folders = ["stage1-coop/lockstep/src".to_owned()].into_iter().chain(
        tests::root()
            .read_dir()
            .expect("the workspace")
            .flatten()
            .filter_map(|e| e.file_name().into_string().ok())
            .filter(|name| name.starts_with("stage"))
            .map(|name| name + "/src"),
    );
    for folder in folders {
        let lib = tests::root().join(&folder).join("lib.rs");
        let text = std::fs::read_to_string(&lib).expect("a crate has a lib.rs");
        let deny = "#![deny(clippy::print_stderr, clippy::print_stdout, clippy::dbg_macro)]";
        assert!(text.contains(deny), "{folder}");
        crates += 1;
    }
    assert!(crates >= 5, "{crates}");
}
