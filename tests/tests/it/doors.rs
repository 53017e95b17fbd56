//! What a later stage needs of stage 1, beside the rows: the stack below a goroutine, the stack
//! of an M's signal handlers, the area where registers are saved, words of its own in a G, an M
//! and a P, and to be another G for a moment.

use crate::fixture::stage1::on;
use crate::fixture::{ask_myself, on_stage, step};
use stage1_coop::*;
use std::arch::naked_asm;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::sync::{Arc, Mutex};
use tests::trace_of;

const PAGE: usize = 4096;

/// Whether a byte can be read: the kernel says so, without a fault.
fn readable(at: usize) -> bool {
    let mut ends = [0; 2];
    // SAFETY: the array has room for two descriptors, which are closed again; an address that
    // cannot be read is an error of `write`, and nothing else.
    unsafe {
        assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
        let wrote = libc::write(ends[1], at as *const libc::c_void, 1);
        for fd in ends {
            libc::close(fd);
        }
        wrote == 1
    }
}

#[test]
fn the_lowest_address_of_a_stack_is_above_its_guard_page() {
    let wrong = on(2, || {
        // Sixteen goroutines that live at the same time: each top has another color.
        let (all, wrong) = (WaitGroup::new(), Arc::new(AtomicUsize::new(0)));
        let meet: Chan<()> = Chan::new(0);
        for _ in 0..16 {
            all.add(1);
            let (all, wrong, meet) = (all.clone(), wrong.clone(), meet.clone());
            go("measures", move || {
                meet.recv();
                let gp = rt::arch::getg();
                let (low, high) = (rt::stack::lowest(gp), gp.stack.hi.get());
                let here = (&raw const low) as usize;
                let mut right = low < gp.stack.lo.get() && (low..high).contains(&here);
                right &= (low..high).step_by(PAGE).all(readable);
                // What is below the page below it is the guard page, whatever the color.
                let guarded = !readable(low - PAGE - 1);
                right &= guarded || rt::stack::unguarded_stacks() != 0;
                wrong.fetch_add(usize::from(!right), SeqCst);
                all.done();
            });
        }
        meet.close();
        all.wait();
        let g0 = &rt::arch::getm().g0;
        assert_eq!(rt::stack::lowest(g0), 0, "a G without a stack of ours");
        wrong.load(SeqCst)
    });
    assert_eq!(wrong, 0);
}

/// What the kernel says is the calling thread's signal stack.
fn signal_stack() -> (usize, usize) {
    let mut now = MaybeUninit::<libc::stack_t>::uninit();
    // SAFETY: without a new stack nothing changes, and the old one is written.
    let now = unsafe {
        assert_eq!(libc::sigaltstack(std::ptr::null(), now.as_mut_ptr()), 0);
        now.assume_init()
    };
    (now.ss_sp as usize, now.ss_sp as usize + now.ss_size)
}

#[test]
fn an_m_knows_its_signal_stack_from_the_row_minit_to_the_row_unminit() {
    static SEEN: Mutex<Vec<&rt::gmp::M>> = Mutex::new(Vec::new());
    static LEFT: AtomicUsize = AtomicUsize::new(0);
    fn look(mp: &'static rt::gmp::M) {
        let known = (mp.signal_stack.lo.get(), mp.signal_stack.hi.get());
        assert_eq!(known, signal_stack());
        assert!(known.1 - known.0 >= 32 << 10, "as large as Go's gsignal");
    }
    const LOOKS: Stage = Stage {
        name: "looks",
        minit: |mp| {
            look(mp);
            SEEN.lock().expect("no panic while it is held").push(mp);
        },
        unminit: |mp| {
            look(mp);
            LEFT.fetch_add(1, SeqCst);
        },
        ..STAGE
    };
    on_stage(&LOOKS, 3, || {
        let all = WaitGroup::new();
        for _ in 0..4 {
            all.add(1);
            let all = all.clone();
            // Each needs an M of its own.
            go("locked", move || {
                lock_os_thread();
                gosched();
                all.done();
            });
        }
        all.wait();
    });
    let seen = SEEN.lock().expect("no panic while it is held");
    assert!(seen.len() > 4);
    assert_eq!(seen.len(), LEFT.load(SeqCst));
    for mp in seen.iter() {
        assert_eq!(mp.signal_stack.hi.get(), 0, "no thread, no stack");
    }
}

