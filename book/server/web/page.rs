//! Hands out pages and their files.
//!
//! A page gets the token for its run panels, and a box when its sources could not be built.
//! The policy header forbids a page to load anything from elsewhere: reading the book needs
//! no network, and a slip in a chapter cannot change that. Nobody else may frame a page; the
//! book itself does, because without scripts its list of pages is a frame.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;

use super::App;
use super::api::refusal;

const POLICY: &str = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'self'; base-uri 'self'; form-action 'none'";

/// Any path that is not of the API.
pub async fn page(State(app): State<Arc<App>>, method: Method, uri: Uri) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return refusal(StatusCode::METHOD_NOT_ALLOWED, "pages are only read");
    }
    let mut path = uri.path().trim_start_matches('/').to_string();
    if path.is_empty() || path.ends_with('/') {
        path.push_str("index.html");
    }
    let html = path.ends_with(".html");
    if html {
        let app = Arc::clone(&app);
        // A failed join means a panic inside mdBook; the old pages are still good.
        let _ = tokio::task::spawn_blocking(move || app.site.refresh()).await;
    }
    let (status, body, kind) = match app.site.file(&path) {
        Some(file) if html => (
            StatusCode::OK,
            dress(&app, &file),
            "text/html; charset=utf-8",
        ),
        Some(file) => (StatusCode::OK, file, kind(&path)),
        None => match app.site.file("404.html") {
            Some(file) if app.site.file("index.html").is_some() => (
                StatusCode::NOT_FOUND,
                dress(&app, &file),
                "text/html; charset=utf-8",
            ),
            _ => {
                let error = app
                    .site
                    .error()
                    .unwrap_or_else(|| "no such page".to_string());
                let text = format!("Safepoint: {error}\n\nPut it right and reload this page.\n");
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    Bytes::from(text),
                    "text/plain; charset=utf-8",
                )
            }
        },
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::CONTENT_TYPE, kind);
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    // The pages change when their sources do, and the token with each start.
    set(
        header::CACHE_CONTROL,
        if html { "no-store" } else { "no-cache" },
    );
    response
}

/// Puts the token, and the reason of a failed build, into a page.
fn dress(app: &App, file: &Bytes) -> Bytes {
    let Ok(text) = std::str::from_utf8(file) else {
        return file.clone();
    };
    let token = app.guard.token();
    let meta = format!("<head>\n<meta name=\"safepoint-token\" content=\"{token}\">");
    let mut text = text.replacen("<head>", &meta, 1);
    if let Some(error) = app.site.error() {
        let error = error.replace('&', "&amp;").replace('<', "&lt;");
        let notice = format!(
            "<main>\n<div class=\"sp-build-error\" role=\"alert\"><p>These pages are from before the last change: the new ones could not be built.</p><pre>{error}</pre></div>"
        );
        text = text.replacen("<main>", &notice, 1);
    }
    Bytes::from(text)
}

fn kind(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or("") {
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
