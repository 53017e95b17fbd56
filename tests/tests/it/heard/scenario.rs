//! Every public call in an endless loop, beside a goroutine that only wants a turn, on one P:
//! the loop must hear a request. `heard 1` is stage 1, where a third party asks; `heard 2` is
//! stage 2, where sysmon asks. One line for each row that heard.
//!
//! A row repeats *one* call, and as far as possible one that need not wait: only the check of
//! that call itself can hear then. Where two are needed, the partner goes on for ever, so that
//! the loop never waits in vain.

use stage1_coop::*;
use stage2_sysmon as two;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::time::Duration;

crate::scenarios!(heard);

/// Whether the loop must go on: until the bystander has had its turn.
#[derive(Clone, Default)]
struct Turn(Arc<AtomicBool>);

impl Turn {
    fn wanted(&self) -> bool {
        !self.0.load(Relaxed)
    }
}

/// What is called, as `Type::function`, and the loop.
type Row = (&'static str, fn(&Turn));

/// A row: what stands in front once, and the call that is repeated.
macro_rules! row {
    ($name:literal, { $($before:tt)* } $call:expr) => {
        ($name, |turn: &Turn| {
            $($before)*
            while turn.wanted() {
                let _ = $call;
            }
        })
    };
}

/// Room for ever: values of no size.
fn endless() -> Chan<()> {
    Chan::new(usize::MAX)
}

fn closed() -> Chan<()> {
    let c = Chan::new(0);
    c.close();
    c
}

const STAGE1: &[Row] = &[
    row!("Chan::new", {} Chan::<u8>::new(1)),
    row!("Chan::send", { let c = endless(); } c.send(())),
    row!("Chan::recv", { let c = closed(); } c.recv()),
    row!("Chan::try_send", { let c = Chan::new(0); } c.try_send(1)),
    row!("Chan::try_recv", { let c = Chan::<u8>::new(0); } c.try_recv()),
    row!("Chan::close", {} closed()),
    row!("Chan::is_closed", { let c = Chan::<u8>::new(0); } c.is_closed()),
    row!("Chan::len", { let c = Chan::<u8>::new(1); } c.len()),
    row!("Chan::is_empty", { let c = Chan::<u8>::new(1); } c.is_empty()),
    row!("Chan::iter", { let c = closed(); } c.iter().count()),
    ("Chan::send and recv that wait for each other", |turn| {
        let (a, b) = (Chan::new(0), Chan::new(0));
        let (a2, b2) = (a.clone(), b.clone());
        go("partner", move || {
            loop {
                a2.recv();
                b2.send(());
            }
        });
        while turn.wanted() {
            a.send(());
            b.recv();
        }
    }),
    row!("select! default", { let c = Chan::<u8>::new(0); } select! {
        recv(c) -> _ => {}
        default => {}
    }),
    row!("select! ready", { let (c, d) = (closed(), endless()); } select! {
        recv(c) -> _ => {}
        send(d, ()) => {}
    }),
    ("select! with a partner that waits", |turn| {
        let (a, b) = (Chan::new(0), Chan::new(0));
        let (a2, b2) = (a.clone(), b.clone());
        go("partner", move || {
            loop {
                select! { recv(a2) -> _ => {} recv(b2) -> _ => {} }
            }
        });
        while turn.wanted() {
            select! { send(a, ()) => {} send(b, ()) => {} }
        }
    }),
    row!("Select::wait", { let c = closed(); } {
        let mut list = Select::new();
        list.recv(&c);
        list.wait()
    }),
    row!("Select::try_wait", { let c = Chan::<u8>::new(0); } {
        let mut list = Select::new();
        list.recv(&c);
        list.try_wait()
    }),
    row!("Select::wait over a Receiver", { let c = Receiver::from(closed()); } {
        let mut list = Select::new();
        list.recv(&c);
        list.wait()
    }),
    row!("Receiver::recv", { let c = Receiver::from(closed()); } c.recv()),
    row!("Receiver::try_recv", { let c = Receiver::from(Chan::<u8>::new(0)); } c.try_recv()),
    row!("Receiver::is_closed", { let c = Receiver::from(Chan::<u8>::new(0)); } c.is_closed()),
    row!("Receiver::len", { let c = Receiver::from(Chan::<u8>::new(1)); } c.len()),
    row!("Receiver::is_empty", { let c = Receiver::from(Chan::<u8>::new(1)); } c.is_empty()),
    row!("Receiver::iter", { let c = Receiver::from(closed()); } c.iter().count()),
    row!("Mutex::lock", { let m = Mutex::new(()); } drop(m.lock())),
    row!("Mutex::try_lock", { let m = Mutex::new(()); let _held = m.lock(); } m.try_lock()),
    ("Mutex::lock, handed over", |turn| {
        let m = Arc::new(Mutex::new(()));
        let m2 = m.clone();
        let held = m.lock();
        go("partner", move || {
            loop {
                drop(m2.lock());
            }
        });
        gosched();
        drop(held);
        while turn.wanted() {
            drop(m.lock());
        }
    }),
    row!("RwLock::read", { let l = RwLock::new(()); } drop(l.read())),
    row!("RwLock::write", { let l = RwLock::new(()); } drop(l.write())),
    row!("RwLock::try_read", { let l = RwLock::new(()); let _held = l.write(); } l.try_read()),
    row!("RwLock::try_write", { let l = RwLock::new(()); let _held = l.write(); } l.try_write()),
    row!("Once::call_once", { let o = Once::new(); } o.call_once(|| {})),
    row!("Cond::signal", { let c = Cond::new(); } c.signal()),
    row!("Cond::broadcast", { let c = Cond::new(); } c.broadcast()),
    ("Cond::wait, two that call each other", |turn| {
        let both = Arc::new((Mutex::new(()), Cond::new()));
        let other = both.clone();
        let step = |(m, c): &(Mutex<()>, Cond)| {
            let held = m.lock();
            c.signal();
            drop(c.wait(held));
        };
        go("partner", move || {
            loop {
                step(&other);
            }
        });
        while turn.wanted() {
            step(&both);
        }
    }),
    row!("scope", {} scope(|_| ())),
    row!("Scope::go", {} scope(|s| {
        s.go("one more", || ());
    })),
    row!("JoinHandle::join", {} scope(|s| s.go("one more", || ()).join())),
    row!("num_goroutine", {} num_goroutine()),
    row!("WaitGroup::add", { let g = WaitGroup::new(); } g.add(1)),
    row!("WaitGroup::done", { let g = WaitGroup::new(); g.add(usize::MAX); } g.done()),
    row!("WaitGroup::wait", { let g = WaitGroup::new(); } g.wait()),
    row!("go", {} go("one more", || {})),
    row!("gosched", {} gosched()),
    row!("lock_os_thread", {} lock_os_thread()),
    row!("unlock_os_thread", {} unlock_os_thread()),
];

/// A pipe's two ends with something in it, which no row empties or fills.
fn pipe() -> (two::PipeReader, two::PipeWriter) {
    two::pipe().expect("a process has room for a pipe")
}

fn socket() -> two::TcpListener {
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    two::TcpListener::bind(any).expect("the loopback is there")
}

fn streams() -> (two::UnixStream, two::UnixStream) {
    two::UnixStream::pair().expect("a process has room for two sockets")
}

/// An address at which nobody listens.
fn nobody() -> std::net::SocketAddr {
    socket().local_addr().expect("it is open")
}

/// Where this process may have a socket.
fn path() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("safepoint-heard-{}", std::process::id()))
}

