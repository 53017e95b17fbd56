//! A goroutine's stack, the check in front of its functions, and the flag that the check
//! finds. The chapter is *The check and the flag*.
//!
//! Tests: `check`.

pub(crate) mod burst;
pub(crate) mod guards;
pub(crate) mod morestack;
pub(crate) mod newstack;
pub(crate) mod preempt;
pub(crate) mod prologue;
pub(crate) mod ruler;
pub(crate) mod save_area;
pub(crate) mod scavenge;
pub(crate) mod slots;
