//! The states of goroutines and Ps: which changes are legal, what a state says, and that every
//! trace tells a story that these changes allow.

use crate::fixture::stage1::{asked, on};
use crate::fixture::step;
use stage1_coop::*;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::*;
use tests::scenario;

// ---- Row 2: the states of a goroutine.

#[test]
fn only_go_s_changes_of_state_are_legal() {
    use rt::gmp::{
        GCOPYSTACK, GDEAD, GENQUEUE, GIDLE, GMORIBUND, GPREEMPTED, GRUNNABLE, GRUNNING, GSCAN,
        GSYSCALL, GWAITING, PDEAD, PGCSTOP, PIDLE, PRUNNING, PSYSCALL, legal,
    };
    let edges = [
        (GIDLE, GDEAD),
        (GDEAD, GRUNNABLE),
        (GRUNNABLE, GRUNNING),
        (GRUNNING, GRUNNABLE),
        (GRUNNING, GSYSCALL),
        (GRUNNING, GWAITING),
        (GRUNNING, GDEAD),
        (GRUNNING, GCOPYSTACK),
        (GRUNNING, GPREEMPTED),
        (GSYSCALL, GRUNNING),
        (GSYSCALL, GRUNNABLE),
        (GWAITING, GRUNNABLE),
        (GCOPYSTACK, GRUNNING),
        (GPREEMPTED, GWAITING),
    ];
    for old in 0..=10 {
        for new in 0..=10 {
            assert_eq!(
                legal(old, new),
                edges.contains(&(old, new)),
                "{old} to {new}"
            );
            assert!(!legal(old | GSCAN, new) && !legal(old, new | GSCAN));
        }
    }
    // The numbers are what debuggers and dumps know.
    let numbers = [
        GIDLE, GRUNNABLE, GRUNNING, GSYSCALL, GWAITING, GMORIBUND, GDEAD, GENQUEUE, GCOPYSTACK,
        GPREEMPTED,
    ];
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(GSCAN, 0x1000);
    assert_eq!([PIDLE, PRUNNING, PSYSCALL, PGCSTOP, PDEAD], [0, 1, 2, 3, 4]);
}

#[test]
fn a_goroutine_s_state_says_where_it_is() {
    let states = on(1, || {
        let g = Arc::new(std::sync::Mutex::new(None));
        let (c, put) = (Chan::<()>::new(0), g.clone());
        let from = c.clone();
        let state = || {
            let gp: Option<&'static rt::gmp::G> = *g.lock().expect("no panic while it is held");
            gp.map(rt::gmp::readgstatus)
        };
        go("subject", move || {
            *put.lock().expect("as above") = Some(rt::arch::getg());
            gosched();
            from.recv();
        });
        let mut states = vec![Some(rt::gmp::readgstatus(rt::arch::getg())), state()];
        gosched();
        states.push(state());
        gosched();
        states.push(state());
        c.send(());
        states.push(state());
        gosched();
        states.push(state());
        states
    });
    let names: Vec<_> = states
        .iter()
        .map(|s| s.map(rt::gmp::gstatus_name))
        .collect();
    let expected = [
        Some("running"),
        None,
        Some("runnable"),
        Some("waiting"),
        Some("runnable"),
        Some("dead"),
    ];
    assert_eq!(names, expected);
}

/// The state that a goroutine of a trace is in, and on which M.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Is {
    Runnable,
    Running(u32),
    Waiting,
    Dead,
}

