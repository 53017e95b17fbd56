//! Stages with a row that panics.

use crate::{forever, start};
use stage1_coop::*;
use std::sync::atomic::Ordering::*;
use std::time::Duration;
crate::scenarios!(row_panics,);

/// The stages of [`row_panics`], and on how many Ps each runs.
macro_rules! panicking {
    ($base:expr; $($name:ident on $procs:literal: $row:ident = $f:expr;)+) => {
        &[$((stringify!($name), {
            static MINE: Stage = Stage { $row: $f, ..$base };
            &MINE
        }, $procs)),+]
    };
    (rows; $($name:ident: $row:ident = $f:expr;)+) => {
        &[$((stringify!($name), {
            static ROWS: stage2_sysmon::rt::table::Rows = stage2_sysmon::rt::table::Rows {
                $row: $f,
                ..stage2_sysmon::rt::table::ROWS
            };
            static MINE: Stage = Stage { more: &[&ROWS], ..stage2_sysmon::STAGE };
            &MINE
        }, 2)),+]
    };
}

const OF_STAGE_1: &[(&str, &Stage, usize)] = panicking! { STAGE;
    poll_on_m0 on 1: poll = |_| panic!("a bug in a row");
    poll on 2: poll = |_| panic!("a bug in a row");
    stealwork on 2: stealwork = |_, _| panic!("a bug in a row");
    runqgrab on 2: runqgrab = |_, _, _, _| panic!("a bug in a row");
    before_stopm on 2: before_stopm = |_| panic!("a bug in a row");
    m_idle on 2: m_idle = |_| panic!("a bug in a row");
    handoffp on 2: handoffp = |_| panic!("a bug in a row");
    preempted on 1: preempted = |_| panic!("a bug in a row");
    newstack on 1: newstack = |_| panic!("a bug in a row");
    schedule_slow on 1: schedule_slow = |_| panic!("a bug in a row");
    minit on 2: minit = |mp| assert!(mp.id.get() == 0, "a bug in a row");
    minit_on_m0 on 1: minit = |_| panic!("a bug in a row");
    unminit on 1: unminit = |_| panic!("a bug in a row");
};

const OF_STAGE_2: &[(&str, &Stage, usize)] = panicking! { rows;
    sysmon_delay: sysmon_delay = |_, _| panic!("a bug in a row");
    sysmon_tick: sysmon_tick = |_| panic!("a bug in a row");
    retake: retake = |_| panic!("a bug in a row");
};

/// A row of the stage table panics, on an M's own stack; or something else does that runs
/// there. What the goroutines do reaches every row above.
fn row_panics(words: &[String]) {
    let name = words.first().map_or("", |w| w);
    let mut all = OF_STAGE_1.iter().chain(OF_STAGE_2);
    let found = all.find(|(n, ..)| *n == name);
    let (stage, procs) = found.map_or((&STAGE, 1), |(_, stage, procs)| (*stage, *procs));
    let name = name.to_owned();
    #[gofunc]
    fn step() {}
    start(Runtime::new(stage).procs(procs), move || {
        match &*name {
            // Then this M finds nothing in its queue.
            "poll_on_m0" => forever(),
            "systemstack" => rt::arch::systemstack(|| panic!("a bug in a row")),
            "mstartfn" => {
                rt::sched::newm(Some(Box::new(|| panic!("a bug in a row"))), None, false);
            }
            _ => {}
        }
        for _ in 0..4 {
            go("worker", || {
                std::thread::sleep(Duration::from_millis(2));
                gosched();
            });
        }
        // A locked goroutine that parks gives its P away.
        let c = Chan::new(0);
        let d = c.clone();
        go("locked", move || {
            lock_os_thread();
            d.recv();
        });
        rt::arch::getg().preempt.store(true, Relaxed);
        rt::arch::getg()
            .stackguard0
            .store(rt::stack::STACK_PREEMPT, Relaxed);
        step();
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(1));
            gosched();
        }
        c.send(());
        if matches!(&*name, "schedule_slow" | "unminit") {
            return;
        }
        for _ in 0..1_000 {
            std::thread::sleep(Duration::from_millis(20));
            gosched();
        }
        println!("main goes on");
    });
    println!("the run has ended");
}
