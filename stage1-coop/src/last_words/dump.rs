//! Where goroutines are: stack traces in Go's form. Mirrors `traceback.go`.
//!
//! A parked goroutine's frames are found by the compiler's tables, from where the switch left
//! it (`arch/unwind.rs`). Names come from the debug information, on the stack of the thread that
//! prints.
//!
//! Tests: `last_words::throws`, `diagnostics::sigquit`.

use crate::arch::{Frame, callers, switched_out};
use crate::gmp::casgstatus::readgstatus;
use crate::gmp::{G, GDEAD, GIDLE, GRUNNING, GSCAN, GWAITING, SCHED, gstatus_name};
use crate::stack::guards;
use crate::stack::slots::lowest;
use crate::throw::{Traceback, traceback};
use crate::trace::{self, WaitReason};
use safepoint_lockstep::say;
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::Mutex;
use std::sync::atomic::Ordering::*;

/// Frames that are printed at each end of a deep stack. Go's number.
const SHOWN: usize = 50;

/// The last panics of a goroutine.
#[derive(Default)]
struct Panics {
    /// Where the last one began.
    frames: Vec<Frame>,
    /// What it said, and what the one before it said.
    texts: [String; 2],
}

/// By the number of the goroutine.
static PANICS: Mutex<Option<HashMap<usize, Panics>>> = Mutex::new(None);

/// Keeps the caller's frames for the dump that comes after the unwinding.
pub(crate) fn remember_here(gp: &G, text: String) {
    let frames = callers();
    if let Ok(mut panics) = PANICS.lock() {
        let panics = panics.get_or_insert_default();
        let panics = panics.entry(gp.goid.get()).or_default();
        panics.frames = frames;
        panics.texts.swap(0, 1);
        panics.texts[0] = text;
        gp.panicked.store(true, Relaxed);
    }
}

/// What the last panic of a goroutine said, and what the one before it said.
pub(crate) fn remembered(gp: &G) -> [String; 2] {
    PANICS
        .lock()
        .ok()
        .and_then(|p| Some(p.as_ref()?.get(&gp.goid.get())?.texts.clone()))
        .unwrap_or_default()
}

/// The goroutine has ended, so its panic was caught.
pub(crate) fn forget(gp: &G) {
    gp.panicked.store(false, Relaxed);
    if let Ok(mut panics) = PANICS.lock()
        && let Some(panics) = panics.as_mut()
    {
        panics.remove(&gp.goid.get());
    }
}

/// Prints the goroutine that speaks, with the frames of now.
pub(crate) fn running(gp: &'static G) {
    say!("\n{}:", header(gp, "running"));
    say_frames(&callers());
    created_by(gp);
}

/// Prints the goroutine that panicked, with the frames of that moment.
pub(crate) fn panicked(gp: &'static G) {
    let panics = PANICS
        .lock()
        .ok()
        .and_then(|mut p| p.as_mut()?.remove(&gp.goid.get()));
    match panics {
        Some(panics) => {
            say!("\n{}:", header(gp, "running"));
            say_frames(&panics.frames);
            created_by(gp);
        }
        None => running(gp),
    }
}

/// Milliseconds that the list of goroutines may be locked.
const PATIENCE_MS: u32 = 1_000;

/// Prints every goroutine that has not finished, but for `me`.
pub(crate) fn others(me: &G) {
    // Its owner may be dying too, and stand still for ever.
    let Some(sched) = SCHED.lock_within(PATIENCE_MS) else {
        say!("\nruntime: the list of goroutines is held by a thread that stands still");
        return;
    };
    let all: Vec<&'static G> = sched.allgs.clone();
    drop(sched);
    for gp in all {
        let status = readgstatus(gp) & !GSCAN;
        if std::ptr::eq(gp, me) || status == GDEAD || status == GIDLE {
            continue;
        }
        let word = match status {
            GWAITING => WaitReason::from_u8(gp.waitreason.load(Relaxed)).name(),
            other => gstatus_name(other),
        };
        say!("\n{}:", header(gp, word));
        if status == GRUNNING {
            say!("\tgoroutine running on other thread; stack unavailable");
        } else if gp.stack.lo.get() != 0 {
            say_frames(&standing(gp));
        }
        created_by(gp);
    }
}

/// The frames of a goroutine that does not run: from where it was left.
fn standing(gp: &G) -> Vec<Frame> {
    // Unchecked code uses the slack below `lo`, so its whole slot counts.
    // SAFETY: it has a stack and does not run. (If it is set going this very moment: the world
    // is frozen, as far as it could be, and the process ends.)
    unsafe { switched_out(gp, lowest(gp)) }
}

