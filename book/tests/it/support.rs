//! A small workspace with programs that misbehave, a server for it, and a plain HTTP client.
//!
//! The programs are shell scripts, and so is the `cargo` that "builds" them: the tests are
//! about the server, and a script can hang, flood or ignore things in one line.
#![cfg_attr(not(unix), allow(dead_code))]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use safepoint_book::run::Limits;
use safepoint_book::web::{App, Patience, answer_all};
use safepoint_book::workspace::Workspace;
use serde_json::Value;

/// The repository that this test belongs to.
pub fn repository() -> PathBuf {
    Workspace::find().root
}

/// The book's program, beside the folder of this test: PROFILE/book and PROFILE/deps. Asked
/// when it runs, since a checkout may be moved or copied after it was built.
pub fn program() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    exe.ancestors().nth(2).unwrap().join("book")
}

/// A folder for what these tests write: `tmp` in the target folder.
pub fn scratch() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    exe.ancestors().nth(3).unwrap().join("tmp")
}

const TRACE: &str = "# safepoint trace v1  stage1-fake quick  procs=1 seed=1\n    0.000  m0  p0  --   GoStart      g1\n    1.000  m0  p0  g1   GoEnd\n";

/// Name and body of each program.
const PROGRAMS: [(&str, &str); 11] = [
    (
        "quick",
        "echo \"hello $1\"\necho \"warned\" >&2\n[ -n \"$GODEBUG$SAFEPOINT_OTHER\" ] && echo \"leaked\"\nprintf '%s' \"$TEXT\" > \"$SAFEPOINT_TRACE\"\n",
    ),
    (
        "env",
        "echo \"seed=$SAFEPOINT_SEED procs=$GOMAXPROCS trace=$SAFEPOINT_TRACE\"\nexit 3\n",
    ),
    ("hang", "sleep 600 &\necho \"child $!\"\nwait\n"),
    (
        "flood",
        "while :; do echo 0123456789012345678901234567890123456789; done\n",
    ),
    (
        "flag",
        "trap 'echo heard; exit 0' INT\necho ready\nwhile :; do sleep 0.02; done\n",
    ),
    ("partial", "printf 'no newline'\n"),
    ("broken", ""),
    // Its build never ends, and has a child of its own.
    ("endless", ""),
    // Its build says how far it is.
    ("counted", "echo built\n"),
    (
        "fifo",
        "rm -f \"$SAFEPOINT_TRACE\"\nmkfifo \"$SAFEPOINT_TRACE\"\n",
    ),
    // As on a disk that is full.
    ("empty", "echo \"hello \"\n: > \"$SAFEPOINT_TRACE\"\n"),
];

/// The workspace, made once for all tests of this run.
pub fn fixture() -> &'static Path {
    static FIXTURE: OnceLock<PathBuf> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let root = scratch().join("fixture");
        let _ = fs::remove_dir_all(&root);
        let bin = root.join("bin");
        // The real settings and the real scripts of the pages, with a page of our own.
        let real = repository().join("book");
        let copy = |file: &Path| {
            let text = fs::read_to_string(real.join(file)).unwrap();
            write(&root.join("book").join(file), &text);
        };
        copy(Path::new("book.toml"));
        for folder in ["assets", "figures"] {
            for entry in fs::read_dir(real.join(folder)).unwrap().flatten() {
                copy(&Path::new(folder).join(entry.file_name()));
            }
        }
        write(&root.join("book/chapters/SUMMARY.md"), "# Summary\n\n- [Page](page.md)\n");
        write(&root.join("book/chapters/page.md"), "# The page\n\n{{#example stage1-fake/quick nolisting}}\n\n{{#example stage1-fake/flag nolisting}}\n");
        write(&root.join("stage1-fake/Cargo.toml"), "");
        let text = TRACE.replace('\n', "\\n");
        for (name, body) in PROGRAMS {
            let mut source = "//! A program of the tests.\n//! Try: --loud\n".to_string();
            if name == "flag" {
                source.push_str("// third_party(: it can be asked to raise it\n");
            }
            write(&root.join(format!("stage1-fake/examples/{name}.rs")), &source);
            let body = body.replace("\"$TEXT\"", "").replace("'%s'", &format!("'{text}'"));
            script(&bin.join(name), &body);
        }
        let snapshot = format!("---\nsource: x\n---\nexit 0\n--- output\nhello \n--- trace\n{TRACE}");
        for name in ["quick", "flag", "empty"] {
            let file = format!("tests/snapshots/stage1-fake__{name}__p1__seed1.snap");
            write(&root.join(file), &snapshot);
        }
        // `cargo build -p PKG --example NAME ...`, or `--examples` of a stage, which never ends.
        script(&root.join("cargo"), &format!(
            "[ \"$4\" = --examples ] && {{ echo '   Compiling everything' >&2; sleep 600 & wait; }}\n[ \"$5\" = endless ] && {{ sleep 600 & echo \"child $!\" >&2; wait; }}\n[ \"$5\" = counted ] && printf '    Building [==>  ] 3/20: libc, nix\\r' >&2\n[ \"$5\" = broken ] && {{ echo 'error: no such thing' >&2; exit 101; }}\necho \"   Compiling $5\" >&2\necho '{{\"reason\":\"compiler-artifact\",\"target\":{{\"kind\":[\"example\"],\"name\":\"'$5'\"}},\"executable\":\"{}/'$5'\"}}'\n",
            bin.display()
        ));
        root
    })
}

