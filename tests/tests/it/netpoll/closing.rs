//! A descriptor that is closed while others use it.

use super::{connection, is_closed, listen};
use crate::fixture::MS;
use crate::fixture::stage2::on;
use stage2_sysmon::*;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn who_closes_wakes_who_waits() {
    for procs in [1, 2] {
        on(procs, || {
            let (listener, _) = listen();
            let (reader, _writer) = pipe().expect("a pipe");
            let (a, _b) = UnixStream::pair().expect("a pair");
            let (listener, reader, a) = (Arc::new(listener), Arc::new(reader), Arc::new(a));
            let done = WaitGroup::new();
            done.add(6);
            // The second of each queues behind the first.
            for _ in 0..2 {
                let (listener, reader, a) = (listener.clone(), reader.clone(), a.clone());
                let (d, e, f) = (done.clone(), done.clone(), done.clone());
                go("accept", move || {
                    is_closed(listener.accept().map(|_| ()));
                    d.done();
                });
                go("read", move || {
                    is_closed((&*reader).read(&mut [0]));
                    e.done();
                });
                go("write", move || {
                    is_closed((&*a).write_all(&vec![0; 1 << 20]));
                    f.done();
                });
            }
            sleep(10 * MS);
            listener.close().expect("it is open");
            reader.close().expect("it is open");
            a.close().expect("it is open");
            done.wait();
            is_closed(listener.close());
            is_closed((&*reader).read(&mut [0]));
            is_closed(reader.set_read_deadline(None));
            is_closed(a.shutdown(Shutdown::Both));
            is_closed(listener.local_addr());
        });
    }
}

/// One closes while others are in the middle: each of them gets bytes, the end or the error,
/// never somebody else's descriptor.
#[test]
fn closing_races_with_reading() {
    on(2, || {
        for round in 0..500 {
            let (a, b) = UnixStream::pair().expect("a pair");
            let b = Arc::new(b);
            let done = WaitGroup::new();
            done.add(2);
            let (reader, d) = (b.clone(), done.clone());
            go("reader", move || {
                while (&*reader).read(&mut [0; 4]).is_ok_and(|n| n > 0) {}
                d.done();
            });
            let d = done.clone();
            go("writer", move || {
                while (&a).write_all(&[1]).is_ok() {
                    gosched();
                }
                d.done();
            });
            for _ in 0..round % 7 {
                gosched();
            }
            b.close().expect("it is open");
            done.wait();
        }
    });
}

#[test]
fn a_pipe_ends_when_its_other_end_does() {
    on(1, || {
        let (mut reader, writer) = pipe().expect("a pipe");
        go("closer", move || writer.close().expect("it is open"));
        assert_eq!(reader.read(&mut [0]).expect("the end"), 0);
        let (reader, mut writer) = pipe().expect("a pipe");
        go("closer", move || drop(reader));
        let error = writer
            .write_all(&vec![0; 1 << 20])
            .expect_err("nobody reads");
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

/// The descriptor that is lent stays open and is the same one, although it is closed meanwhile.
#[test]
fn a_borrowed_descriptor_outlives_a_close() {
    on(1, || {
        let (a, mut b) = UnixStream::pair().expect("two sockets");
        let copy = a.with_fd(|fd| {
            a.close().expect("open");
            let _other = std::fs::File::open("/dev/null").expect("a file");
            fd.try_clone_to_owned().expect("still open")
        });
        assert_eq!(
            a.with_fd(|_| ()).unwrap_err().kind(),
            ErrorKind::NotConnected
        );
        b.write_all(b"x").expect("a reader");
        let mut byte = [0];
        let mut copy = std::fs::File::from(copy.expect("open"));
        copy.read_exact(&mut byte).expect("what was written");
        assert_eq!(&byte, b"x");
    });
}

#[test]
fn a_clone_is_the_same_connection_and_closed_by_itself() {
    on(2, || {
        let (mut client, mut server) = connection();
        let mut other = client.try_clone().expect("open");
        client.set_deadline(Some(Duration::ZERO)).expect("open");
        assert_eq!(
            client.read(&mut [0]).unwrap_err().kind(),
            ErrorKind::TimedOut
        );
        assert_eq!(client.write(b"x").unwrap_err().kind(), ErrorKind::TimedOut);
        client.close().expect("open");
        other
            .write_all(b"x")
            .expect("the handle's deadlines are its own");
        server.read_exact(&mut [0]).expect("still connected");
        drop(other);
        assert_eq!(server.read(&mut [0]).expect("the end"), 0);
    });
}
