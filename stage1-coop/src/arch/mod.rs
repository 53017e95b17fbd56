//! All that knows the processor: where `g` lives, the check, the switch, and `morestack`.
//! Another architecture is one more folder with the same names.

pub(crate) mod gotext;
mod switch;
mod tls;
mod unwind;

pub use switch::{McallFn, gogo, mcall, systemstack};
pub(crate) use switch::{default_fp_controls, set_fp_controls};
pub(crate) use switch::{gostart_pc, on_stack, prefetch_below, prefetch_g, prefetch_stack};
pub use tls::{Tls, getg, getm, getm_opt, locks_dec, locks_inc, on_goroutine};
pub(crate) use tls::{locks, mallocing, set_mallocing, setg, setm, tls};
pub(crate) use unwind::{callers, entry, switched_out};
