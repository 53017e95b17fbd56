//! Trampolines with one mistake each, and one without: what they have in common is a macro, so
//! that the mistake is all that differs.

use stage3_signals::rt::stack::SAVE_MASK;
use stage3_signals::rt::table::Rows;
use stage3_signals::{ROWS, gosched, rt};
use std::arch::naked_asm;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// The components that are saved.
static MASK: AtomicU64 = AtomicU64::new(0);

extern "C" fn yields() {
    gosched();
}

macro_rules! trampoline {
    (
        $name:ident: save $save:literal, restore $restore:literal, reset [$($reset:literal),*],
        r10 $r10:literal, flags [$($flags:literal),*], back $back:literal
    ) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name() {
            naked_asm!(
                ".cfi_startproc",
                "push rbp",
                "mov rbp, rsp",
                "pushfq",
                ".irp r,rax,rcx,rdx,rbx,rsi,rdi,r8,r9,r10,r11,r12,r13,r14,r15",
                "push \\r",
                ".endr",
                "cld",
                "sub rsp, 4096",
                "and rsp, -64",
                "xor eax, eax",
                "lea rdi, [rsp + 512]",
                "mov ecx, 8",
                "rep stosq",
                "mov rax, [rip + {mask}]",
                "xor edx, edx",
                $save,
                $($reset,)*
                "test byte ptr [rip + {mask}], 4",
                "jz 5f",
                "vzeroupper",
                "5:",
                "call {yields}",
                "mov rax, [rip + {mask}]",
                "xor edx, edx",
                $restore,
                "lea rsp, [rbp - 120]",
                "pop r15", "pop r14", "pop r13", "pop r12", "pop r11",
                $r10,
                ".irp r,r9,r8,rdi,rsi,rbx,rdx,rcx,rax",
                "pop \\r",
                ".endr",
                $($flags,)*
                "pop rbp",
                $back,
                ".cfi_endproc",
                mask = sym MASK,
                yields = sym yields,
            )
        }
    };
}

trampoline!(
    right: save "xsave64 [rsp]", restore "xrstor64 [rsp]",
    reset ["fninit", "push 0x1f80", "ldmxcsr [rsp]", "add rsp, 8"],
    r10 "pop r10", flags ["popfq"], back "ret 128"
);
trampoline!(
    no_skip: save "xsave64 [rsp]", restore "xrstor64 [rsp]",
    reset ["fninit", "push 0x1f80", "ldmxcsr [rsp]", "add rsp, 8"],
    r10 "pop r10", flags ["popfq"], back "ret"
);
// The trap flag stays, or there would be no next step.
trampoline!(
    no_flags: save "xsave64 [rsp]", restore "xrstor64 [rsp]",
    reset ["fninit", "push 0x1f80", "ldmxcsr [rsp]", "add rsp, 8"],
    r10 "pop r10", flags ["and qword ptr [rsp], 0x100", "popfq"], back "ret 128"
);
trampoline!(
    no_r10: save "xsave64 [rsp]", restore "xrstor64 [rsp]",
    reset ["fninit", "push 0x1f80", "ldmxcsr [rsp]", "add rsp, 8"],
    r10 "lea rsp, [rsp + 8]", flags ["popfq"], back "ret 128"
);
trampoline!(
    fxsave: save "fxsave64 [rsp]", restore "fxrstor64 [rsp]",
    reset ["fninit", "push 0x1f80", "ldmxcsr [rsp]", "add rsp, 8"],
    r10 "pop r10", flags ["popfq"], back "ret 128"
);
trampoline!(
    no_reset: save "xsave64 [rsp]", restore "xrstor64 [rsp]",
    reset [],
    r10 "pop r10", flags ["popfq"], back "ret 128"
);

/// x87, SSE, and what the names of the processor's features suggest: AVX, or else AVX-512. But
/// half of a register of AVX is a component of its own, whatever is above it.
fn mask_by_names() -> u64 {
    match SAVE_MASK.get() & 0xe0 {
        0 => SAVE_MASK.get(),
        avx512 => 3 | avx512,
    }
}

/// The published mistake: the address where the function may keep what it likes.
fn push_call_into_the_red_zone(context: &mut rt::signal::Context, target: usize) {
    let sp = context.sp() - size_of::<usize>();
    context.store(sp, context.pc());
    context.set_sp(sp);
    context.set_pc(target);
}

/// The rows with this mistake.
pub fn rows(mistake: &str) -> Rows {
    let mask = match mistake {
        "mask-by-names" => mask_by_names(),
        _ => SAVE_MASK.get(),
    };
    MASK.store(mask, SeqCst);
    let (async_preempt, push_call): (unsafe extern "C" fn(), fn(&mut _, usize)) = match mistake {
        "none" | "mask-by-names" => (right, ROWS.push_call),
        "red-zone" => (no_skip, push_call_into_the_red_zone),
        "flags" => (no_flags, ROWS.push_call),
        "r10" => (no_r10, ROWS.push_call),
        "fxsave" => (fxsave, ROWS.push_call),
        "control-words" => (no_reset, ROWS.push_call),
        _ => panic!("no such mistake: {mistake}"),
    };
    Rows {
        async_preempt,
        push_call,
        ..ROWS
    }
}
