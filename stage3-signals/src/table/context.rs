//! The registers of code that a signal has interrupted, as the kernel has put them on the
//! handler's stack, and as it will load them when the handler returns. Go's `sigctxt`.
//!
//! Tests: `asynchronous`.

use stage2_sysmon::rt::last_words::throw;

/// The registers of interrupted code. What is changed here is what it goes on with.
#[repr(transparent)]
pub struct Context(libc::ucontext_t);

/// How far below the stack pointer [`Context::store`] reaches: more than any call needs.
const REACH: usize = 256;

/// Where the kernel says what the frame's floating-point area is: two words in its unused part.
const SW_RESERVED: usize = 464;
/// The first of these words, if there is an `XSAVE` area. The kernel's `FP_XSTATE_MAGIC1`.
const MAGIC1: u32 = 0x4650_5853;
/// The area's header: which components are not in their first state.
const XSTATE_BV: usize = 512;

impl Context {
    /// The context of a handler.
    ///
    /// # Safety
    /// The third argument of an `SA_SIGINFO` handler that runs, used only until it returns. The
    /// [`REACH`] bytes below the interrupted code's stack pointer are memory that [`store`] may
    /// write, if something is stored.
    ///
    /// [`store`]: Context::store
    pub unsafe fn of<'a>(context: *mut libc::c_void) -> &'a mut Context {
        // SAFETY: the kernel gives a valid context; the type is the same.
        unsafe { &mut *context.cast::<Context>() }
    }

    /// The program counter.
    pub fn pc(&self) -> usize {
        self.0.uc_mcontext.gregs[libc::REG_RIP as usize] as usize
    }

    /// The stack pointer.
    pub fn sp(&self) -> usize {
        self.0.uc_mcontext.gregs[libc::REG_RSP as usize] as usize
    }

    /// The code goes on at `pc`.
    pub fn set_pc(&mut self, pc: usize) {
        self.0.uc_mcontext.gregs[libc::REG_RIP as usize] = pc as i64;
    }

    /// The code goes on with this stack pointer.
    pub fn set_sp(&mut self, sp: usize) {
        self.0.uc_mcontext.gregs[libc::REG_RSP as usize] = sp as i64;
    }

    /// Writes a word to the code's stack, at an address below its stack pointer.
    pub fn store(&mut self, at: usize, word: usize) {
        let below = self.sp().wrapping_sub(at);
        if !(size_of::<usize>()..=REACH).contains(&below) || !at.is_multiple_of(size_of::<usize>())
        {
            throw("a handler writes where it must not");
        }
        // SAFETY: the constructor's promise: these bytes are the code's stack.
        unsafe { (at as *mut usize).write(word) };
    }

    /// The components of the extended state that are in use: bits of `XSTATE_BV` in the signal
    /// frame. 0 where the kernel saves by `FXSAVE`.
    pub fn xstate(&self) -> u64 {
        let area = self.0.uc_mcontext.fpregs.cast::<u8>().cast_const();
        if area.is_null() {
            return 0;
        }
        // SAFETY: the kernel's area for floating point has at least 512 bytes; if the magic
        // number is in its place, the header of an XSAVE area follows.
        unsafe {
            if area.add(SW_RESERVED).cast::<u32>().read_unaligned() != MAGIC1 {
                return 0;
            }
            area.add(XSTATE_BV).cast::<u64>().read_unaligned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Context, MAGIC1, SW_RESERVED, XSTATE_BV};

    #[test]
    fn what_is_in_use_is_read_from_the_frame_s_own_header() {
        // SAFETY: a context is plain data.
        let mut raw: libc::ucontext_t = unsafe { std::mem::zeroed() };
        let mut area = [0_u64; 100];
        let xstate = |raw: &mut libc::ucontext_t| {
            // SAFETY: nothing is stored.
            unsafe { Context::of((&raw mut *raw).cast()) }.xstate()
        };
        assert_eq!(xstate(&mut raw), 0, "no area at all");
        let at = area.as_mut_ptr();
        raw.uc_mcontext.fpregs = at.cast();
        // SAFETY: both are inside the area.
        unsafe { at.add(XSTATE_BV / 8).write(1 << 18 | 7) };
        assert_eq!(xstate(&mut raw), 0, "an area of FXSAVE");
        // SAFETY: likewise.
        unsafe { at.add(SW_RESERVED / 8).write(u64::from(MAGIC1)) };
        assert_eq!(xstate(&mut raw), 1 << 18 | 7);
    }
}
