//! The server: pages, and the few requests that run an example.
//!
//! It listens on 127.0.0.1 only. Running programs from a web page is a thing to be careful
//! with, so `guard` refuses every request that does not come from one of our own pages, and
//! only the repository's examples can be run. When the server ends, the runtime drops its
//! tasks, and with them every process and folder that belongs to the book.

mod api;
mod guard;
mod page;
mod site;

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use tokio::net::TcpListener;

pub use guard::Guard;
pub use site::Site;

use crate::run::{Limits, Runs};
use crate::workspace::Workspace;

/// What the command line chose.
#[derive(Debug, Clone)]
pub struct Options {
    /// The port; 0 for any free one.
    pub port: u16,
    /// Open the browser?
    pub open: bool,
    /// More host names under which the page may be reached.
    pub hosts: Vec<String>,
}

/// Everything that a request may need.
#[derive(Debug)]
pub struct App {
    /// Where chapters, examples and recorded runs are.
    pub ws: Workspace,
    /// The built pages.
    pub site: Site,
    /// Who may ask for a run.
    pub guard: Guard,
    /// The one run at a time.
    pub runs: Arc<Runs>,
}

impl App {
    /// The state of a server for this workspace.
    pub fn new(ws: Workspace, hosts: Vec<String>, limits: Limits) -> Result<Arc<App>> {
        Ok(Arc::new(App {
            site: Site::new(ws.clone()),
            guard: Guard::new(hosts),
            runs: Arc::new(Runs::new(ws.clone(), limits)?),
            ws,
        }))
    }

    /// All routes. Each request passes the guard first, the pages too: they carry the token.
    pub fn router(self: &Arc<App>) -> Router {
        Router::new()
            .route("/api/status", get(api::status))
            .route("/api/progress", get(api::progress))
            .route("/api/run", post(api::run))
            .route("/api/flag", post(api::flag))
            .route("/api/stop", post(api::stop))
            .fallback(page::page)
            .layer(DefaultBodyLimit::max(16 * 1024))
            .layer(axum::middleware::from_fn_with_state(
                Arc::clone(self),
                guard::check,
            ))
            .with_state(Arc::clone(self))
    }
}

/// Builds, serves, and returns when the reader ends it.
pub fn serve(ws: Workspace, options: Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the server's threads")?;
    let result = runtime.block_on(listen(ws, options));
    // Dropping the tasks kills what they started; the limit is for a build in progress.
    runtime.shutdown_timeout(Duration::from_secs(2));
    result
}

async fn listen(ws: Workspace, options: Options) -> Result<()> {
    // First, so that a signal during the first build ends the program in order too.
    let ended = ended()?;
    let listener = bind(options.port).await?;
    let port = listener.local_addr()?.port();
    let app = App::new(ws, options.hosts, Limits::default())?;
    let first = Arc::clone(&app);
    tokio::task::spawn_blocking(move || first.site.refresh()).await?;
    if let Some(error) = app.site.error() {
        eprintln!("Safepoint: {error}");
    }
    if let Some(line) = crate::run::lacks() {
        eprintln!("Safepoint: {line}");
    }
    app.runs.build_all();
    let url = format!("http://127.0.0.1:{port}");
    println!("Safepoint: reading at {url} (Ctrl-C ends)");
    if options.open && open::that_detached(&url).is_err() {
        eprintln!("Safepoint: no browser could be started; open {url} yourself");
    }
    tokio::select! {
        result = axum::serve(listener, app.router()) => result.context("the server stopped"),
        () = ended => Ok(()),
    }
}

async fn bind(port: u16) -> Result<TcpListener> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == ErrorKind::AddrInUse => bail!(
            "port {port} is taken; choose another with --port N, or --port 0 for any free one"
        ),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            bail!("this user may not serve on port {port}; choose one above 1023 with --port N")
        }
        Err(error) => Err(error).with_context(|| format!("cannot serve on port {port}")),
    }
}

/// Ends when the reader presses Ctrl-C, or the system asks the program to go.
#[cfg(unix)]
fn ended() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

/// Ends when the reader presses Ctrl-C.
#[cfg(not(unix))]
fn ended() -> Result<impl Future<Output = ()>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            // Without a way to be told, the program runs until it is closed.
            std::future::pending::<()>().await;
        }
    })
}
