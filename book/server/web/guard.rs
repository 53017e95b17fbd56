//! Who may ask.
//!
//! Any web page that the reader has open can send requests to this port. Three things keep
//! them out: the `Host` must be ours (a foreign name that was pointed at 127.0.0.1 is
//! refused), a run needs a header that a foreign page cannot set without permission, and it
//! needs a random word that only our own pages carry, new for each start of the server.

use std::hash::{BuildHasher, Hasher, RandomState};

use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, StatusCode, header};

use super::reply::{Reply, refusal};

/// The hosts and the word.
#[derive(Debug)]
pub struct Guard {
    hosts: Vec<String>,
    token: String,
}

impl Guard {
    /// A guard for 127.0.0.1, localhost and these hosts.
    pub fn new(more: Vec<String>) -> Guard {
        let mut hosts = vec!["127.0.0.1".to_string(), "localhost".to_string()];
        hosts.extend(more);
        // Each `RandomState` is a keyed hash function, its keys from the system's random
        // numbers: what it gives cannot be guessed from outside.
        let word = |_| format!("{:016x}", RandomState::new().build_hasher().finish());
        Guard {
            hosts,
            token: (0..2).map(word).collect(),
        }
    }

    /// The word that our pages carry.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Looks at a request before any route does; `Some` is the answer to one that is refused.
    pub fn refuses(&self, request: &Parts) -> Option<Reply> {
        if !self.host_allowed(&request.headers) {
            return Some(refusal(
                StatusCode::FORBIDDEN,
                "this host name is not known here; start the book with --allow-host NAME if it is yours",
            ));
        }
        let reads = request.method == Method::GET || request.method == Method::HEAD;
        let why = (!reads)
            .then(|| self.is_no_page_of_ours(&request.headers))
            .flatten()?;
        Some(refusal(StatusCode::FORBIDDEN, why))
    }

    fn host_allowed(&self, headers: &HeaderMap) -> bool {
        let Some(host) = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
        else {
            return false;
        };
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        self.hosts
            .iter()
            .any(|allowed| allowed.eq_ignore_ascii_case(name))
    }

    /// Why the request cannot come from a page of this server, if it cannot.
    fn is_no_page_of_ours(&self, headers: &HeaderMap) -> Option<&'static str> {
        let given = |name| headers.get(name).map(|given| given.as_bytes());
        if given("x-safepoint") != Some(b"1") {
            return Some(
                "this request needs the header `x-safepoint: 1`; the book's own pages send it",
            );
        }
        match given("x-safepoint-token") {
            Some(token) if token == self.token.as_bytes() => None,
            Some(_) => Some("this page is from an earlier start of the book; reload it"),
            None => Some(
                "this request needs the header `x-safepoint-token`, with the word that each page of the book carries",
            ),
        }
    }
}
