//! Addresses as the kernel writes them. Nothing of Go's runtime corresponds to this file; its
//! package `syscall` does.
//!
//! Tests: `netpoll`, those with sockets.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// An address of any family, and its length.
pub(crate) struct RawAddr {
    pub(crate) storage: libc::sockaddr_storage,
    pub(crate) len: libc::socklen_t,
}

impl RawAddr {
    /// Room for an address that the kernel writes.
    pub(crate) fn room() -> RawAddr {
        RawAddr {
            // SAFETY: all zeroes are a valid value of the type.
            storage: unsafe { zeroed() },
            len: size_of::<libc::sockaddr_storage>() as libc::socklen_t,
        }
    }

    /// The kernel's form of `addr`.
    pub(crate) fn of(addr: SocketAddr) -> RawAddr {
        let mut raw = RawAddr::room();
        let storage = (&raw mut raw.storage).cast::<u8>();
        match addr {
            SocketAddr::V4(v4) => {
                // SAFETY: all zeroes are a valid value of the type.
                let mut a: libc::sockaddr_in = unsafe { zeroed() };
                a.sin_family = libc::AF_INET as libc::sa_family_t;
                a.sin_port = v4.port().to_be();
                a.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
                raw.len = size_of_val(&a) as libc::socklen_t;
                // SAFETY: the storage is large enough and aligned for every family.
                unsafe { storage.cast::<libc::sockaddr_in>().write(a) };
            }
            SocketAddr::V6(v6) => {
                // SAFETY: as above.
                let mut a: libc::sockaddr_in6 = unsafe { zeroed() };
                a.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                a.sin6_port = v6.port().to_be();
                a.sin6_flowinfo = v6.flowinfo();
                a.sin6_addr.s6_addr = v6.ip().octets();
                a.sin6_scope_id = v6.scope_id();
                raw.len = size_of_val(&a) as libc::socklen_t;
                // SAFETY: as above.
                unsafe { storage.cast::<libc::sockaddr_in6>().write(a) };
            }
        }
        raw
    }

    /// The kernel's form of a path.
    ///
    /// # Errors
    /// If it is empty, has a zero in it, or is longer than the 107 bytes that there is room for.
    pub(crate) fn unix(path: &Path) -> io::Result<RawAddr> {
        let mut raw = RawAddr::room();
        // SAFETY: all zeroes are a valid value of the type.
        let mut a: libc::sockaddr_un = unsafe { zeroed() };
        let bytes = path.as_os_str().as_bytes();
        // The last byte stays zero.
        if bytes.is_empty() || bytes.contains(&0) || bytes.len() >= a.sun_path.len() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("no path for a socket: {}", path.display()),
            ));
        }
        a.sun_family = libc::AF_UNIX as libc::sa_family_t;
        for (to, from) in a.sun_path.iter_mut().zip(bytes) {
            *to = *from as libc::c_char;
        }
        raw.len = size_of_val(&a) as libc::socklen_t;
        // SAFETY: the storage is large enough and aligned for every family.
        unsafe { (&raw mut raw.storage).cast::<libc::sockaddr_un>().write(a) };
        Ok(raw)
    }

    /// For a call that reads it.
    pub(crate) fn as_ptr(&self) -> *const libc::sockaddr {
        (&raw const self.storage).cast()
    }

    /// What the kernel has written.
    ///
    /// # Errors
    /// If it is neither IPv4 nor IPv6.
    pub(crate) fn get(&self) -> io::Result<SocketAddr> {
        match i32::from(self.storage.ss_family) {
            libc::AF_INET => {
                // SAFETY: the family says that this is what stands there.
                let a = unsafe { &*(&raw const self.storage).cast::<libc::sockaddr_in>() };
                let ip = Ipv4Addr::from(a.sin_addr.s_addr.to_ne_bytes());
                let port = u16::from_be(a.sin_port);
                Ok(SocketAddr::V4(SocketAddrV4::new(ip, port)))
            }
            libc::AF_INET6 => {
                // SAFETY: as above.
                let a = unsafe { &*(&raw const self.storage).cast::<libc::sockaddr_in6>() };
                let ip = Ipv6Addr::from(a.sin6_addr.s6_addr);
                let port = u16::from_be(a.sin6_port);
                let v6 = SocketAddrV6::new(ip, port, a.sin6_flowinfo, a.sin6_scope_id);
                Ok(SocketAddr::V6(v6))
            }
            family => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("an address of the family {family}"),
            )),
        }
    }
}
