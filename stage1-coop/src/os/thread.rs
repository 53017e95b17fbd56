//! New threads. Mirrors `newosproc`: the thread is created with all signals blocked, so that
//! none can arrive before it has a signal stack and knows its M.

use super::{block_all_signals, restore_mask};
use crate::runtime2::M;
use safepoint_lockstep as lab;

/// Address space for the stack of an M's scheduler and of everything that runs on `g0`
/// (a goroutine dump symbolises there).
const G0_STACK: usize = 1 << 20;

/// Starts a thread that runs `mstart` as the M `mp`. Go's `newosproc`.
///
/// # Errors
/// The kernel's, when it has no more threads or memory; nothing was changed then.
pub(crate) fn newosproc(mp: &'static M) -> Result<(), std::io::Error> {
    let actor = lab::enabled().then(lab::register);
    let mask = block_all_signals();
    let made = std::thread::Builder::new()
        .name(format!("m{}", mp.id.get()))
        .stack_size(G0_STACK)
        .spawn(move || {
            if let Some(actor) = actor {
                lab::enter(actor);
            }
            crate::panics::no_panic(|| crate::mstart::mstart(mp));
            if actor.is_some() {
                lab::leave();
            }
        });
    restore_mask(&mask);
    match made {
        Ok(handle) => {
            *mp.thread.lock().expect("no panic while it is held") = Some(handle);
            Ok(())
        }
        Err(error) => {
            if let Some(actor) = actor {
                lab::unregister(actor);
            }
            Err(error)
        }
    }
}

/// The kernel's number of the calling thread. Go's `gettid`.
pub(crate) fn this_thread_id() -> i32 {
    // SAFETY: gettid has no arguments and cannot fail.
    unsafe { libc::syscall(libc::SYS_gettid) as i32 }
}
