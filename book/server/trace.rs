//! Traces as the book reads them. The reader, and the world that follows the events, are those
//! of the runtime's own crate `safepoint-trace`; the book adds which kinds there are, and that
//! times never run backwards.
//!
//! The book is built where no stage can be, so it includes the file in which a stage says what
//! its events are.

pub use safepoint_trace::{Event, Trace};

use safepoint_trace::Kinds;

#[path = "../../stage2-sysmon/src/table/vocabulary.rs"]
mod stage2;
#[path = "../../stage3-signals/src/table/vocabulary.rs"]
mod stage3;

/// The kinds of events of all stages.
const KINDS: Kinds = &[safepoint_trace::KINDS, stage2::KINDS, stage3::KINDS];

/// Reads a text. Any text: what is no event and no comment is passed over.
pub fn read(text: &str) -> Trace {
    let mut trace = Trace::parse(text, KINDS);
    let mut latest = 0;
    for event in &mut trace.events {
        // The picture is drawn from left to right; a clock that steps back would give slices of
        // negative length.
        event.us = event.us.max(latest);
        latest = event.us;
    }
    trace
}

/// How many events have this name and, when `word` is given, carry that argument.
pub fn count(trace: &Trace, name: &str, word: Option<&str>) -> usize {
    trace
        .events
        .iter()
        .filter(|event| event.name == name)
        .filter(|event| word.is_none_or(|word| event.args.iter().any(|arg| arg == word)))
        .count()
}

/// The event in one readable line, for the pop-up text of a mark.
pub fn describe(event: &Event) -> String {
    let mut line = format!("{} ms m{}", millis(event.us), event.m);
    for (letter, number) in [('p', event.p), ('g', event.g)] {
        if let Some(number) = number {
            line.push_str(&format!(" {letter}{number}"));
        }
    }
    for word in [&event.name].into_iter().chain(&event.args) {
        line.push(' ');
        line.push_str(word);
    }
    if let Some(flow) = event.flow {
        line.push_str(&format!(" #{flow}"));
    }
    line
}

/// Microseconds as the trace writes them: `10.012`.
pub fn millis(us: u64) -> String {
    format!("{}.{:03}", us / 1000, us % 1000)
}

#[cfg(test)]
mod tests {
    use super::{count, describe, read};

    const SAMPLE: &str = "\
# safepoint trace v1  stage1-coop two_hogs  procs=1 seed=7 clock=virtual portable=yes
#    time  M   P   G    event
    0.003  m0  p0  g1   GoCreate     g2 hog_a
   10.012  m1  --  --   Preempt      p0/g2 ran=10.004                #1
   10.013  m0  p0  g2   PollHit      take                            #1
   10.020  m0  p0  g2   SomethingNew with=words
";

    #[test]
    fn columns_arguments_and_flow() {
        let trace = read(SAMPLE);
        assert_eq!(trace.header("procs"), Some("1"));
        assert_eq!(trace.header("seed"), Some("7"));
        assert_eq!(trace.events.len(), 4);
        assert_eq!(trace.events[0].target(), Some(2));
        let preempt = &trace.events[1];
        assert_eq!((preempt.us, preempt.m, preempt.p), (10_012, 1, None));
        assert_eq!(preempt.args, ["p0/g2", "ran=10.004"]);
        assert_eq!(preempt.flow, Some(1));
        assert_eq!(
            describe(&trace.events[2]),
            "10.013 ms m0 p0 g2 PollHit take #1"
        );
        assert_eq!(trace.events[3].name, "SomethingNew");
    }

    #[test]
    fn counts_events_and_arguments() {
        let trace = read(SAMPLE);
        assert_eq!(count(&trace, "PollHit", None), 1);
        assert_eq!(count(&trace, "PollHit", Some("take")), 1);
        assert_eq!(count(&trace, "PollHit", Some("refuse")), 0);
    }

    #[test]
    fn other_text_is_skipped() {
        let odd =
            "\n1e400 m0 p0 g0 X\n-1 m0 p0 g0 X\nNaN m0 p0 g0 X\n1.0 m0 p0\n0.1 x0 p0 g0 X\n\u{0}\n";
        assert!(read(odd).events.is_empty());
        let back = read("5 m0 p0 -- A\n3 m0 p0 -- B\n");
        assert_eq!(back.events[1].us, 5000);
    }
}
