//! The pages in a real browser: the panel works and nothing leaves this machine.
//!
//! It drives `chromedriver` (plain HTTP with JSON) where chromium and chromedriver are
//! installed, and prints one line where they are not. The server is the one with the
//! scripts, so no stage is compiled for it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::support::{Server, request};

/// A program of this name in the search path.
fn installed(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .flat_map(|dir| names.iter().map(move |name| dir.join(name)))
        .find(|file| file.is_file())
}

/// A browser session; driver and browser end with it.
struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    profile: PathBuf,
}

impl Browser {
    fn start(driver: &Path, browser: &Path) -> Result<Browser, String> {
        let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join("profile");
        let _ = std::fs::remove_dir_all(&profile);
        // A group of its own: the browser's many processes end with the driver.
        let mut child = Command::new(driver)
            .arg("--port=0")
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
            profile,
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
                        format!("--user-data-dir={}", started.profile.display()),
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

    fn open(&self, url: &str) {
        self.call(
            "POST",
            &format!("{}/url", self.session),
            &json!({"url": url}),
        );
    }

    /// The value of a script in the page.
    fn script(&self, script: &str) -> Value {
        let body = json!({"script": script, "args": []});
        self.call("POST", &format!("{}/execute/sync", self.session), &body)
    }

    /// A click as a reader makes it: it fails when the button is hidden or covered.
    fn click(&self, css: &str) {
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
    fn until(&self, what: &str, script: &str) {
        let start = Instant::now();
        while self.script(script) != Value::Bool(true) {
            let status = self.script("return document.querySelector('.sp-panel').innerText");
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "never: {what}; {status}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn log(&self, kind: &str) -> Vec<Value> {
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
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

#[test]
fn the_panel_runs_replays_and_asks_nobody_else() {
    let (Some(driver), Some(chromium)) = (
        installed(&["chromedriver"]),
        installed(&["chromium", "chromium-browser", "google-chrome"]),
    ) else {
        eprintln!("skipped: the browser test needs chromium and chromedriver");
        return;
    };
    let server = Server::fake(Duration::from_secs(30));
    let browser = match Browser::start(&driver, &chromium) {
        Ok(browser) => browser,
        Err(why) => {
            eprintln!("skipped: the browser cannot be driven here ({why})");
            return;
        }
    };
    browser.open(&format!("http://{}/page.html", server.address));
    browser.until(
        "the panel is built",
        "return !!document.querySelector('.sp-go')",
    );
    assert_eq!(
        browser.script("return document.documentElement.scrollWidth <= window.innerWidth"),
        true,
        "the page fits a narrow screen"
    );

    browser.click(".sp-go");
    browser.until(
        "the run is over",
        "return !!document.querySelector('.sp-yours svg')",
    );
    let log = browser.script("return document.querySelector('.sp-log').innerText");
    assert!(
        log.as_str()
            .is_some_and(|log| log.contains("hello") && log.contains("warned")),
        "{log}"
    );
    assert_eq!(
        browser.script("return document.querySelectorAll('.sp-line-err').length"),
        1,
        "standard error is marked"
    );

    browser.click(".sp-pair button");
    browser.until(
        "the replay is equal",
        "return document.querySelector('.sp-status').textContent.includes('Equal to the recorded run')",
    );

    let errors: Vec<Value> = browser
        .log("browser")
        .into_iter()
        .filter(|e| e["level"] == "SEVERE")
        .collect();
    assert!(errors.is_empty(), "the page complains: {errors:?}");

    let mut requests = 0;
    for entry in browser.log("performance") {
        let message: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
        let message = &message["message"];
        if message["method"] == "Network.requestWillBeSent" {
            let ours = format!("http://{}/", server.address);
            let params = &message["params"];
            // The browser's own start page is none of our business.
            if !params["documentURL"]
                .as_str()
                .unwrap_or("")
                .starts_with(&ours)
            {
                continue;
            }
            let url = params["request"]["url"].as_str().unwrap_or("");
            assert!(
                url.starts_with(&ours) || url.starts_with("data:"),
                "asked for {url}"
            );
            requests += 1;
        }
    }
    assert!(requests > 5, "the log of requests was read");
}
