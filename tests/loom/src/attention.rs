//! The end of a run: two wakers may come at once (one gives work, one says stop), and the
//! sleeper, which clears its note and then looks, must not miss the stop. Runs `attention.rs`
//! and the word of a note; around them are `stop_all`, `stopm` and `mpark`.

use crate::attention::{ATTENTION_STOP, Attention};
use crate::note::Note;
use loom::sync::{Arc, Mutex};
use loom::thread;

struct World {
    attention: Attention,
    park: Note,
    /// `sched.lock`, and whether the M is on the list of idle ones.
    idle: Mutex<bool>,
}

fn world() -> Arc<World> {
    Arc::new(World {
        attention: Attention::new(),
        park: Note::new(),
        idle: Mutex::new(false),
    })
}

/// One turn of `mpark`, while one waker gives work and another one stops the run: the M sees
/// the stop, or its next sleep returns at once. `clear_first`: the order in `mpark`.
fn work_and_stop(clear_first: bool) {
    loom::model(move || {
        let w = world();
        let work = {
            let w = w.clone();
            thread::spawn(move || w.park.wakeup())
        };
        let stop = {
            let w = w.clone();
            thread::spawn(move || {
                w.attention.raise(ATTENTION_STOP);
                w.park.wakeup();
            })
        };
        w.park.sleep();
        let seen = if clear_first {
            w.park.clear();
            w.attention.has(ATTENTION_STOP)
        } else {
            let seen = w.attention.has(ATTENTION_STOP);
            w.park.clear();
            seen
        };
        work.join().unwrap();
        stop.join().unwrap();
        assert!(seen || w.park.is_set(), "it sleeps for ever");
    });
}

#[test]
fn after_clear_a_stop_that_found_the_note_set_is_seen() {
    work_and_stop(true);
}

/// The model notices when the sleeper looks before it clears its note: a stop that comes in
/// between finds the note set, and is cleared with it.
#[test]
#[should_panic(expected = "it sleeps for ever")]
fn a_sleeper_that_looks_before_it_clears_misses_the_stop() {
    work_and_stop(false);
}

/// `stopm` against a raiser that wakes only the Ms that it finds on the idle list. `under_lock`:
/// whether it raises the bit in the section in which it looks at that list, or after it.
fn goes_to_sleep_while_the_run_ends(under_lock: bool) {
    loom::model(move || {
        let w = world();
        let stop = {
            let w = w.clone();
            thread::spawn(move || {
                let found = {
                    let idle = w.idle.lock().unwrap();
                    if under_lock {
                        w.attention.raise(ATTENTION_STOP);
                    }
                    *idle
                };
                if !under_lock {
                    w.attention.raise(ATTENTION_STOP);
                }
                found
            })
        };
        let sleeps = {
            let mut idle = w.idle.lock().unwrap();
            *idle = !w.attention.has(ATTENTION_STOP);
            *idle
        };
        let woken = stop.join().unwrap();
        assert!(woken || !sleeps, "it sleeps for ever");
    });
}

#[test]
fn an_m_that_goes_to_sleep_sees_the_stop_or_is_woken() {
    goes_to_sleep_while_the_run_ends(true);
}

/// The model notices when the bit is raised outside of `sched.lock`.
#[test]
#[should_panic(expected = "it sleeps for ever")]
fn if_the_bit_is_not_raised_under_the_lock_the_m_is_missed() {
    goes_to_sleep_while_the_run_ends(false);
}
