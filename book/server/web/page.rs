//! Hands out pages and their files.
//!
//! A page gets the token for its run panels, and a box when its sources could not be built.

use std::sync::Arc;

use hyper::body::Bytes;
use hyper::{StatusCode, Uri, header};

use super::App;
use super::reply::{Content, Reply, reply};

const HTML: &str = "text/html; charset=utf-8";

/// Any path that is not of the API.
pub async fn page(app: Arc<App>, uri: &Uri) -> Reply {
    let mut path = uri.path().trim_start_matches('/').to_string();
    if path.is_empty() || path.ends_with('/') {
        path.push_str("index.html");
    }
    let html = path.ends_with(".html");
    if html {
        app.site.fresh(app.patience.build).await;
    }
    let whole = |status, kind, bytes| reply(status, kind, Content::Whole(Some(bytes)));
    match app.site.file(&path) {
        Some(file) if html => whole(StatusCode::OK, HTML, dress(&app, &file)),
        Some(file) => {
            let mut file = whole(StatusCode::OK, kind(&path), file);
            let keep = header::HeaderValue::from_static(match is_hashed(&path) {
                true => "max-age=31536000, immutable",
                // It may be kept if the server is asked whether it is still the same.
                false => "no-cache",
            });
            file.headers_mut().insert(header::CACHE_CONTROL, keep);
            file
        }
        None => match app.site.file("404.html") {
            Some(file) if app.site.file("index.html").is_some() => {
                whole(StatusCode::NOT_FOUND, HTML, dress(&app, &file))
            }
            _ => {
                let error = app
                    .site
                    .error()
                    .unwrap_or_else(|| "no such page".to_string());
                let text = format!("Safepoint: {error}\n\nPut it right and reload this page.\n");
                let kind = "text/plain; charset=utf-8";
                whole(StatusCode::SERVICE_UNAVAILABLE, kind, Bytes::from(text))
            }
        },
    }
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

/// Whether the name has a hash of the contents in it, as mdBook writes it: a file that is
/// another one has another name. A page has some thirty of them.
fn is_hashed(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let mut parts = name.split('.').filter_map(|part| part.rsplit_once('-'));
    parts.any(|(_, hash)| hash.len() == 8 && hash.bytes().all(|b| b.is_ascii_hexdigit()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_a_hash() {
        for name in [
            "book-609e4cb8.js",
            "fonts/a-v15-500-2bdd9410.woff2",
            "mark-09e88c2c.min.js",
        ] {
            assert!(is_hashed(name), "{name}");
        }
        for name in [
            "toc.html",
            "book.js",
            "a-609e4cb.js",
            "609e4cb8.js",
            "x-609e4cb8/a.js",
            "",
        ] {
            assert!(!is_hashed(name), "{name}");
        }
    }
}
