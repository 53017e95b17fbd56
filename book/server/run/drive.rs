//! The course of a run: build, start, follow, report.
//!
//! The child's surroundings are set here and nowhere else. What the reader's shell has set
//! for this runtime (a seed, a GOMAXPROCS, Go's debug switches) is taken away, so that a
//! page shows the same on every machine.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::process;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use super::{Command, End, Event, Mode, Order, Runs, program, report};

impl Runs {
    /// Carries out an order. The last event is always `End`, unless the page is gone.
    pub(super) async fn drive(
        self: &Arc<Runs>,
        order: Order,
        mut inbox: UnboundedReceiver<Command>,
        events: &UnboundedSender<Event>,
    ) {
        // Sends fail when the page is gone; then there is no page to tell that either.
        let note = |line: String| {
            let _ = events.send(Event::Note { line });
        };
        let end = |end: End| {
            let _ = events.send(Event::End(Box::new(end)));
        };
        let (pkg, name) = (&order.example.pkg, &order.example.name);
        let built = tokio::select! {
            built = self.cargo.example(pkg, name, events) => built,
            () = stopped(&mut inbox) => {
                note("Stopped before it started.".to_string());
                return end(End::default());
            }
            () = events.closed() => return,
        };
        let exe = match built {
            Ok(exe) => exe,
            Err(lines) => {
                for line in lines {
                    let _ = events.send(Event::Err { line });
                }
                note(format!("{pkg}/{name} could not be built."));
                return end(End::default());
            }
        };
        let trace = self.trace_file();
        let mut command = command(&exe, &order, trace.path());
        command.current_dir(&self.ws.root);
        match program::run(&mut command, &self.limits, &mut inbox, events).await {
            Err(error) => {
                note(format!("{} could not be started: {error}", exe.display()));
                end(End::default());
            }
            Ok(outcome) => {
                let ws = self.ws.clone();
                // Reading and drawing a long trace takes a while: not on a server's thread.
                let made = tokio::task::spawn_blocking(move || {
                    report::make(&ws, &order, &outcome, trace.path())
                });
                let (last, notes) = made.await.unwrap_or_default();
                notes.into_iter().for_each(note);
                end(last);
            }
        }
    }

    fn trace_file(&self) -> TraceFile {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        TraceFile(self.scratch.path().join(format!("run-{number}.txt")))
    }
}

/// The file of one run's trace; removed when the run is over.
struct TraceFile(std::path::PathBuf);

impl TraceFile {
    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TraceFile {
    fn drop(&mut self) {
        // It is not there when the program wrote none.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn command(exe: &Path, order: &Order, trace: &Path) -> process::Command {
    let mut command = process::Command::new(exe);
    command.args(&order.args);
    for (key, _) in std::env::vars_os() {
        let name = key.to_string_lossy();
        let ours = name.starts_with("SAFEPOINT_");
        if ours || ["GODEBUG", "GOMAXPROCS", "GOGC", "GOTRACEBACK"].contains(&name.as_ref()) {
            command.env_remove(&key);
        }
    }
    command
        .env("GOMAXPROCS", order.procs.to_string())
        .env("SAFEPOINT_TRACE", trace);
    if order.mode == Mode::Replay {
        command.env("SAFEPOINT_SEED", order.seed.to_string());
    }
    command
}

/// Ends when the reader presses Stop.
async fn stopped(inbox: &mut UnboundedReceiver<Command>) {
    while let Some(command) = inbox.recv().await {
        if command == Command::Stop {
            return;
        }
    }
    // No button can be pressed any more; the page's end is noticed elsewhere.
    std::future::pending().await
}
