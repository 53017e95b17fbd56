//! What goes wrong when a goroutine is stopped where it must not be: `hazards NAME with|without`.
//!
//! Goroutines do the same thing again and again, while a thread asks all of them to yield every
//! few microseconds; `without` takes one guard away. Ends with what was counted, with a death, or,
//! if nothing moves any more, with status 3. A program of its own because one of the hazards is
//! its allocator.

use stage3_signals::rt::gmp::G;
use stage3_signals::rt::safepoint::{THREAD, VETOES, refused};
use stage3_signals::rt::signal::Context;
use stage3_signals::rt::stack::{enter_malloc, leave_malloc};
use stage3_signals::rt::table::Rows;
use stage3_signals::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::sync::{Mutex as StdMutex, PoisonError};
use std::time::{Duration, Instant};

/// One hazard: its name, and what each goroutine does, given its number. It returns how often
/// something was wrong.
type Hazard = (&'static str, fn(u64) -> u64);

const HAZARDS: [Hazard; 6] = [
    ("ref-cell", pushes),
    ("panics", panics),
    ("errno", errno),
    ("std-mutex", std_mutex),
    ("address", address),
    ("allocator", allocator),
];

/// Goroutines, on two Ps.
const GOROUTINES: u64 = 6;
/// Rounds in one function that comes to no check.
const ROUNDS: u64 = 300;
/// Between two requests to all.
const EVERY: Duration = Duration::from_micros(20);
/// So long the program runs, if nothing is wrong before.
const TIME: Duration = Duration::from_secs(3);
/// If no goroutine has finished its rounds for so long, they stand still.
const STILL: Duration = Duration::from_secs(2);

/// Whether the guard is there.
static GUARDED: AtomicBool = AtomicBool::new(true);
static DONE: AtomicU64 = AtomicU64::new(0);
static WRONG: AtomicU64 = AtomicU64::new(0);
static STOPPED: AtomicU64 = AtomicU64::new(0);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let hazard = words
        .first()
        .and_then(|name| HAZARDS.iter().find(|h| h.0 == name));
    let (Some(hazard), Some("with" | "without")) = (hazard, words.get(1).map(String::as_str))
    else {
        eprintln!("usage: hazards NAME with|without");
        std::process::exit(64);
    };
    GUARDED.store(words[1] == "with", SeqCst);
    // SAFETY: none, and on purpose: the contract is broken here, and the child's end is what the
    // test looks at. Under the guards it holds.
    unsafe { Runtime::new(&MINE).procs(2).run(|| storm(hazard.1)) };
    print!(
        "wrong={} done={} stopped={}",
        WRONG.load(SeqCst),
        DONE.load(SeqCst),
        STOPPED.load(SeqCst),
    );
    for veto in VETOES {
        print!(" {veto}={}", refused(veto));
    }
    println!();
}

/// Stage 3, but for the map of unsafe points if there is no guard.
static MINE: Stage = Stage {
    more: &[
        &Rows {
            is_async_safe_point,
            push_call,
            ..ROWS
        },
        &stage2_sysmon::ROWS,
    ],
    ..STAGE
};

fn is_async_safe_point(gp: &'static G, pc: usize, sp: usize) -> Result<(), &'static str> {
    match (ROWS.is_async_safe_point)(gp, pc, sp) {
        Err(THREAD) if !GUARDED.load(Relaxed) => Ok(()),
        answer => answer,
    }
}

fn push_call(context: &mut Context, target: usize) {
    STOPPED.fetch_add(1, Relaxed);
    (ROWS.push_call)(context, target);
}

/// Runs `work` on all goroutines until something is wrong or the time is over.
fn storm(work: fn(u64) -> u64) {
    std::thread::spawn(watch);
    let began = Instant::now();
    let all = WaitGroup::new();
    for id in 1..=GOROUTINES {
        all.add(1);
        let all = all.clone();
        go("worker", move || {
            while began.elapsed() < TIME && WRONG.load(Relaxed) == 0 {
                WRONG.fetch_add(work(id), Relaxed);
                DONE.fetch_add(1, Relaxed);
            }
            all.done();
        });
    }
    all.wait();
}

/// Asks everything that runs to yield, and notices when nothing moves.
fn watch() {
    let (mut seen, mut since) = (0, Instant::now());
    loop {
        rt::stack::preemptall();
        std::thread::sleep(EVERY);
        let done = DONE.load(Relaxed);
        if done != seen {
            (seen, since) = (done, Instant::now());
        } else if since.elapsed() > STILL {
            println!(
                "nothing moves; done={done} stopped={}",
                STOPPED.load(SeqCst)
            );
            std::process::exit(3);
        }
    }
}

// A list of the thread's own. The compiler keeps its address over a whole round.

thread_local!(static LIST: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) });

#[gofunc]
fn pushes(id: u64) -> u64 {
    let mut wrong = 0;
    for i in 0..ROUNDS {
        LIST.with_borrow_mut(|list| {
            list.push(id << 32 | i);
            if list.len() == 64 {
                wrong += list.drain(..).filter(|n| n >> 32 == 0).count() as u64;
                list.shrink_to_fit();
            }
        });
    }
    wrong
}

// How many panics a thread is in, std counts in a variable of the thread.

struct OnTheWay;
impl Drop for OnTheWay {
    fn drop(&mut self) {
        black_box(());
    }
}

