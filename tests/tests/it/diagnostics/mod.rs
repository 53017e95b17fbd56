//! What a running program tells of itself: `scheddetail`, the dump on Ctrl-\, the end of a run
//! that somebody holds up; and what it says when it runs out of threads.

use tests::{Ended, in_order, long, root, scenario_of, two_at_a_time};

fn diagnostics(words: &[&str], env: &[(&str, &str)]) -> Ended {
    scenario_of(tests::program!("scenario"), words, env)
}

// ---- One program for all stages.

#[test]
fn the_loop_is_the_same_program_in_every_stage() {
    let stages = [
        ("stage1-coop", "the_loop"),
        ("stage2-sysmon", "the_loop_2"),
        ("stage3-signals", "the_loop_3"),
    ];
    let mut programs = Vec::new();
    for (stage, name) in stages {
        // A stage that is not written yet has no examples.
        if root().join(stage).join("examples").exists() {
            let path = root().join(stage).join(format!("examples/{name}.rs"));
            let text = std::fs::read_to_string(&path)
                .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let library = stage.replace('-', "_");
            assert!(text.contains(&library), "{name} runs with {library}");
            programs.push((name, text.replace(&library, "the_stage")));
        }
    }
    assert!(programs.len() >= 2);
    let (_, first) = &programs[0];
    for (name, program) in &programs {
        assert_eq!(program, first, "{name}");
    }
}

#[test]
fn its_last_line_says_what_became_of_the_other_goroutine() {
    for (stage, name) in [("stage1-coop", "the_loop"), ("stage2-sysmon", "the_loop_2")] {
        for (procs, turn) in [("1", "has never had a turn"), ("2", "has had its turn")] {
            let env = [("SAFEPOINT_SEED", "1"), ("GOMAXPROCS", procs)];
            let mut command = std::process::Command::new(tests::example(stage, name));
            let ended = tests::run(&mut command, &env, tests::LIMIT);
            assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:#?}");
            let end = format!(" times; the patient goroutine {turn}\n");
            assert!(ended.stdout.ends_with(&end), "{ended:#?}");
        }
    }
}

// ---- SIGQUIT.

