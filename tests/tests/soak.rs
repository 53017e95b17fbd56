//! Many schedules of the same programs, each exactly repeatable: every seed is another one,
//! and what must hold in a trace must hold in all of them. `SAFEPOINT_LONG=1` tries a
//! thousand seeds.

use tests::{examples, lockstep, long};

const PROCS: [usize; 3] = [1, 2, 4];

/// The examples whose schedule is the same each time: all but the one that uses the network.
fn repeatable() -> Vec<String> {
    let mut names = examples("stage2-sysmon");
    names.retain(|name| name != "echo");
    names
}

#[test]
fn every_seed_keeps_the_invariants() {
    let seeds = if long() { 1_000 } else { 5 };
    let mut schedules = 0;
    for name in repeatable() {
        for procs in PROCS {
            for seed in 1..=seeds {
                let text = lockstep("stage2-sysmon", &name, procs, seed);
                // Whatever the schedule: who ends badly does so on every one.
                let exit = if name == "deadlock" {
                    "exit 2"
                } else {
                    "exit 0"
                };
                assert!(
                    text.starts_with(exit),
                    "{name} on {procs} Ps, seed {seed}:\n{text}"
                );
                schedules += 1;
            }
        }
    }
    println!("{schedules} schedules");
}

#[test]
fn the_same_seed_is_the_same_schedule() {
    for name in repeatable() {
        for procs in PROCS {
            let first = lockstep("stage2-sysmon", &name, procs, 7);
            for _ in 0..if long() { 100 } else { 2 } {
                assert_eq!(first, lockstep("stage2-sysmon", &name, procs, 7));
            }
        }
    }
}
