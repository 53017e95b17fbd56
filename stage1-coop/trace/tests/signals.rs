//! What must hold of signals in every trace, whatever a stage calls them: at most one is on its
//! way to an M, each lands or its M ends, and a goroutine that could not be stopped is asked
//! again. Traces made by hand, of a stage that does not exist.

use safepoint_trace::{Kinds, Trace};

mod stage9 {
    use safepoint_trace::Effect::{
        Declines, Interrupts, Lands, Leaves, Obeys, Sends, StealsP, Wakes,
    };
    use safepoint_trace::Next::Waiting;

    safepoint_trace::kinds! {
        DART "Dart" "m{n}" "A signal is sent to this M." => Sends;
        HIT "Hit" "" "It has landed." => Lands;
        TICK "Tick" "" "A clock's signal has come." => Interrupts;
        SHIELD "Shield" "{s}" "The goroutine cannot be struck now." => Declines;
        GO_STRUCK "GoStruck" "" "The goroutine yields to a signal." => Obeys;
        GO_HELD "GoHeld" "" "The goroutine is stopped until it is let go." => Leaves(Waiting);
        GO_FREED "GoFreed" "g{n}" "It is let go." => Wakes;
    }

    /// What only a stage with a monitor has.
    pub mod watched {
        use super::StealsP;

        safepoint_trace::kinds! {
            SEIZED "Seized" "p{n} m{n}" "The P is taken out of a call." => StealsP;
        }
    }
}

const ALONE: Kinds = &[safepoint_trace::KINDS, stage9::KINDS];
const KINDS: Kinds = &[
    safepoint_trace::KINDS,
    stage9::KINDS,
    stage9::watched::KINDS,
];

/// M 1 watches: it asks the goroutine of P 0, on M 0, twice; between the two, M 0 is interrupted
/// once more, by a clock of its own. Then M 2 ends with a signal on its way to it, and its number
/// gets another thread. Columns: microseconds, M, P, G, event.
const GOOD: &str = "
0      m0 p0 --  ProcStart p0
1      m0 p0 --  GoCreate g1 main
2      m0 p0 --  GoStart g1
3      m0 p0 g1  GoCreate g2 other
10000  m1 -- --  Preempt p0/g1 ran=9.998 #1
10001  m1 -- --  Dart m0 #1
10003  m0 p0 g1  Hit #1
10004  m0 p0 g1  Shield locks #1
10060  m0 p0 g1  Tick #1
10061  m0 p0 g1  Shield elsewhere #1
20000  m1 -- --  Preempt p0/g1 ran=19.998 #2
20001  m1 -- --  Dart m0 #2
20002  m0 p0 g1  Hit #2
20003  m0 p0 g1  GoStruck #2
20004  m0 p0 --  GoStart g2
20005  m0 p0 g2  GoHeld
20006  m0 p0 g2  Tick
20007  m0 p0 --  GoStart g1
20008  m0 p0 g1  GoFreed g2
20009  m2 p1 --  ProcStart p1
20010  m2 p1 --  GoStart g2
30000  m1 -- --  Preempt p1/g2 ran=9.990 #3
30001  m1 -- --  Dart m2 #3
30002  m2 p1 g2  GoEnd
30003  m2 p1 --  ProcStop p1
30004  m0 p0 g1  GoCreate g3 late
30005  m1 -- --  ThreadStart m2
30006  m2 p1 --  ProcStart p1
30007  m2 p1 --  GoStart g3
40000  m1 -- --  Preempt p1/g3 ran=9.993 #4
40001  m1 -- --  Dart m2 #4
40002  m2 p1 g3  Hit #4
40003  m2 p1 g3  Shield locks #4
40010  m2 p1 g3  GoSched
40011  m2 p1 --  GoStart g3
440000 m0 p0 g1  Tick
440001 m2 p1 g3  GoEnd
440002 m0 p0 g1  GoEnd
";

fn trace(lines: &str) -> Trace {
    read(lines, KINDS)
}

fn read(lines: &str, kinds: Kinds) -> Trace {
    let mut text = "# safepoint trace v1  stage9 by_hand  procs=2 clock=virtual\n".to_owned();
    for line in lines.lines().filter(|line| !line.is_empty()) {
        let (us, rest) = line.split_once(' ').expect("a time");
        let us: f64 = us.parse().expect("a number");
        text.push_str(&format!("{:.3} {}\n", us / 1000.0, rest.trim_start()));
    }
    Trace::parse(&text, kinds)
}

/// [`GOOD`] without the lines that begin so, and with these behind them.
fn changed(without: &[&str], more: &str) -> String {
    let is_out = |line: &&str| without.iter().any(|begin| line.starts_with(begin));
    for begin in without {
        assert!(GOOD.lines().any(|line| line.starts_with(begin)), "{begin}");
    }
    let mut lines: Vec<&str> = GOOD.lines().filter(|line| !is_out(line)).collect();
    lines.extend(more.lines());
    sorted(&lines.join("\n"))
}

