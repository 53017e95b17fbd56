//! What the network does to a connection, and signals to a call.

use super::{connection, listen};
use crate::fixture::stage2::on;
use stage2_sysmon::*;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsRawFd;
use tests::scenario;

#[test]
fn a_peer_that_resets() {
    on(1, || {
        let (client, mut server) = connection();
        go("resetter", move || {
            let linger = libc::linger {
                l_onoff: 1,
                l_linger: 0,
            };
            let len = size_of_val(&linger) as libc::socklen_t;
            // SAFETY: the option is ours, and of this length.
            let rc = unsafe {
                libc::setsockopt(
                    client.as_raw_fd(),
                    libc::SOL_SOCKET,
                    libc::SO_LINGER,
                    (&raw const linger).cast(),
                    len,
                )
            };
            assert_eq!(rc, 0);
            drop(client);
        });
        let error = server.read(&mut [0]).expect_err("a reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let error = server.write_all(&[0]).expect_err("nobody is there");
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_socket_that_is_half_closed() {
    on(1, || {
        let (mut client, mut server) = connection();
        go("client", move || {
            client.write_all(b"question").expect("room");
            client.shutdown(Shutdown::Write).expect("it is open");
            let mut answer = String::new();
            client.read_to_string(&mut answer).expect("an answer");
            assert_eq!(answer, "answer");
        });
        let mut question = String::new();
        server.read_to_string(&mut question).expect("a question");
        assert_eq!(question, "question");
        server.write_all(b"answer").expect("room");
    });
}

#[test]
fn nobody_listens_there() {
    on(1, || {
        let (listener, addr) = listen();
        drop(listener);
        let error = TcpStream::connect(addr).map(|_| ()).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

/// Where nobody listens, nobody answers: not even we ourselves, when the kernel chooses the very
/// port for our end.
#[test]
fn a_connection_to_itself_is_refused() {
    on(1, || {
        let (listener, addr) = listen();
        drop(listener);
        // The kernel chooses even ports for clients.
        let addr = SocketAddr::new(addr.ip(), addr.port() & !1);
        for _ in 0..25_000 {
            if let Ok(stream) = TcpStream::connect(addr) {
                assert_ne!(stream.local_addr().ok(), stream.peer_addr().ok());
            }
        }
    });
}

#[test]
fn without_descriptors_accept_fails_and_goes_on_afterwards() {
    let ended = scenario!([], "no_descriptors");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!(
        ended.stdout,
        "accept: Too many open files (os error 24)\nthen all 3 came\n"
    );
}

#[test]
fn a_storm_of_signals_changes_nothing() {
    let ended = scenario!([], "echo_in_a_storm");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(ended.stdout.starts_with("echoed"), "{ended:#?}");
}
