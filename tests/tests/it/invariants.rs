//! Each invariant of traces notices what breaks it: traces made by hand, one good, and many
//! that differ from it in one place.

use tests::trace::{Broken, Trace};

/// A run with two Ps: main makes two goroutines; one of them blocks in a call, loses its P,
/// and has to queue; the other one runs for long and is asked. Columns: microseconds, M, P,
/// G, event.
const GOOD: &str = "
0      m0 p0 --  ProcStart p0
10     m0 p0 --  GoCreate g1 main
20     m0 p0 --  GoStart g1
30     m0 p0 g1  GoCreate g2 caller
40     m0 p0 g1  ThreadStart m2
50     m0 p0 g1  GoCreate g3 hog
60     m2 p1 --  ProcStart p1
70     m2 p1 --  GoStart g3
80     m0 p0 g1  GoBlock sync.WaitGroup.Wait
90     m0 p0 --  GoStart g2 next
100    m0 p0 g2  GoSysCall
110    m0 p0 g2  GoSysExit
120    m0 p0 g2  GoSysCall
20200  m1 -- --  ProcSteal p0 m0
20210  m1 -- --  Preempt p1/g3 ran=20.140 #1
20220  m3 p0 --  ProcStart p0
20230  m2 p1 g3  GoUnblock g1
20240  m3 p0 --  GoStart g1
20250  m2 p1 g3  PollHit refused=locks #1
20260  m2 p1 g3  GoPreempt coop #1
20270  m2 p1 --  GoStart g3
20280  m0 -- g2  GoSysExit blocked
20290  m2 p1 g3  GoEnd
20300  m2 p1 --  GoStart g2
20310  m2 p1 g2  GoSysCall
20320  m2 p1 g2  GoSysBlock
20330  m2 p1 g2  ProcStop p1
20340  m2 p1 g2  ProcStart p1
20350  m2 p1 g2  GoSysExit
20360  m2 p1 g2  GoEnd
20370  m3 p0 g1  GoEnd
20380  m3 p0 --  ProcStop p0
";

fn trace(lines: &str) -> Trace {
    let head =
        "# safepoint trace v1  stage2-sysmon by_hand  procs=2 seed=1 clock=virtual portable=yes\n";
    let line = |line: &str| {
        let (us, rest) = line.split_once(' ').expect("a time");
        let us: f64 = us.parse().expect("a number");
        format!("{:.3} {rest}\n", us / 1000.0)
    };
    let lines = lines.lines().filter(|l| !l.is_empty()).map(line);
    let trace = tests::parse(&format!("{head}{}", lines.collect::<String>()));
    assert_eq!(trace.header("procs"), Some("2"));
    trace
}

fn checked(trace: &Trace) -> Result<(), Broken> {
    trace.check_run().and_then(|()| trace.check_waits())
}

/// The good trace with the line that begins with `at` replaced by `new`; several lines, or
/// none, may stand there.
fn changed(at: u32, new: &str) -> Trace {
    let begin = format!("\n{at} ");
    let from = GOOD.find(&begin).expect("the line") + 1;
    let to = from + GOOD[from..].find('\n').expect("its end");
    trace(&format!("{}{new}{}", &GOOD[..from], &GOOD[to..]))
}

#[track_caller]
fn noticed(trace: &Trace, what: &str) {
    match checked(trace) {
        Ok(()) => panic!("nobody notices: {what}"),
        Err(broken) => assert!(broken.what.contains(what), "{broken}, not {what}"),
    }
}

#[test]
fn the_good_one_is_good() {
    assert_eq!(checked(&trace(GOOD)), Ok(()));
}

