//! Timers as behavior: nobody wakes too early, nobody is forgotten, and who sleeps costs no
//! thread. Row 51 of the list of mechanisms, and the timers' part of 35, 39, 44 and 52.

mod contexts;
mod firing;
mod runs;
mod sleep;
mod ticks;

use std::time::Duration;

/// What a busy machine may add.
const LATE: Duration = Duration::from_secs(5);