/// A workspace with one page of everything that a reader can operate: a question, a player,
/// a card. The example and its listing are real, the recorded run is the sample.
pub fn lesson(name: &str) -> PathBuf {
    let root = scratch().join(format!("lesson-{name}"));
    let _ = fs::remove_dir_all(&root);
    let real = repository();
    let mut files = vec![
        "book/book.toml".to_string(),
        "exercises/stage1/half-plus-one/exercise.toml".to_string(),
        "stage1-coop/examples/two_hogs.rs".to_string(),
        "tests/snapshots/legend__stage1-coop.snap".to_string(),
    ];
    for folder in ["book/assets", "book/figures"] {
        for entry in fs::read_dir(real.join(folder)).unwrap().flatten() {
            files.push(format!("{folder}/{}", entry.file_name().to_string_lossy()));
        }
    }
    for file in &files {
        let text = fs::read_to_string(real.join(file)).unwrap();
        write(&root.join(file), &text);
    }
    write(&root.join("stage1-coop/Cargo.toml"), "");
    write(
        &root.join("tests/snapshots/stage1-coop__two_hogs__p1__seed1.snap"),
        SAMPLE,
    );
    write(
        &root.join("book/chapters/SUMMARY.md"),
        "# Summary\n\n- [Page](page.md)\n- [Other](other.md)\n",
    );
    write(&root.join("book/chapters/other.md"), "# Other\n");
    write(&root.join("book/chapters/page.md"), LESSON);
    root
}

const SAMPLE: &str = include_str!("../samples/stage1-coop__two_hogs__p1__seed1.snap");
const LESSON: &str = "# The page\n\n{{#page core}}\n\n{{#predict count stage1-coop/two_hogs procs=1 GoPreempt}}\nHow often?\n\n- 0: Somebody asks.\n- 2: Once each eighth.\n- 9: Too often.\n{{/predict}}\n\n{{#player stage1-coop/two_hogs procs=1}}\n\n{{#exercise half-plus-one}}\n";

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Writes an executable script from another process: a file that this process holds open
/// for writing, while another thread forks, cannot be executed ("text file busy").
pub fn script(path: &Path, body: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let status = Command::new("/bin/sh")
        .arg("-c")
        .arg("printf '%s' \"$2\" > \"$1\" && chmod +x \"$1\"")
        .arg("sh")
        .arg(path)
        .arg(format!("#!/bin/sh\n{body}"))
        .status()
        .unwrap();
    assert!(status.success());
}

