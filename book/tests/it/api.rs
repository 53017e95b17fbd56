//! The server's rules: who may ask, for what, and what happens to programs that misbehave.

use std::fs;
use std::time::{Duration, Instant};

use super::support::{Server, lines, order, request};

const LONG: Duration = Duration::from_secs(30);

/// Waits until a condition holds; the tests never sleep for a fixed time.
fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Gone, or dead and only not collected yet.
fn gone(pid: &str) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Err(_) => true,
        Ok(stat) => stat
            .rsplit(')')
            .next()
            .unwrap_or("")
            .trim()
            .starts_with('Z'),
    }
}

#[test]
fn a_foreign_host_name_gets_nothing() {
    let server = Server::fake(LONG);
    for (host, status) in [
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("box.example:8080", 200),
        ("LOCALHOST:1", 200),
        ("127.0.0.1", 200),
    ] {
        let header = format!("Host: {host}\r\n");
        let reply = request(server.address, "GET", "/page.html", &header, "");
        assert_eq!(reply.status, status, "{host}");
    }
}

#[test]
fn only_our_own_pages_may_ask() {
    let server = Server::fake(LONG);
    let token = server.app.guard.token();
    for headers in [
        String::new(),
        "x-safepoint: 1\r\n".to_string(),
        format!("x-safepoint-token: {token}\r\n"),
        format!("x-safepoint: 1\r\nx-safepoint-token: {token}0\r\n"),
    ] {
        for path in ["/api/run", "/api/flag", "/api/stop"] {
            let reply = request(server.address, "POST", path, &headers, &order("quick", ""));
            assert_eq!(reply.status, 403, "{path} with {headers}");
        }
    }
    assert!(
        server
            .get("/page.html")
            .1
            .contains(&format!("content=\"{token}\""))
    );
}

/// No path of a request reaches the disk, however it is written.
#[test]
fn no_path_leads_out_of_the_book() {
    let server = Server::fake(LONG);
    assert_eq!(server.get("/page.html").0, 200);
    for path in [
        "/../book.toml",
        "/../../../../../../etc/passwd",
        "/%2e%2e/%2e%2e/book.toml",
        "/..%2fbook.toml",
        "//etc/passwd",
        "/api/../book.toml",
        "/api/progress/../../exercises/.progress.toml",
        "/api/progress/half-plus-one",
    ] {
        let reply = request(server.address, "GET", path, "", "");
        assert_eq!(reply.status, 404, "{path}");
    }
}

/// A page may load and ask nothing from elsewhere, and nobody else may frame it.
#[test]
fn the_policy_of_the_pages() {
    let server = Server::fake(LONG);
    for (path, status) in [("/page.html", 200), ("/none.html", 404)] {
        let reply = request(server.address, "GET", path, "", "");
        assert_eq!(reply.status, status);
        let policy = reply
            .head
            .iter()
            .find_map(|line| line.strip_prefix("content-security-policy: "))
            .unwrap_or_else(|| panic!("{path} has no policy"));
        for part in [
            "default-src 'self'",
            "frame-ancestors 'self'",
            "form-action 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(
            !policy.contains("http") && !policy.contains('*'),
            "{policy}"
        );
    }
    assert!(server.address.ip().is_loopback());
}