#[gofunc]
fn panics(_: u64) -> u64 {
    let mut wrong = 0;
    for _ in 0..ROUNDS / 10 {
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _on_the_way = OnTheWay;
            // As a panic, but without its words.
            resume_unwind(Box::new(()));
        }));
        wrong += u64::from(caught.is_ok()) + u64::from(std::thread::panicking());
    }
    wrong
}

// The number of an error is the thread's.

#[gofunc]
fn errno(id: u64) -> u64 {
    let mut wrong = 0;
    for _ in 0..ROUNDS {
        // SAFETY: closes nothing, and looks for a file without a name.
        let expected = unsafe {
            if id % 2 == 0 {
                libc::close(-1);
                libc::EBADF
            } else {
                libc::access(c"".as_ptr(), libc::F_OK);
                libc::ENOENT
            }
        };
        let got = std::io::Error::last_os_error().raw_os_error();
        wrong += u64::from(got != Some(expected));
    }
    wrong
}

// A lock of std's belongs to the goroutine that has it, but the ones that wait for it keep their
// threads: once all threads wait, there is none on which that goroutine could go on. The machine
// code does not show it; the way out is the runtime's own `Mutex`.

static STD: StdMutex<u64> = StdMutex::new(0);
static OURS: std::sync::LazyLock<Mutex<u64>> = std::sync::LazyLock::new(|| Mutex::new(0));

#[gofunc]
fn std_mutex(_: u64) -> u64 {
    if GUARDED.load(Relaxed) {
        adds(&mut OURS.lock());
    } else {
        adds(&mut STD.lock().unwrap_or_else(PoisonError::into_inner));
    }
    0
}

#[gofunc(nosplit)]
fn adds(n: &mut u64) {
    for _ in 0..100 * ROUNDS {
        *n = black_box(*n + 1);
    }
}

// The address of a thread's variable, which a call has returned. It looks like any other address;
// the way out is to stay on the thread while it is in use.

thread_local!(static TALLY: Cell<u64> = const { Cell::new(0) });

/// Not a goroutine's own code, and never copied into it.
#[inline(never)]
fn tally() -> *const Cell<u64> {
    black_box(TALLY.with(|tally| &raw const *tally))
}

#[gofunc]
fn address(_: u64) -> u64 {
    let stay = GUARDED.load(Relaxed).then(acquirem);
    // SAFETY: none without the guard. With it the thread stays, and so does its variable.
    let tally = unsafe { &*tally() };
    tally.set(0);
    for _ in 0..100 * ROUNDS {
        tally.set(black_box(tally.get() + 1));
    }
    let wrong = tally.get() != 100 * ROUNDS;
    drop(stay);
    u64::from(wrong)
}

// An allocator with a list of free blocks for each thread, which it finds by a call. What counts
// in `mallocing` is copied into the goroutine's own code together with it.

#[global_allocator]
static ALLOCATOR: Counted = Counted;

struct Counted;

/// A free block begins with the address of the next one.
struct Block(*mut Block);

/// Larger requests go to the system.
const BLOCK: usize = 64;

thread_local!(static FREE: Cell<*mut Block> = const { Cell::new(null_mut()) });

#[inline(never)]
fn free_blocks() -> *const Cell<*mut Block> {
    black_box(FREE.with(|free| &raw const *free))
}

fn is_block(layout: &Layout) -> bool {
    layout.size() <= BLOCK && layout.align() <= 16
}

// SAFETY: a block is handed out by the thread whose list it was taken from, and goes to the list
// of the one that frees it; in between nothing else has it, as long as no goroutine changes threads
// in the middle of a function. That is what `mallocing` is for.
unsafe impl GlobalAlloc for Counted {
    #[inline(always)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !is_block(&layout) {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc(layout) };
        }
        inside(|| {
            // SAFETY: the thread's own list.
            let free = unsafe { &*free_blocks() };
            let first = free.get();
            if first.is_null() {
                // SAFETY: a size that is not 0, and an alignment that malloc gives.
                return unsafe { libc::malloc(BLOCK) }.cast();
            }
            // SAFETY: a free block.
            free.set(unsafe { (*first).0 });
            first.cast()
        })
    }

    #[inline(always)]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if !is_block(&layout) {
            // SAFETY: the caller's promise.
            return unsafe { System.dealloc(block, layout) };
        }
        inside(|| {
            // SAFETY: the thread's own list, and a block that nothing uses any more.
            unsafe {
                let free = &*free_blocks();
                block.cast::<Block>().write(Block(free.get()));
                free.set(block.cast());
            }
        });
    }
}

/// Counts in `mallocing` while `f` runs.
#[inline(always)]
fn inside<R>(f: impl FnOnce() -> R) -> R {
    if !GUARDED.load(Relaxed) {
        return f();
    }
    enter_malloc();
    let result = f();
    leave_malloc();
    result
}

#[gofunc]
fn allocator(id: u64) -> u64 {
    let layout = Layout::new::<[u64; 8]>();
    let mut wrong = 0;
    for _ in 0..ROUNDS {
        // SAFETY: the blocks are as large as the layout says, and are freed once each.
        unsafe {
            let blocks = [(); 4].map(|()| ALLOCATOR.alloc(layout).cast::<u64>());
            for (i, block) in blocks.iter().enumerate() {
                block.write_volatile(id << 32 | i as u64);
            }
            for (i, block) in blocks.iter().enumerate() {
                wrong += u64::from(block.read_volatile() != id << 32 | i as u64);
                ALLOCATOR.dealloc(block.cast(), layout);
            }
        }
    }
    wrong
}
