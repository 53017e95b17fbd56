//! The requests of the run panels.
//!
//! `run` answers with a stream of JSON lines, one per thing that happens; `flag` and `stop`
//! act on the one run in progress; `status` says what this machine can do. A refusal is one
//! line in a JSON object, with the status code that fits. Whatever reads a file does so on a
//! thread that may wait: a file on a slow drive must not stop the server.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::App;
use super::reply::{Content, Reply, answer, refusal, reply};
use crate::run::{Command, Order, Wish};

/// `GET /api/status`
pub async fn status(app: Arc<App>) -> Reply {
    let ws = app.ws.clone();
    let examples = elsewhere(move || ws.examples()).await.unwrap_or_default();
    let examples: Vec<Value> = examples
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
pub async fn progress(app: Arc<App>) -> Reply {
    let root = app.ws.root.clone();
    let exercises = elsewhere(move || crate::exercises::progress(&root))
        .await
        .unwrap_or_default();
    answer(
        StatusCode::OK,
        &json!({"exercises": exercises, "pages": app.site.cards()}),
    )
}

/// `POST /api/run`
pub async fn run(app: Arc<App>, body: Bytes) -> Reply {
    let wish = match Wish::read(&body) {
        Ok(wish) => wish,
        Err(line) => return refusal(StatusCode::BAD_REQUEST, &line),
    };
    let ws = app.ws.clone();
    let order = match elsewhere(move || Order::check(&ws, wish)).await {
        Some(Ok(order)) => order,
        Some(Err((status, line))) => return refusal(status, &line),
        None => {
            return refusal(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the request was not understood",
            );
        }
    };
    match app.runs.start(order) {
        Err(line) => refusal(StatusCode::CONFLICT, &line),
        Ok(events) => reply(
            StatusCode::OK,
            "application/x-ndjson",
            Content::Events(events),
        ),
    }
}

/// `POST /api/flag`
pub fn flag(app: &App) -> Reply {
    tell(app, Command::Flag)
}

/// `POST /api/stop`
pub fn stop(app: &App) -> Reply {
    tell(app, Command::Stop)
}

fn tell(app: &App, command: Command) -> Reply {
    match app.runs.tell(command) {
        Ok(()) => answer(StatusCode::OK, &json!({"done": true})),
        Err(line) => refusal(StatusCode::CONFLICT, line),
    }
}

/// Runs what reads files on a thread that may wait. `None` if it panicked.
async fn elsewhere<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}