#[test]
fn a_thread_can_be_another_g_for_a_moment() {
    // What a signal's handler might be.
    static HANDLER: rt::gmp::G = rt::gmp::G::new();
    let (before, meanwhile, after) = on(1, || {
        let (gp, mp) = (rt::arch::getg(), rt::arch::getm());
        let now = || {
            let is_mine = std::ptr::eq(rt::arch::getg(), gp);
            (is_mine, rt::arch::on_goroutine(), goid())
        };
        let before = now();
        let meanwhile = [&mp.g0, &HANDLER].map(|other| {
            // SAFETY: the guard of both is below every stack pointer, and nothing in between
            // switches.
            unsafe { rt::arch::setg(other) };
            let meanwhile = now();
            // SAFETY: back on its own stack.
            unsafe { rt::arch::setg(gp) };
            meanwhile
        });
        (before, meanwhile, now())
    });
    assert_eq!(before, (true, true, 1));
    assert_eq!(meanwhile, [(false, false, 0); 2]);
    assert_eq!(after, before);
}

/// As a trampoline of a later stage does it: saves everything into its own frame, calls `f`,
/// which may leave any register behind, and loads everything again.
///
/// # Safety
/// `f` is a function with the C ABI but for its vector registers, which it may lose.
#[unsafe(naked)]
unsafe extern "C" fn around(f: unsafe extern "C" fn()) {
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "sub rsp, [rip + {size}]",
        "and rsp, -64",
        "cmp qword ptr [rip + {form}], {fxsave}",
        "je 4f",
        "xor eax, eax",
        "mov [rsp+512], rax", "mov [rsp+520], rax", "mov [rsp+528], rax", "mov [rsp+536], rax",
        "mov [rsp+544], rax", "mov [rsp+552], rax", "mov [rsp+560], rax", "mov [rsp+568], rax",
        "xor edx, edx",
        "mov rax, [rip + {mask}]",
        "cmp qword ptr [rip + {form}], {xsavec}",
        "jne 2f",
        "xsavec64 [rsp]",
        "jmp 3f",
        "2:",
        "xsave64 [rsp]",
        "3:",
        "call rdi",
        "xor edx, edx",
        "mov rax, [rip + {mask}]",
        "xrstor64 [rsp]",
        "jmp 5f",
        "4:",
        "fxsave64 [rsp]",
        "call rdi",
        "fxrstor64 [rsp]",
        "5:",
        "mov rsp, rbp",
        "pop rbp",
        "ret",
        size = sym rt::stack::SAVE_SIZE,
        mask = sym rt::stack::SAVE_MASK,
        form = sym rt::stack::SAVE_FORM,
        fxsave = const rt::stack::SaveForm::Fxsave as u64,
        xsavec = const rt::stack::SaveForm::Xsavec as u64,
    )
}

/// Leaves 0 in each vector register, all of its width.
#[unsafe(naked)]
unsafe extern "C" fn trash() {
    naked_asm!("vzeroall", "ret")
}

/// Fills `ymm3` and `ymm12` with `from`, calls `around(trash)`, and stores them to `to`.
#[unsafe(naked)]
unsafe extern "C" fn keep(from: *const [u64; 8], to: *mut [u64; 8]) {
    naked_asm!(
        "push rbx",
        "mov rbx, rsi",
        "vmovdqu ymm3, [rdi]",
        "vmovdqu ymm12, [rdi + 32]",
        "lea rdi, [rip + {trash}]",
        "call {around}",
        "vmovdqu [rbx], ymm3",
        "vmovdqu [rbx + 32], ymm12",
        "vzeroupper",
        "pop rbx",
        "ret",
        trash = sym trash,
        around = sym around,
    )
}

#[test]
fn a_trampoline_of_another_crate_saves_every_register_by_the_numbers_of_stage_1() {
    if !std::arch::is_x86_feature_detected!("avx") {
        println!("skipped: this processor has no AVX, so a trampoline has nothing to lose");
        return;
    }
    let (from, to, sizes) = on(1, || {
        let from = std::array::from_fn(|i| 0x0123_4567_89ab_cdef_u64.rotate_left(7 * i as u32));
        let mut to = [0; 8];
        // SAFETY: both have the eight words, the processor has AVX, and the functions keep the
        // registers that the ABI makes theirs to keep.
        unsafe { keep(&from, &mut to) };
        let size = rt::stack::SAVE_SIZE.get();
        (from, to, (size, rt::stack::SAVE_MASK.get() & 7))
    });
    assert_eq!(from, to);
    assert_eq!(sizes.0 % 64, 0);
    assert_eq!(sizes.1, 7, "x87, SSE and AVX");
}

/// The row `preempted` of a stage whose goroutines are taken in another way.
fn taken(gp: &'static rt::gmp::G) -> rt::sched::Next {
    rt::trace::go_preempt(gp, "async");
    // SAFETY: on g0, and gp has just left: this is the row.
    unsafe { rt::sched::gosched_impl(gp) };
    None
}

