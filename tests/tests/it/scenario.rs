//! Programs that a test runs as a child process, because they die, dump, change the process
//! or need the process for themselves: `scenario NAME [ARGUMENT...]`.
//!
//! A scenario prints what its test compares; the test says what must come out.

#[path = "asynchronous/scenario.rs"]
mod asynchronous;
#[path = "bad_input/scenario/mod.rs"]
mod bad_input;
#[path = "chan/scenario.rs"]
mod chan;
#[path = "chrome/scenario.rs"]
mod chrome;
#[path = "diagnostics/scenario.rs"]
mod diagnostics;
#[path = "ends/scenario.rs"]
mod ends;
#[path = "heard/scenario.rs"]
mod heard;
#[path = "interrupted/scenario.rs"]
mod interrupted;
#[path = "last_words/scenario/mod.rs"]
mod last_words;
#[path = "netpoll/scenario.rs"]
mod netpoll;
#[path = "queues/scenario.rs"]
mod queues;
#[path = "signals/scenario.rs"]
mod signals;
#[path = "states/scenario.rs"]
mod states;
#[path = "stepping/scenario/mod.rs"]
mod stepping;
#[path = "sync/scenario.rs"]
mod sync;
#[path = "sysmon/scenario/mod.rs"]
mod sysmon;
#[path = "threads/scenario.rs"]
mod threads;
#[path = "waking/scenario.rs"]
mod waking;

use stage1_coop::{gofunc, gosched, prologue, spin};
use std::time::{Duration, Instant};

/// A scenario's name and what it does.
type Scenario = (&'static str, fn(&[String]));

/// Declares the scenarios of a file: a table of its functions by their names.
macro_rules! scenarios {
    ($($name:ident),+ $(,)?) => {
        pub const ALL: &[crate::Scenario] = &[$((stringify!($name), $name)),+];
    };
}
pub(crate) use scenarios;

/// Less than the limit of the test that waits for us.
const GIVE_UP: Duration = Duration::from_secs(40);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, arguments)) = words.split_first() else {
        eprintln!("usage: scenario NAME [ARGUMENT...]");
        std::process::exit(64);
    };
    let tables = [
        asynchronous::ALL,
        bad_input::ALL,
        bad_input::lockstep::ALL,
        bad_input::system::ALL,
        chan::ALL,
        chrome::ALL,
        diagnostics::ALL,
        ends::ALL,
        heard::ALL,
        interrupted::ALL,
        last_words::faults::ALL,
        last_words::goexit::ALL,
        last_words::panics::ALL,
        last_words::rows::ALL,
        last_words::runs::ALL,
        last_words::signals::ALL,
        last_words::throws::ALL,
        last_words::unwinding::ALL,
        netpoll::ALL,
        queues::ALL,
        signals::ALL,
        states::ALL,
        stepping::ALL,
        sync::ALL,
        sysmon::calls::ALL,
        sysmon::deadlock::ALL,
        sysmon::ends::ALL,
        threads::ALL,
        waking::ALL,
    ];
    let Some((_, scenario)) = tables
        .iter()
        .flat_map(|t| t.iter())
        .find(|(n, _)| n == name)
    else {
        eprintln!("scenario: there is none with the name {name}");
        std::process::exit(64);
    };
    no_core_dumps();
    signals_of_a_terminal();
    // A hung scenario shows where its goroutines are before the test kills it. The thread
    // has all that it needs before the scenario changes anything.
    let (ready, is_ready) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = ready.send(());
        std::thread::sleep(GIVE_UP);
        stage1_coop::rt::last_words::throw("the scenario has not ended");
    });
    let _ = is_ready.recv();
    scenario(arguments);
}

/// Some scenarios abort, on purpose.
fn no_core_dumps() {
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the structure is ours.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &none) };
}

/// A shell starts its background jobs with these two ignored, and a run keeps what it finds.
fn signals_of_a_terminal() {
    for signal in [libc::SIGINT, libc::SIGQUIT] {
        // SAFETY: no handler is installed, and no other thread runs yet.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Runs `main` on `procs` Ps, or as many as the environment says.
fn run(procs: usize, main: impl FnOnce() + Send + 'static) {
    let runtime = stage1_coop::Runtime::new(&stage1_coop::STAGE).procs(procs);
    start(runtime, main);
}

/// Runs `main` on `runtime`.
fn start(runtime: stage1_coop::Runtime, main: impl FnOnce() + Send + 'static) {
    // SAFETY: no scenario keeps anything that belongs to a thread across a yield, except
    // the one that shows what becomes of it, which the runtime ends.
    unsafe { runtime.run(main) };
}

/// Parks the calling goroutine for ever.
fn forever() {
    stage1_coop::Chan::<()>::new(0).recv();
}

/// So many turns of work, behind a check.
#[gofunc]
fn work(turns: u64) -> u64 {
    spin(turns)
}

/// Waits until `f` says yes, for ten seconds.
fn eventually(f: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !f() {
        if Instant::now() > deadline {
            return false;
        }
        gosched();
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}