/// Prints a goroutine whose check brought us to `g0`.
pub(crate) fn at_its_check(gp: &'static G) {
    say!("\n{}:", header(gp, "running"));
    say_frames(&standing(gp));
    created_by(gp);
}

fn header(gp: &G, state: &str) -> String {
    let locked = if gp.lockedm.get().is_some() {
        ", locked to thread"
    } else {
        ""
    };
    let guard = if guards::unguarded(gp) {
        ", no guard page"
    } else {
        ""
    };
    format!("goroutine {} [{state}{locked}{guard}]", gp.goid.get())
}

fn created_by(gp: &G) {
    let parent = gp.parentgoid.get();
    if parent != 0 {
        say!(
            "created by {} in goroutine {parent} as {}",
            trace::Escaped(gp.parentname.get()),
            trace::Escaped(gp.name.get())
        );
    }
}

/// Prints frames as Go does, without the runtime's own unless asked. Of a deep stack both ends.
fn say_frames(frames: &[Frame]) {
    if frames.len() <= 2 * SHOWN {
        return say_each(frames);
    }
    say_each(&frames[..SHOWN]);
    say!("...{} frames elided...", frames.len() - 2 * SHOWN);
    say_each(&frames[frames.len() - SHOWN..]);
}

fn say_each(frames: &[Frame]) {
    for frame in frames {
        backtrace::resolve(frame.returns_to() as *mut c_void, |symbol| {
            let name = symbol
                .name()
                .map_or_else(|| "?".to_owned(), |n| format!("{n:#}"));
            let file = symbol.filename().map(|f| f.display().to_string());
            if traceback() < Traceback::System && internal(&name, file.as_deref()) {
                return;
            }
            let offset = frame
                .offset()
                .filter(|&n| n > 0)
                .map_or_else(String::new, |n| format!(" +{n:#x}"));
            let file = file.as_deref().unwrap_or("?");
            say!("{name}(...)");
            say!("\t{file}:{}{offset}", symbol.lineno().unwrap_or(0));
        });
    }
}

/// Frames that say nothing about the program: the runtime's own, and std's. Inlined frames
/// have short names, so the file decides first. Functions that are nothing but assembly have
/// none.
fn internal(name: &str, file: Option<&str>) -> bool {
    const OURS: &str = env!("CARGO_MANIFEST_DIR");
    const PREFIXES: &[&str] = &[
        "stage1_coop::",
        "std::",
        "core::",
        "alloc::",
        "__rust",
        "rust_begin_unwind",
        "rust_panic",
    ];
    // `<T as stage1_coop::Trait>::function` and `<stage1_coop::T>::function`.
    let name = name.strip_prefix('<').unwrap_or(name);
    let by_name = PREFIXES.iter().any(|p| name.starts_with(p));
    let Some(file) = file else {
        return by_name || of_a_stage(name);
    };
    // The stages lie side by side: the folder's name up to its number, and then `src`.
    by_name
        || OURS
            .strip_suffix("1-coop")
            .and_then(|stages| file.strip_prefix(stages))
            .is_some_and(|rest| rest.contains("/src/"))
        || file.contains("/library/std/")
        || file.contains("/library/core/")
        || file.contains("/library/alloc/")
}

/// Whether a symbol is of a crate of ours: `stage`, a number, an underscore.
fn of_a_stage(name: &str) -> bool {
    let number = name.strip_prefix("stage");
    let rest = number.map(|n| n.trim_start_matches(|c: char| c.is_ascii_digit()));
    rest.is_some_and(|rest| rest.starts_with('_') && number != Some(rest))
}

#[cfg(test)]
mod tests {
    use super::internal;

    #[test]
    fn assembly_of_a_later_stage_is_the_runtime_s_own() {
        let ours = [
            "stage1_coop::stack::morestack::morestack",
            "stage3_signals::inject::async_preempt",
            "<stage12_later::Thing>::naked",
        ];
        assert!(ours.iter().all(|name| internal(name, None)));
        let program_s = ["stage_play::main", "stage3::main", "staged::main", "?"];
        assert!(!program_s.iter().any(|name| internal(name, None)));
        // With a file, the folder decides: an example of a stage is a program.
        let folder = |stage: &str| env!("CARGO_MANIFEST_DIR").replace("stage1-coop", stage);
        let file = |path: &str| format!("{}/{path}", folder("stage3-signals"));
        assert!(internal(
            "push_call",
            Some(&file("src/inject/push_call.rs"))
        ));
        assert!(!internal(
            "stage3_loop::main",
            Some(&file("examples/loop.rs"))
        ));
    }
}
