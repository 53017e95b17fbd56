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
        if !reads && !self.is_from_our_page(&request.headers) {
            return Some(refusal(
                StatusCode::FORBIDDEN,
                "this page is from an earlier start of the book; reload it",
            ));
        }
        None
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

    fn is_from_our_page(&self, headers: &HeaderMap) -> bool {
        let is = |name: &str, value: &str| {
            headers
                .get(name)
                .is_some_and(|given| given.as_bytes() == value.as_bytes())
        };
        is("x-safepoint", "1") && is("x-safepoint-token", &self.token)
    }
}
