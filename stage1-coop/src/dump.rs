//! Where goroutines are: stack traces in Go's form. Mirrors `traceback.go`.
//!
//! A parked goroutine's frames are found by its frame pointers, from the one that the
//! switch saved; the workspace is compiled with them. Names come from the debug
//! information, on the stack of whoever prints.

use crate::arch::getg;
use crate::config::{Traceback, traceback};
use crate::runtime2::*;
use crate::trace::{self, WaitReason};
use safepoint_lockstep::say;
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::Mutex;
use std::sync::atomic::Ordering::*;

/// Frames that are followed at most: a whole stack of the smallest ones.
const MAX_FRAMES: usize = 1 << 14;
/// Frames that are printed at each end of a deep stack. Go's number.
const SHOWN: usize = 50;

/// Where the last panic of each goroutine began, by its number.
static PANICS: Mutex<Option<HashMap<usize, Vec<usize>>>> = Mutex::new(None);

/// Follows a chain of frame pointers inside one stack: the return addresses, innermost
/// first.
fn walk(mut bp: usize, lo: usize, hi: usize) -> Vec<usize> {
    let mut pcs = Vec::new();
    while pcs.len() < MAX_FRAMES && bp >= lo && bp + 16 <= hi && bp.is_multiple_of(8) {
        // SAFETY: both words lie inside the stack, whose memory is mapped from `lo` on
        // (the caller passes the bounds of a whole slot or of a live stack). What they
        // hold is only trusted as far as these tests go.
        let (next, pc) = unsafe { (*(bp as *const usize), *((bp + 8) as *const usize)) };
        if pc == 0 {
            break;
        }
        if calls_morestack(pcs.last().copied()) && bp + 24 <= hi && !has_frame(pc) {
            // `bp` is morestack's frame, and `pc` the function whose check brought us
            // there. It has not linked a frame of its own yet: its return address is all
            // that it has on the stack.
            // SAFETY: as above.
            let caller = unsafe { *((bp + 16) as *const usize) };
            pcs.extend([pc, caller]);
        } else {
            pcs.push(pc);
        }
        if next <= bp {
            break;
        }
        bp = next;
    }
    pcs
}

/// Whether a return address lies in `morestack`, which makes one call.
fn calls_morestack(pc: Option<usize>) -> bool {
    let morestack = crate::arch::morestack as *const () as usize;
    // The tables decide; the distance only spares them most questions.
    pc.is_some_and(|pc| pc.wrapping_sub(morestack) < 4096 && entry(pc) == Some(morestack))
}

/// Whether the function around `pc`, which looks at its guard, linked a frame before that:
/// then `push rbp` and `mov rbp, rsp` stand somewhere between its entry and `pc`.
fn has_frame(pc: usize) -> bool {
    entry(pc).is_none_or(|entry| {
        // SAFETY: code of one function of this program, from its entry to an address in it.
        let before = unsafe { std::slice::from_raw_parts(entry as *const u8, pc - entry) };
        before.windows(4).any(|w| w == [0x55, 0x48, 0x89, 0xe5])
    })
}

/// Where the function around `pc` begins: what the tables for unwinding say.
fn entry(pc: usize) -> Option<usize> {
    unsafe extern "C" {
        fn _Unwind_FindEnclosingFunction(pc: *mut c_void) -> *mut c_void;
    }
    // SAFETY: a search in read-only tables; any address may be asked for.
    let entry = unsafe { _Unwind_FindEnclosingFunction(pc as *mut c_void) } as usize;
    (entry != 0 && entry < pc).then_some(entry)
}

/// The bounds within which a goroutine's frame pointers may lie: its whole slot, because
/// unchecked code uses the slack below `lo`.
fn bounds(gp: &G) -> (usize, usize) {
    let hi = gp.stack.hi.get();
    (
        hi.saturating_sub(crate::stack::STACK_MAX + crate::stack::SLACK),
        hi,
    )
}

