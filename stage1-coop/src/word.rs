//! One word of a G, M or P: a relaxed atomic that compiles to a plain move.
//!
//! The runtime's structures live for ever and are reached from many threads, some of them
//! without a lock, as in Go. Every field says in its comment what may write it. If that
//! holds, relaxed loads and stores are enough for a field with one owner; if it does not,
//! the result is a wrong value and not undefined behavior. Fields that publish something
//! name their ordering where they are used.
//!
//! Tests: below.

pub use crate::link::Link;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::*};
// What files that also run under a model checker take from here: there they are its own.
pub(crate) use std::sync::atomic::{AtomicU32, fence};

/// A number with one owner at a time.
#[derive(Default)]
#[repr(transparent)]
pub struct Word(AtomicUsize);

impl Word {
    /// A word that holds `value`.
    pub const fn new(value: usize) -> Word {
        Word(AtomicUsize::new(value))
    }
    /// Reads the word (relaxed).
    #[inline]
    pub fn get(&self) -> usize {
        self.0.load(Relaxed)
    }
    /// Writes the word (relaxed).
    #[inline]
    pub fn set(&self, value: usize) {
        self.0.store(value, Relaxed);
    }
    /// Adds one, as the only writer: a load and a store, not a locked instruction.
    #[inline]
    pub fn bump(&self) {
        self.set(self.get().wrapping_add(1));
    }
}

/// A `&'static str` in one word, for names and reasons: the address above, the length in the
/// lowest 16 bits. One thread sets it; others may read it meanwhile and get the old text or
/// the new one, never the address of one and the length of the other.
///
/// An address takes 47 bits on x86-64 (the kernel gives more only to a mapping that asks for
/// it). A text of more than 65,535 bytes is cut.
#[derive(Default)]
#[repr(transparent)]
pub struct Text(AtomicPtr<u8>);

const LEN_BITS: u32 = 16;
const LEN_MAX: usize = (1 << LEN_BITS) - 1;

impl Text {
    /// The empty text.
    pub const fn new() -> Text {
        Text(AtomicPtr::new(std::ptr::null_mut()))
    }
    /// The text.
    #[inline]
    pub fn get(&self) -> &'static str {
        // Acquire: the bytes of a text that was made while the program ran, too.
        let word = self.0.load(Acquire);
        let len = word.addr() & LEN_MAX;
        if len == 0 {
            return "";
        }
        let start = word.map_addr(|a| a >> LEN_BITS);
        // SAFETY: only `set` stores anything but null, and it stores address and length of
        // one `&'static str` at once.
        unsafe { std::str::from_utf8_unchecked(std::slice::from_raw_parts(start, len)) }
    }
    /// Sets the text. The owner only.
    #[inline]
    pub fn set(&self, text: &'static str) {
        let fits = text.len() <= LEN_MAX && text.as_ptr().addr() >> (usize::BITS - LEN_BITS) == 0;
        let text = if fits { text } else { cut(text) };
        let start = text.as_ptr().cast_mut();
        let word = start.map_addr(|a| a << LEN_BITS | text.len());
        self.0.store(word, Release);
    }
    /// Whether it is the empty text.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.load(Relaxed).addr() & LEN_MAX == 0
    }
}

/// What of `text` fits into a [`Text`].
#[cold]
fn cut(text: &'static str) -> &'static str {
    if text.as_ptr().addr() >> (usize::BITS - LEN_BITS) != 0 {
        return "(a text at an address of more than 48 bits)";
    }
    let mut len = text.len().min(LEN_MAX);
    while !text.is_char_boundary(len) {
        len -= 1;
    }
    &text[..len]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One word, so that no reader can see half of a change.
    const _: () = assert!(size_of::<Text>() == size_of::<usize>());

    #[test]
    fn a_text_is_what_was_set() {
        let long: &'static str = "ü".repeat(40_000).leak();
        let text = Text::new();
        assert!(text.is_empty());
        for s in ["a", "", "eight by", "ünïcödé", &long[..LEN_MAX - 1], ""] {
            text.set(s);
            assert_eq!((text.get(), text.is_empty()), (s, s.is_empty()));
        }
        text.set(long);
        assert_eq!(
            text.get(),
            &long[..LEN_MAX - 1],
            "cut between two characters"
        );
    }

    #[test]
    fn a_reader_sees_a_whole_text() {
        static TEXT: Text = Text::new();
        const TEXTS: [&str; 5] = ["", "aaaaaaaa", "b", "cccccccc", "d"];
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                for _ in 0..1_000_000 {
                    let text = TEXT.get();
                    assert!(TEXTS.contains(&text), "torn: {:?}", text.as_bytes());
                }
            });
            while !reader.is_finished() {
                TEXTS.iter().for_each(|text| TEXT.set(text));
            }
        });
    }
}
