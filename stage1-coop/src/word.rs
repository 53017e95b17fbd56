//! One word of a G, M or P: a relaxed atomic that compiles to a plain move.
//!
//! The runtime's structures live for ever and are reached from many threads, some of them
//! without a lock, as in Go. Every field says in its comment who may write it. If that
//! holds, relaxed loads and stores are enough for a field with one owner; if it does not,
//! the result is a wrong value and not undefined behaviour. Fields that publish something
//! name their ordering where they are used.

pub(crate) use std::sync::atomic::AtomicU32;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering, Ordering::*};

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

/// A pointer to a structure that is never freed, or nothing: Go's `guintptr`, `muintptr`,
/// `puintptr`.
#[repr(transparent)]
pub struct Link<T: 'static>(AtomicPtr<T>);

impl<T> Link<T> {
    /// No link.
    pub const fn none() -> Link<T> {
        Link(AtomicPtr::new(std::ptr::null_mut()))
    }
    /// Follows the link (relaxed: the caller owns the field, or synchronises otherwise).
    #[inline]
    pub fn get(&self) -> Option<&'static T> {
        self.load(Relaxed)
    }
    /// Sets the link (relaxed).
    #[inline]
    pub fn set(&self, to: Option<&'static T>) {
        self.store(to, Relaxed);
    }
    /// Follows the link with the given ordering.
    #[inline]
    pub fn load(&self, order: Ordering) -> Option<&'static T> {
        from(self.0.load(order))
    }
    /// Sets the link with the given ordering.
    #[inline]
    pub fn store(&self, to: Option<&'static T>, order: Ordering) {
        self.0.store(into(to), order);
    }
    /// Replaces the link and returns what it was.
    #[inline]
    pub fn swap(&self, to: Option<&'static T>, order: Ordering) -> Option<&'static T> {
        from(self.0.swap(into(to), order))
    }
    /// Sets the link if it is `old`; says whether it was.
    #[inline]
    pub fn cas(&self, old: Option<&'static T>, new: Option<&'static T>, order: Ordering) -> bool {
        self.0
            .compare_exchange(into(old), into(new), order, Relaxed)
            .is_ok()
    }
    /// Whether the link leads to `other`.
    #[inline]
    pub fn is(&self, other: &T) -> bool {
        std::ptr::eq(self.0.load(Relaxed), other)
    }
}

#[inline]
fn from<T>(p: *mut T) -> Option<&'static T> {
    // SAFETY: every pointer stored in a Link came from a `&'static T` (see `into`), whose
    // referent is never freed nor moved.
    unsafe { p.cast_const().as_ref() }
}

#[inline]
fn into<T>(to: Option<&'static T>) -> *mut T {
    to.map_or(std::ptr::null_mut(), |r| std::ptr::from_ref(r).cast_mut())
}

/// A `&'static str` in two words, for names and reasons. One thread sets it; others may
/// read it meanwhile and get the old text, the new one, or nothing.
#[derive(Default)]
pub struct Text {
    ptr: AtomicUsize,
    len: AtomicUsize,
}

impl Text {
    /// The empty text.
    pub const fn new() -> Text {
        Text {
            ptr: AtomicUsize::new(0),
            len: AtomicUsize::new(0),
        }
    }
    /// The text.
    pub fn get(&self) -> &'static str {
        // `set` empties the length before it changes the address, and both are releases: a
        // length that is the same before and after belongs to the address in between.
        let len = self.len.load(Acquire);
        let ptr = self.ptr.load(Acquire);
        if self.len.load(Acquire) == len {
            str_from_words(ptr, len)
        } else {
            ""
        }
    }
    /// Sets the text. The owner only.
    pub fn set(&self, text: &'static str) {
        self.len.store(0, Relaxed);
        self.ptr.store(text.as_ptr() as usize, Release);
        self.len.store(text.len(), Release);
    }
    /// Whether it is the empty text.
    pub fn is_empty(&self) -> bool {
        self.len.load(Relaxed) == 0
    }
}

/// Puts a `&'static str` together again that was taken apart into address and length.
pub(crate) fn str_from_words(ptr: usize, len: usize) -> &'static str {
    if len == 0 {
        return "";
    }
    // SAFETY: both words come from one `&'static str`: `Text::set` empties the length
    // first, and the trace stores them together.
    unsafe { std::str::from_utf8_unchecked(std::slice::from_raw_parts(ptr as *const u8, len)) }
}
