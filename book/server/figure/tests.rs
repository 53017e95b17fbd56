//! The picture is well formed, whatever the text was.

use super::draw;
use super::timeline::{Lane, State, Timeline};
use crate::trace::read;

const HOGS: &str = include_str!("../../tests/samples/stage1-coop__two_hogs__p1__seed1.snap");

/// Every tag is closed in order, attributes are quoted, no line is empty.
fn well_formed(svg: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = svg;
    while let Some(start) = rest.find('<') {
        assert!(
            !rest[..start].contains('>'),
            "a lone > in {:?}",
            &rest[..start]
        );
        let end = rest[start..].find('>').expect("a tag that ends") + start;
        let tag = &rest[start + 1..end];
        let name = tag.split([' ', '/']).next().unwrap();
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closed in order");
        } else {
            assert_eq!(tag.matches('"').count() % 2, 0, "quotes in {tag}");
            if !tag.ends_with('/') {
                open.push(name);
            }
        }
        rest = &rest[end + 1..];
    }
    assert!(open.is_empty(), "left open: {open:?}");
    assert!(
        svg.lines().all(|line| !line.trim().is_empty()),
        "empty line"
    );
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "not a number");
}

#[test]
fn two_hogs_share_a_p() {
    let svg = draw(&read(HOGS)).unwrap();
    well_formed(&svg);
    assert!(svg.contains(">p0<"), "a lane for the P");
    assert!(svg.contains(">m1<"), "a lane for the third party");
    assert!(svg.contains(">g2 hog_a<"), "a named slice");
    assert!(svg.contains("sp-arrow"), "from the request to its outcome");
    assert!(svg.contains("sp-runnable"), "the other hog waits");
    assert!(svg.contains("role=\"img\"") && svg.contains("<desc>"));
}

/// The picture for a phone is as wide as a phone, and no name of a goroutine is lost.
#[test]
fn the_narrow_picture() {
    let svg = draw(&read(HOGS)).unwrap();
    let (wide, narrow) = svg.split_once("</svg>\n").unwrap();
    assert!(wide.contains("class=\"sp-svg sp-wide\""), "{wide}");
    assert!(narrow.contains("class=\"sp-svg sp-narrow\" role=\"img\""));
    assert!(narrow.contains("viewBox=\"0 0 330.0 "), "{narrow}");
    assert!(narrow.contains(">g2<title>a goroutine"), "a short label");
    assert_eq!(narrow.matches(">g2 hog_a</text>").count(), 1, "in the key");
    let right = |part: &str| {
        let ends = part.split("class=\"sp-slice").skip(1).filter_map(|rect| {
            let value = |name: &str| -> Option<f64> {
                let (_, rest) = rect.split_once(&format!(" {name}=\""))?;
                rest.split('"').next()?.parse().ok()
            };
            Some(value("x")? + value("width")?)
        });
        ends.fold(0.0, f64::max)
    };
    assert!(right(narrow) <= 330.0 && right(wide) > 600.0);
}

/// A call that blocks: its P stays there until it is taken, and the goroutine comes back
/// without one.
const CALL: &str = "\
0.000 m0 p0 -- GoStart g3
0.020 m0 p0 g3 GoSysCall
0.056 m1 -- -- ProcSteal p0 m0
0.066 m2 p0 -- ProcStart p0
0.070 m2 p0 -- GoStart g2
5.024 m0 -- g3 GoSysExit blocked
8.152 m2 p0 g2 GoEnd
8.154 m2 p0 -- GoStart g3
8.160 m2 p0 g3 GoSysCall
8.170 m2 p0 g3 GoSysExit
8.180 m2 p0 g3 GoSysCall
8.181 m2 p0 g3 GoSysBlock
8.182 m2 p0 g3 ProcStop p0
8.300 m2 p0 g3 ProcStart p0
8.310 m2 p0 g3 GoSysExit
8.400 m2 p0 g3 GoEnd
";

