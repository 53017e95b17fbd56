//! Reads the switches: Go's environment variables by Go's names, and some of ours, which
//! `switches.rs` lists. A value that cannot be understood gets one line and status 2, never
//! silence. Mirrors `runtime1.go` (`parsedebugvars`): what the program itself says for a key of
//! `GODEBUG` comes first, and the environment wins.
//!
//! Tests: `bad_input`, `switches`.

use crate::life::shellword::{ShellWord, one_line};
use crate::stage::GodebugKey;
use crate::throw::{self, Traceback};
use crate::trace::{Keep, Output};
use safepoint_lockstep::{self as lab, say};
use safepoint_trace::{Costs, Form, Header};
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::*};

/// Ps that a run may have at most.
pub const MAX_PROCS: usize = 256;

/// Events that a trace of the last ones may have at most.
const LAST_MAX: usize = 1 << 24;

/// The keys of this stage.
pub static GODEBUG: &[&GodebugKey] = &[&ASYNCPREEMPTOFF];

/// Go's switch back to asking by the flag alone. In this stage there is nothing else.
pub static ASYNCPREEMPTOFF: GodebugKey = GodebugKey {
    name: "asyncpreemptoff",
    doc: "1: request preemption by the flag alone; stage 1 has no other way, so there it changes nothing",
    value: AtomicI64::new(0),
};

/// Keys that a stage may have.
const KEYS: usize = 16;

/// What the program says for keys of `GODEBUG`, each by its place in its stage's list.
#[derive(Clone, Copy, Default)]
pub(crate) struct Settings([Option<u32>; KEYS]);

