//! One run of one program: its lines, its limits, its end.
//!
//! Everything that can happen to it is one arm of one `select`: a line, the exit, a command
//! from the page, the end of its time, the reader going away. The first reason to end it
//! wins; after that its remaining lines are read and the loop is over.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process;
use tokio::sync::mpsc::{self, Sender, UnboundedReceiver, UnboundedSender};

use super::group::Group;
use super::{Command, Event, Limits};

/// How it ended.
#[derive(Debug)]
pub struct Outcome {
    /// What the system says; `None` if it could not be waited for.
    pub status: Option<ExitStatus>,
    /// Its standard output.
    pub output: String,
    /// From start to end.
    pub time: Duration,
    /// Did it come to its own end, with all of its output read?
    pub complete: bool,
}

/// A line, or a piece of a very long one.
#[derive(Debug)]
struct Piece {
    text: String,
    error: bool,
    whole: bool,
}

/// Why the waiting is over.
enum Ending {
    /// It ended by itself.
    Own(Option<ExitStatus>),
    /// It is to be ended; the line is for the reader, if there still is one.
    Kill(Option<String>),
}

/// A line that never ends is passed on in pieces of this length.
const LONGEST: usize = 4096;

/// Runs it to its end. `Err` says that it could not be started.
pub async fn run(
    command: &mut process::Command,
    limits: &Limits,
    inbox: &mut UnboundedReceiver<Command>,
    events: &UnboundedSender<Event>,
) -> std::io::Result<Outcome> {
    let start = Instant::now();
    let mut group = Group::spawn(command)?;
    // A closed channel is an arm of the loop below; so it is for all sends here.
    let _ = events.send(Event::Start);
    let (tx, mut pieces) = mpsc::channel(64);
    if let Some((out, err)) = group.outputs() {
        tokio::spawn(read(out, false, tx.clone()));
        tokio::spawn(read(err, true, tx.clone()));
    }
    drop(tx);
    let mut printed = Printed::new(limits.output, events);
    let deadline = tokio::time::sleep(limits.time);
    tokio::pin!(deadline);
    let ending = loop {
        tokio::select! {
            Some(piece) = pieces.recv() => if !printed.take(piece) {
                break Ending::Kill(Some(printed.too_much()));
            },
            status = group.wait() => break Ending::Own(status.ok()),
            command = inbox.recv() => match command {
                Some(Command::Flag) => group.interrupt(),
                Some(Command::Stop) => break Ending::Kill(Some("Stopped.".to_string())),
                None => break Ending::Kill(None),
            },
            () = &mut deadline => {
                let seconds = limits.time.as_secs_f64();
                break Ending::Kill(Some(format!("It ran for {seconds} seconds and was ended.")));
            }
            () = events.closed() => break Ending::Kill(None),
        }
    };
    let (status, mut note, mut complete) = match ending {
        Ending::Own(status) => (status, None, true),
        Ending::Kill(note) => {
            group.kill();
            (group.wait().await.ok(), note, false)
        }
    };
    let time = start.elapsed();
    // What is still in the pipes. Only a process that left the group could hold them open
    // now; it gets a second.
    let rest = async {
        while let Some(piece) = pieces.recv().await {
            if !printed.take(piece) {
                complete = false;
                note.get_or_insert_with(|| printed.too_much());
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), rest).await;
    if let Some(line) = note {
        let _ = events.send(Event::Note { line });
    }
    Ok(Outcome {
        status,
        output: printed.output,
        time,
        complete,
    })
}

/// What a program has printed so far. The reader gets it at once, up to a limit.
struct Printed<'a> {
    /// Bytes of both outputs.
    length: usize,
    limit: usize,
    /// Its standard output.
    output: String,
    events: &'a UnboundedSender<Event>,
}

impl<'a> Printed<'a> {
    fn new(limit: usize, events: &'a UnboundedSender<Event>) -> Printed<'a> {
        Printed {
            length: 0,
            limit,
            output: String::new(),
            events,
        }
    }

    /// Passes a piece on; false if it is too much.
    fn take(&mut self, piece: Piece) -> bool {
        self.length += piece.text.len() + 1;
        let fits = self.length <= self.limit;
        if fits {
            pass_on(piece, &mut self.output, self.events);
        }
        fits
    }

    fn too_much(&self) -> String {
        let most = self.limit / 1024;
        format!("It printed more than {most} KiB: the rest is left out.")
    }
}

fn pass_on(piece: Piece, output: &mut String, events: &UnboundedSender<Event>) {
    if !piece.error {
        output.push_str(&piece.text);
        if piece.whole {
            output.push('\n');
        }
    }
    let line = piece.text;
    // A closed channel is an arm of the loop.
    let _ = events.send(match piece.error {
        true => Event::Err { line },
        false => Event::Out { line },
    });
}

/// Reads one output line by line. The bounded channel slows a program that prints faster
/// than it is read.
async fn read(mut from: impl AsyncRead + Unpin, error: bool, to: Sender<Piece>) {
    let mut buffer = [0; 8192];
    let mut line: Vec<u8> = Vec::new();
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        for byte in &buffer[..length] {
            let whole = *byte == b'\n';
            if !whole {
                line.push(*byte);
            }
            if whole || line.len() >= LONGEST {
                let text = String::from_utf8_lossy(&line)
                    .trim_end_matches('\r')
                    .to_string();
                line.clear();
                if to.send(Piece { text, error, whole }).await.is_err() {
                    return;
                }
            }
        }
    }
    if !line.is_empty() {
        let text = String::from_utf8_lossy(&line).to_string();
        let whole = false;
        let _ = to.send(Piece { text, error, whole }).await;
    }
}
