//! A real browser, driven by `chromedriver` (plain HTTP with JSON), where both are installed.
//!
//! To start one takes longer than most tests, so a browser is used by one test after another. Each
//! gets a window of its own, and a server of its own too: what a page stores belongs to the
//! server's address. A browser ends with a failed test, and with this program, however it ends.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::support::request;

/// A program of this name in the search path.
fn installed(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .flat_map(|dir| names.iter().map(move |name| dir.join(name)))
        .find(|file| file.is_file())
}

/// The driver `$1` with the folder `$2`. Its many processes are a group, which ends, and the
/// folder with it, as soon as the input does: we have dropped it, or are gone. A process that was
/// told to die may write for a moment yet.
const KEEPER: &str = r#"
setsid "$1" --port=0 </dev/null 2>/dev/null &
exec >/dev/null
cat
kill -s KILL -- "-$!"
n=0
while ! rm -rf "$2" && [ $n -lt 500 ]; do sleep 0.02; n=$((n + 1)); done
"#;

/// A driver and its browser. What they write is in a folder of their own: the profile, and what
/// they think is the system's folder for temporary files.
struct Running {
    keeper: Child,
    address: SocketAddr,
    session: String,
    folder: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

impl Running {
    fn start(driver: &Path, browser: &Path) -> Result<Running, String> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let n = NEXT.fetch_add(1, SeqCst);
        // Short, since there are sockets in it.
        let name = format!("safepoint-browser-{}-{n}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(folder.join("tmp")).map_err(|error| error.to_string())?;
        let mut keeper = Command::new("/bin/sh")
            .args(["-c", KEEPER, "sh"])
            .args([driver, &folder])
            .env("TMPDIR", folder.join("tmp"))
            // A key for this program is none for them.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let out = keeper.stdout.take().ok_or("no output")?;
        let mut started = Running {
            keeper,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            session: String::new(),
            folder,
        };
        let port = BufReader::new(out)
            .lines()
            .map_while(Result::ok)
            .find_map(|line| {
                let rest = line.split("started successfully on port ").nth(1)?;
                rest.trim_end_matches('.').parse().ok()
            })
            .ok_or("chromedriver did not start")?;
        started.address.set_port(port);
        let answer = started.call(
            "POST",
            "/session",
            &json!({"capabilities": {"alwaysMatch": {
                "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
                "goog:chromeOptions": {
                    "binary": browser,
                    "args": [
                        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
                        "--no-first-run", "--disable-background-networking",
                        "--disable-component-update", "--disable-sync",
                        format!("--user-data-dir={}", started.folder.join("profile").display()),
                    ],
                },
            }}}),
        );
        match answer["sessionId"].as_str() {
            Some(id) => {
                started.session = format!("/session/{id}");
                Ok(started)
            }
            None => Err(format!("chromium did not start: {answer}")),
        }
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = match method {
            "POST" => body.to_string(),
            _ => String::new(),
        };
        let path = format!("{}{path}", self.session);
        let text = request(self.address, method, &path, "", &body).rest();
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        answer["value"].clone()
    }

    /// Another window in place of the last one, and nothing that pages of `origins` have stored.
    fn fresh(&self, origins: &BTreeSet<String>) {
        for origin in origins {
            let params = json!({"origin": origin, "storageTypes": "all"});
            let body = json!({"cmd": "Storage.clearDataForOrigin", "params": params});
            let answer = self.call("POST", "/goog/cdp/execute", &body);
            assert_eq!(answer, json!({}), "{origin}");
        }
        let new = self.call("POST", "/window/new", &json!({"type": "window"}));
        self.call("DELETE", "/window", &Value::Null);
        let answer = self.call("POST", "/window", &json!({"handle": new["handle"]}));
        assert!(answer.is_null(), "{answer}");
        for kind in ["browser", "performance"] {
            self.call("POST", "/se/log", &json!({"type": kind}));
        }
    }
}

/// A window of a browser, as wide as a phone's.
pub struct Browser {
    /// `Some` until it is dropped.
    running: Option<Running>,
    place: MutexGuard<'static, Option<Running>>,
    origins: RefCell<BTreeSet<String>>,
}

/// Two browsers at once: while one starts or loads, the other is looked at. More would only slow
/// each other down. Between two tests a browser is here.
static PLACES: [Mutex<Option<Running>>; 2] = [const { Mutex::new(None) }; 2];

impl Browser {
    /// A browser, or `None` with one line why there is none here.
    pub fn get() -> Option<Browser> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let found = (
            installed(&["chromedriver"]),
            installed(&["chromium", "chromium-browser", "google-chrome"]),
        );
        let (Some(driver), Some(chromium)) = found else {
            eprintln!("skipped: the browser tests need chromium and chromedriver");
            return None;
        };
        let place = &PLACES[NEXT.fetch_add(1, SeqCst) % PLACES.len()];
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        let running = match place.take() {
            Some(running) => Ok(running),
            None => Running::start(&driver, &chromium),
        };
        let running = match running {
            Ok(running) => running,
            Err(why) => {
                eprintln!("skipped: the browser cannot be driven here ({why})");
                return None;
            }
        };
        let browser = Browser {
            running: Some(running),
            place,
            origins: RefCell::default(),
        };
        browser.width(390);
        Some(browser)
    }

