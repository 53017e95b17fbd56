//! The program itself: its lines, its exit codes, its end.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use safepoint_book::workspace::Workspace;

use super::api::{gone, soon};
use super::support::{fixture, lesson, order, repository, request, script};

fn book() -> Command {
    let mut command = Command::new(super::support::program());
    command
        .arg("--root")
        .arg(fixture())
        .env("CARGO", fixture().join("cargo"));
    command
}

fn output(args: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = book().args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// Cargo builds the dev-dependencies of a package before any of its examples, so a reader who
/// presses Run would wait for whatever a benchmark or a test of the stage needs. What an example
/// itself names is another matter.
#[test]
fn an_example_needs_nothing_but_its_stages() {
    let root = repository();
    for stage in Workspace::at(&root).stages() {
        let manifest = fs::read_to_string(root.join(&stage).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let examples: String = fs::read_dir(root.join(&stage).join("examples"))
            .map(|files| {
                files
                    .flatten()
                    .filter_map(|f| fs::read_to_string(f.path()).ok())
            })
            .map_or_else(|_| String::new(), Iterator::collect);
        let needs = manifest.get("dev-dependencies").and_then(|d| d.as_table());
        for name in needs.into_iter().flat_map(|table| table.keys()) {
            assert!(
                examples.contains(&format!("{}::", name.replace('-', "_"))),
                "{stage}, {name}: a benchmark belongs to tests/benches, a test to tests"
            );
        }
    }
}

/// A linker is all that README asks for. These bring C or assembler files, or much to compile
/// for what a few lines do.
#[test]
fn the_book_needs_no_c_compiler() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let tree = Command::new(cargo)
        .args([
            "tree",
            "-p",
            "book",
            "-e",
            "normal,build",
            "--prefix",
            "none",
            "--offline",
        ])
        .current_dir(repository())
        .output()
        .unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.contains("mdbook-driver v"), "{tree}");
    for kept_out in ["cc", "psm", "stacker", "object", "axum", "criterion"] {
        let line = format!("{kept_out} v");
        assert!(
            !tree.lines().any(|name| name.starts_with(&line)),
            "{kept_out}"
        );
    }
}

#[test]
fn a_taken_port_is_one_line() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, _, err) = output(&["--port", &port]);
    assert_eq!(code, Some(1));
    assert_eq!(
        err,
        format!(
            "Safepoint: port {port} is taken; choose another with --port N, or --port 0 for any free one\n"
        )
    );
}

#[test]
fn wrong_flags_and_values_end_with_2() {
    for args in [
        &["--port", "99999"][..],
        &["--allow-host", "http://x"],
        &["--allow-host", "."],
        &["--allow-host=-"],
        &["--allow-host", "a..b"],
        &["--allow-host", "a-.b"],
        &["--out", "/tmp/x"],
        &["--build-only", "--open"],
        &["--nonsense"],
    ] {
        let (code, out, err) = output(args);
        assert_eq!(code, Some(2), "{args:?}: {err}");
        assert!(
            out.is_empty() && err.starts_with("error: "),
            "{args:?}: {err}"
        );
    }
}

