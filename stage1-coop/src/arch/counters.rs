//! `m.locks`, how many locks of the runtime the calling thread holds, and `m.mallocing`, how often
//! it is inside the allocator. Words of the thread, so that counting is one instruction, and no
//! goroutine can change threads in the middle of it. Both nest. The words themselves are declared
//! in `tls.rs`.
//!
//! Tests: `preemption`, `check_shape`.

use std::arch::asm;

macro_rules! counter {
    ($word:literal: $(#[$inc_doc:meta])+ $inc_vis:vis $inc:ident,
     $(#[$dec_doc:meta])+ $dec_vis:vis $dec:ident,
     $(#[$get_doc:meta])+ $get:ident) => {
        $(#[$inc_doc])+
        #[inline(always)]
        $inc_vis fn $inc() {
            // SAFETY: touches this thread's own counter. It is a compiler barrier too (no
            // `nomem`): nothing that the section guards moves out of it.
            unsafe { asm!(concat!("inc dword ptr fs:[", $word, "@tpoff]"), options(nostack)) }
        }

        $(#[$dec_doc])+
        #[inline(always)]
        $dec_vis fn $dec() {
            // SAFETY: as above.
            unsafe { asm!(concat!("dec dword ptr fs:[", $word, "@tpoff]"), options(nostack)) }
        }

        $(#[$get_doc])+
        #[inline(always)]
        pub(crate) fn $get() -> i32 {
            let n: i32;
            // SAFETY: reads this thread's own counter.
            unsafe {
                asm!(concat!("mov {:e}, fs:[", $word, "@tpoff]"), out(reg) n,
                     options(nostack, preserves_flags, readonly));
            }
            n
        }
    };
}

counter! { "go_tls_locks":
    /// `m.locks++` of the calling thread's M: one instruction, so that no migration can come
    /// between finding M and adding.
    pub locks_inc,
    /// `m.locks--`.
    pub locks_dec,
    /// `m.locks` of the calling thread.
    locks
}

counter! { "go_tls_mallocing":
    /// `m.mallocing++`, likewise.
    pub(crate) mallocing_inc,
    /// `m.mallocing--`.
    pub(crate) mallocing_dec,
    /// `m.mallocing` of the calling thread.
    mallocing
}