fn unix(path: &std::path::Path) -> two::UnixListener {
    two::UnixListener::bind(path).expect("the last one has removed it")
}

/// A connection to ourselves.
fn tcp() -> (two::TcpListener, two::TcpStream) {
    let listener = socket();
    let addr = listener.local_addr().expect("it is open");
    let stream = two::TcpStream::connect(addr).expect("somebody listens");
    (listener, stream)
}

const HOUR: Duration = Duration::from_secs(3600);
const LATER: Option<Duration> = Some(HOUR);

const STAGE2: &[Row] = &[
    row!("sleep", {} two::sleep(Duration::ZERO)),
    row!("sleep, a moment", {} two::sleep(Duration::from_nanos(1))),
    row!("after", {} two::after(HOUR)),
    row!("Ticker::new", {} two::Ticker::new(HOUR)),
    row!("after's Receiver::try_recv", { let c = two::after(HOUR); } c.try_recv()),
    row!("Timer::new", {} two::Timer::new(HOUR)),
    row!("Timer::stop", { let t = two::Timer::new(HOUR); } t.stop()),
    row!("Timer::reset", { let t = two::Timer::new(HOUR); } t.reset(HOUR)),
    row!("after_func", {} two::after_func(HOUR, || ()).stop()),
    row!("after_func, left alone", {} two::after_func(HOUR, || ())),
    row!("Context::background", {} two::Context::background()),
    row!("Context::with_cancel", { let c = two::Context::background(); } two::Context::with_cancel(&c)),
    row!("Context::with_timeout", { let c = two::Context::background(); }
        two::Context::with_timeout(&c, HOUR)),
    row!("Context::done", { let c = two::Context::background(); } c.done()),
    row!("Context::err", { let c = two::Context::background(); } c.err()),
    row!("Context::time_left", { let c = two::Context::background(); } c.time_left()),
    row!("Cancel::cancel", { let (_c, cancel) = two::Context::with_cancel(&two::Context::background()); }
        cancel.cancel()),
    row!("syscall", {} two::syscall(|| ())),
    row!("syscall_block", {} two::syscall_block(|| ())),
    row!("syscall_wired", {} two::syscall_wired(|| ())),
    // SAFETY: it takes nothing.
    row!("libc_call", {} two::libc_call(|| unsafe { libc::getppid() })),
    row!("nanosleep", {} two::nanosleep(Duration::ZERO)),
    row!(
        "File::read",
        {
            let f = null();
        }(&f)
        .read(&mut [0])
    ),
    row!(
        "File::write",
        {
            let f = null();
        }(&f)
        .write(&[0])
    ),
    row!("pipe", {} pipe()),
    row!("PipeReader::new", {} two::PipeReader::new(other_end())),
    row!(
        "PipeReader::read",
        {
            let (r, w) = pipe();
            drop(w);
        }(&r)
        .read(&mut [0])
    ),
    row!("PipeReader::set_read_deadline", { let (r, _w) = pipe(); } r.set_read_deadline(LATER)),
    row!("PipeReader::with_fd", { let (r, _w) = pipe(); } r.with_fd(|_| ())),
    row!("PipeReader::close", { let (r, _w) = pipe(); } r.close()),
    row!("PipeWriter::new", {} two::PipeWriter::new(other_end())),
    row!(
        "PipeWriter::write",
        {
            let (r, w) = pipe();
            drop(r);
        }(&w)
        .write(&[0])
    ),
    row!(
        "PipeWriter::write_all",
        {
            let (r, w) = pipe();
            drop(r);
        }(&w)
        .write_all(&[0])
    ),
    row!("PipeWriter::set_write_deadline", { let (_r, w) = pipe(); } w.set_write_deadline(LATER)),
    row!("PipeWriter::with_fd", { let (_r, w) = pipe(); } w.with_fd(|_| ())),
    row!("PipeWriter::close", { let (_r, w) = pipe(); } w.close()),
    row!("UnixListener::bind", { let p = path(); } unix(&p)),
    row!("UnixListener::accept", { let l = unix(&path()); let _ = l.close(); } l.accept()),
    row!("UnixListener::set_deadline", { let l = unix(&path()); } l.set_deadline(LATER)),
    row!("UnixListener::set_unlink_on_close", { let l = unix(&path()); } l.set_unlink_on_close(true)),
    row!("UnixListener::with_fd", { let l = unix(&path()); } l.with_fd(|_| ())),
    row!("UnixListener::close", { let l = unix(&path()); } l.close()),
    row!("UnixListener::bind, in vain", { let p = path(); let _l = unix(&p); } two::UnixListener::bind(&p)),
    row!("UnixStream::connect, in vain", {} two::UnixStream::connect("/nowhere/at/all")),
    row!("UnixStream::connect", { let p = path(); let _l = unix(&p); } two::UnixStream::connect(&p)),
    row!("UnixStream::pair", {} streams()),
    row!(
        "UnixStream::read",
        {
            let (a, b) = streams();
            drop(b);
        }(&a)
        .read(&mut [0])
    ),
    row!(
        "UnixStream::write",
        {
            let (a, b) = streams();
            drop(b);
        }(&a)
        .write(&[0])
    ),
    row!("UnixStream::shutdown", { let (a, _b) = streams(); } a.shutdown(std::net::Shutdown::Read)),
    row!("UnixStream::set_read_deadline", { let (a, _b) = streams(); } a.set_read_deadline(LATER)),
    row!("UnixStream::set_write_deadline", { let (a, _b) = streams(); } a.set_write_deadline(LATER)),
    row!("UnixStream::set_deadline", { let (a, _b) = streams(); } a.set_deadline(LATER)),
    row!("UnixStream::with_fd", { let (a, _b) = streams(); } a.with_fd(|_| ())),
    row!("UnixStream::close", { let (a, _b) = streams(); } a.close()),
    row!("TcpListener::bind", {} socket()),
    row!("TcpListener::bind, in vain", { let l = socket(); let a = l.local_addr().expect("it is open"); }
        two::TcpListener::bind(a)),
    row!("TcpStream::connect, in vain", { let a = nobody(); } two::TcpStream::connect(a)),
    row!("TcpListener::accept", { let l = socket(); let _ = l.close(); } l.accept()),
    row!("TcpListener::local_addr", { let l = socket(); } l.local_addr()),
    row!("TcpListener::set_deadline", { let l = socket(); } l.set_deadline(LATER)),
    row!("TcpListener::with_fd", { let l = socket(); } l.with_fd(|_| ())),
    row!("TcpListener::close", { let l = socket(); } l.close()),
    row!("TcpStream::connect", { let l = socket(); let a = l.local_addr().expect("it is open"); }
        two::TcpStream::connect(a)),
    row!("TcpStream::connect_timeout", { let l = socket(); let a = l.local_addr().expect("it is open"); }
        two::TcpStream::connect_timeout(a, HOUR)),
    row!("TcpStream::peer_addr", { let (_l, s) = tcp(); } s.peer_addr()),
    row!("TcpStream::local_addr", { let (_l, s) = tcp(); } s.local_addr()),
    row!("TcpStream::set_nodelay", { let (_l, s) = tcp(); } s.set_nodelay(true)),
    row!("TcpStream::shutdown", { let (_l, s) = tcp(); } s.shutdown(std::net::Shutdown::Read)),
    row!(
        "TcpStream::read",
        {
            let (_l, s) = tcp();
            let _ = s.shutdown(std::net::Shutdown::Read);
        }(&s)
        .read(&mut [0])
    ),
    row!(
        "TcpStream::write",
        {
            let (_l, s) = tcp();
            let _ = s.shutdown(std::net::Shutdown::Write);
        }(&s)
        .write(&[0])
    ),
    row!("TcpStream::set_read_deadline", { let (_l, s) = tcp(); } s.set_read_deadline(LATER)),
    row!("TcpStream::set_write_deadline", { let (_l, s) = tcp(); } s.set_write_deadline(LATER)),
    row!("TcpStream::set_deadline", { let (_l, s) = tcp(); } s.set_deadline(LATER)),
    row!("TcpStream::with_fd", { let (_l, s) = tcp(); } s.with_fd(|_| ())),
    row!("TcpStream::try_clone", { let (_l, s) = tcp(); } s.try_clone()),
    row!("TcpStream::close", { let (_l, s) = tcp(); } s.close()),
];

/// What can be read and written without end.
fn null() -> two::File {
    let zero = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/zero");
    two::File::new(zero.expect("it is there"))
}

/// A descriptor that is not the runtime's yet.
fn other_end() -> std::os::fd::OwnedFd {
    let (a, _) = std::os::unix::net::UnixStream::pair().expect("there is room for two sockets");
    a.into()
}

/// Asks again and again, as whoever presses Ctrl-C would.
fn ask(me: &mut ThirdParty) {
    while me.sleep(Duration::from_millis(1)) {
        me.raise_the_flag();
    }
}

fn heard(arguments: &[String]) {
    let stage2 = arguments[0] == "2";
    let rows = STAGE1.iter().chain(if stage2 { STAGE2 } else { &[] });
    for (name, row) in rows {
        eprintln!("asks: {name}");
        let runtime = if stage2 {
            Runtime::new(&two::STAGE)
        } else {
            Runtime::new(&STAGE).third_party(ask)
        };
        crate::start(runtime.procs(1), move || {
            let turn = Turn::default();
            let turn2 = turn.clone();
            go("bystander", move || turn2.0.store(true, Relaxed));
            row(&turn);
        });
        println!("{name}");
    }
}