    /// Ends the browser; the next test starts another.
    pub fn end(mut self) {
        self.running = None;
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("it is not dropped")
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        self.running().call(method, path, body)
    }

    /// Its folder, and the one in it for temporary files.
    pub fn folders(&self) -> [PathBuf; 2] {
        let folder = &self.running().folder;
        [folder.clone(), folder.join("tmp")]
    }

    pub fn open(&self, url: &str) {
        let origin = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        if origin.starts_with("http") {
            self.origins.borrow_mut().insert(origin);
        }
        self.call("POST", "/url", &json!({"url": url}));
    }

    /// The value of a script in the page.
    pub fn script(&self, script: &str) -> Value {
        let body = json!({"script": script, "args": []});
        self.call("POST", "/execute/sync", &body)
    }

    /// A click as a reader makes it: it fails when the button is hidden or covered.
    pub fn click(&self, css: &str) {
        let body = json!({"using": "css selector", "value": css});
        let found = self.call("POST", "/element", &body);
        let id = found
            .as_object()
            .and_then(|element| element.values().next())
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("no {css}: {found}"));
        let answer = self.call("POST", &format!("/element/{id}/click"), &json!({}));
        assert!(answer.is_null(), "{css}: {answer}");
    }

    /// Waits until a script says true.
    pub fn until(&self, what: &str, script: &str) {
        let start = Instant::now();
        while self.script(script) != Value::Bool(true) {
            let status = self.script("return (document.querySelector('.sp-panel') || document.body).innerText.slice(0, 800)");
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "never: {what}; {status}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Makes the window so many pixels wide.
    pub fn width(&self, width: u32) {
        let body = json!({"width": width, "height": 800});
        self.call("POST", "/window/rect", &body);
    }

    /// Opens pages without their scripts from now on. `script` and `click` do not work then,
    /// because the driver's own scripts wait for promises; `value` does.
    pub fn without_scripts(&self) {
        let params = json!({"value": true});
        let answer = self.tools("Emulation.setScriptExecutionDisabled", &params);
        assert_eq!(answer, json!({}), "scripts are off");
    }

    /// The value of an expression, from the browser's tools for developers.
    pub fn value(&self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true});
        let answer = self.tools("Runtime.evaluate", &params);
        assert!(answer["exceptionDetails"].is_null(), "{answer}");
        answer["result"]["value"].clone()
    }

    fn tools(&self, command: &str, params: &Value) -> Value {
        let body = json!({"cmd": command, "params": params});
        self.call("POST", "/goog/cdp/execute", &body)
    }

    /// Presses keys, one after the other, as a reader at the keyboard does. A name such as
    /// `Shift+ArrowRight` holds the first key meanwhile.
    pub fn keys(&self, names: &[&str]) {
        let code = |name: &str| {
            let code = match name {
                "Tab" => '\u{e004}',
                "Enter" => '\u{e007}',
                "Shift" => '\u{e008}',
                "Space" => '\u{e00d}',
                "End" => '\u{e010}',
                "Home" => '\u{e011}',
                "ArrowLeft" => '\u{e012}',
                "ArrowUp" => '\u{e013}',
                "ArrowRight" => '\u{e014}',
                "ArrowDown" => '\u{e015}',
                _ => panic!("no key {name}"),
            };
            code.to_string()
        };
        let mut actions = Vec::new();
        for name in names {
            let parts: Vec<String> = name.split('+').map(code).collect();
            for part in &parts {
                actions.push(json!({"type": "keyDown", "value": part}));
            }
            for part in parts.iter().rev() {
                actions.push(json!({"type": "keyUp", "value": part}));
            }
        }
        let body = json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]});
        let answer = self.call("POST", "/actions", &body);
        assert!(answer.is_null(), "{names:?}: {answer}");
    }

    /// Nothing was complained about, and only `ours` was asked. Returns how often.
    pub fn quiet_and_local(&self, ours: &str) -> usize {
        let errors: Vec<Value> = self
            .log("browser")
            .into_iter()
            .filter(|entry| entry["level"] == "SEVERE")
            // The browser's own start page may complain about itself.
            .filter(|entry| {
                !entry["message"]
                    .as_str()
                    .is_some_and(|text| text.starts_with("chrome://"))
            })
            .collect();
        assert!(errors.is_empty(), "the page complains: {errors:?}");
        let mut requests = 0;
        for entry in self.log("performance") {
            let message: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
            let message = &message["message"];
            if message["method"] != "Network.requestWillBeSent" {
                continue;
            }
            let params = &message["params"];
            // The browser's own start page is none of our business.
            let page = params["documentURL"].as_str().unwrap_or("");
            if !page.starts_with(ours) {
                continue;
            }
            let url = params["request"]["url"].as_str().unwrap_or("");
            assert!(
                url.starts_with(ours) || url.starts_with("data:"),
                "{page} asked for {url}"
            );
            requests += 1;
        }
        requests
    }

    pub fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.call("POST", "/se/log", &json!({"type": kind}));
        entries.as_array().cloned().unwrap_or_default()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        // After a failure it is in any state.
        if !std::thread::panicking() {
            running.fresh(&self.origins.borrow());
            *self.place = Some(running);
        }
    }
}
