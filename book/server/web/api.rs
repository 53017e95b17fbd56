//! The requests of the run panels.
//!
//! `run` answers with a stream of JSON lines, one per thing that happens; `flag` and `stop`
//! act on the one run in progress; `status` says what this machine can do. A refusal is one
//! line in a JSON object, with the status code that fits.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_core::Stream;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

use super::App;
use crate::run::{Command, Event, Order, Wish};

/// `GET /api/status`
pub async fn status(State(app): State<Arc<App>>) -> Response {
    let examples: Vec<Value> = app
        .ws
        .examples()
        .iter()
        .map(|example| json!({"pkg": example.pkg, "name": example.name, "title": example.title}))
        .collect();
    let lacks = crate::run::lacks();
    answer(
        StatusCode::OK,
        &json!({
            "can_run": lacks.is_none(),
            "lacks": lacks,
            "building": app.runs.building(),
            "running": app.runs.running(),
            "examples": examples,
        }),
    )
}

/// `GET /api/progress`: how far the reader is, and which page holds which card.
pub async fn progress(State(app): State<Arc<App>>) -> Response {
    let exercises = crate::exercises::progress(&app.ws.root);
    answer(
        StatusCode::OK,
        &json!({"exercises": exercises, "pages": app.site.cards()}),
    )
}

/// `POST /api/run`
pub async fn run(State(app): State<Arc<App>>, body: Bytes) -> Response {
    let wish: Wish = match serde_json::from_slice(&body) {
        Ok(wish) => wish,
        Err(error) => {
            return refusal(
                StatusCode::BAD_REQUEST,
                &format!("no such request: {error}"),
            );
        }
    };
    let order = match Order::check(&app.ws, wish) {
        Ok(order) => order,
        Err((status, line)) => return refusal(status, &line),
    };
    match app.runs.start(order) {
        Err(line) => refusal(StatusCode::CONFLICT, &line),
        Ok(events) => {
            let mut response = Response::new(Body::from_stream(Lines(events)));
            let headers = response.headers_mut();
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/x-ndjson"),
            );
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
    }
}

/// `POST /api/flag`
pub async fn flag(State(app): State<Arc<App>>) -> Response {
    tell(&app, Command::Flag)
}

/// `POST /api/stop`
pub async fn stop(State(app): State<Arc<App>>) -> Response {
    tell(&app, Command::Stop)
}

fn tell(app: &App, command: Command) -> Response {
    match app.runs.tell(command) {
        Ok(()) => answer(StatusCode::OK, &json!({"done": true})),
        Err(line) => refusal(StatusCode::CONFLICT, line),
    }
}

/// A refused request: one line for the page to show.
pub fn refusal(status: StatusCode, line: &str) -> Response {
    answer(status, &json!({"error": line}))
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

/// A run's events as the lines of a response. When the reader's page goes away, axum drops
/// this, the channel closes, and the run ends the program.
struct Lines(UnboundedReceiver<Event>);

impl Stream for Lines {
    type Item = Result<Bytes, serde_json::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|event| {
            event.map(|event| {
                let mut line = serde_json::to_vec(&event)?;
                line.push(b'\n');
                Ok(Bytes::from(line))
            })
        })
    }
}
