//! An event as the runtime keeps it: a kind, three words, and where it happened. Nothing here
//! allocates: a signal handler records events, and may print one.
//!
//! Tests: `stage1-coop/trace/tests/later.rs`, `traces`.

use crate::escape::Escaped;
use crate::kinds::Kind;
use std::fmt::{self, Write};

/// One event.
#[derive(Clone, Copy)]
pub struct Record {
    /// Nanoseconds of the run's clock; in a buffer, ticks.
    pub time: u64,
    /// What happened. Private, with the arguments: the kind says which of them are a text.
    pub(crate) kind: &'static Kind,
    args: [u64; 3],
    /// The P that the M held, or -1.
    pub p: i32,
    /// The goroutine that ran, or 0.
    pub g: u32,
    /// Joins a request to its outcome; 0 for none.
    pub flow: u32,
}

impl Record {
    /// An event of this kind, with its arguments in the order of the kind's form.
    ///
    /// # Safety
    /// Where the form has a text, the two words are address and length of one `&'static str`,
    /// as [`words`] makes them.
    #[inline]
    pub unsafe fn new(kind: &'static Kind, args: [u64; 3]) -> Record {
        Record {
            time: 0,
            kind,
            args,
            p: -1,
            g: 0,
            flow: 0,
        }
    }

    /// What happened.
    #[inline]
    pub fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// The arguments, in the order of the kind's form; a text is two words.
    #[inline]
    pub fn args(&self) -> [u64; 3] {
        self.args
    }

    /// The argument that is a length of time, if one is.
    pub fn length_mut(&mut self) -> Option<&mut u64> {
        self.args.get_mut(self.kind.place('t')?)
    }

    /// The same, to read.
    pub fn length(&self) -> Option<u64> {
        self.args.get(self.kind.place('t')?).copied()
    }

    /// The number that the event names behind this letter: 2 for 'g' in `GoStart g2`.
    pub fn named(&self, letter: char) -> Option<u32> {
        let at = self.kind.place(letter)?;
        self.args.get(at).map(|&n| n as u32)
    }

    /// The first text among the arguments, as it was recorded.
    pub fn text(&self) -> Option<&'static str> {
        let before = &self.kind.form[..self.kind.form.find("{s}")?];
        let at = before.matches('{').count();
        Some(self.text_at(at))
    }

    fn text_at(&self, at: usize) -> &'static str {
        match self.args.get(at..at + 2) {
            // SAFETY: the form has a text here, and who made the record promised that these two
            // words are one `&'static str`.
            Some(&[address, len]) if len != 0 => unsafe {
                let bytes = std::slice::from_raw_parts(address as *const u8, len as usize);
                std::str::from_utf8_unchecked(bytes)
            },
            _ => "",
        }
    }
}

/// A text as two words of a record.
pub fn words(text: &'static str) -> (u64, u64) {
    (text.as_ptr() as u64, text.len() as u64)
}

/// The arguments of an event, by the form of its kind.
pub(crate) struct Arguments<'a>(pub &'a Record);

impl fmt::Display for Arguments<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_arguments(out, self.0)
    }
}

fn write_arguments(out: &mut dyn Write, e: &Record) -> fmt::Result {
    let mut at = 0;
    let mut rest = e.kind.form;
    while let Some(open) = rest.find('{') {
        out.write_str(&rest[..open])?;
        let n = e.args.get(at).copied().unwrap_or(0);
        match &rest[open..open + 3] {
            "{n}" => write!(out, "{n}")?,
            "{t}" => write!(out, "{}", Millis(n))?,
            _ => {
                write!(out, "{}", Escaped(e.text_at(at)))?;
                at += 1;
            }
        }
        at += 1;
        rest = &rest[open + 3..];
    }
    out.write_str(rest)
}

/// Nanoseconds as milliseconds with three decimals.
pub struct Millis(pub u64);

impl fmt::Display for Millis {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{:03}", self.0 / 1_000_000, self.0 / 1_000 % 1_000)
    }
}

/// One event of M `m` as a line of the text form. It allocates nothing by itself.
///
/// # Errors
/// The writer's.
pub fn write_line(out: &mut dyn Write, m: usize, e: &Record) -> fmt::Result {
    let mut out = Counted { out, len: 0 };
    let ms = e.time / 1_000_000;
    write!(out, "{ms:>5}.{:03}  m{m:<2} ", e.time / 1000 % 1000)?;
    match e.p {
        ..0 => out.write_str("--  ")?,
        p => write!(out, "p{p:<2} ")?,
    }
    match e.g {
        0 => out.write_str("--   ")?,
        g => write!(out, "g{g:<3} ")?,
    }
    write!(out, "{:<12} ", e.kind.name)?;
    write_arguments(&mut out, e)?;
    if e.flow != 0 {
        let width = 66usize.saturating_sub(out.len);
        write!(out, "{:width$} #{}", "", e.flow)?;
    }
    Ok(())
}

/// Counts what goes through.
struct Counted<'a> {
    out: &'a mut dyn Write,
    len: usize,
}

impl Write for Counted<'_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.len += s.len();
        self.out.write_str(s)
    }
}
