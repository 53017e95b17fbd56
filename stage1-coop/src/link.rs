//! One G, M or P names another: a word that leads to a structure which lives for ever. Go's
//! `guintptr`, `muintptr`, `puintptr` of `runtime2.go`; the chapter is *P, queues, stealing*.
//!
//! The models of the ring (`tests/loom/src/ring.rs`) run this file. Tests: `queues`, `waking`.

#[cfg(loom)]
use loom::sync::atomic::AtomicPtr;
#[cfg(not(loom))]
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::{Ordering, Ordering::Relaxed};

/// A pointer to a structure that is never freed, or nothing: Go's `guintptr`, `muintptr`,
/// `puintptr`.
#[repr(transparent)]
pub struct Link<T: 'static>(AtomicPtr<T>);

impl<T> Link<T> {
    /// No link.
    #[cfg(not(loom))]
    pub const fn none() -> Link<T> {
        Link(AtomicPtr::new(std::ptr::null_mut()))
    }
    /// The same, of the model checker's word, which cannot be a constant.
    #[cfg(loom)]
    pub fn none() -> Link<T> {
        Link(AtomicPtr::new(std::ptr::null_mut()))
    }
    /// Follows the link (relaxed: the caller owns the field, or synchronizes otherwise).
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
