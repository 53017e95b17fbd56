//! The events of a made-up stage, for the scenario that records them and the test that reads
//! them.

use tests::trace::Effect::{Lands, Nothing};

tests::trace::kinds! {
    TURN "Turn" "n={n}" "A turn of the goroutine's loop." => Nothing;
    STRUCK "Struck" "n={n} {s}" "A signal was handled." => Lands;
}
