//! Five properties of signals, each tried out. No goroutines here, and no runtime.
//!
//! A thread can hold a signal back. Held back, it is one bit and no queue. It can be sent to one
//! thread. Its handler can have a stack of its own. And the handler can change where the
//! interrupted code goes on: that is how an endless loop can be left.

use std::arch::naked_asm;
use std::mem::{MaybeUninit, zeroed};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering::SeqCst};

/// What the handler has seen. It may do little more than this: no lock, no allocation.
static HANDLED: AtomicU32 = AtomicU32::new(0);
static THREAD: AtomicI32 = AtomicI32::new(0);
static STACK: AtomicUsize = AtomicUsize::new(0);

extern "C" fn handler(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let local = 0_u8;
    STACK.store((&raw const local).addr(), SeqCst);
    THREAD.store(gettid(), SeqCst);
    HANDLED.fetch_add(1, SeqCst);
    // SAFETY: the kernel's third argument, in a handler that was installed with SA_SIGINFO.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let rip = &mut registers[libc::REG_RIP as usize];
    if *rip == endless as *const () as i64 {
        *rip += JUMP;
    }
}

/// A loop of one instruction.
#[unsafe(naked)]
extern "C" fn endless() {
    naked_asm!("2: jmp 2b", "ret")
}

/// Bytes of the jump.
const JUMP: i64 = 2;

fn main() {
    install();
    held_back();
    to_one_thread();
    a_stack_of_its_own();
    somewhere_else();
}

/// A handler is for the whole process. This one wants a stack of its own where a thread has one.
fn install() {
    // SAFETY: a zeroed action is a valid value; the handler does what a handler may.
    unsafe {
        let mut action: libc::sigaction = zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        assert_eq!(libc::sigaction(libc::SIGURG, &action, null_mut()), 0);
    }
}

/// A mask is for one thread. What it holds back is pending, and pending signals do not add up.
fn held_back() {
    mask(libc::SIG_BLOCK);
    for _ in 0..3 {
        send_to(gettid());
    }
    let (pending, early) = (pending(), HANDLED.load(SeqCst));
    println!("held back: sent=3 pending={pending}, and the handler has run {early} times");
    mask(libc::SIG_UNBLOCK);
    println!("let through: handled={}", HANDLED.load(SeqCst));
}

/// Of two threads, the one that was named runs the handler.
fn to_one_thread() {
    let (id, stop) = (AtomicI32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            id.store(gettid(), SeqCst);
            wait_until(|| stop.load(SeqCst) == 1);
        });
        wait_until(|| id.load(SeqCst) != 0);
        handled_once(|| send_to(id.load(SeqCst)));
        stop.store(1, SeqCst);
    });
    let right = THREAD.load(SeqCst) == id.load(SeqCst);
    println!("sent to a thread: landed there={right}");
}

/// The handler's local variables are on the stack that was set aside for it.
fn a_stack_of_its_own() {
    let mut memory = MaybeUninit::<[u8; 1 << 16]>::uninit();
    let range = memory.as_mut_ptr().addr()..memory.as_mut_ptr().addr() + size_of_val(&memory);
    let usual = setaltstack(libc::stack_t {
        ss_sp: memory.as_mut_ptr().cast(),
        ss_flags: 0,
        ss_size: size_of_val(&memory),
    });
    handled_once(|| send_to(gettid()));
    println!("own stack={}", range.contains(&STACK.load(SeqCst)));
    setaltstack(usual);
}

/// The handler changes the saved instruction pointer: the thread goes on after the loop.
fn somewhere_else() {
    let (id, left) = (gettid(), AtomicU32::new(0));
    std::thread::scope(|scope| {
        // Until one signal has hit the loop.
        scope.spawn(|| {
            wait_until(|| {
                send_to(id);
                left.load(SeqCst) == 1
            })
        });
        endless();
        left.store(1, SeqCst);
    });
    println!("the endless loop is left");
}

fn gettid() -> i32 {
    // SAFETY: no arguments, and it cannot fail.
    unsafe { libc::syscall(libc::SYS_gettid) as i32 }
}

fn send_to(thread: i32) {
    // SAFETY: three numbers.
    let rc = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, libc::SIGURG) };
    assert_eq!(rc, 0);
}

/// Blocks or unblocks SIGURG for the calling thread.
fn mask(how: i32) {
    // SAFETY: the set is ours, and initialized by the first call.
    unsafe {
        let mut set: libc::sigset_t = zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGURG);
        assert_eq!(libc::pthread_sigmask(how, &set, null_mut()), 0);
    }
}

/// 1 if SIGURG is pending.
fn pending() -> i32 {
    // SAFETY: the set is ours.
    unsafe {
        let mut set: libc::sigset_t = zeroed();
        libc::sigpending(&mut set);
        libc::sigismember(&set, libc::SIGURG)
    }
}

/// Sets the calling thread's stack for handlers and returns the one before.
fn setaltstack(new: libc::stack_t) -> libc::stack_t {
    // SAFETY: both structures are ours; the new stack outlives its use.
    unsafe {
        let mut old: libc::stack_t = zeroed();
        libc::sigaltstack(null(), &mut old);
        assert_eq!(libc::sigaltstack(&new, null_mut()), 0);
        old
    }
}

/// Calls `send` and waits until the handler has run once more.
fn handled_once(send: impl Fn()) {
    let before = HANDLED.load(SeqCst);
    send();
    wait_until(|| HANDLED.load(SeqCst) > before);
}

fn wait_until(f: impl Fn() -> bool) {
    while !f() {
        std::thread::yield_now();
    }
}
