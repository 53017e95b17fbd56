//! Answers: their bodies, their headers, their one line of refusal.
//!
//! Every answer gets the same careful headers, whatever it is. The policy forbids a page to
//! load anything from elsewhere: reading the book needs no network, and a slip in a chapter
//! cannot change that. No other site may frame a page or load a picture or script of ours; the
//! book itself does frame one, because without scripts its list of pages is a frame.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::run::Event;

/// An answer of this server.
pub type Reply = Response<Content>;

const POLICY: &str = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'self'; base-uri 'self'; form-action 'none'";

/// What is sent after the head.
#[derive(Debug)]
pub enum Content {
    /// All of it; `None` when it was taken.
    Whole(Option<Bytes>),
    /// A run's events, one JSON line each. When the reader's page goes away, hyper drops this,
    /// the channel closes, and the run ends the program.
    Events(UnboundedReceiver<Event>),
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = match &mut *self {
            Content::Whole(bytes) => Poll::Ready(bytes.take().filter(|bytes| !bytes.is_empty())),
            Content::Events(events) => events.poll_recv(cx).map(|event| event.map(line)),
        };
        bytes.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Content::Whole(bytes) if bytes.as_ref().is_none_or(Bytes::is_empty))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Content::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Content::Events(_) => SizeHint::default(),
        }
    }
}

fn line(event: Event) -> Bytes {
    // Plain structs of texts and numbers always have a JSON form.
    let mut line = serde_json::to_vec(&event).unwrap_or_default();
    line.push(b'\n');
    Bytes::from(line)
}

/// An answer of this type and content.
pub fn reply(status: StatusCode, kind: &'static str, content: Content) -> Reply {
    let mut reply = Response::new(content);
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // Pages change with their sources and carry a token that is new with each start.
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(
        "cross-origin-resource-policy",
        HeaderValue::from_static("same-origin"),
    );
    reply
}

/// A JSON object.
pub fn answer(status: StatusCode, body: &Value) -> Reply {
    let content = Content::Whole(Some(Bytes::from(body.to_string())));
    reply(status, "application/json", content)
}

/// A refused request: one line for the page to show.
pub fn refusal(status: StatusCode, line: &str) -> Reply {
    answer(status, &json!({"error": line}))
}

/// Refuses a method that this path does not know.
pub fn not_allowed(allowed: &'static str) -> Reply {
    let line = format!("this address takes {allowed} only");
    let mut reply = refusal(StatusCode::METHOD_NOT_ALLOWED, &line);
    reply
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static(allowed));
    reply
}