/// A server on a free port of this machine, gone when dropped.
pub struct Server {
    pub app: Arc<App>,
    pub address: SocketAddr,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Server {
    /// Serves the workspace with the scripts; `time` is the limit of a run.
    pub fn fake(time: Duration) -> Server {
        let limits = Limits {
            output: 8 * 1024,
            time,
            cargo: fixture().join("cargo"),
        };
        Server::start(Workspace::at(fixture()), limits)
    }

    /// Serves any workspace.
    pub fn start(ws: Workspace, limits: Limits) -> Server {
        Server::patient(ws, limits, Patience::default())
    }

    /// Serves with other limits for the clients.
    pub fn patient(ws: Workspace, limits: Limits, patience: Patience) -> Server {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let app = App::new(ws, vec!["box.example".to_string()], limits, patience).unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0)))
            .unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(answer_all(std::sync::Arc::clone(&app), listener));
        Server {
            app,
            address,
            runtime: Some(runtime),
        }
    }

    /// Begins the builds in the background; the first is of this example.
    pub fn background(&self, first: Option<(&str, &str)>) {
        let _in = self.runtime.as_ref().unwrap().enter();
        let first = first.map(|(pkg, name)| (pkg.to_string(), name.to_string()));
        self.app.runs.build_all(first);
    }

    /// A request as one of our own pages sends it.
    pub fn post(&self, path: &str, body: &str) -> (u16, String) {
        let mut reply = self.open(path, body);
        let status = reply.status;
        (status, reply.rest())
    }

    /// Starts a run and leaves its stream open.
    pub fn open(&self, path: &str, body: &str) -> Reply {
        let token = self.app.guard.token();
        let headers = format!("x-safepoint: 1\r\nx-safepoint-token: {token}\r\n");
        request(self.address, "POST", path, &headers, body)
    }

    /// A whole run: its events.
    pub fn run(&self, name: &str, more: &str) -> Vec<Value> {
        let (status, text) = self.post("/api/run", &order(name, more));
        assert_eq!(status, 200, "{text}");
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    pub fn get(&self, path: &str) -> (u16, String) {
        let mut reply = request(self.address, "GET", path, "", "");
        let status = reply.status;
        (status, reply.rest())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(2));
        }
    }
}

/// The JSON of an order; `more` begins with a comma or is empty.
pub fn order(name: &str, more: &str) -> String {
    format!("{{\"pkg\":\"stage1-fake\",\"example\":\"{name}\",\"mode\":\"run\"{more}}}")
}

/// The text of all events of one kind.
pub fn lines(events: &[Value], kind: &str) -> Vec<String> {
    events
        .iter()
        .filter(|event| event["t"] == kind)
        .map(|event| event["line"].as_str().unwrap_or("").to_string())
        .collect()
}

/// A response, read as it comes.
pub struct Reply {
    pub status: u16,
    /// The lines of the head, in small letters.
    pub head: Vec<String>,
    chunked: bool,
    length: Option<usize>,
    reader: BufReader<TcpStream>,
}

/// One request on a connection of its own.
pub fn request(address: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Reply {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let host = if headers.to_lowercase().contains("host:") {
        String::new()
    } else {
        format!("Host: {address}\r\n")
    };
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\n{host}{headers}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap().parse().unwrap();
    let (mut chunked, mut length, mut head) = (false, None, Vec::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim().to_lowercase();
        if line.is_empty() {
            break;
        }
        chunked |= line == "transfer-encoding: chunked";
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok();
        }
        head.push(line);
    }
    Reply {
        status,
        head,
        chunked,
        length,
        reader,
    }
}

impl Reply {
    /// The next chunk of a stream; `None` at its end.
    pub fn chunk(&mut self) -> Option<String> {
        let mut size = String::new();
        self.reader.read_line(&mut size).ok()?;
        let size = usize::from_str_radix(size.trim(), 16)
            .ok()
            .filter(|size| *size > 0)?;
        let mut bytes = vec![0; size + 2];
        self.reader.read_exact(&mut bytes).ok()?;
        bytes.truncate(size);
        String::from_utf8(bytes).ok()
    }

    /// Reads until a line of this text came.
    pub fn until(&mut self, text: &str) -> String {
        let mut seen = String::new();
        while !seen.contains(text) {
            match self.chunk() {
                Some(chunk) => seen.push_str(&chunk),
                None => panic!("no {text:?} in {seen}"),
            }
        }
        seen
    }

    /// All that is left.
    pub fn rest(&mut self) -> String {
        let mut text = String::new();
        if self.chunked {
            while let Some(chunk) = self.chunk() {
                text.push_str(&chunk);
            }
        } else if let Some(length) = self.length {
            let mut bytes = vec![0; length];
            self.reader.read_exact(&mut bytes).unwrap();
            text = String::from_utf8_lossy(&bytes).to_string();
        } else {
            let mut bytes = Vec::new();
            let _ = self.reader.read_to_end(&mut bytes);
            text = String::from_utf8_lossy(&bytes).to_string();
        }
        text
    }
}
