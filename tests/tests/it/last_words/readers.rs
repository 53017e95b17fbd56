//! Last words and traces when stderr is not read: the process ends all the same.

use std::time::{Duration, Instant};
use tests::{in_order, scenario};

/// Runs a scenario with a full pipe as stderr that nobody reads; returns its status.
fn unheard(env: &[(&str, &str)], words: &[&str]) -> Option<i32> {
    use std::os::fd::AsRawFd;
    let (_reader, writer) = std::io::pipe().expect("a pipe");
    // SAFETY: calls about a descriptor that is ours, with a buffer that is ours.
    let filled = unsafe {
        libc::fcntl(writer.as_raw_fd(), libc::F_SETPIPE_SZ, 4096);
        libc::fcntl(writer.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK);
        while libc::write(writer.as_raw_fd(), [0_u8; 512].as_ptr().cast(), 512) > 0 {}
        libc::fcntl(writer.as_raw_fd(), libc::F_SETFL, 0)
    };
    assert_eq!(filled, 0);
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_scenario"))
        .args(words)
        .envs(env.iter().copied())
        .stdout(std::process::Stdio::null())
        .stderr(writer)
        .spawn()
        .expect("the program can be started");
    let deadline = Instant::now() + tests::LIMIT;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().expect("the child can be waited for") {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
    panic!("{words:?} does not end");
}

#[test]
fn nobody_waits_for_ever_for_a_reader_of_last_words() {
    let seed = [("SAFEPOINT_SEED", "1")];
    // They only wait, so all at once.
    std::thread::scope(|scope| {
        for (env, words) in [
            (&[][..], &["throw_from_main"][..]),
            (&[], &["nil"]),
            (&[], &["overflow_checked"]),
            (&[], &["quit", "crowd"]),
            (&[], &["quit", "idle"]),
            // std's own message of a panic waits, as in any Rust program; ours do not.
            (&seed, &["deadlock"]),
        ] {
            scope.spawn(move || assert_eq!(unheard(env, words), Some(2), "{words:?}"));
        }
    });
}

#[test]
fn nobody_waits_for_ever_for_a_reader_of_the_trace() {
    let folder = tests::fresh_folder("safepoint-fifo-").expect("a folder");
    let fifo = folder.join("trace.txt");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.is_ok_and(|s| s.success()));
    // Somebody has opened it, and does not read.
    let reader = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&fifo)
        .expect("a pipe can be opened");
    let env = [("SAFEPOINT_TRACE", &*fifo.display().to_string())];
    let ended = scenario!(env, "long_trace", "10000");
    drop(reader);
    let _ = std::fs::remove_dir_all(&folder);
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    in_order(&ended.stderr, &["\npanic: boom\n", "does not go on"]);
}
