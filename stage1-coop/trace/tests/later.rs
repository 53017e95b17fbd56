//! An event of a later stage is one line where it is declared: every reader and every form
//! follows it by what it does. Here is a stage that does not exist, with an event of its own for
//! nearly everything that an event can do.

use safepoint_trace::Effect::{
    Declines, EntersCall, Lands, Leaves, LeavesCall, Nothing, Obeys, Sends, Wakes,
};
use safepoint_trace::Next::{Runnable, Waiting};
use safepoint_trace::{
    Costs, Form, GO_CREATE, GO_END, GO_START, Header, Kind, Kinds, PREEMPT, PROC_START, Portable,
    Record, State, Trace, words,
};

mod stage9 {
    use super::{
        Declines, EntersCall, Lands, Leaves, LeavesCall, Nothing, Obeys, Runnable, Sends, Waiting,
        Wakes,
    };

    safepoint_trace::kinds! {
        GO_STRUCK "GoStruck" "{s}" "The goroutine yields to a signal." => Obeys;
        GO_NAP "GoNap" "for={t}" "The goroutine sleeps so long." => Leaves(Waiting);
        GO_ALARM "GoAlarm" "g{n}" "It has slept long enough." => Wakes;
        GO_POLITE "GoPolite" "" "The goroutine lets others run." => Leaves(Runnable);
        GO_DIVE "GoDive" "" "The goroutine goes into a call." => EntersCall;
        GO_SURFACE "GoSurface" "" "It is back." => LeavesCall;
        BELL "Bell" "m{n}" "It is noon on this M." => Nothing;
        DART "Dart" "m{n}" "A signal is sent to this M." => Sends;
        HIT "Hit" "" "It has landed." => Lands;
        SHIELD "Shield" "{s}" "The goroutine cannot be struck now." => Declines;
    }
}

const KINDS: Kinds = &[safepoint_trace::KINDS, stage9::KINDS];

