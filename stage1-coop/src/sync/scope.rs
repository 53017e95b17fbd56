//! Goroutines that borrow: [`scope`] does not return before all that were started in it have
//! ended. It is Rust's idiom (`std::thread::scope`), and Go has nothing like it: its collector
//! keeps alive what a goroutine can reach.
//!
//! # Why it is sound
//!
//! What a goroutine of the scope borrows lives at least for `'scope`, that is, longer than the
//! call of [`scope`]. So it is enough that no such goroutine touches anything of it after the
//! call has given control back. There are four ways out of the call:
//!
//! * **It returns, or unwinds** (a panic that is caught further out, or `goexit`): the value
//!   [`AllEnded`] is on its stack, and its `drop` waits until the count of the goroutines is 0.
//!   It cannot be forgotten, because it never leaves this file. A goroutine counts down as the
//!   very last thing, when its closure and its result are gone.
//! * **A goroutine calls `goexit`:** its frames unwind first, and then it counts down. Its
//!   handle gives `None`. So it does if what it returned calls it, when that is dropped because
//!   it is not wanted.
//! * **A goroutine panics:** it never counts down. The panic ends the process, and until it has
//!   done so the scope waits; it cannot return as if all were well.
//! * **`main` returns while a scope is open on another goroutine:** the run is over. Every
//!   goroutine stops at its next look at the scheduler and never goes on, and none is unwound.
//!   The frames stay where they are, the scope's and its goroutines', so what is borrowed stays
//!   too, also for a thread of `std` that one of them has lent it to.
//!
//! Tests: `sync::what_parks_and_what_borrows_does_so_in_both_worlds`,
//! `sync::what_a_scope_lent_stays_when_main_returns_beside_it`,
//! `sync::a_panic_in_a_scope_s_goroutine_ends_the_process_and_lets_nobody_on`.

use crate::arch::on_goroutine;
use crate::sched::goexit::Goexit;
use crate::sched::newproc::go_borrowing;
use crate::sync::mutex::Mutex;
use crate::sync::waitgroup::WaitGroup;
use std::any::Any;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

/// Where goroutines are started that may borrow. See [`scope`].
pub struct Scope<'scope, 'env: 'scope> {
    running: WaitGroup,
    // Both are invariant, as in std: neither may be taken for a shorter or longer one.
    _scope: PhantomData<&'scope mut &'scope ()>,
    _env: PhantomData<&'env mut &'env ()>,
}

/// Waits, when dropped, until no goroutine of the scope is left.
struct AllEnded<'a>(&'a WaitGroup);

impl Drop for AllEnded<'_> {
    fn drop(&mut self) {
        self.0.wait();
    }
}

/// Calls `f`, in which goroutines can be started that borrow from here, and waits until all of
/// them have ended.
///
/// ```
/// # use stage1_coop::{Runtime, STAGE, scope};
/// # // SAFETY: nothing here belongs to a thread.
/// # unsafe { Runtime::new(&STAGE).run(|| {
/// let mut numbers = [3, 1, 2];
/// let (left, right) = numbers.split_at_mut(1);
/// let sum = scope(|s| {
///     let sum = s.go("sums up", || left.iter().sum::<i32>());
///     s.go("sorts", || right.sort());
///     sum.join()
/// });
/// assert_eq!((sum, numbers), (Some(3), [3, 1, 2]));
/// # }) }
/// ```
///
/// # Panics
/// Off a goroutine. If `f` panics, the panic goes on when all have ended. A panic in one of
/// them ends the process, as in every goroutine.
pub fn scope<'env, F, R>(f: F) -> R
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
{
    assert!(on_goroutine(), "scope: not on a goroutine");
    let scope = Scope {
        running: WaitGroup::new(),
        _scope: PhantomData,
        _env: PhantomData,
    };
    let _ended = AllEnded(&scope.running);
    f(&scope)
}

impl<'scope> Scope<'scope, '_> {
    /// Starts a goroutine that may borrow what outlives the scope.
    ///
    /// # Panics
    /// Off a goroutine.
    pub fn go<F, T>(&'scope self, name: &'static str, f: F) -> JoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        assert!(on_goroutine(), "go: not on a goroutine");
        let result = Arc::new(Outcome {
            ended: WaitGroup::new(),
            value: Mutex::new(None),
        });
        result.ended.add(1);
        self.running.add(1);
        let (running, outcome) = (self.running.clone(), result.clone());
        let body = move || scoped(f, running, outcome);
        // SAFETY: we are on a goroutine. `scope` waits for the count that `body` takes down
        // when nothing of `'scope` is left in it: `f` was consumed, and `outcome` dropped. The
        // head of the file goes through all ways out of `scope`.
        unsafe { go_borrowing(name, body) };
        JoinHandle {
            result,
            _scope: PhantomData,
        }
    }
}

/// A goroutine of a scope, around the program's closure. Never inlined: what stands in `gotext` is
/// the closure alone, and to catch a panic is to look at the thread.
#[inline(never)]
fn scoped<T>(f: impl FnOnce() -> T, running: WaitGroup, outcome: Arc<Outcome<T>>) {
    let ended = catch_unwind(AssertUnwindSafe(|| in_gotext(f)));
    let goexit = match ended {
        Ok(value) => {
            *outcome.value.lock() = Some(value);
            None
        }
        Err(payload) => Some(only_goexit(payload)),
    };
    outcome.ended.done();
    // If the value is not wanted, it is dropped here: code of the program's, again.
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(outcome)));
    let late = dropped.err().map(only_goexit);
    running.done();
    drop((goexit, late));
}

/// What a goroutine unwound with, if it is `goexit`. A panic goes on and ends the process:
/// neither the scope nor a joiner goes on meanwhile.
fn only_goexit(payload: Box<dyn Any + Send>) -> Box<dyn Any + Send> {
    if !payload.is::<Goexit>() {
        resume_unwind(payload);
    }
    payload
}

/// The closure's body is the goroutine's own code.
#[inline(never)]
#[unsafe(link_section = "gotext")]
fn in_gotext<T>(f: impl FnOnce() -> T) -> T {
    f()
}

struct Outcome<T> {
    ended: WaitGroup,
    value: Mutex<Option<T>>,
}

/// A goroutine of a [`Scope`], to wait for.
pub struct JoinHandle<'scope, T> {
    result: Arc<Outcome<T>>,
    _scope: PhantomData<&'scope ()>,
}

impl<T> JoinHandle<'_, T> {
    /// Parks the goroutine until that one has ended, and returns its result; `None` if it has
    /// called `goexit`.
    ///
    /// # Panics
    /// Off a goroutine, if it would have to wait.
    pub fn join(self) -> Option<T> {
        self.result.ended.wait();
        self.result.value.lock().take()
    }
}
