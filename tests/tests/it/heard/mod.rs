//! A request is heard: every public call has a check, so an endless loop of nothing but that
//! call yields when asked.

use tests::scenario;

#[test]
fn every_call_in_an_endless_loop_hears_a_request() {
    for stage in ["1", "2"] {
        for env in [vec![], vec![("SAFEPOINT_SEED", "1")]] {
            let ended = scenario!(env, "heard", stage);
            let last = ended.stderr.lines().rfind(|l| l.starts_with("asks: "));
            assert_eq!(ended.code, Some(0), "{env:?}, at {last:?}: {ended:#?}");
            if stage == "2" {
                each_public_call_is_in(&ended.stdout);
            }
        }
    }
}

/// Public functions that have no check, and why a loop of nothing else is not endless, or is
/// the program's own affair.
const WITHOUT_A_CHECK: &[(&str, &[&str])] = &[
    (
        "makes or names a thing, waits for nothing",
        &[
            "Mutex::new",
            "RwLock::new",
            "Once::new",
            "Cond::new",
            "WaitGroup::new",
            "File::new",
            "Select::new",
            "Select::recv",
            "Select::send",
            "Receiver::with_source",
        ],
    ),
    (
        "the answer never changes",
        &["Chan::cap", "Ticker::c", "Timer::c", "goid"],
    ),
    (
        "a line in the trace, also from within a system call or a lock of std's",
        &["user_log"],
    ),
    ("Go's is nosplit", &["acquirem"]),
    ("does not return", &["exit", "goexit"]),
    ("stands for the program's own code", &["spin", "with_frame"]),
    (
        "before the run, or beside it",
        &["Runtime::", "Stage::", "ThirdParty::"],
    ),
];

/// Holds what the crates export against the rows of the scenario `heard`.
fn each_public_call_is_in(rows: &str) {
    let exempt = |call: &str| {
        let listed = |name: &&str| call == *name || name.ends_with("::") && call.starts_with(*name);
        WITHOUT_A_CHECK
            .iter()
            .any(|(_, calls)| calls.iter().any(&listed))
    };
    let has_row = |call: &str| {
        rows.lines().any(|row| {
            let rest = row.strip_prefix(call);
            rest.is_some_and(|r| !r.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        })
    };
    let mut calls = public_calls("stage1-coop");
    calls.extend(public_calls("stage2-sysmon"));
    assert!(calls.len() > 50, "the sources are read: {calls:?}");
    let missing: Vec<_> = calls.iter().filter(|c| !exempt(c) && !has_row(c)).collect();
    assert!(
        missing.is_empty(),
        "give these a row in `heard`, or a reason: {missing:?}"
    );
}

/// The functions that a crate exports at its root, and the methods of types there: read from
/// its sources.
fn public_calls(package: &str) -> Vec<String> {
    let src = tests::root().join(package).join("src");
    let read = |file: &str| std::fs::read_to_string(src.join(file)).unwrap_or_default();
    let mut calls = Vec::new();
    for line in read("lib.rs").lines() {
        let Some(path) = line.strip_prefix("pub use ") else {
            continue;
        };
        // The file's path ends where the names begin: before the braces, or the last name.
        let (names, module) = match path.split_once("::{") {
            Some((module, names)) => (names, module),
            None => path
                .rsplit_once("::")
                .map_or(("", ""), |(m, name)| (name, m)),
        };
        let module = module.replace("::", "/");
        let text = match read(&format!("{module}.rs")) {
            text if text.is_empty() => read(&format!("{module}/mod.rs")),
            text => text,
        };
        for name in names.split(|c: char| !c.is_alphanumeric() && c != '_') {
            if name.starts_with(char::is_uppercase) {
                calls.extend(methods(&text, name));
            } else if text.contains(&format!("\npub fn {name}("))
                || text.contains(&format!("\npub fn {name}<"))
            {
                calls.push(name.to_owned());
            }
        }
    }
    calls
}

/// The public methods of a type, as `Type::method`.
fn methods(text: &str, name: &str) -> Vec<String> {
    let mut of = String::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let code = line.trim_start();
        if line == "}" {
            of.clear();
        }
        if code.starts_with("impl") || code.starts_with("unsafe impl") {
            let whole = code.split([' ', '<', '{']);
            of = whole
                .skip(1)
                .filter(|w| *w == name)
                .map(str::to_owned)
                .collect();
        } else if of == name
            && let Some(rest) = code.strip_prefix("pub fn ")
        {
            let method = rest.split(['(', '<']).next().unwrap_or_default();
            calls.push(format!("{name}::{method}"));
        }
    }
    calls
}
