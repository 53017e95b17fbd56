//! The frame that `async_preempt` has built on the stack of a goroutine, word by word.
//!
//! The goroutine fills its registers with numbers that are easy to recognize and stays in a
//! loop of one instruction. Sysmon has it stopped; main looks at what lies below its stack
//! pointer, where it has put nothing itself.

use stage3_signals::rt::stack::SAVE_SIZE;
use stage3_signals::{Runtime, STAGE, exit, go, sleep};
use std::arch::naked_asm;
use std::arch::x86_64::__cpuid_count;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

/// The goroutine's stack pointer in the loop.
static RSP: AtomicUsize = AtomicUsize::new(0);

/// Fills the registers and writes down its stack pointer; then a loop of one instruction.
#[unsafe(naked)]
#[unsafe(link_section = "gotext")]
extern "C" fn counts_nothing() {
    naked_asm!(
        ".cfi_startproc", // what is no function of the unwind tables is not stopped
        "mov rbp, 0x6b9", "mov rbx, 0xb", "mov rcx, 0xc", "mov rdx, 0xd",
        "mov rsi, 0x51", "mov rdi, 0xd1", "mov r8, 0x8", "mov r9, 0x9", "mov r10, 0x10",
        "mov r11, 0x11", "mov r12, 0x12", "mov r13, 0x13", "mov r14, 0x14", "mov r15, 0x15",
        "mov [rip + {rsp}], rsp",
        "mov eax, 0xa",
        "movq xmm7, rax",
        "cmp eax, 0xb", // less: the carry flag, and others
        ".globl registers_loop",
        ".hidden registers_loop",
        "registers_loop: jmp registers_loop",
        ".cfi_endproc",
        rsp = sym RSP,
    )
}

unsafe extern "C" {
    static registers_loop: u8;
}

/// The words of the frame, downwards, after the address to go back to.
const WORDS: [&str; 16] = [
    "rbp", "flags", "rax", "rcx", "rdx", "rbx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
    "r13", "r14", "r15",
];

fn main() {
    let runtime = Runtime::new(&STAGE).procs(1);
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        runtime.run(|| {
            go("counts_nothing", || counts_nothing());
            while RSP.load(SeqCst) == 0 || back().is_none() {
                sleep(Duration::from_millis(1));
            }
            print();
            exit(0);
        });
    }
}

/// Where the address of the loop stands, at most 256 bytes below the goroutine's stack pointer.
fn back() -> Option<usize> {
    let (rsp, address) = (RSP.load(SeqCst), (&raw const registers_loop).addr());
    (1..=32)
        .map(|n| rsp - 8 * n)
        .find(|&at| word(at) == address)
}

/// A word of the goroutine's stack.
fn word(at: usize) -> usize {
    // SAFETY: the addresses lie on its stack, far from both ends, and the stack stays: the
    // goroutine never returns. If another thread runs it meanwhile and it is stopped again, the
    // same words are written once more.
    unsafe { (at as *const usize).read_volatile() }
}

fn print() {
    let Some(back) = back() else { return };
    let skipped = RSP.load(SeqCst) - back - 8;
    println!("skipped={skipped} bytes below rsp: the red zone");
    println!("  the address to go on at");
    let mut at = back;
    for name in WORDS {
        at -= 8;
        println!("  {name:5} {:#6x}", word(at));
    }
    // Then, aligned, what XSAVE saves: the first 512 bytes in the same order on every processor.
    let area = (at - SAVE_SIZE.get() as usize) & !63;
    println!("  xmm7  {:#6x}", word(area + 160 + 7 * 16));
    // With AVX-512 it is more; this run is meant to look the same on every machine.
    let avx = __cpuid_count(0xd, 2).eax as usize;
    println!("  XSAVE: 512 bytes of x87 and SSE, 64 of header, {avx} of AVX");
    println!("saved_bytes={}", RSP.load(SeqCst) - at + 512 + 64 + avx);
}
