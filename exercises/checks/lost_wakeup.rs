//! The learner's piece of `lost-wakeup`: an event, on `gopark` and `goready`.

#[forbid(unsafe_code)]
#[allow(unused_imports)]
#[rustfmt::skip]
#[path = "../work/lost_wakeup.rs"]
mod work;

use work::Event;

fn main() {
    exercises::stage1::lost_wakeup::attempt(Event::new, Event::wait, Event::set);
}
