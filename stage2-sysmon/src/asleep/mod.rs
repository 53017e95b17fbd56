//! The two threads that sleep for all: sysmon, while no P is in use, and the last M without
//! work, in the network poller. Each file owns the words of one protocol and tells its story;
//! nothing here knows what the two threads do while they are awake.
//!
//! Tests: `sysmon::sysmon_wakes_when_a_p_is_used_again`, `netpoll::runs`.

pub(crate) mod deep_sleep;
pub(crate) mod eventfd;
pub(crate) mod sleeper;
