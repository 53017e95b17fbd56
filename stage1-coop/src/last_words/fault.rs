//! A goroutine touches memory that is not there: its own guard page, or something wilder.
//! Both end the process with Go's words and status 2. Mirrors `newstack`'s overflow message
//! and `sigpanic`/`dieFromSignal`.
//!
//! The second half runs in a signal handler that may have interrupted anything, so it
//! formats into a buffer on its own stack and writes with one system call.
//!
//! Tests: `last_words::faults`.

use crate::arch::getg;
use crate::gmp::G;
use crate::last_words::dump;
use crate::os;
use crate::stack::guards;
use crate::stack::slots::STACK_MAX;
use crate::throw::{Traceback, begin_dying, die, traceback};
use crate::trace;
use safepoint_lockstep::{say, say_bytes};
use std::fmt::Write;

/// A check found that the stack cannot grow any more. On `g0`, so everything may be used.
pub(crate) fn stack_overflow(gp: &'static G, sp: usize) -> ! {
    begin_dying();
    say!("{}", overflow_text(gp, sp).to_string().trim_end());
    if traceback() > Traceback::None {
        dump::at_its_check(gp);
    }
    die()
}

fn overflow_text(gp: &G, sp: usize) -> Line {
    let mut line = Line::new();
    let (lo, hi) = (gp.stack.lo.get(), gp.stack.hi.get());
    let _ = write!(
        line,
        "runtime: goroutine stack exceeds {STACK_MAX}-byte limit\nruntime: sp={sp:#x} stack=[{lo:#x}, {hi:#x}]\nfatal error: stack overflow\n",
    );
    line
}

/// A fault on a goroutine's stack, seen by the signal handler.
pub(crate) fn goroutine_fault(signal: i32, code: i32, addr: usize, sp: usize, pc: usize) -> ! {
    begin_dying();
    let gp = getg();
    let mut line;
    if guards::stopped_by_guard_page(gp, addr) {
        line = overflow_text(gp, sp);
        let _ = write!(
            line,
            "\ngoroutine {} [running]:\n{}(...)\n\tin code without a stack check, at pc={pc:#x}; the guard page stopped it\n",
            gp.goid.get(),
            trace::Escaped(gp.name.get()),
        );
    } else {
        line = Line::new();
        let name = if signal == libc::SIGBUS {
            "SIGBUS: bus error"
        } else {
            "SIGSEGV: segmentation violation"
        };
        let _ = write!(
            line,
            "fatal error: unexpected signal\n[signal {name} code={code:#x} addr={addr:#x} pc={pc:#x}]\n\ngoroutine {} [running]:\n{}(...)\n",
            gp.goid.get(),
            trace::Escaped(gp.name.get()),
        );
    }
    say_bytes(line.bytes());
    trace::finish();
    os::exit_now(2)
}

/// A formatter that never allocates.
pub(crate) struct Line {
    bytes: [u8; 1024],
    len: usize,
}

impl Line {
    pub(crate) fn new() -> Line {
        Line {
            bytes: [0; 1024],
            len: 0,
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Write for Line {
    fn write_str(&mut self, s: &str) -> std::fmt::Result {
        let n = s.len().min(self.bytes.len() - self.len);
        self.bytes[self.len..self.len + n].copy_from_slice(&s.as_bytes()[..n]);
        self.len += n;
        Ok(())
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(std::str::from_utf8(&self.bytes[..self.len]).unwrap_or(""))
    }
}
