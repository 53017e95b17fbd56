//! A real browser, driven by `chromedriver` (plain HTTP with JSON), where both are installed.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::support::request;

/// A program of this name in the search path.
fn installed(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .flat_map(|dir| names.iter().map(move |name| dir.join(name)))
        .find(|file| file.is_file())
}

/// Where a browser writes: its profile, and what it thinks is the system's folder for temporary
/// files. Short, since there are sockets in it. Gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(n: usize) -> std::io::Result<Folder> {
        let name = format!("safepoint-browser-{}-{n}", std::process::id());
        let folder = Folder(std::env::temp_dir().join(name));
        std::fs::create_dir_all(folder.temporary())?;
        Ok(folder)
    }

    fn profile(&self) -> PathBuf {
        self.0.join("profile")
    }

    fn temporary(&self) -> PathBuf {
        self.0.join("tmp")
    }
}

impl Drop for Folder {
    /// The browser's processes were told to die, and may write for a moment yet.
    fn drop(&mut self) {
        let start = Instant::now();
        while std::fs::remove_dir_all(&self.0).is_err()
            && self.0.exists()
            && start.elapsed() < Duration::from_secs(10)
        {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A browser session; driver and browser end with it.
pub struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    folder: Folder,
    _turn: MutexGuard<'static, ()>,
}

/// Two browsers at once: while one starts or loads, the other is looked at. More would only slow
/// each other down.
static TURNS: [Mutex<()>; 2] = [const { Mutex::new(()) }; 2];
static NEXT: AtomicUsize = AtomicUsize::new(0);

impl Browser {
    /// A browser, or `None` with one line why there is none here.
    pub fn get() -> Option<Browser> {
        let found = (
            installed(&["chromedriver"]),
            installed(&["chromium", "chromium-browser", "google-chrome"]),
        );
        let (Some(driver), Some(chromium)) = found else {
            eprintln!("skipped: the browser tests need chromium and chromedriver");
            return None;
        };
        let n = NEXT.fetch_add(1, SeqCst);
        let turn = TURNS[n % TURNS.len()]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match Browser::start(&driver, &chromium, n, turn) {
            Ok(browser) => Some(browser),
            Err(why) => {
                eprintln!("skipped: the browser cannot be driven here ({why})");
                None
            }
        }
    }

    fn start(
        driver: &Path,
        browser: &Path,
        n: usize,
        turn: MutexGuard<'static, ()>,
    ) -> Result<Browser, String> {
        let folder = Folder::new(n).map_err(|error| error.to_string())?;
        // A group of its own: the browser's many processes end with the driver. Both make
        // folders for temporary files, and leave them there if they are ended by force.
        let mut child = Command::new(driver)
            .arg("--port=0")
            .env("TMPDIR", folder.temporary())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|error| error.to_string())?;
        let out = child.stdout.take().ok_or("no output")?;
        let mut started = Browser {
            driver: child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            session: String::new(),
            folder,
            _turn: turn,
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
                        "--window-size=390,800",
                        format!("--user-data-dir={}", started.folder.profile().display()),
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
        let body = if method == "GET" {
            String::new()
        } else {
            body.to_string()
        };
        let text = request(self.address, method, path, "", &body).rest();
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        answer["value"].clone()
    }

    /// Its folder, and the one in it for temporary files.
    pub fn folders(&self) -> [PathBuf; 2] {
        [self.folder.0.clone(), self.folder.temporary()]
    }

    pub fn open(&self, url: &str) {
        self.call(
            "POST",
            &format!("{}/url", self.session),
            &json!({"url": url}),
        );
    }

    /// The value of a script in the page.
    pub fn script(&self, script: &str) -> Value {
        let body = json!({"script": script, "args": []});
        self.call("POST", &format!("{}/execute/sync", self.session), &body)
    }

    /// A click as a reader makes it: it fails when the button is hidden or covered.
    pub fn click(&self, css: &str) {
        let body = json!({"using": "css selector", "value": css});
        let found = self.call("POST", &format!("{}/element", self.session), &body);
        let id = found
            .as_object()
            .and_then(|element| element.values().next())
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("no {css}: {found}"));
        let answer = self.call(
            "POST",
            &format!("{}/element/{id}/click", self.session),
            &json!({}),
        );
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
        self.call("POST", &format!("{}/window/rect", self.session), &body);
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
        self.call("POST", &format!("{}/goog/cdp/execute", self.session), &body)
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
        let answer = self.call("POST", &format!("{}/actions", self.session), &body);
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
        let path = format!("{}/se/log", self.session);
        let entries = self.call("POST", &path, &json!({"type": kind}));
        entries.as_array().cloned().unwrap_or_default()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            self.call("DELETE", &self.session, &Value::Null);
        }
        if let Ok(id) = i32::try_from(self.driver.id()) {
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
        let _ = self.driver.wait();
        // Its folder is dropped next, and only then is it the next browser's turn.
    }
}
