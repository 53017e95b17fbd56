//! The switches: Go's environment variables by Go's names, and two of ours. A value that
//! cannot be understood gets one line and status 2, never silence. Mirrors `runtime1.go`
//! (`parsedebugvars`).

use crate::trace::{Form, Output};
use safepoint_lockstep::say;
use std::fs::OpenOptions;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::*};

/// Ps that a run may have at most.
pub const MAX_PROCS: usize = 256;

/// A key of `GODEBUG`. Each stage registers the ones that it reads.
pub struct GodebugKey {
    /// Go's name.
    pub name: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// Its value; 0 unless it is set.
    pub value: AtomicI64,
}

/// The keys of this stage.
pub static GODEBUG: &[&GodebugKey] = &[&ASYNCPREEMPTOFF];

/// Go's switch back to asking by the flag alone. In this stage there is nothing else.
pub static ASYNCPREEMPTOFF: GodebugKey = GodebugKey {
    name: "asyncpreemptoff",
    doc: "1: ask for preemption by the flag alone (this stage knows nothing else)",
    value: AtomicI64::new(0),
};

static SEEDED: AtomicBool = AtomicBool::new(false);
static SEED: AtomicU64 = AtomicU64::new(0);
static TRACEBACK: Mutex<Traceback> = Mutex::new(Traceback::Single);

/// How much a dying program prints: `GOTRACEBACK`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
pub enum Traceback {
    /// The message only.
    None,
    /// The goroutine that died.
    Single,
    /// All goroutines.
    All,
    /// All goroutines with the runtime's own frames.
    System,
    /// As `System`, and then SIGABRT.
    Crash,
}

/// What the environment asks for.
pub(crate) struct Config {
    pub procs: Option<usize>,
    pub seed: Option<u64>,
    pub trace: Option<Output>,
}

/// Reads the environment. `keys` are the GODEBUG keys of all stages in use.
///
/// # Errors
/// One line for the user.
pub(crate) fn read(keys: &[&'static GodebugKey]) -> Result<Config, String> {
    let procs = match var("GOMAXPROCS")? {
        None => None,
        Some(text) => match text.parse() {
            Ok(n) if (1..=MAX_PROCS).contains(&n) => Some(n),
            _ => {
                return Err(format!(
                    "GOMAXPROCS={text}: not a number of processors; use 1 to {MAX_PROCS}"
                ));
            }
        },
    };
    let seed = match var("SAFEPOINT_SEED")? {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| {
            format!(
                "SAFEPOINT_SEED={text}: not a seed; use a number from 0 to {}",
                u64::MAX
            )
        })?),
    };
    if seed.is_some() {
        // Before the trace's file is opened, which empties it.
        safepoint_lockstep::possible()?;
    }
    SEEDED.store(seed.is_some(), Relaxed);
    SEED.store(seed.unwrap_or(0), Relaxed);
    godebug(keys)?;
    let traceback = match var("GOTRACEBACK")?.as_deref() {
        None | Some("single") => Traceback::Single,
        Some("none" | "0") => Traceback::None,
        Some("all" | "1") => Traceback::All,
        Some("system" | "2") => Traceback::System,
        Some("crash") => Traceback::Crash,
        Some(text) => {
            return Err(format!(
                "GOTRACEBACK={text}: use none, single, all, system or crash"
            ));
        }
    };
    *TRACEBACK.lock().expect("no panic while it is held") = traceback;
    if let Some(name) = var("SAFEPOINT_TRACE_MAP")? {
        crate::trace::map::open(&name)?;
    }
    Ok(Config {
        procs,
        seed,
        trace: output()?,
    })
}

fn var(name: &str) -> Result<Option<String>, String> {
    match std::env::var(name) {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => Ok(Some(text)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(format!("{name}: not UTF-8")),
    }
}

fn godebug(keys: &[&'static GodebugKey]) -> Result<(), String> {
    for key in keys {
        key.value.store(0, Relaxed);
    }
    let Some(text) = var("GODEBUG")? else {
        return Ok(());
    };
    for field in text.split(',').filter(|f| !f.is_empty()) {
        let Some((name, value)) = field.split_once('=') else {
            return Err(format!(
                "GODEBUG={text}: `{field}` is not of the form key=number"
            ));
        };
        match keys.iter().find(|k| k.name == name) {
            Some(key) => {
                let n: u32 = value.parse().map_err(|_| {
                    format!("GODEBUG={text}: `{name}` takes a number, not `{value}`")
                })?;
                key.value.store(i64::from(n), Relaxed);
            }
            // Go's own keys may be set for real Go programs: say so, and go on.
            None => say!("GODEBUG: `{name}` means nothing here and is ignored"),
        }
    }
    Ok(())
}

fn output() -> Result<Option<Output>, String> {
    let Some(name) = var("SAFEPOINT_TRACE")? else {
        return Ok(None);
    };
    if name == "-" {
        return Ok(Some(Output {
            form: Form::Text,
            sink: Box::new(std::io::stderr()),
            name,
        }));
    }
    let form = match std::path::Path::new(&name)
        .extension()
        .and_then(|e| e.to_str())
    {
        Some("txt") => Form::Text,
        Some("json") => Form::Chrome,
        Some("trace") => Form::Go,
        _ => {
            return Err(format!(
                "SAFEPOINT_TRACE={name}: end the name in .txt (text), .json (Chrome, Perfetto) or .trace (go tool trace), or use - for text on stderr"
            ));
        }
    };
    // Opened now, so that a run is not lost to a name that cannot be written.
    let fail = |e: std::io::Error| format!("SAFEPOINT_TRACE={name}: cannot be written: {e}");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&name)
        .map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    if crate::trace::map::is(&metadata) {
        return Err(format!(
            "SAFEPOINT_TRACE={name}: this is the file of SAFEPOINT_TRACE_MAP; use two files"
        ));
    }
    if metadata.is_file() {
        file.set_len(0).map_err(fail)?;
    }
    Ok(Some(Output {
        form,
        sink: Box::new(file),
        name,
    }))
}

/// The seed of this run, in lockstep.
pub(crate) fn seed() -> Option<u64> {
    SEEDED.load(Relaxed).then(|| SEED.load(Relaxed))
}

/// How much to print when the process dies.
pub(crate) fn traceback() -> Traceback {
    TRACEBACK.try_lock().map_or(Traceback::Single, |t| *t)
}

/// The program's name, for a trace's header.
pub(crate) fn program() -> String {
    std::env::args_os()
        .next()
        .and_then(|a| {
            std::path::Path::new(&a)
                .file_name()
                .map(|n| n.to_string_lossy().into_owned())
        })
        .unwrap_or_default()
}

/// The command that runs this program again.
pub(crate) fn command(stage: &str) -> String {
    let mut args = std::env::args_os();
    let exe = args.next().unwrap_or_default();
    let exe = std::path::Path::new(&exe);
    let rest: Vec<String> = args.map(|a| a.to_string_lossy().into_owned()).collect();
    let is_example = exe
        .parent()
        .and_then(|p| p.file_name())
        .is_some_and(|n| n == "examples");
    let mut out = if is_example {
        format!("cargo run -p {stage} --example {}", program())
    } else {
        program()
    };
    if !rest.is_empty() {
        if is_example {
            out.push_str(" --");
        }
        for arg in rest {
            out.push(' ');
            out.push_str(&arg);
        }
    }
    out
}
