//! What happens if the owner comes in between? The processor is told to stop after each
//! instruction of a function, and after the k-th one a queue's owner takes a goroutine out
//! of it, as another thread might. Every k in turn is every place where that can happen.

use stage1_coop::rt::gmp::P;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering::Relaxed};

/// Bit of the flags register: trap after the next instruction.
const TRAP: i64 = 0x100;

static STEPS: AtomicU32 = AtomicU32::new(0);
static OWNER: AtomicPtr<P> = AtomicPtr::new(std::ptr::null_mut());
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// Runs `f`; after its `k`-th instruction the owner of `victim` takes one goroutine. Returns
/// what `f` did, whether it was that long, and the number of the goroutine, 0 for none.
///
/// On the process's own threads only: a goroutine has no stack for a signal.
pub fn after<R>(k: u32, victim: &'static P, f: impl FnOnce() -> R) -> (R, bool, usize) {
    STEPS.store(k, Relaxed);
    TAKEN.store(0, Relaxed);
    OWNER.store(std::ptr::from_ref(victim).cast_mut(), Relaxed);
    // SAFETY: the handler touches nothing but atomics, so it may run between any two
    // instructions; the structures are ours.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = step as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        libc::sigaction(libc::SIGTRAP, &action, std::ptr::null_mut());
        std::arch::asm!("pushfq", "or dword ptr [rsp], 0x100", "popfq");
    }
    let result = f();
    // SAFETY: only the flag that was set above is taken down.
    unsafe { std::arch::asm!("pushfq", "and dword ptr [rsp], 0xfffffeff", "popfq") };
    let was_that_long = STEPS.load(Relaxed) == 0;
    (result, was_that_long, TAKEN.load(Relaxed))
}

extern "C" fn step(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let left = STEPS.load(Relaxed).saturating_sub(1);
    STEPS.store(left, Relaxed);
    if left > 0 {
        return;
    }
    // SAFETY: `after` stored a P that lives for ever.
    if let Some(owner) = unsafe { OWNER.load(Relaxed).as_ref() }
        && let Some((gp, _)) = owner.runq.get()
    {
        TAKEN.store(gp.goid.get(), Relaxed);
    }
    // SAFETY: the kernel passes the context of an SA_SIGINFO handler.
    unsafe {
        let context = &mut *context.cast::<libc::ucontext_t>();
        context.uc_mcontext.gregs[libc::REG_EFL as usize] &= !TRAP;
    }
}