impl Settings {
    /// Sets a key, if there is one of this name; otherwise that is said.
    ///
    /// # Errors
    /// One line for the user: it is no value for this key.
    pub(crate) fn set(
        &mut self,
        keys: &[&'static GodebugKey],
        name: &str,
        value: &str,
    ) -> Result<(), String> {
        const WHERE: &str = "Runtime::godebug";
        if let Some((at, n)) = setting(keys, name, value, WHERE, WHERE)? {
            self.0[at] = Some(n);
        }
        Ok(())
    }
}

static SEEDED: AtomicBool = AtomicBool::new(false);
static SEED: AtomicU64 = AtomicU64::new(0);

/// What the environment asks for.
pub(crate) struct Config {
    pub procs: Option<usize>,
    pub seed: Option<u64>,
    pub trace: Option<Output>,
}

/// Reads the environment. `keys` are the GODEBUG keys of all stages in use, and `program` what
/// the program says for them.
///
/// # Errors
/// One line for the user.
pub(crate) fn read(keys: &[&'static GodebugKey], program: &Settings) -> Result<Config, String> {
    let procs = match var("GOMAXPROCS")? {
        None => None,
        Some(text) => match number(&text) {
            Some(n) if (1..=MAX_PROCS).contains(&n) => Some(n),
            _ => {
                return Err(format!(
                    "GOMAXPROCS={}: not a number of processors; use 1 to {MAX_PROCS}",
                    shown(&text)
                ));
            }
        },
    };
    let seed = match var("SAFEPOINT_SEED")? {
        None => None,
        Some(text) => Some(number(&text).ok_or_else(|| {
            format!(
                "SAFEPOINT_SEED={}: not a seed; use a number from 0 to {}",
                shown(&text),
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
    godebug(keys, program)?;
    let traceback = match var("GOTRACEBACK")?.as_deref() {
        None | Some("single") => Traceback::Single,
        Some("none" | "0") => Traceback::None,
        Some("all" | "1") => Traceback::All,
        Some("system" | "2") => Traceback::System,
        Some("crash") => Traceback::Crash,
        Some(text) => {
            return Err(format!(
                "GOTRACEBACK={}: use none, single, all, system or crash",
                shown(text)
            ));
        }
    };
    throw::set_traceback(traceback);
    if let Some(name) = var("SAFEPOINT_TRACE_MAP")? {
        crate::trace::map::open(&name)
            .map_err(|what| format!("SAFEPOINT_TRACE_MAP={}: {what}", shown(&name)))?;
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

/// A number in digits alone: Rust's `parse` takes a sign, too.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// A value as a message shows it: in one line, whatever is in it.
fn shown(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' => out.push(c),
            c => out.extend(c.escape_debug()),
        }
    }
    out
}

fn godebug(keys: &[&'static GodebugKey], program: &Settings) -> Result<(), String> {
    for (at, key) in keys.iter().enumerate() {
        let said = program.0.get(at).copied().flatten();
        key.value.store(said.map_or(0, i64::from), Relaxed);
    }
    let Some(text) = var("GODEBUG")? else {
        return Ok(());
    };
    let all = format!("GODEBUG={}", shown(&text));
    for field in text.split(',').filter(|f| !f.is_empty()) {
        let Some((name, value)) = field.split_once('=') else {
            return Err(format!(
                "{all}: `{}` is not of the form key=number",
                shown(field)
            ));
        };
        if let Some((at, n)) = setting(keys, name, value, "GODEBUG", &all)? {
            keys[at].value.store(i64::from(n), Relaxed);
        }
    }
    Ok(())
}

/// The place of a key in `keys`, and its value. `None` if there is no such key, which is said:
/// Go's own may be set for real Go programs. `place` is where the user set it, and `all` what
/// was set there.
fn setting(
    keys: &[&'static GodebugKey],
    name: &str,
    value: &str,
    place: &str,
    all: &str,
) -> Result<Option<(usize, u32)>, String> {
    let Some(at) = keys.iter().position(|key| key.name == name) else {
        say!(
            "{place}: `{}` means nothing here and is ignored",
            shown(name)
        );
        return Ok(None);
    };
    let value = number(value)
        .ok_or_else(|| format!("{all}: `{name}` takes a number, not `{}`", shown(value)))?;
    Ok(Some((at, value)))
}

fn output() -> Result<Option<Output>, String> {
    let (keep, last) = keep()?;
    let Some(name) = var("SAFEPOINT_TRACE")? else {
        return Ok(None);
    };
    if name == "-" {
        return Ok(Some(Output {
            form: Form::Text,
            sink: Box::new(Stderr),
            name,
            keep,
            last,
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
                "SAFEPOINT_TRACE={}: end the name in .txt (text), .json (Chrome, Perfetto) or .trace (go tool trace), or use - for text on stderr",
                shown(&name)
            ));
        }
    };
    if form == Form::Go && keep == Keep::Last {
        return Err(format!(
            "SAFEPOINT_TRACE_LAST: Go's form cannot begin in the middle of a run; end the name in .txt or .json instead of SAFEPOINT_TRACE={}",
            shown(&name)
        ));
    }
    // Opened now, so that a run is not lost to a name that cannot be written.
    let fail =
        |e: std::io::Error| format!("SAFEPOINT_TRACE={}: cannot be written: {e}", shown(&name));
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&name)
        .map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    if crate::trace::map::is(&metadata) {
        return Err(format!(
            "SAFEPOINT_TRACE={}: this is the file of SAFEPOINT_TRACE_MAP; use two files",
            shown(&name)
        ));
    }
    if metadata.is_file() {
        file.set_len(0).map_err(fail)?;
    }
    Ok(Some(Output {
        form,
        sink: Box::new(file),
        name,
        keep,
        last,
    }))
}

/// Stderr without std's lock, which the thread that dies may hold.
struct Stderr;

impl std::io::Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // SAFETY: the bytes are borrowed for the call.
        let n = unsafe { libc::write(2, bytes.as_ptr().cast(), bytes.len()) };
        usize::try_from(n).map_err(|_| std::io::Error::last_os_error())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Which events the trace has if there are many.
fn keep() -> Result<(Keep, usize), String> {
    let streams = match var("SAFEPOINT_TRACE_STREAM")?.as_deref() {
        None | Some("0") => false,
        Some("1") => true,
        Some(text) => {
            return Err(format!(
                "SAFEPOINT_TRACE_STREAM={}: use 1 to write the trace while the program runs",
                shown(text)
            ));
        }
    };
    let Some(text) = var("SAFEPOINT_TRACE_LAST")? else {
        return Ok((if streams { Keep::All } else { Keep::First }, 0));
    };
    let last = number(&text).filter(|n| (1..=LAST_MAX).contains(n));
    match last {
        None => Err(format!(
            "SAFEPOINT_TRACE_LAST={}: not a number of events; use 1 to {LAST_MAX}",
            shown(&text)
        )),
        Some(_) if streams => Err(
            "SAFEPOINT_TRACE_LAST keeps the last events and SAFEPOINT_TRACE_STREAM all of them; use one"
                .to_owned(),
        ),
        Some(last) => Ok((Keep::Last, last)),
    }
}

/// The seed of this run, in lockstep.
fn seed() -> Option<u64> {
    SEEDED.load(Relaxed).then(|| SEED.load(Relaxed))
}

/// What a trace says about its run, with `procs` Ps. `reasons_traced`: reasons to wait that
/// Go's tracer calls otherwise than its dumps do.
pub(crate) fn header(
    stage: &'static str,
    reasons_traced: &'static [(&'static str, &'static str)],
    procs: usize,
) -> Header {
    Header {
        stage,
        program: program(),
        command: command(stage),
        procs,
        seed: seed(),
        costs: Costs {
            check: lab::CHECK_NS / 1000,
            event: lab::EVENT_NS / 1000,
            wake: lab::WAKE_NS / 1000,
        },
        reasons_traced,
        portable: None,
        begins: None,
        ends: None,
    }
}

/// The program's name, for a trace's header.
fn program() -> String {
    std::env::args_os()
        .next()
        .and_then(|a| {
            std::path::Path::new(&a)
                .file_name()
                .map(|n| n.to_string_lossy().into_owned())
        })
        .unwrap_or_default()
}

/// The command that runs this program again, as a shell reads it. `SAFEPOINT_REPLAY` says it
/// where the program cannot know: a runner that starts it in a way of its own.
fn command(stage: &str) -> String {
    if let Some(said) = std::env::var_os("SAFEPOINT_REPLAY").filter(|said| !said.is_empty()) {
        return one_line(&said.to_string_lossy());
    }
    let mut args = std::env::args_os();
    let exe = args.next().unwrap_or_default();
    let exe = std::path::Path::new(&exe);
    let is_example = exe
        .parent()
        .and_then(|p| p.file_name())
        .is_some_and(|n| n == "examples");
    let mut out = if is_example {
        let name = ShellWord::new(OsStr::new(&program()));
        format!("cargo run -p {stage} --example {name}")
    } else {
        // As it was typed: a path, or a name that the shell found.
        ShellWord::new(exe.as_os_str()).to_string()
    };
    if is_example && args.len() > 0 {
        out.push_str(" --");
    }
    for arg in args {
        out.push(' ');
        out.push_str(&ShellWord::new(&arg).to_string());
    }
    out
}
