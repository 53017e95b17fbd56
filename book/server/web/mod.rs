//! The server: pages, and the few requests that run an example.
//!
//! It listens on 127.0.0.1 only. Running programs from a web page is a thing to be careful
//! with, so `guard` refuses every request that does not come from one of our own pages, and
//! only the repository's examples can be run. When the server ends, the runtime drops its
//! tasks, and with them every process and folder that belongs to the book.

mod api;
mod connection;
mod guard;
mod page;
mod reply;
mod shelf;
mod site;

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hyper::Method;
use hyper::body::Bytes;
use hyper::http::request::Parts;
use tokio::net::TcpListener;

pub use connection::{Patience, serve as answer_all};
pub use guard::Guard;
pub use site::Site;

use reply::{Reply, not_allowed};

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
    pub site: Arc<Site>,
    /// Who may ask for a run.
    pub guard: Guard,
    /// The one run at a time.
    pub runs: Arc<Runs>,
    /// How long it waits for clients.
    pub patience: Patience,
}

impl App {
    /// The state of a server for this workspace.
    pub fn new(
        ws: Workspace,
        hosts: Vec<String>,
        limits: Limits,
        patience: Patience,
    ) -> Result<Arc<App>> {
        Ok(Arc::new(App {
            site: Arc::new(Site::new(ws.clone())),
            guard: Guard::new(hosts),
            runs: Arc::new(Runs::new(ws.clone(), limits)?),
            ws,
            patience,
        }))
    }
}

/// Answers a request that the guard let pass.
async fn route(app: Arc<App>, request: &Parts, body: Bytes) -> Reply {
    let path = request.uri.path();
    let read = request.method == Method::GET || request.method == Method::HEAD;
    let post = request.method == Method::POST;
    match path {
        "/api/status" if read => api::status(app).await,
        "/api/progress" if read => api::progress(app).await,
        "/api/run" if post => api::run(app, body).await,
        "/api/flag" if post => api::flag(&app),
        "/api/stop" if post => api::stop(&app),
        "/api/run" | "/api/flag" | "/api/stop" => not_allowed("POST"),
        _ if read => page::page(app, &request.uri).await,
        _ => not_allowed("GET, HEAD"),
    }
}

/// Builds, serves, and returns when the reader ends it.
pub fn serve(ws: Workspace, options: Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // For files and builds; more at once would only wait for each other.
        .max_blocking_threads(8)
        .enable_all()
        .build()
        .context("cannot start the server's threads")?;
    let result = runtime.block_on(async {
        // First, so that a signal ends the program in order whatever it does.
        let ended = ended()?;
        tokio::select! {
            // A signal that came while the pages were built counts before the pages do.
            biased;
            () = ended => Ok(()),
            stopped = listen(ws, options) => stopped,
        }
    });
    // Dropping the tasks kills what they started; the limit is for a build in progress.
    runtime.shutdown_timeout(Duration::from_secs(2));
    crate::scratch::leave();
    result
}

async fn listen(ws: Workspace, options: Options) -> Result<()> {
    #[cfg(unix)]
    crate::run::keeper::start();
    crate::scratch::sweep();
    let listener = bind(options.port).await?;
    let port = listener.local_addr()?.port();
    let app = App::new(ws, options.hosts, Limits::default(), Patience::default())?;
    let first = Arc::clone(&app);
    let building = || eprintln!("Safepoint: building the pages (only after a change)");
    tokio::task::spawn_blocking(move || first.site.refresh(building)).await?;
    if let Some(error) = app.site.error() {
        eprintln!("Safepoint: {error}");
    }
    if let Some(line) = crate::run::lacks() {
        eprintln!("Safepoint: {line}");
    }
    app.runs.build_all(app.site.first_example());
    let url = format!("http://127.0.0.1:{port}");
    println!("Safepoint: reading at {url} (Ctrl-C ends)");
    if options.open && open::that_detached(&url).is_err() {
        eprintln!("Safepoint: no browser could be started; open {url} yourself");
    }
    answer_all(app, listener).await;
    bail!("the server stopped")
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
    // Ctrl-\, which would otherwise leave a program that runs to itself.
    let mut quit = signal(SignalKind::quit())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = quit.recv() => {}
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
