//! Sockets with a path.

use super::{is_closed, timed_out};
use crate::fixture::MS;
use crate::fixture::stage2::on;
use stage2_sysmon::*;
use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;

fn a_path(name: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("safepoint-{}-{name}", std::process::id()))
}

#[test]
fn connections_arrive_at_a_path() {
    let sum = on(2, || {
        let path = a_path("arrive");
        let listener = UnixListener::bind(&path).expect("a path");
        for i in 0..100_u8 {
            let path = path.clone();
            go("client", move || {
                let mut stream = UnixStream::connect(&path).expect("a connection");
                stream.write_all(&[i; 100]).expect("room");
            });
        }
        let (sums, mut sum) = (Chan::new(100), 0);
        for _ in 0..100 {
            let (mut stream, sums) = (listener.accept().expect("a connection"), sums.clone());
            go("server", move || {
                let mut bytes = Vec::new();
                stream.read_to_end(&mut bytes).expect("all of it");
                sums.send(bytes.iter().map(|b| usize::from(*b)).sum::<usize>());
            });
        }
        for _ in 0..100 {
            sum += sums.recv().expect("it is open");
        }
        sum
    });
    assert_eq!(sum, 100 * (0..100).sum::<usize>());
}

#[test]
fn closing_a_listener_removes_its_path_once() {
    on(2, || {
        let path = a_path("removed");
        let listener = Arc::new(UnixListener::bind(&path).expect("a path"));
        let again = UnixListener::bind(&path).err().map(|e| e.kind());
        assert_eq!(again, Some(ErrorKind::AddrInUse));
        assert!(path.exists(), "one that was not made removes nothing");
        listener.set_deadline(Some(MS)).expect("open");
        timed_out(listener.accept().map(drop));
        listener.set_deadline(None).expect("open");
        let (waits, woken) = (listener.clone(), Chan::new(1));
        let send = woken.clone();
        go("waits", move || send.send(waits.accept().map(drop)));
        sleep(MS);
        listener.close().expect("it is open");
        is_closed(woken.recv().expect("it is open"));
        assert!(!path.exists());
        // Another one's by now.
        let other = UnixListener::bind(&path).expect("a path");
        is_closed(listener.close());
        drop(listener);
        assert!(path.exists());
        other.set_unlink_on_close(false);
        drop(other);
        assert!(path.exists(), "it was to stay");
        let refused = UnixStream::connect(&path).err().map(|e| e.kind());
        assert_eq!(refused, Some(ErrorKind::ConnectionRefused));
        std::fs::remove_file(&path).expect("it is there");
        let gone = UnixStream::connect(&path).err().map(|e| e.kind());
        assert_eq!(gone, Some(ErrorKind::NotFound));
        drop(UnixListener::bind(&path).expect("a path"));
        assert!(!path.exists(), "dropping removes it too");
        for bad in [String::new(), "a\0b".into(), "a".repeat(108)] {
            let no = UnixStream::connect(bad).err().map(|e| e.kind());
            assert_eq!(no, Some(ErrorKind::InvalidInput));
        }
    });
}
