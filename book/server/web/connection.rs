//! Connections: how many, and how long each may take.
//!
//! Whatever can reach the port can open a connection and leave it. So every wait has an end:
//! for the head of a request (which is also the wait for the next one), for its body, and for
//! a client that does not take its answer. A run may take its time: its stream waits for the
//! program, not for the client.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Sleep, sleep, timeout};

use super::App;
use super::reply::{Reply, refusal};

/// How long the server waits for a client, and how much it takes from it.
#[derive(Debug, Clone)]
pub struct Patience {
    /// For the head of a request; also for the next request on a connection.
    pub head: Duration,
    /// For the whole body of a request.
    pub body: Duration,
    /// For a client that does not take what was sent.
    pub write: Duration,
    /// For a build of the pages, where there are old ones.
    pub build: Duration,
    /// Connections at a time; others wait in the system's queue.
    pub connections: usize,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            write: Duration::from_secs(30),
            build: Duration::from_secs(30),
            connections: 256,
        }
    }
}

/// The longest head and body of a request.
const HEAD: usize = 64 * 1024;
const BODY: usize = 16 * 1024;

/// Serves until it is dropped, and all of its connections with it.
pub async fn serve(app: Arc<App>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(app.patience.connections));
    loop {
        // Never closed, so it cannot fail.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let app = Arc::clone(&app);
                tokio::spawn(async move {
                    one(app, stream).await;
                    drop(place);
                });
            }
            // That client went away again, or this process has no descriptor left: others
            // will be given back.
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn one(app: Arc<App>, stream: TcpStream) {
    let io = TokioIo::new(Timed {
        stream,
        limit: app.patience.write,
        since: None,
    });
    let head = app.patience.head;
    let service = service_fn(|request: Request<Incoming>| {
        let app = Arc::clone(&app);
        async move { Ok::<Reply, Infallible>(respond(app, request).await) }
    });
    // An error is the client's: it went away, was too slow, or spoke something else.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(HEAD)
        .serve_connection(io, service)
        .await;
}

async fn respond(app: Arc<App>, request: Request<Incoming>) -> Reply {
    let (parts, body) = request.into_parts();
    if let Some(refused) = app.guard.refuses(&parts) {
        return refused;
    }
    match timeout(app.patience.body, read(body)).await {
        Ok(Ok(body)) => super::route(app, &parts, body).await,
        Ok(Err((status, line))) => refusal(status, &line),
        Err(_) => refusal(
            StatusCode::REQUEST_TIMEOUT,
            "the request did not come to its end",
        ),
    }
}

/// The whole body, if it is not too long.
async fn read(body: Incoming) -> Result<Bytes, (StatusCode, String)> {
    let too_long = || {
        let line = format!("a request has at most {BODY} bytes");
        Err((StatusCode::PAYLOAD_TOO_LARGE, line))
    };
    if body.size_hint().lower() > BODY as u64 {
        return too_long();
    }
    let mut body = pin!(body);
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let Ok(frame) = frame else {
            return Err((StatusCode::BAD_REQUEST, "the request broke off".to_string()));
        };
        if let Some(data) = frame.data_ref() {
            if bytes.len() + data.len() > BODY {
                return too_long();
            }
            bytes.extend_from_slice(data);
        }
    }
    Ok(Bytes::from(bytes))
}

/// A stream whose writes fail when the other side takes nothing for too long.
struct Timed {
    stream: TcpStream,
    limit: Duration,
    /// Since a write waits.
    since: Option<Pin<Box<Sleep>>>,
}

impl Timed {
    /// Passes a result of a write on, or fails if it has waited for too long.
    fn limited<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.since = None;
            return result;
        }
        let limit = self.limit;
        let since = self.since.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(since.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Timed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Timed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.limited(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.limited(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        self.limited(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
