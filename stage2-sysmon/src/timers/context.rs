//! Telling a whole tree of goroutines that what they do is no longer wanted. Mirrors Go's
//! package `context`, without its values.
//!
//! The runtime needs nothing new for it: a context is a channel that is closed, and a timer that
//! may close it. A goroutine that does part of a larger job looks at the channel where it would wait.
//!
//! Tests: `timers::contexts`.

use crate::timers::sleep::from_now;
use crate::timers::tick::{Timer, after_func};
use stage1_coop::rt::os::{Lock, nanotime};
use stage1_coop::{Chan, Receiver, prologue};
use std::cell::UnsafeCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Why a [`Context`] is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ContextError {
    /// It was canceled, or one above it was.
    Canceled,
    /// Its time has passed.
    DeadlineExceeded,
}

impl fmt::Display for ContextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ContextError::Canceled => "context canceled",
            ContextError::DeadlineExceeded => "context deadline exceeded",
        })
    }
}

impl std::error::Error for ContextError {}

/// How long a job is wanted. Clones are the same context. Go's
/// `context.Context`.
///
/// ```no_run
/// # use std::time::Duration;
/// # use stage2_sysmon::{Chan, Context, ContextError, Runtime, STAGE, go, select};
/// # unsafe { Runtime::new(&STAGE).run(|| {
/// let all = Context::background();
/// let (request, _cancel) = Context::with_timeout(&all, Duration::from_millis(1));
/// let (part, ended) = (request.clone(), Chan::new(1));
/// let (send, never) = (ended.clone(), Chan::<u32>::new(0));
/// go("works for the request", move || {
///     select! {
///         recv(never) -> _ => {}
///         recv(part.done()) -> _ => send.send(part.err()),
///     }
/// });
/// assert_eq!(ended.recv(), Some(Some(ContextError::DeadlineExceeded)));
/// # }) };
/// ```
#[derive(Clone)]
pub struct Context(Arc<Node>);

/// Cancels its context, at the latest when it is dropped. Go's `CancelFunc`, and the `defer`
/// that usually goes with it.
#[must_use = "the context is canceled when this is dropped"]
pub struct Cancel(Arc<Node>);

/// A context's place in the tree.
struct Node {
    /// Nothing for the root, which cannot be canceled.
    parent: Option<Arc<Node>>,
    /// Its key in the parent's list.
    id: u64,
    /// Closed when it is over.
    done: Chan<()>,
    /// When its time has passed, by [`nanotime`].
    deadline: Option<u64>,
    /// Nothing is called or dropped under it that could come to a check, or here again.
    lock: Lock,
    state: UnsafeCell<State>,
}

#[derive(Default)]
struct State {
    err: Option<ContextError>,
    children: BTreeMap<u64, Weak<Node>>,
    timer: Option<Timer>,
}

// SAFETY: `state` is only reached with the lock held, and what is in it may be sent.
unsafe impl Sync for Node {}

static IDS: AtomicU64 = AtomicU64::new(0);

impl Node {
    fn new(parent: Option<Arc<Node>>, deadline: Option<u64>) -> Arc<Node> {
        Arc::new(Node {
            parent,
            id: IDS.fetch_add(1, Relaxed),
            done: Chan::new(0),
            deadline,
            lock: Lock::new(),
            state: UnsafeCell::default(),
        })
    }