#[test]
fn it_says_where_serves_and_ends_in_order() {
    for signal in ["-INT", "-TERM", "-HUP", "-QUIT"] {
        let mut child = book()
            .args(["--port", "0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let address = line
            .strip_prefix("Safepoint: reading at http://")
            .and_then(|rest| rest.strip_suffix(" (Ctrl-C ends)\n"))
            .unwrap_or_else(|| panic!("{line}"));
        let page = request(address.parse().unwrap(), "GET", "/page.html", "", "").rest();
        assert!(page.contains("The page"));
        let pid = child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(child.wait().unwrap().code(), Some(0), "{signal}");
        let (mut more, mut err) = (String::new(), String::new());
        out.read_to_string(&mut more).unwrap();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut err)
            .unwrap();
        assert_eq!(more, "");
        // The pages of the scripts' workspace are never kept: it has no folder `target`.
        assert_eq!(err, "Safepoint: building the pages (only after a change)\n");
        assert!(!leaves_a_folder(child.id()));
    }
}

/// Ctrl-C is heard while the pages are built, however long that takes: nothing is served or
/// opened afterwards, and no folder stays.
#[test]
fn a_signal_while_the_pages_are_built() {
    let root = lesson("slow");
    let (chapter, opened) = (root.join("book/chapters/other.md"), root.join("opened"));
    script(&root.join("bin/xdg-open"), "echo \"$1\" > \"$OPENED\"\n");
    let path = format!(
        "{}:{}",
        root.join("bin").display(),
        std::env::var("PATH").unwrap()
    );
    let start = || {
        let mut child = Command::new(super::support::program())
            .args(["--port", "0", "--open", "--root"])
            .arg(&root)
            .env("PATH", &path)
            .env("OPENED", &opened)
            .env("CARGO", fixture().join("cargo"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut err = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        err.read_line(&mut line).unwrap();
        assert!(line.contains("building the pages"), "{line}");
        (child, err)
    };
    let interrupt = |child: &std::process::Child| {
        let pid = child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &pid])
                .status()
                .unwrap()
                .success()
        );
    };
    // A chapter that nothing ever comes out of.
    fs::remove_file(&chapter).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(&chapter)
            .status()
            .unwrap()
            .success()
    );
    let (mut child, _err) = start();
    interrupt(&child);
    let mut code = None;
    soon("it ends", || {
        code = child.try_wait().unwrap();
        code.is_some()
    });
    assert_eq!(code.unwrap().code(), Some(0));
    let mut said = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(said, "");
    assert!(!opened.exists(), "the browser");
    assert!(!leaves_a_folder(child.id()));
    // With a chapter that can be read the browser is told.
    fs::remove_file(&chapter).unwrap();
    fs::write(&chapter, "# Other\n").unwrap();
    let (mut child, _err) = start();
    soon("the browser opens", || opened.exists());
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_stock_command_finds_the_preprocessor() {
    assert_eq!(output(&["preprocess", "supports", "html"]).0, Some(0));
    assert_eq!(output(&["supports", "epub"]).0, Some(1));
    let (code, _, err) = output(&["preprocess"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("called by mdbook"), "{err}");
}

/// As the stock `mdbook` command does it: two child processes, the book as JSON.
#[test]
fn the_stock_command_builds_the_same_pages() {
    use mdbook_driver::MDBook;
    use mdbook_driver::config::Config;

    let root = fixture().join("book");
    let out = super::support::scratch().join("stock");
    let mut config = Config::from_disk(root.join("book.toml")).unwrap();
    let command = format!(
        "'{}' --root '{}' preprocess",
        super::support::program().display(),
        fixture().display()
    );
    config
        .set("preprocessor.safepoint.command", command)
        .unwrap();
    config.build.build_dir = out.clone();
    MDBook::load_with_config(&root, config)
        .unwrap()
        .build()
        .unwrap();
    let page = std::fs::read_to_string(out.join("page.html")).unwrap();
    assert!(page.contains("data-name=\"quick\"") && page.contains("<svg"));
}

/// Starts a server, and an order that goes to `until`; says the server's process, the line,
/// and keeps the stream open.
fn busy(name: &str, until: &str) -> (std::process::Child, String, super::support::Reply) {
    fs::create_dir_all(busy_folder(name)).unwrap();
    let mut child = book()
        .args(["--port", "0"])
        .env("TMPDIR", busy_folder(name))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    let address = line.strip_prefix("Safepoint: reading at http://").unwrap();
    let address = address.split(' ').next().unwrap().parse().unwrap();
    let page = request(address, "GET", "/page.html", "", "").rest();
    let token = page.split("safepoint-token\" content=\"").nth(1).unwrap();
    let token = token.split('"').next().unwrap();
    let headers = format!("x-safepoint: 1\r\nx-safepoint-token: {token}\r\n");
    let mut reply = request(address, "POST", "/api/run", &headers, &order(name, ""));
    let seen = reply.until(until);
    (child, seen, reply)
}

/// Where a server that runs this program makes its folders. A start sweeps what killed servers
/// left, so the servers of other tests, which start meanwhile, must not look there.
fn busy_folder(name: &str) -> PathBuf {
    super::support::scratch().join(format!("busy-{name}"))
}

/// The folders for pages and traces carry the number of their process.
fn leaves_a_folder(pid: u32) -> bool {
    let name = format!("safepoint-book-{pid}-");
    let busy = ["hang", "endless", "flag"].map(busy_folder);
    let places = [std::env::temp_dir()].into_iter().chain(busy);
    let mut all = places.flat_map(fs::read_dir).flatten().flatten();
    all.any(|entry| entry.file_name().to_string_lossy().starts_with(&name))
}

/// The processes that this one has started.
fn children(pid: u32) -> Vec<String> {
    let mut found = Vec::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten() {
        let list = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        found.extend(list.split_whitespace().map(str::to_string));
    }
    found
}

/// A server that is killed leaves nothing behind: no example, no build, nothing that they
/// started, and no folder.
#[test]
fn a_killed_server_leaves_nothing() {
    for name in ["hang", "endless"] {
        let (mut server, seen, reply) = busy(name, "child ");
        let grandchild = seen.split("child ").nth(1).unwrap();
        let grandchild = grandchild.split('"').next().unwrap();
        let mut all = children(server.id());
        assert!(all.len() >= 2, "the program and the keeper: {all:?}");
        all.push(grandchild.to_string());
        server.kill().unwrap();
        server.wait().unwrap();
        soon("everything ends", || all.iter().all(|pid| gone(pid)));
        assert!(!leaves_a_folder(server.id()));
        drop(reply);
    }
}

/// Even without its second process the program itself ends with the server.
#[test]
fn the_program_ends_with_a_killed_server() {
    let (mut server, _, reply) = busy("flag", "ready");
    // The third is a build in the background.
    let all = children(server.id());
    let called = |what: &str| -> Vec<&String> {
        let is = |pid: &&String| {
            let args = fs::read_to_string(format!("/proc/{pid}/cmdline"));
            args.is_ok_and(|args| args.contains(what))
        };
        all.iter().filter(is).collect()
    };
    let (keeper, program) = (called("\0keep\0"), called("/bin/flag\0"));
    assert_eq!((keeper.len(), program.len()), (1, 1), "{all:?}");
    let killed = Command::new("kill").args(["-9", keeper[0]]).status();
    assert!(killed.unwrap().success());
    server.kill().unwrap();
    server.wait().unwrap();
    soon("the program ends", || gone(program[0]));
    drop(reply);
    // The children of its build in the background were the keeper's to end.
    for pid in all.iter().filter(|pid| *pid != keeper[0]) {
        let group = format!("-{pid}");
        let _ = Command::new("kill").args(["-9", "--", &group]).output();
    }
    // The next start sweeps what this one left.
    assert!(leaves_a_folder(server.id()));
    let (mut next, _, reply) = busy("flag", "ready");
    assert!(!leaves_a_folder(server.id()));
    drop(reply);
    next.kill().unwrap();
    next.wait().unwrap();
}
