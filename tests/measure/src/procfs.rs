//! What other processes did: their CPU time, from `/proc/*/stat`.
//!
//! The sum over all processes counts what a tick of the whole machine's clock misses. A
//! process that ends hands its time to the parent that waits for it, so nothing is lost and
//! nothing counts twice. We leave ourselves out, and with us the run that we wait for.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The kernel counts CPU time for programs in hundredths of a second (USER_HZ).
const TICK_MS: u64 = 10;

/// One process, by its number and the time of its start: numbers come again.
type Id = (i32, u64);

/// CPU time of a process and of the children that it waited for, in ticks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Ticks {
    own: u64,
    children: u64,
}

/// All other processes at one moment.
pub struct Snapshot {
    at: Instant,
    processes: HashMap<Id, Ticks>,
    stolen: u64,
}

/// What happened between two moments.
#[derive(Clone, Copy, Debug)]
pub struct Others {
    /// CPU time of other processes, in milliseconds.
    pub ms: u64,
    /// The same in percent of one CPU.
    pub percent: f64,
    /// Time that the machine's own host took away, in milliseconds.
    pub stolen_ms: u64,
}

/// The fields of `/proc/PID/stat` that matter. The program's name may hold anything, also
/// spaces and brackets, so all is counted from the last bracket.
fn parse_stat(text: &str) -> Option<(Id, Ticks)> {
    let (pid, rest) = text.split_once(' ')?;
    let rest: Vec<&str> = rest.rsplit_once(") ")?.1.split(' ').collect();
    // The state is field 3 of the manual's list and 0 of this one.
    let field = |number: usize| rest.get(number - 3)?.trim().parse::<u64>().ok();
    let ticks = Ticks {
        own: field(14)? + field(15)?,
        children: field(16)? + field(17)?,
    };
    Some(((pid.parse().ok()?, field(22)?), ticks))
}

/// The stolen ticks in the first line of `/proc/stat`.
fn parse_stolen(text: &str) -> Option<u64> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    line.split_whitespace().nth(7)?.parse().ok()
}

/// Ticks that the processes of `b` took since `a`.
fn between(a: &HashMap<Id, Ticks>, b: &HashMap<Id, Ticks>) -> u64 {
    let (mut own, mut inherited) = (0, 0);
    for (id, now) in b {
        let then = a.get(id);
        own += now.own.saturating_sub(then.map_or(0, |t| t.own));
        inherited += now.children.saturating_sub(then.map_or(0, |t| t.children));
    }
    // What the parents of those that ended got, less what these had used before.
    let gone = a.iter().filter(|(id, _)| !b.contains_key(id));
    let before: u64 = gone.map(|(_, t)| t.own + t.children).sum();
    own + inherited.saturating_sub(before)
}

impl Snapshot {
    /// Looks at all processes but this one.
    pub fn take() -> Snapshot {
        let at = Instant::now();
        let us = std::process::id() as i32;
        let processes = std::fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
                if pid == us {
                    return None;
                }
                parse_stat(&std::fs::read_to_string(entry.path().join("stat")).ok()?)
            })
            .collect();
        let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        Snapshot {
            at,
            processes,
            stolen: parse_stolen(&stat).unwrap_or(0),
        }
    }

    /// What happened since.
    pub fn elapsed(&self) -> Others {
        let now = Snapshot::take();
        let ms = between(&self.processes, &now.processes) * TICK_MS;
        let wall = (now.at - self.at).as_secs_f64() * 1e3;
        Others {
            ms,
            percent: 100.0 * ms as f64 / wall.max(1.0),
            stolen_ms: now.stolen.saturating_sub(self.stolen) * TICK_MS,
        }
    }
}

/// Others may use this much of one CPU while we wait for quiet, in percent.
pub const QUIET_PERCENT: f64 = 4.0;
/// How long they must keep to it.
const QUIET_FOR: Duration = Duration::from_millis(400);

/// Waits until the other processes are quiet, until `deadline` at the longest.
pub fn wait_quiet(deadline: Instant) {
    loop {
        let before = Snapshot::take();
        std::thread::sleep(QUIET_FOR);
        if before.elapsed().percent < QUIET_PERCENT || Instant::now() >= deadline {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 7 5 30 2 20 0 1 0 \
                        9001 1000 10 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n";

    fn map(all: &[(i32, u64, u64)]) -> HashMap<Id, Ticks> {
        all.iter()
            .map(|&(pid, own, children)| ((pid, 1), Ticks { own, children }))
            .collect()
    }

    #[test]
    fn stat_is_read_behind_the_last_bracket() {
        let ticks = Ticks {
            own: 12,
            children: 32,
        };
        assert_eq!(parse_stat(STAT), Some(((42, 9001), ticks)));
        assert_eq!(parse_stat(""), None);
        assert_eq!(parse_stat("42 (short) S 1 2"), None);
        assert_eq!(parse_stat("42 no brackets"), None);
    }

    #[test]
    fn stolen_time_is_the_eighth_number() {
        let text = "cpu  1 2 3 4 5 6 7 89 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n";
        assert_eq!(parse_stolen(text), Some(89));
        assert_eq!(parse_stolen("intr 1"), None);
    }

    #[test]
    fn own_time_of_the_living_and_the_new() {
        let a = map(&[(1, 10, 0), (2, 20, 0)]);
        assert_eq!(between(&a, &map(&[(1, 10, 0), (2, 20, 0)])), 0);
        assert_eq!(between(&a, &map(&[(1, 13, 0), (2, 20, 0), (3, 4, 0)])), 7);
    }

    #[test]
    fn what_the_dead_had_used_before_does_not_count() {
        // 2 ended after 3 more ticks; 1, its parent, got all 23.
        assert_eq!(
            between(&map(&[(1, 5, 0), (2, 20, 0)]), &map(&[(1, 5, 23)])),
            3
        );
    }

    #[test]
    fn a_death_that_nobody_waited_for_hides_no_living_one() {
        let a = map(&[(1, 5, 0), (2, 9000, 0)]);
        assert_eq!(between(&a, &map(&[(1, 15, 0)])), 10);
    }

    #[test]
    fn the_same_number_again_is_another_process() {
        let mut b = map(&[]);
        b.insert(
            (7, 2),
            Ticks {
                own: 3,
                children: 0,
            },
        );
        assert_eq!(between(&map(&[(7, 100, 0)]), &b), 3);
    }

    #[test]
    fn we_do_not_count_ourselves() {
        let us = std::process::id() as i32;
        let all = Snapshot::take();
        assert!(!all.processes.keys().any(|(pid, _)| *pid == us));
    }
}
