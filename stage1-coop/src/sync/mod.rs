//! Where goroutines wait for each other: channels, `select`, locks, conditions, and goroutines
//! that borrow. The chapter is *Blocking, and the one unsafe word*.
//!
//! Tests: `chan`, `sync`.

pub(crate) mod cases;
pub(crate) mod chan;
pub(crate) mod cond;
pub(crate) mod hchan;
pub(crate) mod mutex;
pub(crate) mod queue;
pub(crate) mod receiver;
pub(crate) mod rwlock;
pub(crate) mod scope;
pub(crate) mod select;
pub(crate) mod select_macro;
pub(crate) mod sudog;
pub(crate) mod waitgroup;