/// Follows every goroutine, P and M of a trace; returns the first thing that cannot be.
fn impossible(trace: &str) -> Option<String> {
    let number = |word: &str| word[1..].parse::<u32>().ok();
    let mut gs: BTreeMap<u32, Is> = BTreeMap::new();
    // Who holds a P, and which P an M holds.
    let mut holder: BTreeMap<u32, u32> = BTreeMap::new();
    for line in trace.lines().filter(|l| !l.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, m, p, g, event, rest @ ..] = words.as_slice() else {
            return Some(format!("no event: {line}"));
        };
        let m = number(m)?;
        let (p, g) = (number(p), number(g));
        let argument = rest.first().and_then(|w| number(w));
        let fits = match *event {
            "ProcStart" => holder.insert(argument?, m).is_none(),
            "ProcStop" => holder.remove(&argument?) == Some(m),
            "GoCreate" => !matches!(
                gs.insert(argument?, Is::Runnable),
                Some(Is::Runnable | Is::Running(_) | Is::Waiting)
            ),
            "GoStart" => {
                holder.get(&p?) == Some(&m)
                    && !gs.values().any(|s| *s == Is::Running(m))
                    && gs.insert(argument?, Is::Running(m)) == Some(Is::Runnable)
            }
            "GoSched" | "GoPreempt" => gs.insert(g?, Is::Runnable) == Some(Is::Running(m)),
            "GoBlock" => gs.insert(g?, Is::Waiting) == Some(Is::Running(m)),
            "GoUnblock" => gs.insert(argument?, Is::Runnable) == Some(Is::Waiting),
            "GoEnd" => gs.insert(g?, Is::Dead) == Some(Is::Running(m)),
            _ => true,
        };
        if !fits {
            return Some(line.to_owned());
        }
    }
    None
}

#[test]
fn every_trace_tells_a_possible_story() {
    let mut all = String::new();
    for procs in ["1", "2", "4"] {
        for seed in 1..=5 {
            let env = [
                ("GOMAXPROCS", procs),
                ("SAFEPOINT_SEED", &seed.to_string()),
                ("SAFEPOINT_TRACE", "-"),
            ];
            let ended = scenario!(env, "mixture");
            assert_eq!(ended.code, Some(0), "{ended:#?}");
            let trace = &ended.stderr;
            assert_eq!(impossible(trace), None, "{procs} Ps, seed {seed}:\n{trace}");
            // Row 14: one path, two reasons. Row 26: the third party's M asks, and runs
            // nobody.
            let events = |m: &str| -> HashSet<String> {
                trace
                    .lines()
                    .filter_map(|l| {
                        let words: Vec<&str> = l.split_whitespace().collect();
                        (words.get(1) == Some(&m)).then(|| words[4].to_owned())
                    })
                    .collect()
            };
            let asks: HashSet<String> = ["Preempt".to_owned()].into();
            assert_eq!(events("m1"), asks, "{trace}");
            all.push_str(trace);
        }
    }
    for event in ["GoSched\n", "GoPreempt    coop", "Steal  ", "GoBlock  "] {
        assert!(all.contains(event), "none of the traces has {event}");
    }
}

#[test]
fn the_judge_of_traces_finds_impossible_ones() {
    let start = "0 m0 p0 -- ProcStart p0\n0 m0 p0 -- GoCreate g1 main\n0 m0 p0 -- GoStart g1\n";
    assert_eq!(impossible(start), None);
    for wrong in [
        "0 m1 p0 -- ProcStart p0",
        "0 m0 p0 -- GoStart g1",
        "0 m0 p0 g1 GoUnblock g1",
        "0 m1 p0 g1 GoBlock select",
        "0 m0 p0 g1 GoCreate g1 again",
    ] {
        assert_eq!(
            impossible(&format!("{start}{wrong}\n")).as_deref(),
            Some(wrong)
        );
    }
}

// ---- Row 3: an idle P has nothing to run.

#[test]
fn an_idle_p_s_queue_is_empty() {
    let (idle, wrong) = asked(4, || {
        let all = WaitGroup::new();
        let (mut idle, mut wrong) = (0, 0);
        for round in 0..2000 {
            if round % 5 == 0 {
                all.add(1);
                let all = all.clone();
                go("worker", move || {
                    gosched();
                    all.done();
                });
            }
            {
                let sched = rt::gmp::SCHED.lock();
                let listed = std::iter::successors(sched.pidle, |p| p.link.get());
                let mut n = 0;
                for pp in listed {
                    n += 1;
                    let empty = pp.runq.is_empty() && pp.m.get().is_none();
                    wrong += usize::from(!empty || pp.status.get() != rt::gmp::PIDLE);
                }
                wrong += usize::from(n != rt::gmp::SCHED.npidle.load(SeqCst));
                idle += n;
            }
            step();
        }
        all.wait();
        (idle, wrong)
    });
    assert_eq!(wrong, 0);
    assert!(idle > 0);
}