/// The dump's form: header, goroutines, registers. Returns the headers of the goroutines.
#[track_caller]
fn dumped(ended: &Ended) -> Vec<String> {
    assert_eq!((ended.code, ended.signal), (Some(2), None), "{ended:#?}");
    let at = ended.stderr.find("SIGQUIT: quit\n").expect("the header");
    let mut lines = ended.stderr[at..].lines().skip(1);
    let place = lines.next().unwrap_or_default();
    let mut words = place.split(' ');
    let hex = |text: &str| u64::from_str_radix(text, 16).is_ok();
    let pc = words.next().and_then(|w| w.strip_prefix("PC=0x"));
    assert!(pc.is_some_and(hex), "{ended:#?}");
    let m = words.next().and_then(|w| w.strip_prefix("m="));
    assert!(m.is_some_and(|m| m.parse::<i32>().is_ok()), "{ended:#?}");
    let code = words.next().and_then(|w| w.strip_prefix("sigcode="));
    assert!(code.is_some_and(|c| c.parse::<i32>().is_ok()), "{ended:#?}");
    assert_eq!(lines.next(), Some(""), "{ended:#?}");
    let registers: Vec<&str> = ended
        .stderr
        .lines()
        .filter_map(|l| l.split_once("0x").filter(|(_, v)| hex(v)))
        .filter(|(name, _)| name.len() == 7)
        .map(|(name, _)| name.trim_end())
        .collect();
    assert_eq!(
        registers,
        [
            "rax", "rbx", "rcx", "rdx", "rdi", "rsi", "rbp", "rsp", "r8", "r9", "r10", "r11",
            "r12", "r13", "r14", "r15", "rip", "rflags", "cs", "fs", "gs"
        ],
        "{ended:#?}"
    );
    let said = ended.stderr.matches("SIGQUIT: quit").count();
    assert_eq!(said, 1, "{ended:#?}");
    lines
        .filter(|l| l.starts_with("goroutine "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn sigquit_shows_everybody_while_everybody_sleeps() {
    let ended = diagnostics(&["quit", "idle"], &[]);
    assert_eq!(dumped(&ended), ["goroutine 1 [sleep]:"]);
    in_order(
        &ended.stderr,
        &[
            "goroutine 1 [sleep]:\n",
            "diagnostics/scenario.rs:",
            "\nrax    0x",
        ],
    );
}

#[test]
fn who_does_not_stop_has_no_stack_to_show() {
    let ended = diagnostics(&["quit", "deaf"], &[]);
    let headers = dumped(&ended);
    assert_eq!(headers.len(), 3, "{ended:#?}");
    assert_eq!(
        headers[1..],
        ["goroutine 2 [running]:", "goroutine 3 [running]:"]
    );
    let words = "\tgoroutine running on other thread; stack unavailable\ncreated by main in goroutine 1 as deaf\n";
    assert_eq!(ended.stderr.matches(words).count(), 2, "{ended:#?}");
}

#[test]
fn who_comes_to_a_check_stands_still_and_shows_its_stack() {
    let ended = diagnostics(&["quit", "obedient"], &[]);
    let headers = dumped(&ended);
    assert_eq!(headers.len(), 4, "{ended:#?}");
    assert!(
        headers[1..].iter().all(|h| h.ends_with(" [runnable]:")),
        "{ended:#?}"
    );
    assert!(
        ended.stderr.matches("obedient(...)").count() >= 2,
        "{ended:#?}"
    );
    assert!(!ended.stderr.contains("stack unavailable"), "{ended:#?}");
}

#[test]
fn who_is_in_a_system_call_shows_where_it_went_in() {
    let ended = diagnostics(&["quit", "call"], &[]);
    assert_eq!(
        dumped(&ended),
        ["goroutine 1 [sleep]:", "goroutine 2 [syscall]:"]
    );
    in_order(
        &ended.stderr,
        &[
            "goroutine 2 [syscall]:\n",
            "in_the_kernel(...)",
            "\ncreated by main in goroutine 1 as caller\n",
        ],
    );
}

#[test]
fn sigquit_may_come_at_any_moment() {
    let times = if long() { 100 } else { 3 };
    let moments = [
        "calls",
        "allocator",
        "unwinding",
        "twice",
        "idle",
        "obedient",
    ];
    let jobs: Vec<_> = (0..times)
        .flat_map(|i| moments.map(|when| (when, (50 + 7 * i).to_string())))
        .collect();
    two_at_a_time(&jobs, |(when, ms)| {
        let headers = dumped(&diagnostics(&["quit", when, ms], &[]));
        assert!(headers[0].starts_with("goroutine 1 ["), "{headers:?}");
    });
}

#[test]
fn a_crowd_is_shown_to_the_last() {
    assert_eq!(dumped(&diagnostics(&["quit", "crowd"], &[])).len(), 5_001);
}

#[test]
fn somebody_who_holds_stderr_does_not_keep_it_from_us() {
    let ended = diagnostics(&["quit", "stderr"], &[]);
    assert_eq!(
        dumped(&ended),
        ["goroutine 1 [sleep]:", "goroutine 2 [syscall]:"]
    );
}

#[test]
fn a_dump_that_cannot_go_on_ends_all_the_same() {
    let ended = diagnostics(&["quit", "lock"], &[]);
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    in_order(&ended.stderr, &["SIGQUIT: quit\nPC=0x"]);
    // Sysmon has come to the dump, or it needed the lock before.
    let words = [
        "\nruntime: the list of goroutines is held by a thread that stands still\n",
        "\nruntime: the dump does not go on: what it needs is held by a thread that stands still\n",
    ];
    assert!(words.iter().any(|w| ended.stderr.contains(w)), "{ended:#?}");
}

#[test]
fn a_panic_and_sigquit_at_once_end_with_one_of_them() {
    for ms in ["100", "140", "150", "160"] {
        let ended = diagnostics(&["quit", "panicking", ms], &[]);
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        let words = ["SIGQUIT: quit\n", "\npanic: at the same moment\n"];
        assert!(words.iter().any(|w| ended.stderr.contains(w)), "{ended:#?}");
    }
}

#[test]
fn in_lockstep_too() {
    for when in ["idle", "deaf", "obedient", "call"] {
        let ended = diagnostics(&["quit", when], &[("SAFEPOINT_SEED", "1")]);
        // A virtual sleep of 30 s is over at once; then there was nobody to ask.
        if !(ended.code == Some(0) && ["idle", "call"].contains(&when)) {
            assert!(!dumped(&ended).is_empty(), "{ended:#?}");
        }
    }
}

#[test]
fn gotraceback_says_how_much() {
    let ended = diagnostics(&["quit", "call"], &[("GOTRACEBACK", "none")]);
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert_eq!(ended.stderr.lines().count(), 3, "{ended:#?}");
    let ended = diagnostics(&["quit", "call"], &[("GOTRACEBACK", "crash")]);
    assert_eq!(ended.signal, Some(libc::SIGABRT), "{ended:#?}");
}

#[test]
fn outside_a_run_sigquit_is_the_system_s() {
    for when in ["before", "after"] {
        let ended = diagnostics(&["quit_outside", when], &[]);
        assert_eq!(ended.signal, Some(libc::SIGQUIT), "{ended:#?}");
        assert_eq!((&*ended.stdout, &*ended.stderr), ("", ""));
    }
    let ended = diagnostics(&["quit_own"], &[]);
    assert_eq!(
        (ended.code, &*ended.stdout),
        (Some(0), "heard\n"),
        "{ended:#?}"
    );
}

#[test]
fn between_two_runs_sigquit_is_not_lost() {
    let times = if long() { 500 } else { 20 };
    for i in 0..times {
        let us = (3_000 + 37 * i).to_string();
        let ended = diagnostics(&["quit_between", &us], &[]);
        let by_signal = ended.signal == Some(libc::SIGQUIT);
        assert!(by_signal || ended.code == Some(2), "{ended:#?}");
    }
}

// ---- schedtrace and scheddetail.

/// Numbers and states, redacted: what remains is the form.
fn redacted(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '-' && chars.peek().is_some_and(char::is_ascii_digit) {
            continue;
        }
        if c.is_ascii_digit() {
            if !out.ends_with('N') {
                out.push('N');
            }
        } else {
            out.push(c);
        }
    }
    out.replace("=true", "=BOOL").replace("=false", "=BOOL")
}

#[test]
fn scheddetail_prints_go_s_lines() {
    let env = [("GODEBUG", "schedtrace=30,scheddetail=1")];
    let ended = diagnostics(&["detailed"], &env);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let lines: Vec<&str> = ended.stderr.lines().collect();
    let begins: Vec<usize> = (0..lines.len())
        .filter(|&i| lines[i].starts_with("SCHED "))
        .collect();
    assert!(begins.len() >= 3, "{ended:#?}");
    assert!(
        lines[0].starts_with("SCHED 0ms: gomaxprocs=2 "),
        "{ended:#?}"
    );
    let form = |line: &str| redacted(line);
    for (i, &begin) in begins.iter().enumerate() {
        let end = begins.get(i + 1).copied().unwrap_or(lines.len());
        let kinds: String = lines[begin..end]
            .iter()
            .map(|l| l.trim_start().chars().next().unwrap_or(' '))
            .collect();
        // The head, two Ps, all Ms, all Gs.
        let rest = kinds.strip_prefix("SPP").expect("two Ps come first");
        let gs = rest.trim_start_matches('M');
        assert!(
            gs.len() < rest.len() && gs.trim_start_matches('G').is_empty(),
            "{kinds}"
        );
        let number = |l: &str| l[3..l.find(':').unwrap_or(3)].parse::<u32>();
        let ms: Vec<u32> = lines[begin..end]
            .iter()
            .filter(|l| l.starts_with("  M"))
            .map(|l| number(l).expect("an M's number"))
            .collect();
        assert!(
            ms.windows(2).all(|w| w[0] > w[1]) && ms.last() == Some(&0),
            "{ms:?}"
        );
    }
    assert_eq!(
        form(lines[0]),
        "SCHED Nms: gomaxprocs=N idleprocs=N threads=N spinningthreads=N idlethreads=N runqueue=N gcwaiting=N nmidlelocked=N stopwait=N sysmonwait=N"
    );
    assert_eq!(
        form(lines[1]),
        "  PN: status=N schedtick=N syscalltick=N m=N runqsize=N gfreecnt=N timerslen=N"
    );
    for line in lines.iter().filter(|l| l.starts_with("  M")) {
        assert_eq!(
            form(line),
            "  MN: p=N curg=N mallocing=N throwing=N preemptoff= locks=N dying=N spinning=BOOL blocked=BOOL lockedg=N"
        );
    }
    let gs: Vec<String> = lines
        .iter()
        .filter(|l| l.starts_with("  G"))
        .map(|l| form(l))
        .collect();
    let ok = |l: &String| {
        l.strip_prefix("  GN: status=N(")
            .and_then(|l| l.strip_suffix(") m=N lockedm=N"))
            .is_some()
    };
    assert!(gs.iter().all(ok), "{gs:#?}");
    let all = &ended.stderr;
    // Sleeping with a timer; in a call; locked; nobody is -1.
    for words in [
        ": status=4(sleep) m=-1 lockedm=-1",
        ": status=3(",
        " timerslen=",
        " p=-1 curg=-1 ",
    ] {
        assert!(all.contains(words), "{words}: {ended:#?}");
    }
    assert!(
        !all.contains("lockedg=0") && all.contains("blocked=true"),
        "{ended:#?}"
    );
    let locked = lines
        .iter()
        .any(|l| l.starts_with("  G") && !l.ends_with("lockedm=-1"));
    assert!(locked, "{ended:#?}");
}

#[test]
fn scheddetail_alone_prints_nothing() {
    let ended = diagnostics(&["detailed"], &[("GODEBUG", "scheddetail=1")]);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:#?}");
}

#[test]
fn threads_that_end_may_be_looked_at() {
    let ended = diagnostics(
        &["detailed_end"],
        &[("GODEBUG", "schedtrace=1,scheddetail=1")],
    );
    assert_eq!(
        (ended.code, &*ended.stdout),
        (Some(0), "all ended\n"),
        "{ended:#?}"
    );
}

#[test]
fn the_detail_is_the_same_in_every_lockstep_run() {
    let env = [
        ("GODEBUG", "schedtrace=30,scheddetail=1"),
        ("SAFEPOINT_SEED", "1"),
    ];
    let first = diagnostics(&["detailed"], &env);
    assert_eq!(first.code, Some(0), "{first:#?}");
    assert_eq!(first, diagnostics(&["detailed"], &env));
    // The form of each kind of line, once.
    let mut forms: Vec<String> = Vec::new();
    for form in first.stderr.lines().map(redacted) {
        if !forms.contains(&form) {
            forms.push(form);
        }
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("scheddetail", forms.join("\n")));
}

#[test]
fn nonsense_is_told_in_one_line() {
    for (value, words) in [
        (
            "schedtrace=often",
            "`schedtrace` takes a number, not `often`",
        ),
        ("schedtrace=-5", "`schedtrace` takes a number, not `-5`"),
        (
            "schedtrace=99999999999",
            "`schedtrace` takes a number, not `99999999999`",
        ),
        (
            "schedtrace=10,scheddetail=yes",
            "`scheddetail` takes a number, not `yes`",
        ),
        ("scheddetail", "`scheddetail` is not of the form key=number"),
    ] {
        let ended = diagnostics(&["detailed"], &[("GODEBUG", value)]);
        assert_eq!(ended.code, Some(2), "{value}: {ended:#?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{value}: {ended:#?}");
        assert!(ended.stderr.contains(words), "{value}: {ended:#?}");
    }
    let ended = diagnostics(&["detailed"], &[("GODEBUG", "schedtrace=4294967295")]);
    assert_eq!(
        (ended.code, ended.stderr.lines().count()),
        (Some(0), 1),
        "{ended:#?}"
    );
}

// ---- Threads.

#[test]
fn more_threads_than_allowed_are_go_s_last_words() {
    for env in [&[][..], &[("SAFEPOINT_SEED", "1")]] {
        let ended = diagnostics(&["threads_limit", "10", "40"], env);
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        assert!(
            ended.stderr.starts_with(
                "runtime: program exceeds 10-thread limit\nfatal error: thread exhaustion\n"
            ),
            "{ended:#?}"
        );
        in_order(
            &ended.stderr,
            &["goroutine 1 [", "goroutine 2 [", "goroutine 3 ["],
        );
        let ended = diagnostics(&["threads_limit", "1", "0"], env);
        assert_eq!(ended.code, Some(2), "sysmon is a thread, too: {ended:#?}");
    }
    let ended = diagnostics(&["threads_limit", "43", "40"], &[]);
    assert_eq!(ended.stdout, "enough threads\n", "{ended:#?}");
}

#[test]
fn a_limit_of_the_system_s_is_told_as_go_does() {
    let ended = diagnostics(&["user_limit"], &[]);
    if let Some(why) = ended.stdout.strip_prefix("skipped: ") {
        println!("skipped: {}", why.trim());
        return;
    }
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    in_order(
        &ended.stderr,
        &[
            "runtime: failed to create new OS thread (have ",
            " already; errno=11)\nruntime: may need to increase max user processes (ulimit -u)\nfatal error: newosproc\n",
        ],
    );
}

// ---- Storms.

#[test]
fn a_storm_of_signals_changes_nothing() {
    for signal in ["URG", "USR1"] {
        let ended = diagnostics(&["storm", signal], &[]);
        assert_eq!(
            (ended.code, &*ended.stdout),
            (Some(0), "28 true\n"),
            "{ended:#?}"
        );
        assert_eq!(ended.stderr, "", "{ended:#?}");
    }
}

// ---- The end, when somebody does not come along.

#[test]
fn the_end_of_a_run_says_who_holds_it_up_and_how() {
    for (how, words) in [
        ("call", "is in a system call that does not return"),
        ("block", "is in a system call that does not return"),
        ("loop", "never comes to a check"),
    ] {
        let ended = diagnostics(&["long_call_at_the_end", how], &[]);
        assert_eq!((ended.code, &*ended.stdout), (Some(0), ""), "{ended:#?}");
        assert_eq!(
            ended.stderr,
            format!(
                "runtime: main has returned, but goroutine 2 (stays) {words}; the process ends with it\n"
            )
        );
    }
}

#[test]
fn who_waits_for_a_stranger_waits_in_a_call() {
    let ended = diagnostics(&["stranger", "right"], &[]);
    assert_eq!(
        (ended.code, &*ended.stdout),
        (Some(0), "Some(42)\n"),
        "{ended:#?}"
    );
    let ended = diagnostics(&["stranger", "wrong"], &[]);
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    let words =
        "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive]:\n";
    assert!(ended.stderr.starts_with(words), "{ended:#?}");
}

#[test]
fn a_fatal_error_ends_the_process_whatever_the_others_do() {
    for how in ["throw", "call", "panic"] {
        for (who, shown) in [
            ("calls", "in_the_kernel(...)"),
            (
                "deaf",
                "\tgoroutine running on other thread; stack unavailable\n",
            ),
        ] {
            let ended = diagnostics(&["dies_beside", how, who], &[("GOTRACEBACK", "all")]);
            assert_eq!(ended.code, Some(2), "{how} {who}: {ended:#?}");
            assert_eq!(
                ended.stderr.matches(shown).count(),
                2,
                "{how} {who}: {ended:#?}"
            );
        }
    }
}
