//! The environment variables that the tests read, beside the runtime's.

use stage1_coop::rt::life::{self, Switch};

/// Those of the tests alone.
pub const OF_TESTS: &[Switch] = &[
    Switch {
        name: "SAFEPOINT_LONG",
        values: &[("`1`", "tests only: the long proofs too")],
    },
    Switch {
        name: "SAFEPOINT_SOAK",
        values: &[(
            "a number",
            "tests only: so many seconds of different schedules in `--test soak`",
        )],
    },
    Switch {
        name: "SAFEPOINT_GO",
        values: &[(
            "`required`",
            "tests only: `--test gotrace` fails where there is no Go",
        )],
    },
];

/// All of them: the runtime's, and those of the tests.
pub fn all() -> impl Iterator<Item = &'static Switch> {
    life::SWITCHES.iter().chain(OF_TESTS)
}

/// The table of README. The keys of `GODEBUG` are those of the last stage.
pub fn markdown() -> String {
    let mut out = String::from("| variable | value | what it does |\n|---|---|---|\n");
    for switch in all() {
        let mut name = format!("`{}`", switch.name);
        let mut row = |value: &str, does: &str| {
            out.push_str(&format!("| {name} | {value} | {does} |\n"));
            name.clear();
        };
        for (value, does) in switch.values {
            row(value, does);
        }
        if switch.name == "GODEBUG" {
            for key in (stage2_sysmon::STAGE.godebug)() {
                let (value, does) = key.doc.split_once(": ").expect("VALUE: what it does");
                let from_1 = (stage1_coop::STAGE.godebug)();
                let of_1 = from_1.iter().any(|k| k.name == key.name);
                let from = if of_1 { "" } else { "from stage 2 on: " };
                row(&format!("`{}={value}`", key.name), &format!("{from}{does}"));
            }
        }
    }
    // An empty first cell has one space, not two.
    out.replace("|  |", "| |")
}