#[test]
fn a_trace_says_in_which_way_a_goroutine_was_taken() {
    const TAKES: Stage = Stage {
        name: "takes",
        preempted: taken,
        ..STAGE
    };
    // SAFETY: nothing here belongs to a thread.
    let trace = unsafe {
        trace_of(&TAKES, || {
            ask_myself();
            step();
        })
    };
    let text = trace.text();
    let mut taken = text.lines().filter(|line| line.contains("GoPreempt"));
    let right = taken.next().is_some_and(|line| line.ends_with(" async"));
    assert!(right && taken.next().is_none(), "{text}");
}

/// Goroutines, one after the other, each of which takes its thread with it when it ends. So Ms
/// get another thread.
fn threads_that_end(mut each: impl FnMut() + Clone + Send + 'static) {
    for _ in 0..20 {
        let done = Chan::new(0);
        let (end, mut each) = (done.clone(), each.clone());
        go("ends its thread", move || {
            lock_os_thread();
            each();
            end.send(());
        });
        done.recv();
    }
    each();
}

#[test]
fn a_block_of_a_stage_s_own_stays_with_its_m_for_ever() {
    use rt::gmp::{Each, M};
    #[derive(Default)]
    struct Own(AtomicUsize);
    // SAFETY: nothing else in this program uses the last word of an M.
    static OWN: Each<M, Own> = unsafe { Each::at(rt::gmp::EXT_WORDS - 1) };
    static FIRST: AtomicUsize = AtomicUsize::new(0);
    static AGAIN: AtomicUsize = AtomicUsize::new(0);
    static WRONG: AtomicUsize = AtomicUsize::new(0);
    const KEEPS: Stage = Stage {
        name: "keeps",
        minit: |mp| {
            let found = OWN.find(mp);
            let own = OWN.make(mp);
            match found {
                None => FIRST.fetch_add(1, SeqCst),
                Some(found) => {
                    let same = std::ptr::eq(found, own) && own.0.load(SeqCst) == mp.id.get() + 1;
                    WRONG.fetch_add(usize::from(!same), SeqCst);
                    AGAIN.fetch_add(1, SeqCst)
                }
            };
            // What it leaves for the next thread.
            own.0.store(mp.id.get() + 1, SeqCst);
        },
        ..STAGE
    };
    let others = on_stage(&KEEPS, 2, || {
        threads_that_end(|| ());
        let mine = OWN.of(rt::arch::getm());
        rt::gmp::living()
            .filter(|mp| OWN.find(mp).is_some_and(|own| std::ptr::eq(own, mine)))
            .count()
    });
    assert_eq!(others, 1, "each has its own");
    assert!(FIRST.load(SeqCst) >= 2 && AGAIN.load(SeqCst) >= 5);
    assert_eq!(WRONG.load(SeqCst), 0);
}

#[test]
fn what_stage_2_left_in_its_block_is_not_the_next_thread_s() {
    use stage2_sysmon::{STAGE, rt, syscall_wired};
    static LEFT: AtomicUsize = AtomicUsize::new(0);
    static FOUND: AtomicUsize = AtomicUsize::new(0);
    const LOOKS: Stage = Stage {
        name: "looks",
        minit: |mp| {
            // No block yet on its first thread, and no P.
            LEFT.fetch_add(usize::from(rt::table::oldp(mp).is_some()), SeqCst);
            (STAGE.minit)(mp);
            let clean = rt::table::oldp(mp).is_none() && rt::table::m_syscalltick(mp).get() == 0;
            FOUND.fetch_add(usize::from(!clean), SeqCst);
        },
        ..STAGE
    };
    on_stage(&LOOKS, 2, || {
        // The newer form leaves its P behind.
        threads_that_end(|| syscall_wired(|| ()));
    });
    assert!(LEFT.load(SeqCst) >= 5);
    assert_eq!(FOUND.load(SeqCst), 0);
}

/// Both lists have the same name, each in the room of its stage.
#[test]
fn a_stage_finds_the_kinds_of_each_stage_before_it() {
    use stage2_sysmon::{STAGE, rt};
    let lists = [rt::trace::KINDS, rt::table::KINDS];
    assert_eq!(STAGE.kinds.len(), lists.len());
    for (given, found) in STAGE.kinds.iter().zip(lists) {
        assert!(std::ptr::eq(*given, found));
    }
    let names = |list: &'static [&'static rt::trace::Kind]| list.iter().map(|kind| kind.name);
    assert!(names(lists[0]).any(|name| name == "GoPreempt"));
    assert!(names(lists[1]).any(|name| name == "ProcSteal"));
}
