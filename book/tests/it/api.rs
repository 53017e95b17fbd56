//! The server's rules: who may ask, for what, and what happens to programs that misbehave.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use safepoint_book::run::Limits;
use safepoint_book::web::Patience;
use safepoint_book::workspace::Workspace;
use serde_json::Value;

use super::support::{Server, fixture, lines, order, request};

const LONG: Duration = Duration::from_secs(30);

/// Waits until a condition holds; the tests never sleep for a fixed time.
pub fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Gone, or dead and only not collected yet.
pub fn gone(pid: &str) -> bool {
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
    let no_header = "this request needs the header `x-safepoint: 1`";
    for (headers, why) in [
        (String::new(), no_header),
        (format!("x-safepoint-token: {token}\r\n"), no_header),
        (
            "x-safepoint: 1\r\n".to_string(),
            "this request needs the header `x-safepoint-token`",
        ),
        (
            format!("x-safepoint: 1\r\nx-safepoint-token: {token}0\r\n"),
            "this page is from an earlier start of the book",
        ),
    ] {
        for path in ["/api/run", "/api/flag", "/api/stop"] {
            let mut reply = request(server.address, "POST", path, &headers, &order("quick", ""));
            assert_eq!(reply.status, 403, "{path} with {headers}");
            let text = reply.rest();
            assert!(text.contains(why), "{path} with {headers}: {text}");
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

/// A page may load and ask nothing from elsewhere, and no other site may frame it.
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
        (order("quick", ",\"procs\":257"), 400, "GOMAXPROCS must be"),
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

/// Every answer has them: pages, files, refusals, streams, what is not there.
#[test]
fn the_headers_of_every_answer() {
    let server = Server::fake(LONG);
    let ours = format!(
        "x-safepoint: 1\r\nx-safepoint-token: {}\r\n",
        server.app.guard.token()
    );
    let body = order("quick", "");
    let long = " ".repeat(17 * 1024);
    for (method, path, headers, body, status) in [
        ("GET", "/page.html", "", "", 200),
        ("GET", "/toc.js", "", "", 404),
        ("GET", "/none", "", "", 404),
        ("GET", "/none.html", "", "", 404),
        ("GET", "/api/status", "", "", 200),
        ("GET", "/api/progress", "", "", 200),
        ("GET", "/api/run", "", "", 405),
        ("PUT", "/page.html", &ours, "", 405),
        ("POST", "/api/run", "", "", 403),
        ("POST", "/api/run", &ours, "x", 400),
        ("POST", "/api/run", &ours, &long, 413),
        ("POST", "/api/run", &ours, &body, 200),
        ("GET", "/", "Host: evil.example\r\n", "", 403),
    ] {
        let mut reply = request(server.address, method, path, headers, body);
        assert_eq!(reply.status, status, "{method} {path}");
        for line in [
            "x-content-type-options: nosniff",
            "cross-origin-resource-policy: same-origin",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
        ] {
            assert!(
                reply.head.iter().any(|head| head == line),
                "{method} {path}, {line}: {:?}",
                reply.head
            );
        }
        let policy = "content-security-policy: default-src 'self';";
        assert!(reply.head.iter().any(|head| head.starts_with(policy)));
        if path.starts_with("/api") && status != 200 {
            let text = reply.rest();
            let told: Value = serde_json::from_str(&text).unwrap_or_default();
            let line = told["error"].as_str().unwrap_or_default();
            assert!(!line.is_empty(), "{method} {path}: {text:?}");
        }
    }
    // A file whose name holds its hash may be kept, but never by a page of another site.
    let script = fs::read_dir(fixture().join("book/assets")).unwrap().count();
    assert!(script > 0);
    let page = server.get("/page.html").1;
    let file = page
        .split("src=\"")
        .filter_map(|rest| rest.split('"').next())
        .find(|src| src.starts_with("assets/server"))
        .unwrap();
    let reply = request(server.address, "GET", &format!("/{file}"), "", "");
    assert_eq!(reply.status, 200);
    assert!(
        reply
            .head
            .iter()
            .any(|head| head == "cache-control: max-age=31536000, immutable"),
        "{:?}",
        reply.head
    );
    let unhashed = request(server.address, "GET", "/.nojekyll", "", "");
    let asked = |head: &String| head == "cache-control: no-cache";
    assert!(unhashed.head.iter().any(asked), "{:?}", unhashed.head);
}

#[test]
fn a_method_that_is_not_known_names_the_one_that_is() {
    let server = Server::fake(LONG);
    let reply = request(server.address, "GET", "/api/stop", "", "");
    assert_eq!(reply.status, 405);
    assert!(reply.head.iter().any(|head| head == "allow: post"));
    let head = request(server.address, "HEAD", "/page.html", "", "");
    assert_eq!(head.status, 200);
}

/// serde takes the fields of a struct from a list too.
#[test]
fn a_wish_is_an_object() {
    let server = Server::fake(LONG);
    let list = "[\"stage1-fake\",\"quick\",\"run\",1,1,\"\"]";
    let (status, text) = server.post("/api/run", list);
    assert_eq!(status, 400, "{text}");
    assert!(text.contains("not a JSON object"), "{text}");
}

/// A server with short limits.
fn hasty(connections: usize) -> Server {
    let limits = Limits {
        cargo: fixture().join("cargo"),
        ..Limits::default()
    };
    let patience = Patience {
        head: Duration::from_millis(300),
        body: Duration::from_millis(300),
        write: Duration::from_millis(300),
        connections,
        ..Patience::default()
    };
    Server::patient(Workspace::at(fixture()), limits, patience)
}

/// What the server sends until it closes the connection.
fn until_closed(server: &Server, said: &str) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.write_all(said.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("still open: {error}"),
    }
    String::from_utf8_lossy(&bytes).to_string()
}

#[test]
fn nothing_is_waited_for_without_end() {
    let server = hasty(64);
    let host = format!("Host: {}\r\n", server.address);
    for half in ["", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: x\r\nX: "] {
        assert_eq!(until_closed(&server, half), "", "{half:?}");
    }
    // The wait for a second request on the same connection is one, too.
    let whole = format!("GET /api/status HTTP/1.1\r\n{host}\r\n");
    assert!(until_closed(&server, &whole).starts_with("HTTP/1.1 200"));
    let token = server.app.guard.token();
    let post = format!(
        "POST /api/run HTTP/1.1\r\n{host}x-safepoint: 1\r\nx-safepoint-token: {token}\r\nContent-Length: 100\r\n\r\n{{"
    );
    let answer = until_closed(&server, &post);
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("did not come to its end"), "{answer}");
}

#[test]
fn a_client_that_takes_nothing_loses_its_run() {
    let server = hasty(64);
    let mut run = server.open("/api/run", &order("flood", ""));
    run.until("0123");
    // The program prints more than the limit, the page takes nothing more: the place is
    // free again all the same.
    soon("the place is free", || {
        server.get("/api/status").1.contains("\"running\":null")
    });
}

#[test]
fn idle_connections_do_not_lock_others_out() {
    let server = hasty(4);
    let idle: Vec<TcpStream> = (0..12)
        .map(|_| TcpStream::connect(server.address).unwrap())
        .collect();
    assert_eq!(server.get("/api/status").0, 200);
    drop(idle);
}

/// A file that never comes to its end is not read, and meanwhile the others are served.
#[test]
fn what_is_no_file_is_not_read() {
    let root = super::support::lesson("fifo");
    let server = Server::start(Workspace::at(&root), Limits::default());
    let file = root.join("exercises/.progress.toml");
    let fifo = |path: &std::path::Path| {
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
    };
    fifo(&file);
    for _ in 0..12 {
        let (status, text) = server.get("/api/progress");
        assert_eq!(status, 200);
        assert!(text.contains("\"exercises\":{}"), "{text}");
    }
    fs::remove_file(&file).unwrap();
    let long = format!(
        "[half-plus-one]\nsolved = true\n# {}\n",
        "x".repeat(2 << 20)
    );
    fs::write(&file, long).unwrap();
    let (_, text) = server.get("/api/progress");
    assert!(text.contains("\"exercises\":{}"), "{text}");

    let server = Server::fake(LONG);
    let events = server.run("fifo", "");
    assert_eq!(lines(&events, "note"), ["It wrote no trace."]);
    assert_eq!(lines(&server.run("quick", ""), "out"), ["hello "]);
}

/// A full disk is not a different schedule.
#[test]
fn a_trace_that_is_not_whole_is_not_compared() {
    let server = Server::fake(LONG);
    let order = order("empty", "").replace("\"run\"", "\"replay\"");
    let (_, text) = server.post("/api/run", &order);
    assert!(text.contains("Its trace is not whole."), "{text}");
    let end: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert!(end["same"].is_null() && end["trace"].is_null(), "{end}");
    assert_eq!(end["why"], "its trace is not whole");
}

/// While all of a stage is built in the background, which never ends here, a reader gets the
/// one example that was asked for, and is told how far that is.
#[test]
fn a_run_waits_for_its_own_example_only() {
    let server = Server::fake(LONG);
    server.background(Some(("stage1-fake", "quick")));
    soon("the stage is being built", || {
        server.get("/api/status").1.contains("Compiling everything")
    });
    let events = server.run("counted", "");
    assert_eq!(
        lines(&events, "build"),
        ["step 3 of 20 (libc, nix)", "Compiling counted"]
    );
    assert_eq!(lines(&events, "out"), ["built"]);
    soon("the stage is being built again", || {
        server.get("/api/status").1.contains("Compiling everything")
    });
}

/// A run of what is being built anyway waits for that build.
#[test]
fn the_first_example_is_not_built_twice_at_once() {
    let server = Server::fake(LONG);
    server.background(Some(("stage1-fake", "endless")));
    soon("it is being built", || {
        server.get("/api/status").1.contains("child ")
    });
    let mut run = server.open("/api/run", &order("endless", ""));
    let seen = run.until("child ");
    assert_eq!(server.post("/api/stop", "").0, 200);
    assert!(run.rest().contains("Stopped before it started."));
    let pid = seen.split("child ").nth(1).unwrap();
    let pid = pid.split('"').next().unwrap();
    assert!(!gone(pid), "the background goes on");
    assert_eq!(lines(&server.run("quick", ""), "out"), ["hello "]);
    soon("what is in the way of another is ended", || gone(pid));
}
