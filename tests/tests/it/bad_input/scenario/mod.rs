//! Programs that are given bad input, little of everything, and loops without a check.

pub mod lockstep;
pub mod system;

use crate::{run, start};
use stage1_coop::*;
use std::process::Command;
use std::sync::atomic::Ordering::Relaxed;
crate::scenarios!(hello, godebug, traced,);

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
