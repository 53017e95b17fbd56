//! `crate::word` as the runtime's files expect it, of loom's atomics.

use loom::sync::atomic::{AtomicPtr, Ordering, Ordering::Relaxed};

pub use loom::sync::atomic::{AtomicU32, fence};

/// The runtime's `Link`, of loom's pointer.
pub struct Link<T: 'static>(AtomicPtr<T>);

impl<T> Link<T> {
    pub fn none() -> Link<T> {
        Link(AtomicPtr::new(std::ptr::null_mut()))
    }
    pub fn get(&self) -> Option<&'static T> {
        self.load(Relaxed)
    }
    pub fn set(&self, to: Option<&'static T>) {
        self.0.store(into(to), Relaxed);
    }
    pub fn load(&self, order: Ordering) -> Option<&'static T> {
        from(self.0.load(order))
    }
    pub fn swap(&self, to: Option<&'static T>, order: Ordering) -> Option<&'static T> {
        from(self.0.swap(into(to), order))
    }
    pub fn cas(&self, old: Option<&'static T>, new: Option<&'static T>, order: Ordering) -> bool {
        self.0
            .compare_exchange(into(old), into(new), order, Relaxed)
            .is_ok()
    }
}

fn from<T>(p: *mut T) -> Option<&'static T> {
    // SAFETY: only `into` makes these pointers, from references that live for ever.
    unsafe { p.cast_const().as_ref() }
}

fn into<T>(to: Option<&'static T>) -> *mut T {
    to.map_or(std::ptr::null_mut(), |r| std::ptr::from_ref(r).cast_mut())
}
