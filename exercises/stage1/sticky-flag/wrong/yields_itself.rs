//! caught by: yields-itself
//!
//! A refused request is not forgotten.

use stage1_coop::gosched;
use stage1_coop::rt::gmp::G;

/// Called when a section ends, if the goroutine was asked to yield meanwhile.
pub fn releasem_slow(gp: &'static G) {
    let _ = gp;
    gosched();
}
