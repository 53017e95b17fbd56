//! Descriptors, for programs: pipes, sockets, files, and the calls of libc.
//!
//! Tests: `netpoll`, `sysmon::calls`.

pub(crate) mod calls;
mod fd;
pub(crate) mod net;
pub(crate) mod pipe;
mod sockaddr;
pub(crate) mod unix;
mod users;