/// Lines in the order of their times.
fn sorted(lines: &str) -> String {
    let mut lines: Vec<&str> = lines.lines().collect();
    let time = |line: &&str| line.split(' ').next().and_then(|us| us.parse::<u64>().ok());
    lines.sort_by_key(time);
    lines.join("\n")
}

#[track_caller]
fn says(lines: &str, what: &str) {
    complains(&trace(lines), what);
}

#[track_caller]
fn complains(trace: &Trace, what: &str) {
    match trace.check_run() {
        Ok(()) => panic!("nothing is noticed, and it should be: {what}"),
        Err(broken) => assert!(broken.what.contains(what), "{broken}, not {what}"),
    }
}

#[test]
fn the_good_one_is_good() {
    assert_eq!(trace(GOOD).check_run(), Ok(()));
}

/// The trace of a run in lockstep.
fn in_lockstep(lines: &str) -> Trace {
    let mut trace = trace(lines);
    trace.head[0].push_str(" seed=1");
    trace
}

#[test]
fn at_most_one_signal_is_on_its_way_to_an_m() {
    let way = "a signal was sent to m0 while another one (#1) was on its way there";
    let twice = changed(&[], "10002  m1 -- --  Dart m0 #1");
    // The first one's handler may not have said so yet, but in lockstep it would have; and what
    // it says is the next thing that this M says.
    complains(&in_lockstep(&twice), way);
    says(&changed(&["10003"], "10002  m1 -- --  Dart m0 #1"), way);
    says(
        &changed(
            &[],
            "10002  m1 -- --  Dart m0 #1\n10002 m1 -- -- Dart m0 #1",
        ),
        way,
    );
    let late = changed(&[], "10002  m1 -- --  Dart m0 #1\n10005 m0 p0 g1 Hit #1");
    assert_eq!(trace(&late).check_run(), Ok(()));
    // If nothing was late, one signal is missing from then on.
    says(
        &twice,
        "the signal (#2) that was sent to it 419 ms ago has not landed",
    );
    // Another M is another matter, and so is one whose thread has ended.
    for other in ["10002 m1 -- -- Dart m7 #1", "30004 m1 -- -- Dart m2 #3"] {
        assert_eq!(in_lockstep(&changed(&[], other)).check(), Ok(()), "{other}");
    }
    // Each thread takes what was sent to it with it, and nothing else does.
    complains(
        &in_lockstep(&changed(&["30005"], "")),
        "a signal was sent to m2 while another one (#3) was on its way there",
    );
}

#[test]
fn a_clock_s_signal_may_be_taken_for_the_one_that_is_about_to_be_sent() {
    let lines = changed(
        &["10001", "10003"],
        "10001 m0 p0 g1 Hit #1\n10003 m1 -- -- Dart m0 #1",
    );
    assert_eq!(trace(&lines).check_run(), Ok(()));
}

#[test]
fn a_signal_lands_unless_its_m_ends() {
    says(
        &changed(&["40002", "40003"], ""),
        "m2 works on, and the signal (#4) that was sent to it 400 ms ago has not landed",
    );
    // It has ended, or it does nothing that would show.
    let ended = changed(&["40002", "40003", "440001"], "");
    assert_eq!(trace(&ended).check(), Ok(()));
}

#[test]
fn each_signal_has_its_request() {
    let late = "430000 m1 -- --  Dart m0 #9";
    says(
        &changed(&[], late),
        "the outcome of request #9, which nobody made",
    );
}

#[test]
fn a_goroutine_that_could_not_be_stopped_is_asked_again() {
    // Without main's end the process has ended by other means.
    let ends = |more: &str| changed(&["440001", "440002"], more);
    let refused = "450000 m1 -- -- Preempt p1/g3 ran=400.000 #5\n450001 m2 p1 g3 Shield locks #5\n";
    let end = "1450500 m0 p0 g1 UserLog end";
    assert_eq!(trace(&ends(refused)).check_run(), Ok(()), "it ends at once");
    says(
        &ends(&format!("{refused}{end}")),
        "g3 could not yield when it was asked, and was not asked again for 1000 ms",
    );
    for answer in [
        "460000 m1 -- -- Preempt p1/g3 ran=400.000 #6",
        "460000 m2 p1 g3 GoSched\n460001 m2 p1 -- GoStart g3",
        "460000 m2 p1 g3 GoStruck #5\n460001 m2 p1 -- GoStart g3",
        "900000 m2 p1 g3 Shield locks #5",
    ] {
        let lines = ends(&format!("{refused}{answer}\n{end}"));
        assert_eq!(trace(&lines).check_run(), Ok(()), "{answer}");
    }
    // Without a monitor nothing need ask again.
    let alone = read(&ends(&format!("{refused}{end}")), ALONE);
    assert_eq!(alone.check_run(), Ok(()));
}

#[test]
fn nothing_starts_while_it_is_stopped() {
    says(&changed(&["20008"], ""), "g2 starts while it waits");
    says(&changed(&["20003"], ""), "g2 starts on m0, where g1 runs");
}
