//! What knows the processor: where `g` lives, the switch, the words of a thread, and walking a
//! stack. The check and `morestack` know it too; they are in `stack/`.
//!
//! Tests: `check`, `threads`.

mod counters;
pub(crate) mod gotext;
mod switch;
mod tls;
mod unwind;

pub(crate) use counters::{locks, mallocing, mallocing_dec, mallocing_inc};
pub use counters::{locks_dec, locks_inc};
pub use switch::{McallFn, gogo, mcall, systemstack};
pub(crate) use switch::{default_fp_controls, set_fp_controls};
pub(crate) use switch::{on_stack, prefetch_below, prefetch_g, prefetch_stack};
pub use tls::{Tls, getg, getm, getm_opt, goroutine, on_goroutine, setg};
pub(crate) use tls::{setm, tls};
pub(crate) use unwind::{Frame, callers, switched_out};
