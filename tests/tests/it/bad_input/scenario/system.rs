//! Wrong switches, a system that refuses, stacks at their ends.

use super::hello;
use crate::{forever, run};
use stage1_coop::*;
use std::hint::black_box;
use std::sync::atomic::Ordering::Relaxed;
crate::scenarios!(guards, no_handlers, no_threads, little_memory,);

/// A system call that is refused: its number, an argument that must have a value if any
/// call is not meant, and the error.
struct Refusal {
    call: libc::c_long,
    argument: Option<(u32, u32)>,
    error: i32,
}

/// From here on the kernel refuses these, to the calling thread and those that it makes.
fn refuse(refusals: &[Refusal]) {
    let op = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    let load = |k| op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, k, 0, 0);
    let unless = |k, skip| op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, k, 0, skip);
    let answer = |k| op(libc::BPF_RET | libc::BPF_K, k, 0, 0);
    // Offsets into the kernel's seccomp_data: the number, and the low half of an argument.
    let number = load(0);
    let argument = |i: u32| load(16 + 8 * i);
    let mut program = Vec::new();
    for refusal in refusals {
        let no = answer(libc::SECCOMP_RET_ERRNO | refusal.error as u32);
        let call = refusal.call as u32;
        match refusal.argument {
            None => program.extend([number, unless(call, 1), no]),
            Some((i, value)) => {
                program.extend([number, unless(call, 3), argument(i), unless(value, 1), no]);
            }
        }
    }
    program.push(answer(libc::SECCOMP_RET_ALLOW));
    let filter = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the program lives for both calls, and its jumps stay inside it.
    let refused = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &filter) != 0
    };
    if refused {
        println!("no filter here: {}", std::io::Error::last_os_error());
        std::process::exit(0);
    }
}

/// `guards HOW [N]`: guard pages when a filter forbids the new way, or the old one as well; or
/// when the kernel does not know the new way. In the last cases one slot in 64 has a guard page,
/// or as many as the system has mappings for.
fn guards(arguments: &[String]) {
    const MADV_GUARD_INSTALL: u32 = 102;
    let how = &*arguments[0];
    let mut refusals = vec![Refusal {
        call: libc::SYS_madvise,
        argument: Some((2, MADV_GUARD_INSTALL)),
        error: match how {
            "mprotect" | "neither" | "overflow" => libc::EPERM,
            _ => libc::EINVAL,
        },
    }];
    if how == "neither" {
        refusals.push(Refusal {
            call: libc::SYS_mprotect,
            argument: Some((2, libc::PROT_NONE as u32)),
            error: libc::EPERM,
        });
    }
    if how != "new" {
        refuse(&refusals);
    }
    match how {
        "overflow" => overflows(fall),
        "old_overflow" => {
            rt::stack::split_for_first(0);
            overflows(fall);
        }
        "old_canary" => {
            rt::stack::split_for_first(0);
            overflows(fall_into_lowest_page);
        }
        "old_end" => {
            rt::stack::split_for_first(0);
            overflows(|n| {
                fall_into_lowest_page(n);
                goexit()
            });
        }
        "old" | "new" => many_parked(arguments[1].parse().unwrap_or(0)),
        _ => hello(&[]),
    }
}

/// Runs `fall` on a goroutine whose slot is not the first of 64. Those below it belong to
/// others, which never use them.
fn overflows(fall: fn(u64) -> u64) {
    run(1, move || {
        for _ in 0..4 {
            go("bystander", forever);
        }
        gosched();
        go("culprit", move || {
            black_box(fall(0));
            user_log("it goes on");
            println!("nothing was noticed");
        });
        forever();
    });
}

#[allow(unconditional_recursion)]
fn fall(n: u64) -> u64 {
    let here = black_box([n; 64]);
    fall(n + 1) + here[black_box(3)]
}

/// Recurses until the lowest page of the slot is used, and comes back.
fn fall_into_lowest_page(n: u64) -> u64 {
    let here = black_box([n + 1; 64]);
    let gp = rt::arch::getg();
    let color = (gp.slot.load(Relaxed) - 1) as usize % 16 * 128;
    let bottom = gp.stack.hi.get() + color - rt::stack::SLOT;
    if (&raw const here as usize) < bottom + 3_000 {
        return 0;
    }
    fall_into_lowest_page(n + 1) + here[black_box(3)]
}

/// So many goroutines wait at once, and all go on.
fn many_parked(n: usize) {
    run(2, move || {
        let (gate, here, all) = (Chan::<()>::new(0), WaitGroup::new(), WaitGroup::new());
        here.add(n);
        all.add(n);
        for _ in 0..n {
            let (gate, here, all) = (gate.clone(), here.clone(), all.clone());
            go("parked", move || {
                here.done();
                gate.recv();
                all.done();
            });
        }
        here.wait();
        let maps = std::fs::read_to_string("/proc/self/maps").map_or(0, |m| m.lines().count());
        println!(
            "parked: {n} unguarded: {} maps: {maps}",
            rt::stack::unguarded_stacks()
        );
        gate.close();
        all.wait();
        println!("all went on");
    });
}

/// The kernel refuses one signal's handler, or signal stacks.
fn no_handlers(arguments: &[String]) {
    let (call, signal) = match &*arguments[0] {
        "SIGSEGV" => (libc::SYS_rt_sigaction, Some(libc::SIGSEGV)),
        "SIGBUS" => (libc::SYS_rt_sigaction, Some(libc::SIGBUS)),
        "SIGTRAP" => (libc::SYS_rt_sigaction, Some(libc::SIGTRAP)),
        "SIGVTALRM" => (libc::SYS_rt_sigaction, Some(libc::SIGVTALRM)),
        _ => (libc::SYS_sigaltstack, None),
    };
    refuse(&[Refusal {
        call,
        argument: signal.map(|n| (0, n as u32)),
        error: libc::EPERM,
    }]);
    hello(&[]);
}

/// The first goroutine needs a second thread, and gets none.
fn no_threads(_: &[String]) {
    run(2, || {
        let refusal = |call| Refusal {
            call,
            argument: None,
            error: libc::EAGAIN,
        };
        refuse(&[refusal(libc::SYS_clone), refusal(libc::SYS_clone3)]);
        go("worker", || {});
        println!("goes on");
    });
}

/// Address space for so many MiB more.
fn little_memory(arguments: &[String]) {
    let more: u64 = arguments[0].parse().unwrap_or(0);
    let limit = (tests::memory().1 as u64 + (more << 10)) << 10;
    let limit = libc::rlimit {
        rlim_cur: limit,
        rlim_max: limit,
    };
    // SAFETY: the structure is ours.
    unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) };
    hello(&[]);
}
