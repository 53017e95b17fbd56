//! `GODEBUG=schedtrace` and `scheddetail`: Go's lines.

use super::diagnostics;

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