#[test]
fn each_change_is_noticed() {
    for (at, new, what) in [
        // Time.
        (20, "5 m0 p0 -- GoStart g1", "the clock of m0 goes back"),
        // Ps.
        (60, "60 m2 p0 -- ProcStart p0", "p0 belongs to m0 already"),
        (60, "", "m2 works with p1 and does not hold it"),
        (20200, "", "p0 starts, and m0 is in a call with it"),
        (
            20200,
            "20200 m1 -- -- ProcSteal p1 m2",
            "from an M that is in no call",
        ),
        (
            20200,
            "20200 m1 -- -- ProcSteal p0 m2",
            "from an M that is in no call",
        ),
        (
            20380,
            "20380 m3 -- -- ProcStop p1",
            "gives p1 up and does not hold it",
        ),
        // Who runs.
        (50, "50 m0 p0 g1 GoCreate g2 hog", "g2 is made twice"),
        (70, "70 m2 p1 -- GoStart g7", "g7 starts and was never made"),
        (
            70,
            "70 m2 p1 -- GoStart g1",
            "g1 starts while it runs on m0",
        ),
        (
            20240,
            "20240 m3 -- -- GoStart g1",
            "g1 starts on an M without a P",
        ),
        (
            20300,
            "20300 m2 p1 -- GoStart g3",
            "g3 starts after its end",
        ),
        (
            20270,
            "20265 m2 p1 -- GoStart g2\n20270 m2 p1 -- GoStart g3",
            "g2 starts while it is in a call",
        ),
        (
            20290,
            "20290 m2 p1 g2 GoEnd",
            "GoEnd of g2, which does not run here",
        ),
        (20290, "20290 m2 p1 -- GoEnd", "GoEnd of nobody"),
        (
            90,
            "85 m0 p0 -- GoStart g2\n90 m0 p0 -- GoStart g2 next",
            "g2 starts while it runs on m0",
        ),
        (
            20290,
            "20290 m2 p1 g3 GoSched\n20295 m2 p1 -- GoStart g3\n20296 m2 p1 -- GoStart g2",
            "g2 starts on m2, where g3 runs",
        ),
        // Who waits.
        (
            20230,
            "20230 m2 p1 g3 GoUnblock g3",
            "g3 is woken and does not wait",
        ),
        (20230, "", "g1 starts while it waits"),
        // Calls.
        (110, "", "GoSysCall of g2, which does not run here"),
        (100, "", "GoSysExit on m0, whose goroutine is in no call"),
        (
            110,
            "105 m0 p0 g2 GoSysExit\n110 m0 p0 g2 GoSysExit",
            "in no call",
        ),
        (
            120,
            "120 m0 -- g2 GoSysCall",
            "g2 enters a call without a P",
        ),
        (
            120,
            "120 m0 p0 g2 GoSysCall\n130 m0 -- g2 GoUnblock g1",
            "GoUnblock by g2, which is in a call",
        ),
        (
            120,
            "120 m0 p0 g2 GoSysCall\n130 m0 -- g2 GoCreate g4 x",
            "GoCreate by g2, which is in a call",
        ),
        (
            120,
            "120 m0 p0 g2 GoSysCall\n130 m0 -- g2 GoEnd",
            "GoEnd by g2, which is in a call",
        ),
        (
            20280,
            "20280 m0 -- g2 GoSysExit",
            "g2 is back from its call and has no P",
        ),
        (20320, "", "m2 stops p1 in the middle of a call"),
        (
            20320,
            "20320 m2 p1 g3 GoSysBlock",
            "GoSysBlock on m2, whose goroutine is in no call",
        ),
        // Requests.
        (20210, "", "the outcome of request #1, which nobody made"),
        // Waits.
        (
            20200,
            "20195 m4 -- -- Preempt p1/g3 ran=20.125 #7\n22000 m4 -- -- ProcSteal p0 m0",
            "p0 is in a call for 21 ms",
        ),
    ] {
        noticed(&changed(at, new), what);
    }
}

/// An M comes back and does not take its P, which nobody took: only at the end of a run.
#[test]
fn a_p_that_was_left_behind_stays_there() {
    const RUN: &str = "
0   m0 p0 --  ProcStart p0
10  m0 p0 --  GoCreate g1 main
20  m0 p0 --  GoStart g1
30  m0 p0 g1  GoSysCall
40  m0 -- g1  GoSysExit blocked
50  m1 -- --  GoCreate g2 other
";
    assert_eq!(trace(RUN).check(), Ok(()));
    noticed(
        &trace(&format!("{RUN}60 m1 p0 -- ProcStart p0")),
        "left behind",
    );
    let stolen = trace(&format!("{RUN}60 m1 -- -- ProcSteal p0 m0"));
    assert_eq!(stolen.check(), Ok(()));
}