/// Only read, never written, and never an error: the file is the reader's own.
#[test]
fn progress_is_what_the_readers_file_says() {
    let root = super::support::lesson("api");
    let ws = safepoint_book::workspace::Workspace::at(&root);
    let server = Server::start(ws, safepoint_book::run::Limits::default());
    assert_eq!(server.get("/page.html").0, 200);
    let ask = || {
        let (status, text) = server.get("/api/progress");
        assert_eq!(status, 200, "{text}");
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    let file = root.join("exercises/.progress.toml");
    for broken in [None, Some("x = ["), Some("half-plus-one = 1\n"), Some("")] {
        if let Some(text) = broken {
            fs::write(&file, text).unwrap();
        }
        let told = ask();
        assert_eq!(told["exercises"], serde_json::json!({}), "{broken:?}");
        assert_eq!(
            told["pages"]["page.html"],
            serde_json::json!(["half-plus-one"])
        );
    }
    fs::write(
        &file,
        "[half-plus-one]\nsolved = true\nruns = 2\nlast = \"lost\"\n",
    )
    .unwrap();
    assert_eq!(
        ask()["exercises"]["half-plus-one"],
        serde_json::json!({"solved": true, "runs": 2, "hints": 0})
    );
    let reply = request(
        server.address,
        "GET",
        "/api/progress",
        "Host: evil.example\r\n",
        "",
    );
    assert_eq!(reply.status, 403);
    assert_eq!(
        server.post("/api/progress", "{}").0,
        405,
        "nobody writes it from a page"
    );
}

#[test]
fn a_run_streams_and_ends() {
    let server = Server::fake(LONG);
    let events = server.run("quick", "");
    assert_eq!(lines(&events, "build"), ["Compiling quick"]);
    assert_eq!(lines(&events, "out"), ["hello "]);
    assert_eq!(lines(&events, "err"), ["warned"]);
    let end = events.last().unwrap();
    assert_eq!(
        (end["t"].as_str(), end["code"].as_i64()),
        (Some("end"), Some(0))
    );
    assert!(end["svg"].as_str().unwrap().starts_with("<svg"));
    assert!(end["trace"].as_str().unwrap().contains("GoStart"));
    assert!(end["same"].is_null());
}

#[test]
fn a_replay_is_compared() {
    let server = Server::fake(LONG);
    let replay = |name: &str, more: &str| {
        let order = order(name, more).replace("\"run\"", "\"replay\"");
        let (status, text) = server.post("/api/run", &order);
        assert_eq!(status, 200, "{text}");
        serde_json::from_str::<serde_json::Value>(text.lines().last().unwrap()).unwrap()
    };
    assert_eq!(replay("quick", "")["same"], true);
    for (more, why) in [
        (",\"seed\":9", "no recording for this seed"),
        (",\"procs\":2", "no recording for GOMAXPROCS=2"),
        (",\"args\":\"--loud\"", "no recording for this argument"),
    ] {
        let end = replay("quick", more);
        assert!(end["same"].is_null());
        assert_eq!(end["why"], why);
    }
    let path = super::support::fixture().join("tests/snapshots/stage1-fake__env__p1__seed1.snap");
    fs::write(path, "exit 3\n--- output\nother\n--- trace\n").unwrap();
    let end = replay("env", "");
    assert_eq!(
        (end["same"].as_bool(), end["why"].as_str()),
        (Some(false), Some("they part at line 1 of the output"))
    );
}

#[test]
fn the_programs_surroundings_are_set() {
    let server = Server::fake(LONG);
    let events = server.run("env", ",\"procs\":4,\"seed\":7");
    let said = &lines(&events, "out")[0];
    assert!(
        said.starts_with("seed= procs=4 trace=/") && said.ends_with(".txt"),
        "{said}"
    );
    assert_eq!(events.last().unwrap()["code"], 3);
    assert_eq!(lines(&events, "note"), ["It wrote no trace."]);
    let (_, text) = server.post(
        "/api/run",
        &order("env", ",\"seed\":7").replace("\"run\"", "\"replay\""),
    );
    assert!(text.contains("seed=7 procs=1"), "{text}");
    assert_eq!(
        lines(&server.run("quick", ",\"args\":\"--loud\""), "out"),
        ["hello --loud"]
    );
    assert_eq!(lines(&server.run("partial", ""), "out"), ["no newline"]);
}

#[test]
fn wishes_that_are_refused() {
    let server = Server::fake(LONG);
    for (body, status, says) in [
        (
            order("none", ""),
            404,
            "there is no example stage1-fake/none",
        ),
        (order("../bin/quick", ""), 404, "there is no example"),
        (
            order("quick", "").replace("stage1-fake", "book"),
            404,
            "there is no example",
        ),
        (order("quick", ",\"procs\":0"), 400, "GOMAXPROCS must be"),
        (order("quick", ",\"procs\":65"), 400, "GOMAXPROCS must be"),
        (order("quick", ",\"procs\":-1"), 400, "no such request"),
        (order("quick", ",\"seed\":1.5"), 400, "no such request"),
        (order("quick", ",\"seed\":-1"), 400, "no such request"),
        (
            order("quick", ",\"args\":\"; rm\""),
            400,
            "quick can be tried with: --loud",
        ),
        (order("quick", ",\"shell\":true"), 400, "no such request"),
        ("nonsense".to_string(), 400, "no such request"),
    ] {
        let (got, text) = server.post("/api/run", &body);
        assert_eq!(got, status, "{body}: {text}");
        assert!(text.contains(says), "{body}: {text}");
        assert_eq!(text.lines().count(), 1);
    }
}

#[test]
fn one_run_at_a_time_and_stop() {
    let server = Server::fake(LONG);
    assert_eq!(server.post("/api/stop", "").0, 409);
    let mut run = server.open("/api/run", &order("hang", ""));
    let seen = run.until("child ");
    let (status, text) = server.post("/api/run", &order("quick", ""));
    assert_eq!(status, 409);
    assert!(
        text.contains("stage1-fake/hang is still running; stop it first"),
        "{text}"
    );
    assert!(
        server
            .get("/api/status")
            .1
            .contains("\"running\":\"stage1-fake/hang\"")
    );
    assert_eq!(server.post("/api/stop", "").0, 200);
    let rest = run.rest();
    assert!(rest.contains("Stopped."), "{rest}");
    assert!(rest.contains("\"signal\":9"), "{rest}");
    assert!(rest.contains("could not write its trace"), "{rest}");
    let pid = seen
        .split("child ")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    soon("the grandchild ends", || gone(pid));
    // The place is free again.
    assert_eq!(lines(&server.run("quick", ""), "out"), ["hello "]);
}

#[test]
fn the_flag_goes_to_the_program() {
    let server = Server::fake(LONG);
    let mut run = server.open("/api/run", &order("flag", ""));
    run.until("ready");
    assert_eq!(server.post("/api/flag", "").0, 200);
    let rest = run.rest();
    assert!(
        rest.contains("\"heard\"") && rest.contains("\"code\":0"),
        "{rest}"
    );
    assert_eq!(server.post("/api/flag", "").0, 409);
}

#[test]
fn limits_end_a_program() {
    let server = Server::fake(LONG);
    let events = server.run("flood", "");
    let notes = lines(&events, "note");
    assert_eq!(
        notes[0],
        "It printed more than 8 KiB: the rest is left out."
    );
    let printed: usize = lines(&events, "out")
        .iter()
        .map(|line| line.len() + 1)
        .sum();
    assert!(printed <= 8 * 1024, "{printed}");
    assert_eq!(events.last().unwrap()["signal"], 9);

    let server = Server::fake(Duration::from_millis(300));
    let events = server.run("hang", "");
    assert_eq!(
        lines(&events, "note")[0],
        "It ran for 0.3 seconds and was ended."
    );
    // On a very busy machine it may not even have come to its first line.
    if let Some(said) = lines(&events, "out").first() {
        let pid = said.trim_start_matches("child ");
        soon("the grandchild ends", || gone(pid));
    }
}

#[test]
fn a_reader_who_goes_away_and_a_server_that_ends() {
    let server = Server::fake(LONG);
    let mut run = server.open("/api/run", &order("hang", ""));
    let seen = run.until("child ");
    let pid = |seen: &str| {
        seen.split("child ")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .to_string()
    };
    let first = pid(&seen);
    drop(run);
    soon("the program of a closed page ends", || gone(&first));
    soon("the place is free", || {
        server.get("/api/status").1.contains("\"running\":null")
    });

    let mut run = server.open("/api/run", &order("hang", ""));
    let second = pid(&run.until("child "));
    drop(server);
    soon("the program of an ended server ends", || gone(&second));
    drop(run);
}

#[test]
fn what_does_not_compile_is_told() {
    let server = Server::fake(LONG);
    let events = server.run("broken", "");
    assert_eq!(lines(&events, "err"), ["error: no such thing"]);
    assert_eq!(
        lines(&events, "note"),
        ["stage1-fake/broken could not be built."]
    );
    assert!(events.last().unwrap()["code"].is_null());
}
