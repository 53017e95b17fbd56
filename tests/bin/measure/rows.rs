//! The rows, and what each is held to.

/// A program and the number of Ps that it runs with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// The name of our program and of Go's.
    pub program: &'static str,
    /// The number of Ps.
    pub procs: usize,
}

const fn row(program: &'static str, procs: usize) -> Row {
    Row { program, procs }
}

/// Every row, in the order of the table.
pub const ROWS: [Row; 9] = [
    row("yield", 1),
    row("spawn", 1),
    row("spawn", 2),
    row("chanping", 1),
    row("chanping", 2),
    row("prologue", 1),
    row("many", 2),
    row("steal", 1),
    row("steal", 2),
];

/// The program with this name.
pub fn program(name: &str) -> Result<&'static str, String> {
    ROWS.iter()
        .map(|row| row.program)
        .find(|p| *p == name)
        .ok_or_else(|| {
            let mut names = ROWS.map(|row| row.program).to_vec();
            names.dedup();
            format!("there is no row {name}; there are {}", names.join(", "))
        })
}

/// Our time divided by Go's must not be above this; `None`: the row is only for looking.
pub fn target(bench: &str, metric: &str, procs: usize) -> Option<f64> {
    Some(match (bench, metric, procs) {
        ("yield", "ns_per_gosched", _) => 0.45,
        ("spawn", "ns_each_batch1000", _) => 0.45,
        ("spawn", "ns_each_batch1", _) => 0.5,
        ("chan_pingpong", "ns_round_trip", 1) => 0.5,
        ("chan_pingpong", "ns_round_trip", 2) => 0.85,
        ("prologue", "ns_per_call_fib40", _) => 1.0,
        ("many_cold", "create_ns_each", _) => 1.1,
        ("many_warm", "create_ns_each", _) => 0.7,
        ("many_cold" | "many_warm", "wake_all_ns_each", _) => 0.8,
        ("steal", "parallel_fib40", 2) => 1.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_name() {
        assert_eq!(program("many"), Ok("many"));
        let no = program("mnay").unwrap_err();
        assert_eq!(
            no,
            "there is no row mnay; there are yield, spawn, chanping, prologue, many, steal"
        );
    }

    #[test]
    fn targets_depend_on_the_ps() {
        assert_eq!(target("chan_pingpong", "ns_round_trip", 1), Some(0.5));
        assert_eq!(target("chan_pingpong", "ns_round_trip", 2), Some(0.85));
        assert_eq!(target("steal", "parallel_fib40", 1), None);
        assert_eq!(target("many_cold", "rss_bytes_each", 2), None);
    }
}
