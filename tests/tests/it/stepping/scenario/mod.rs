//! Goroutines that are stopped at every instruction, beside one that leaves no register as it
//! was. Processes of their own: they handle SIGTRAP. What is stepped is in the crate `shapes`.

mod broken;
mod trap;
mod trasher;

use crate::start;
use shapes::victims::{VICTIMS, Victim};
use stage3_signals::rt::table::Rows;
use stage3_signals::{ROWS, Runtime, STAGE, Stage, WaitGroup, go};
use trap::{ALL as EVERY, stepped};

crate::scenarios!(every_instruction, one_by_one, two_at_a_time, a_mistake);

/// Runs `main` on one P beside the trasher. A refused request is over: no timer repeats it.
fn beside_the_trasher(rows: impl FnOnce() -> Rows, main: impl FnOnce() + Send + 'static) {
    // Some rows need to know what the runtime saves, and that is known in a run.
    start(Runtime::new(&STAGE).procs(1), || {});
    let rows: &'static Rows = Box::leak(Box::new(Rows {
        refused: |_, _| {},
        ..rows()
    }));
    let more: [&(dyn std::any::Any + Send + Sync); 2] = [rows, &stage2_sysmon::ROWS];
    let stage = Stage {
        more: Box::leak(Box::new(more)),
        ..STAGE
    };
    start(Runtime::new(Box::leak(Box::new(stage))).procs(1), || {
        trap::install();
        go("trasher", trasher::trasher);
        main();
        trasher::end();
    });
}

/// The victims that this processor can run, of those named.
fn victims(names: &[String]) -> Vec<&'static Victim> {
    let named = VICTIMS
        .iter()
        .filter(|victim| names.is_empty() || names.iter().any(|name| name == victim.name));
    let able = named.filter(|victim| {
        let able = victim.needs.is_there();
        if !able {
            println!(
                "skipped: {}: this processor has no {:?}",
                victim.name, victim.needs
            );
        }
        able
    });
    able.collect()
}

/// Runs a victim once as it is, and once stopped at every instruction.
fn prove(victim: &Victim, turns: u64) {
    let right = (victim.run)(turns);
    let before = trasher::turns();
    let (result, count) = stepped(|| (victim.run)(turns), EVERY);
    let after = trasher::turns();
    println!(
        "{}: {}, taken {}, refused {}, trashed {}, odd {}",
        victim.name,
        if result == right { "right" } else { "wrong" },
        count.taken,
        count.refused,
        after.0 - before.0,
        after.1 - before.1
    );
}

/// `every_instruction FACTOR [NAME...]`: each victim once, so many times its turns.
fn every_instruction(arguments: &[String]) {
    let factor: u64 = arguments[0].parse().expect("a number");
    let victims = victims(&arguments[1..]);
    beside_the_trasher(
        || ROWS,
        move || {
            victims
                .iter()
                .for_each(|victim| prove(victim, victim.turns * factor))
        },
    );
}

/// `one_by_one [NAME...]`: a run for each instruction, and one stop in each.
fn one_by_one(arguments: &[String]) {
    let victims = victims(arguments);
    beside_the_trasher(
        || ROWS,
        move || {
            for victim in victims {
                let right = (victim.run)(victim.turns);
                let (mut runs, mut wrong) = (0, 0);
                loop {
                    let (result, count) = stepped(|| (victim.run)(victim.turns), runs);
                    if count.taken + count.refused == 0 {
                        break;
                    }
                    wrong += u64::from(result != right);
                    runs += 1;
                }
                println!("{}: wrong {wrong}, runs {runs}", victim.name);
            }
        },
    );
}

/// Two goroutines that are stepped side by side: each is stopped where the other one has just
/// been, and both come to an end.
fn two_at_a_time(_: &[String]) {
    beside_the_trasher(
        || ROWS,
        || {
            let done = WaitGroup::new();
            for _ in 0..2 {
                done.add(1);
                let done = done.clone();
                go("stepped", move || {
                    victims(&["registers".to_owned(), "loops".to_owned()])
                        .iter()
                        .for_each(|victim| prove(victim, victim.turns));
                    done.done();
                });
            }
            done.wait();
        },
    );
}

/// `a_mistake MISTAKE VICTIM`: a trampoline that does one thing wrong, and the victim that shows
/// it.
fn a_mistake(arguments: &[String]) {
    let mistake = arguments[0].clone();
    let victims = victims(&arguments[1..]);
    beside_the_trasher(
        || broken::rows(&mistake),
        move || {
            victims
                .iter()
                .for_each(|victim| prove(victim, victim.turns))
        },
    );
}