/// Microseconds, kind, P, goroutine, arguments, request.
type Line = (u64, &'static Kind, i32, u32, [u64; 3], u32);

const NONE: [u64; 3] = [0; 3];

fn run() -> Vec<Line> {
    let name = |g, text| {
        let (address, len) = words(text);
        [g, address, len]
    };
    let [why, len] = [words("signal").0, words("signal").1];
    let [armor, armor_len] = [words("armor").0, words("armor").1];
    vec![
        (0, &PROC_START, 0, 0, NONE, 0),
        (1, &GO_CREATE, 0, 0, name(1, "main"), 0),
        (2, &GO_START, 0, 0, [1, 0, 0], 0),
        (3, &GO_CREATE, 0, 1, name(2, "napper"), 0),
        (4, &stage9::GO_POLITE, 0, 1, NONE, 0),
        (5, &GO_START, 0, 0, [2, 0, 0], 0),
        (6, &stage9::GO_NAP, 0, 2, [1_000_000, 0, 0], 0),
        (7, &GO_START, 0, 0, [1, 0, 0], 0),
        (8, &stage9::BELL, 0, 1, [3, 0, 0], 0),
        (9, &stage9::GO_DIVE, 0, 1, NONE, 0),
        (19, &stage9::GO_SURFACE, 0, 1, NONE, 0),
        (1_006, &stage9::GO_ALARM, 0, 1, [2, 0, 0], 0),
        (9_000, &PREEMPT, 0, 1, [0, 1, 8_993_000], 1),
        (9_000, &stage9::DART, 0, 1, [0, 0, 0], 1),
        (9_000, &stage9::HIT, 0, 1, NONE, 1),
        // In the handler nothing is known of the goroutine.
        (9_000, &stage9::SHIELD, -1, 0, [armor, armor_len, 0], 1),
        (9_001, &stage9::GO_STRUCK, 0, 1, [why, len, 0], 1),
        (9_002, &GO_START, 0, 0, [2, 0, 0], 0),
        (9_003, &GO_END, 0, 2, NONE, 0),
        (9_004, &GO_START, 0, 0, [1, 0, 0], 0),
        (9_005, &GO_END, 0, 1, NONE, 0),
    ]
}

fn written(form: Form, lines: &[Line]) -> Vec<u8> {
    let header = Header {
        stage: "stage9",
        program: "made_up".to_owned(),
        command: "made_up".to_owned(),
        procs: 1,
        seed: Some(1),
        costs: Costs {
            check: 1,
            event: 2,
            wake: 5,
        },
        reasons_traced: &[],
        portable: Some(Portable::Yes),
        begins: None,
        ends: None,
    };
    let (mut writer, mut out) = (form.writer(), Vec::new());
    writer.head(&header, &mut out).expect("a Vec takes all");
    for &(us, kind, p, g, args, flow) in lines {
        // SAFETY: `run` makes the words of a text with `words`.
        let mut e = unsafe { Record::new(kind, args) };
        (e.time, e.p, e.g, e.flow) = (us * 1_000, p, g, flow);
        writer.event(0, &e, &mut out).expect("a Vec takes all");
    }
    writer.end(&header, &mut out).expect("a Vec takes all");
    out
}

fn text(lines: &[Line]) -> String {
    String::from_utf8(written(Form::Text, lines)).expect("text")
}

#[test]
fn the_text_is_read_again_and_followed() {
    let text = text(&run());
    assert!(
        text.contains("    0.006  m0  p0  g2   GoNap        for=1.000\n"),
        "{text}"
    );
    let trace = Trace::parse(&text, KINDS);
    assert_eq!((trace.stage(), trace.portable()), (Some("stage9"), true));
    let mut states = Vec::new();
    let mut replay = trace.replay();
    while let Some((event, world)) = replay.forward() {
        states.push((event.us, world.state(1), world.state(2), world.on_p(0)));
    }
    let at = |us| states.iter().find(|s| s.0 == us).expect("an event");
    let (running, called) = (Some(State::Running(0)), Some(State::InCall(0)));
    let (can, waits) = (Some(State::Runnable), Some(State::Waiting(0)));
    assert_eq!(*at(4), (4, can, can, None));
    assert_eq!(*at(6), (6, can, waits, None));
    assert_eq!(*at(8), (8, running, waits, Some((1, true))));
    assert_eq!(*at(9), (9, called, waits, Some((1, false))));
    assert_eq!(*at(19), (19, running, waits, Some((1, true))));
    assert_eq!(*at(1_006), (1_006, running, can, Some((1, true))));
    assert_eq!(*at(9_001), (9_001, can, can, None));
    assert_eq!(*at(9_005), (9_005, None, None, None));
    assert!(trace.strip().ends_with("p0 | g1~ g2- g1! g2. g1.\n"));
    assert_eq!(trace.slices()[2].us, 9_001 - 7);
    assert_eq!(trace.calls(Some(1))[0].over, Some(10));
    assert_eq!(trace.count("GoStruck"), 1);
}

#[test]
fn the_totals_count_it() {
    let text = text(&run());
    let totals = text.lines().last().expect("the totals");
    assert_eq!(
        totals,
        "# preempt: 1 requested, 1 signalled, 1 refused, 1 taken, 0 unheard   longest slice g1 8.994"
    );
}

#[test]
fn the_invariants_hold_it_to_its_word() {
    let broken = |change: &dyn Fn(&mut Vec<Line>)| {
        let mut lines = run();
        change(&mut lines);
        let trace = Trace::parse(&text(&lines), KINDS);
        let result = trace.check_run().and_then(|()| trace.check_waits());
        result.map_err(|broken| broken.what)
    };
    assert_eq!(broken(&|_| {}), Ok(()));
    for (at, what) in [
        // Without the nap it runs on, and is woken all the same.
        (6, "g1 starts on m0, where g2 runs"),
        (9, "GoSurface on m0, whose goroutine is in no call"),
        (11, "g2 starts while it waits"),
        (12, "the outcome of request #1"),
        (16, "g2 starts on m0, where g1 runs"),
    ] {
        let said = broken(&|lines| {
            lines.remove(at);
        });
        assert!(
            said.clone().is_err_and(|said| said.contains(what)),
            "{said:?}"
        );
    }
    // A reader that was not told of the stage says so, and judges nothing.
    let stranger = Trace::parse(&text(&run()), &[safepoint_trace::KINDS]);
    let said = stranger.check().expect_err("unknown events").what;
    assert!(
        said.contains("no event `GoPolite`") && said.contains("stage9"),
        "{said}"
    );
}

#[test]
fn chrome_draws_it() {
    let json = String::from_utf8(written(Form::Chrome, &run())).expect("text");
    for row in [
        r#""name":"g2 napper","cat":"goroutine","pid":1,"tid":0,"ts":5.000,"dur":1.000,"args":{"ended":"GoNap for=1.000"}"#,
        r#""ended":"GoStruck signal"#,
        r#"{"ph":"f","bp":"e","name":"preempt""#,
        r#""name":"Dart m0","cat":"event""#,
    ] {
        assert!(json.contains(row), "{row} is missing in {json}");
    }
}

/// Go's own reader is asked in the package `tests`; here, that the events are there. In its
/// form a goroutine that sleeps is blocked, and one that yields has stopped.
#[test]
fn go_s_form_has_it() {
    let bytes = written(Form::Go, &run());
    let has = |text: &str| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    for text in [
        "go 1.22 trace",
        "GoPolite",
        "preempted",
        "#1 GoStruck signal",
        "#1 Dart m0",
        "#1 Shield armor",
        "Bell",
        "m3",
    ] {
        assert!(has(text), "{text}");
    }
}

#[test]
#[should_panic(expected = "there is no event `GoStrck` in stage9; is `GoStruck` meant?")]
fn a_misspelled_name_is_refused() {
    Trace::parse(&text(&run()), KINDS).count("GoStrck");
}

#[test]
fn what_is_not_portable_says_what_to_do() {
    for why in [
        Portable::NearWatchdog,
        Portable::StackGrowth,
        Portable::Blocked,
        Portable::Outside,
    ] {
        let line = format!(
            "# safepoint trace v1  x y  procs=1 portable={}",
            why.words()
        );
        assert_eq!(Trace::parse(&line, KINDS).why_not_portable(), Some(why));
        assert!(!why.ways_out().is_empty());
    }
}
