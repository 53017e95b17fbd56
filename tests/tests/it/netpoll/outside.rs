//! Lockstep and the world outside.

use crate::fixture::MS;
use std::io::Write;

#[test]
fn what_comes_from_outside_is_waited_for_and_marked() {
    let exe = tests::program!("scenario");
    for name in ["read_stdin", "read_stdin_blocking"] {
        let mut child = std::process::Command::new(exe)
            .arg(name)
            .env("SAFEPOINT_SEED", "1")
            .env("SAFEPOINT_TRACE", "-")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("the program can be started");
        std::thread::sleep(500 * MS);
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin.write_all(b"at last").expect("it reads");
        drop(stdin);
        let out = child.wait_with_output().expect("it ends");
        let (stdout, stderr) = (
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr),
        );
        assert!(
            stdout.contains("read: at last"),
            "{name}: {stdout} {stderr}"
        );
        assert!(
            stderr.contains("portable=no (it waited for the world outside"),
            "{name}: {stderr}"
        );
    }
}

#[test]
fn who_waits_in_vain_is_told_so() {
    let exe = tests::program!("scenario");
    let mut child = std::process::Command::new(exe)
        .arg("read_stdin")
        .env("SAFEPOINT_SEED", "1")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let stdin = child.stdin.take();
    let out = child.wait_with_output().expect("it ends");
    drop(stdin);
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("lockstep: nobody can go on but those who wait for a descriptor"),
        "{stderr}"
    );
}