#[test]
fn a_p_that_lies_in_a_call() {
    let timeline = Timeline::new(&read(CALL));
    let p0: Vec<(u64, u64, u32, State)> = timeline.lanes[&Lane::P(0)]
        .iter()
        .map(|span| (span.from, span.to, span.g, span.state))
        .collect();
    assert_eq!(
        p0,
        [
            (0, 20, 3, State::Running),
            (20, 56, 3, State::InCall),
            (70, 8_152, 2, State::Running),
            (8_154, 8_160, 3, State::Running),
            (8_160, 8_170, 3, State::InCall),
            (8_170, 8_180, 3, State::Running),
            // Known to block: the P is given away at once, though it still has a row.
            (8_180, 8_181, 3, State::InCall),
            (8_310, 8_400, 3, State::Running),
        ]
    );
    let g3: Vec<(u64, u64, State)> = timeline.goroutines[&3]
        .iter()
        .map(|span| (span.from, span.to, span.state))
        .take(4)
        .collect();
    assert_eq!(
        g3,
        [
            (0, 20, State::Running),
            (20, 5_024, State::InCall),
            (5_024, 8_154, State::Runnable),
            (8_154, 8_160, State::Running),
        ]
    );
    let svg = draw(&read(CALL)).unwrap();
    well_formed(&svg);
    let (wide, _) = svg.split_once("</svg>\n").unwrap();
    assert_eq!(wide.matches("sp-in-call").count(), 3, "{wide}");
    assert_eq!(
        wide.matches("class=\"sp-arrow\"").count(),
        1,
        "from m1 to p0"
    );
    for words in ["in a system call", "back, without a P", "takes a P away"] {
        assert!(wide.contains(words), "{words}");
    }
}

#[test]
fn nothing_to_draw() {
    assert_eq!(draw(&read("")), None);
    assert_eq!(draw(&read("hello\n# world\n")), None);
}

#[test]
fn names_cannot_break_out() {
    let text =
        "0 m0 p0 -- GoCreate g1 <script>\"&'\n1 m0 p0 -- GoStart g1\n9 m0 p0 g1 <b> </svg>\n";
    let svg = draw(&read(text)).unwrap();
    well_formed(&svg);
    assert!(!svg.contains("<script>") && !svg.contains("<b>"));
}

#[test]
fn long_traces_stay_small() {
    let mut text = String::new();
    for i in 0..20_000u32 {
        let (t, g) = (f64::from(i) / 100.0, i % 90 + 2);
        text.push_str(&format!("{t:.3} m0 p0 -- GoStart g{g}\n"));
        text.push_str(&format!("{t:.3} m0 p0 g{g} PollHit take #{i}\n"));
        text.push_str(&format!("{t:.3} m0 p0 g{g} GoPreempt coop #{i}\n"));
    }
    let svg = draw(&read(&text)).unwrap();
    well_formed(&svg);
    assert!(svg.len() < 1_000_000, "{} bytes", svg.len());
    assert!(svg.contains("more goroutines"));
}

/// No input makes it panic or write a broken picture: words of traces in any order.
#[test]
fn any_text_is_drawn_or_refused() {
    let words = [
        "0.000",
        "5.5",
        "1e9",
        "999999999",
        "-3",
        "m0",
        "m4294967295",
        "p0",
        "p1",
        "p63",
        "g1",
        "g2",
        "--",
        "GoStart",
        "GoEnd",
        "GoBlock",
        "GoPreempt",
        "GoCreate",
        "GoUnblock",
        "Preempt",
        "PollHit",
        "refused",
        "ProcStop",
        "Steal",
        "GoSysCall",
        "GoSysBlock",
        "GoSysExit",
        "blocked",
        "ProcSteal",
        "#1",
        "#x",
        "\u{7}",
        "<",
        "é",
        "\n",
        "\n",
        "\n",
    ];
    // A small generator: the test needs variety, not good random numbers.
    let mut state = 0x9e37_79b9_u64;
    let mut next = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    for _ in 0..3_000 {
        let mut text = String::new();
        for _ in 0..next() % 60 {
            // Half of the lines begin like an event, so that enough of them are events.
            if next() % 3 == 0 {
                text.push_str(&format!(
                    "\n{} m{} p{} g{} ",
                    next() % 99,
                    next() % 3,
                    next() % 3,
                    next() % 5
                ));
            }
            text.push_str(words[next() % words.len()]);
            text.push(' ');
        }
        if let Some(svg) = draw(&read(&text)) {
            well_formed(&svg);
        }
    }
}
