//! The network poller as behavior: goroutines that wait for descriptors cost no threads, wake
//! when they should, and survive what the network does to them. Rows 37, 49 and 50 of the list
//! of mechanisms, and faults.

mod closing;
mod deadlines;
mod faults;
mod outside;
mod paths;
mod runs;
mod streams;
mod waiting;

use stage2_sysmon::*;
use std::io::ErrorKind;
use std::net::SocketAddr;

const ANY: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(ANY.into()).expect("a port");
    let addr = listener.local_addr().expect("its address");
    (listener, addr)
}

/// Two ends of a connection.
fn connection() -> (TcpStream, TcpStream) {
    let (listener, addr) = listen();
    let client = TcpStream::connect(addr).expect("a connection");
    let (server, from) = listener.accept().expect("a connection");
    assert_eq!(from, client.local_addr().expect("an address"));
    assert_eq!(server.peer_addr().expect("an address"), from);
    assert_eq!(client.peer_addr().expect("an address"), addr);
    (client, server)
}

fn timed_out<T: std::fmt::Debug>(result: std::io::Result<T>) {
    let error = result.expect_err("nothing comes");
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert_eq!(error.to_string(), "i/o timeout");
}

fn is_closed<T: std::fmt::Debug>(result: std::io::Result<T>) {
    let error = result.expect_err("it is closed");
    assert_eq!(error.to_string(), "use of a closed descriptor");
}