    /// Does `f` with the state. See `lock` for what `f` must not do.
    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        self.lock.raw_lock();
        // SAFETY: the lock is held, and `f` does not come here again.
        let result = f(unsafe { &mut *self.state.get() });
        // SAFETY: taken above, on this thread: nothing in between could yield.
        unsafe { self.lock.unlock() };
        result
    }

    /// A child, which is over as soon as its parent is. Go's `propagateCancel`.
    fn child(parent: &Arc<Node>, deadline: Option<u64>) -> Arc<Node> {
        let node = Node::new(Some(parent.clone()), deadline);
        if parent.parent.is_none() {
            return node;
        }
        let weak = Arc::downgrade(&node);
        let over = parent.with(|state| {
            if state.err.is_none() {
                state.children.insert(node.id, weak);
            }
            state.err
        });
        if let Some(err) = over {
            Node::cancel(node.clone(), err);
        }
        node
    }

    /// Ends a context and those below it. A list instead of a recursion: a goroutine's stack is
    /// small.
    fn cancel(node: Arc<Node>, err: ContextError) {
        let mut list = vec![node];
        while let Some(node) = list.pop() {
            let rest = node.with(|state| {
                if state.err.is_some() {
                    return None;
                }
                state.err = Some(err);
                Some((std::mem::take(&mut state.children), state.timer.take()))
            });
            if let Some((children, timer)) = rest {
                node.done.close();
                timer.iter().for_each(Timer::release);
                list.extend(children.values().filter_map(Weak::upgrade));
            }
        }
    }

    /// Its last handle is gone: takes it out of the tree and gives back its parent.
    fn leave(&mut self) -> Option<Arc<Node>> {
        self.state.get_mut().timer.iter().for_each(Timer::release);
        let parent = self.parent.take()?;
        parent.with(|state| state.children.remove(&self.id));
        Some(parent)
    }
}

impl Drop for Node {
    /// A list here too: the last child of a long line ends all of it.
    fn drop(&mut self) {
        let mut up = self.leave();
        while let Some(parent) = up {
            up = Arc::into_inner(parent).and_then(|mut parent| parent.leave());
        }
    }
}

impl Context {
    /// The root of a tree, which is never over. Go's `context.Background`.
    #[inline(never)]
    pub fn background() -> Context {
        prologue!();
        Context(Node::new(None, None))
    }

    /// A context that is over when it is canceled, or when `parent` is over. Go's `WithCancel`.
    #[inline(never)]
    pub fn with_cancel(parent: &Context) -> (Context, Cancel) {
        prologue!();
        let node = Node::child(&parent.0, parent.0.deadline);
        (Context(node.clone()), Cancel(node))
    }

    /// As [`with_cancel`](Self::with_cancel), and over when this time has passed. Go's
    /// `WithTimeout`.
    ///
    /// The time is watched until the end of the run; in a later one only a cancel ends it.
    ///
    /// # Panics
    /// On a thread that the runtime did not make.
    #[inline(never)]
    pub fn with_timeout(parent: &Context, time: Duration) -> (Context, Cancel) {
        let at = from_now(time);
        if parent.0.deadline.is_some_and(|earlier| earlier <= at) {
            return Context::with_cancel(parent);
        }
        prologue!();
        let node = Node::child(&parent.0, Some(at));
        let weak = Arc::downgrade(&node);
        let timer = after_func(time, move || {
            if let Some(node) = weak.upgrade() {
                Node::cancel(node, ContextError::DeadlineExceeded);
            }
        });
        let late = node.with(|state| {
            if state.err.is_none() {
                state.timer = Some(timer);
                return None;
            }
            Some(timer)
        });
        late.iter().for_each(Timer::release);
        (Context(node.clone()), Cancel(node))
    }

    /// A channel that is closed when the context is over; nothing else ever comes. Go's `Done`.
    #[inline(never)]
    pub fn done(&self) -> Receiver<()> {
        prologue!();
        self.0.done.clone().into()
    }

    /// Why it is over; `None` while it is not. Go's `Err`.
    #[inline(never)]
    pub fn err(&self) -> Option<ContextError> {
        prologue!();
        self.0.with(|state| state.err)
    }

    /// How long until its time has passed; `None` if it has all the time in the world. What a
    /// descriptor's `set_deadline` takes. Go's `Deadline`.
    #[inline(never)]
    pub fn time_left(&self) -> Option<Duration> {
        prologue!();
        let at = self.0.deadline?;
        Some(Duration::from_nanos(at.saturating_sub(nanotime())))
    }
}

impl Cancel {
    /// Cancels the context and those below it, unless it is over already.
    #[inline(never)]
    pub fn cancel(&self) {
        prologue!();
        Node::cancel(self.0.clone(), ContextError::Canceled);
    }
}

impl Drop for Cancel {
    fn drop(&mut self) {
        Node::cancel(self.0.clone(), ContextError::Canceled);
    }
}
