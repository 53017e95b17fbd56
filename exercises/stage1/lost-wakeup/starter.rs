//! An event, without a lost wake-up.
//!
//! The starter works nearly always. Imagine all of `set` between any two lines of `wait`.

use exercises::stage1::lost_wakeup::place::{Place, park, wake};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// Something that happens once, and for which goroutines wait.
pub struct Event {
    set: AtomicBool,
    place: Place,
}

impl Event {
    /// An event that has not happened yet.
    pub fn new() -> Event {
        Event {
            set: AtomicBool::new(false),
            place: Place::new(),
        }
    }

    /// Parks the calling goroutine until the event has happened.
    pub fn wait(&self) {
        if self.set.load(SeqCst) {
            return;
        }
        let mut held = self.place.lock();
        held.write_me_down();
        held.unlock();
        park();
    }

    /// It happens: every goroutine that waits may go on.
    pub fn set(&self) {
        self.set.store(true, SeqCst);
        let mut held = self.place.lock();
        let all = held.take_all();
        held.unlock();
        all.into_iter().for_each(wake);
    }
}