#[test]
fn a_goroutine_that_is_lost() {
    // Everybody sleeps, main has not returned, and one could run.
    let lost = GOOD.find("20370").expect("the line");
    let asleep = "20370  m3 p0 g1  GoBlock chan receive\n20380  m3 p0 --  ProcStop p0\n";
    assert_eq!(
        checked(&trace(&format!("{}{asleep}", &GOOD[..lost]))),
        Ok(())
    );
    let created = format!("{}20365 m3 p0 g1 GoCreate g4 x\n{asleep}", &GOOD[..lost]);
    noticed(&trace(&created), "g4 can run, everybody sleeps");
    // But a trace that was cut off is no whole run.
    assert_eq!(trace(&created).check(), Ok(()));
}

#[test]
fn a_slice_without_a_request() {
    let (before, _) = GOOD.split_once("20200").expect("the line");
    let until = |us: u32| trace(&format!("{before}{us} m2 p1 g3 UserLog still"));
    // The call is late by then, too, so let it end first.
    let back = before.replace("120    m0 p0 g2  GoSysCall", "120    m0 p0 g2  GoEnd");
    let alone = |us: u32| {
        trace(&format!(
            "{back}130 m0 p0 -- ProcStop p0\n{us} m2 p1 g3 UserLog still"
        ))
    };
    noticed(&until(25_000), "for 2");
    assert_eq!(checked(&alone(21_000)), Ok(()));
    noticed(&alone(25_000), "p1 runs on for 24 ms, and nobody asks");
    // A stage without a sysmon promises nothing: its kinds have no event for taking a P.
    let text = without_calls(alone(25_000));
    noticed(&tests::parse(&text), "p1 runs on for 24 ms");
    let coop = Trace::parse(&text, stage1_coop::STAGE.kinds);
    assert_eq!(checked(&coop), Ok(()));
}

/// The text of a trace, without the lines about calls, which only later stages have.
fn without_calls(trace: Trace) -> String {
    let lines = trace.events.iter().map(|e| e.line.clone());
    let lines = lines.filter(|line| !line.contains("GoSys"));
    trace
        .head
        .iter()
        .cloned()
        .chain(lines)
        .map(|l| l + "\n")
        .collect()
}

/// The head may say any number of Ps. Nothing counts up to it.
#[test]
fn billions_of_processors() {
    let run = |turns| {
        let mut text = String::from(
            "# safepoint trace v1  x by_hand  procs=4294967295 seed=1\n0 m0 p4294967294 -- ProcStart p4294967294\n0 m0 p4294967294 -- GoCreate g1 main\n0 m0 p4294967294 -- GoStart g1\n0 m0 p4294967294 g1 GoCreate g2 x\n",
        );
        for _ in 0..turns {
            text += "0 m0 p4294967294 g1 GoSched\n0 m0 p4294967294 -- GoStart g1\n";
        }
        tests::parse(&text)
    };
    assert_eq!(checked(&run(1_000)), Ok(()));
    noticed(&run(3_000), "g2 can run, and is passed over");
}

#[test]
fn a_p_sleeps_beside_work() {
    let (before, _) = GOOD.split_once("60     m2").expect("the line");
    let until = |us: u32| trace(&format!("{before}{us} m0 p0 g1 UserLog still"));
    assert_eq!(checked(&until(900)), Ok(()));
    noticed(
        &until(1_100),
        "g2 can run and a P is idle, and nobody is woken",
    );
}

#[test]
fn somebody_is_passed_over() {
    // Two goroutines yield to each other for ever; g2 waits in a queue that nobody looks at.
    let run = |turns: u32| {
        let mut lines = String::from(
            "0 m0 p0 -- ProcStart p0\n1 m2 p1 -- ProcStart p1\n2 m0 p0 -- GoCreate g1 main\n3 m0 p0 -- GoStart g1\n4 m0 p0 g1 GoCreate g2 x\n5 m0 p0 g1 GoCreate g3 y\n6 m2 p1 -- GoStart g3\n",
        );
        for i in 0..turns {
            let us = 10 + 10 * i;
            lines += &format!(
                "{us} m0 p0 g1 GoSched\n{} m0 p0 -- GoStart g1\n{} m2 p1 g3 GoSched\n{} m2 p1 -- GoStart g3\n",
                us + 1,
                us + 2,
                us + 3
            );
        }
        trace(&lines)
    };
    assert_eq!(checked(&run(1_000)), Ok(()));
    noticed(
        &run(3_000),
        "g2 can run, and is passed over again and again",
    );
}