/// Keeps the caller's frames for the dump that comes after the unwinding.
pub(crate) fn remember_here(goid: usize) {
    let bp: usize;
    // SAFETY: reads a register.
    unsafe {
        std::arch::asm!("mov {}, rbp", out(reg) bp, options(nomem, nostack, preserves_flags))
    };
    let gp = getg();
    let (lo, hi) = bounds(gp);
    let pcs = walk(bp, lo, hi);
    if let Ok(mut panics) = PANICS.lock() {
        panics.get_or_insert_default().insert(goid, pcs);
        gp.panicked.store(true, Relaxed);
    }
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

/// Prints the goroutine that speaks: with the frames of its panic, or with those of now.
pub(crate) fn running(gp: &'static G, panic_of: Option<usize>) {
    say!("\n{}:", header(gp, "running"));
    let remembered = panic_of.and_then(|goid| {
        PANICS
            .lock()
            .ok()
            .and_then(|mut p| p.as_mut().and_then(|p| p.remove(&goid)))
    });
    let pcs = remembered.unwrap_or_else(|| {
        let bp: usize;
        // SAFETY: reads a register.
        unsafe {
            std::arch::asm!("mov {}, rbp", out(reg) bp, options(nomem, nostack, preserves_flags))
        };
        let (lo, hi) = bounds(gp);
        walk(bp, lo, hi)
    });
    frames(&pcs);
    created_by(gp);
}

/// Prints every other goroutine that has not finished.
pub(crate) fn others() {
    let all: Vec<&'static G> = SCHED.lock().allgs.clone();
    let me = getg();
    for gp in all {
        let status = gp.atomicstatus.load(Acquire) & !GSCAN;
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
            frames(&switched_out(gp));
        }
        created_by(gp);
    }
}

/// The return addresses of a goroutine that does not run: from where the switch left it.
fn switched_out(gp: &G) -> Vec<usize> {
    let (lo, hi) = bounds(gp);
    let mut pcs = vec![gp.sched.pc.get()];
    pcs.extend(walk(gp.sched.bp.get(), lo, hi));
    pcs
}

/// Prints a goroutine whose check brought us to `g0`.
pub(crate) fn at_its_check(gp: &'static G) {
    say!("\n{}:", header(gp, "running"));
    frames(&switched_out(gp));
    created_by(gp);
}

fn header(gp: &G, state: &str) -> String {
    let locked = if gp.lockedm.get().is_some() {
        ", locked to thread"
    } else {
        ""
    };
    let guard = if crate::guards::unguarded(gp) {
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
            "created by {} in goroutine {parent}",
            trace::Escaped(gp.parentname.get())
        );
    }
}

/// Prints return addresses as Go does, without the runtime's own frames unless asked. Of a
/// deep stack both ends.
fn frames(pcs: &[usize]) {
    if pcs.len() <= 2 * SHOWN {
        return print_frames(pcs);
    }
    print_frames(&pcs[..SHOWN]);
    say!("...{} frames elided...", pcs.len() - 2 * SHOWN);
    print_frames(&pcs[pcs.len() - SHOWN..]);
}

fn print_frames(pcs: &[usize]) {
    for &pc in pcs {
        // The call, not the instruction after it.
        backtrace::resolve((pc - 1) as *mut c_void, |symbol| {
            let name = symbol
                .name()
                .map_or_else(|| "?".to_owned(), |n| format!("{n:#}"));
            let file = symbol
                .filename()
                .map_or_else(|| "?".to_owned(), |f| f.display().to_string());
            if traceback() < Traceback::System && internal(&name, &file) {
                return;
            }
            let offset = entry(pc).map_or_else(String::new, |e| format!(" +{:#x}", pc - e));
            say!("{name}(...)");
            say!("\t{file}:{}{offset}", symbol.lineno().unwrap_or(0));
        });
    }
}

/// Frames that say nothing about the program: the runtime's own, and std's. Inlined frames
/// have short names, so the file decides first.
fn internal(name: &str, file: &str) -> bool {
    const OURS: &str = env!("CARGO_MANIFEST_DIR");
    const PREFIXES: &[&str] = &[
        "stage1_coop::",
        "<stage1_coop::",
        "std::",
        "<std::",
        "core::",
        "<core::",
        "alloc::",
        "<alloc::",
        "__rust",
        "rust_begin_unwind",
        "rust_panic",
    ];
    // The stages lie side by side: the folder's name up to its number, and then `src`.
    OURS.strip_suffix("1-coop")
        .and_then(|stages| file.strip_prefix(stages))
        .is_some_and(|rest| rest.contains("/src/"))
        || file.contains("/library/std/")
        || file.contains("/library/core/")
        || file.contains("/library/alloc/")
        || PREFIXES.iter().any(|p| name.starts_with(p))
}
