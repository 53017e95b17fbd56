//! An event, without a lost wake-up.

use exercises::stage1::lost_wakeup::place::{Place, wake};
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
        // A quick look without the lock is allowed, if one looks again with it.
        while !self.set.load(SeqCst) {
            let mut held = self.place.lock();
            if self.set.load(SeqCst) {
                break;
            }
            held.write_me_down();
            held.park();
        }
    }

    /// It happens: every goroutine that waits may go on.
    pub fn set(&self) {
        // The flag outside the lock is fine too, if the list is taken after it.
        self.set.store(true, SeqCst);
        let all = self.place.lock().take_all();
        for gp in all.into_iter().rev() {
            wake(gp);
        }
    }
}
