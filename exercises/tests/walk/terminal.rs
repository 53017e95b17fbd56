//! A command in a terminal of its own: what it shows, and keys for it.

use nix::pty::{Winsize, openpty};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A command in a terminal of its own.
pub struct Terminal {
    child: Child,
    keys: File,
    shown: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
    seen: usize,
}

pub const PATIENCE: Duration = Duration::from_secs(240);

impl Terminal {
    /// Takes the command, since it holds the terminal open.
    pub fn start(mut command: Command) -> Terminal {
        let size = Winsize {
            ws_row: 40,
            ws_col: 110,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pty = openpty(Some(&size), None).expect("a terminal");
        let copy = |fd: &OwnedFd| Stdio::from(fd.try_clone().expect("a copy"));
        command
            .stdin(copy(&pty.slave))
            .stdout(copy(&pty.slave))
            .stderr(copy(&pty.slave));
        // SAFETY: both calls are async-signal-safe; 0 is the terminal, and a new session
        // takes it as its own.
        unsafe {
            command.pre_exec(|| {
                if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            })
        };
        let child = command.spawn().expect("it starts");
        drop((pty.slave, command));
        let shown = Arc::new(Mutex::new(String::new()));
        let mut from = File::from(pty.master.try_clone().expect("a copy"));
        let to = shown.clone();
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // EIO: no process has the other end any more.
            while let Ok(n @ 1..) = from.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..n]).replace('\r', "");
                to.lock().expect("no panic").push_str(&text);
            }
        });
        Terminal {
            child,
            keys: File::from(pty.master),
            shown,
            reader,
            seen: 0,
        }
    }

    /// Waits until `what` is shown, behind what was waited for before.
    pub fn until(&mut self, what: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            {
                let shown = self.shown.lock().expect("no panic");
                if let Some(at) = shown[self.seen..].find(what) {
                    self.seen += at + what.len();
                    return;
                }
            }
            assert!(
                Instant::now() < deadline,
                "{what:?} was never shown:\n{}",
                self.text()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the command has a child whose name begins so.
    pub fn until_it_runs(&self, name: &str) {
        let deadline = Instant::now() + PATIENCE;
        let (start, parent) = (format!("({name}"), format!(" {} ", self.child.id()));
        // /proc/N/stat: number, (name), state, parent.
        while !fs::read_dir("/proc")
            .expect("a folder")
            .flatten()
            .filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok())
            .filter_map(|stat| Some(stat[stat.find('(')?..].to_owned()))
            .any(|stat| stat.starts_with(&start) && stat.contains(&parent))
        {
            assert!(
                Instant::now() < deadline,
                "{name} never ran:\n{}",
                self.text()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("a terminal");
    }

    pub fn resize(&self, rows: u16, columns: u16) {
        let size = libc::winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        // SAFETY: the structure is ours, the descriptor open.
        let done = unsafe { libc::ioctl(self.keys.as_raw_fd(), libc::TIOCSWINSZ, &size) };
        assert_eq!(done, 0);
    }

    /// The terminal's mode, as bytes to compare.
    pub fn mode(&self) -> (u32, u32, u32, u32) {
        // SAFETY: a zeroed termios is valid; the descriptor is open.
        unsafe {
            let mut mode: libc::termios = std::mem::zeroed();
            libc::tcgetattr(self.keys.as_raw_fd(), &mut mode);
            (mode.c_iflag, mode.c_oflag, mode.c_cflag, mode.c_lflag)
        }
    }

    pub fn ends(mut self) -> (i32, String) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                // With the last program the terminal is gone, and everything is read.
                self.reader.join().expect("no panic");
                let shown = self.shown.lock().expect("no panic").clone();
                let code = status.code().unwrap_or(-status.signal().unwrap_or(0));
                return (code, shown);
            }
            if Instant::now() > deadline {
                let _ = self.child.kill();
                panic!("it does not end:\n{}", self.text());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn text(&self) -> String {
        self.shown.lock().expect("no panic").clone()
    }
}
