//! Programs in a bad place: a system that refuses, a tracer, and what lockstep cannot do.

use crate::{forever, run, start};
use stage1_coop::*;
use std::hint::black_box;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

crate::scenarios!(
    hello,
    godebug,
    traced,
    guards,
    no_handlers,
    no_threads,
    little_memory,
    deadlock,
    endless,
    std_lock,
    long_loop,
    frames,
    computes,
    hog,
);

/// A small program that uses a little of everything.
fn hello(_: &[String]) {
    run(2, || {
        let all = WaitGroup::new();
        for _ in 0..4 {
            all.add(1);
            let all = all.clone();
            go("worker", move || {
                gosched();
                all.done();
            });
        }
        all.wait();
        println!("hello");
    });
}

/// `godebug STAGE KEY VALUE...`: sets keys, and prints all that the stage has.
fn godebug(args: &[String]) {
    let stage = match args.first().map(String::as_str) {
        Some("1") => &STAGE,
        _ => &stage2_sysmon::STAGE,
    };
    let mut runtime = Runtime::new(stage).procs(1);
    for pair in args[1..].chunks(2) {
        runtime = runtime.godebug(&pair[0], &pair[1]);
    }
    start(runtime, || {
        for key in (stage.godebug)() {
            println!("{}={}", key.name, key.value.load(Relaxed));
        }
    });
}

/// Runs `hello` as a debugger would: the child is traced, and each of its signals passes
/// through our hands.
fn traced(_: &[String]) {
    use std::os::unix::process::CommandExt;
    let Ok(me) = std::env::current_exe() else {
        return;
    };
    let mut command = Command::new(me);
    command.arg("hello");
    // SAFETY: ptrace(TRACEME) is one system call, allowed between fork and exec.
    unsafe {
        command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    let child = match command.spawn() {
        Ok(child) => child.id() as libc::pid_t,
        Err(error) => {
            println!("nobody may trace here: {error}");
            return;
        }
    };
    loop {
        let mut status = 0;
        // SAFETY: waits for our own child; `status` is ours.
        if unsafe { libc::waitpid(child, &mut status, 0) } != child {
            std::process::exit(1);
        }
        if libc::WIFEXITED(status) {
            std::process::exit(libc::WEXITSTATUS(status));
        }
        if libc::WIFSIGNALED(status) {
            std::process::exit(128 + libc::WTERMSIG(status));
        }
        // The first stop is the exec itself; all others are signals.
        let signal = match libc::WSTOPSIG(status) {
            libc::SIGTRAP => 0,
            other => other,
        };
        // SAFETY: the child is ours and stands still.
        unsafe { libc::ptrace(libc::PTRACE_CONT, child, 0, signal) };
    }
}

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

fn deadlock(_: &[String]) {
    run(2, || {
        println!("nobody will wake us");
        go("waiter", forever);
        forever();
    });
}

#[gofunc]
fn endless_loop() {
    loop {
        black_box(());
    }
}

fn endless(_: &[String]) {
    run(1, || {
        println!("nobody will stop us");
        go("endless", endless_loop);
        forever();
    });
}

/// What the contract forbids: a guard of std's mutex, kept over a yield. Whoever wants it
/// next blocks its thread, and with it the baton.
fn std_lock(arguments: &[String]) {
    static LOCK: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let procs = arguments[0].parse().unwrap_or(1);
    run(procs, || {
        for _ in 0..2 {
            go("holder", || {
                let _guard = LOCK.lock();
                for _ in 0..50 {
                    gosched();
                }
            });
        }
        forever();
    });
}

static STOP: AtomicBool = AtomicBool::new(false);

/// A loop that calls nothing, until somebody stops it. It loads the flag in assembly: an
/// atomic's `load` may be a call in an unoptimized build, and calls are not the goroutine's
/// own code.
#[gofunc]
fn turns() {
    let mut stop = 0_u32;
    while stop == 0 {
        // SAFETY: loads a byte that lives for ever; whoever stores to it does so atomically.
        unsafe {
            std::arch::asm!("movzx {:e}, byte ptr [{}]", out(reg) stop, in(reg) STOP.as_ptr(),
                            options(nostack, readonly));
        }
    }
}

/// Processor time of the thread with this clock.
fn cpu_time(clock: libc::clockid_t) -> Duration {
    let mut t = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the structure is ours.
    unsafe { libc::clock_gettime(clock, &mut t) };
    Duration::new(t.tv_sec as u64, t.tv_nsec as u32)
}

/// A compiled loop that ends, after so many milliseconds of its thread's processor time. A
/// thread outside of the runtime measures it.
fn long_loop(arguments: &[String]) {
    let wanted = Duration::from_millis(arguments[0].parse().unwrap_or(0));
    let runtime = Runtime::new(&STAGE)
        .procs(1)
        .third_party(|me| while me.sleep(Duration::from_millis(10)) {});
    start(runtime, move || {
        if !wanted.is_zero() {
            let mut clock = 0;
            // SAFETY: the clock of our own thread; the variable is ours.
            unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &mut clock) };
            let end = cpu_time(clock) + wanted;
            std::thread::spawn(move || {
                while cpu_time(clock) < end {
                    std::thread::sleep(Duration::from_millis(1));
                }
                STOP.store(true, Relaxed);
            });
            turns();
        }
        user_log("the loop has ended");
    });
}

/// A stack that grows by frames of the compiler's making, or by the ruler's.
fn frames(arguments: &[String]) {
    #[gofunc]
    fn compiled(n: u64) -> u64 {
        let here = black_box([n; 16]);
        if n == 0 {
            return 0;
        }
        compiled(n - 1) + here[black_box(3)]
    }
    #[gofunc]
    fn ruled(n: u64) -> u64 {
        if n == 0 {
            return 0;
        }
        with_frame(1024, || ruled(n - 1)) + 1
    }
    let which = arguments[0].clone();
    run(1, move || {
        black_box(match &*which {
            "compiled" => compiled(300),
            "small" => compiled(12),
            "few" => compiled(1),
            _ => ruled(50),
        });
    });
}

/// Uses the processor for so many milliseconds of its time, without a check.
#[gofunc]
fn compute(ms: u64) {
    let until = processor_ms() + ms;
    while processor_ms() < until {
        // The loop itself is the goroutine's own code.
        for turn in 0..200_000_u64 {
            black_box(turn);
        }
    }
}

#[inline(always)]
fn processor_ms() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the struct is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as u64 * 1_000 + time.tv_nsec as u64 / 1_000_000
}

/// Computes on, while everybody else waits for a goroutine that has not been made.
fn computes(arguments: &[String]) {
    let ms = arguments[0].parse().unwrap_or(200);
    run(1, move || {
        compute(ms);
        println!("computed");
    });
}

/// A hog whose turns take 3 ms, beside a pair that sleeps most of the time.
fn hog(arguments: &[String]) {
    let ms: u64 = arguments[0].parse().unwrap_or(200);
    let runtime = stage2_sysmon::Runtime::new(&stage2_sysmon::STAGE).procs(1);
    crate::start(runtime, move || {
        for _ in 0..2 {
            go("light", || {
                loop {
                    stage2_sysmon::sleep(std::time::Duration::from_secs(1));
                }
            });
        }
        (0..ms / 3).for_each(|_| compute(3));
        println!("computed");
    });
}
