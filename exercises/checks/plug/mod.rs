//! How each exercise's piece is plugged into its socket, for many variants of it in one
//! program.

/// A variant's name, and its `main`.
pub type Entry = (&'static str, fn());

/// The `main` of a variant: the exercise's module, and the variant's.
macro_rules! plug {
    (guard_check $v:ident) => {
        || {
            exercises::stage1::guard_check::attempt(exercises::stage1::guard_check::Work {
                must_look: $v::must_look,
                request: $v::REQUEST,
            })
        }
    };
    (every_61st $v:ident) => {
        || exercises::stage1::every_61st::attempt($v::look_first)
    };
    (lost_wakeup $v:ident) => {
        || {
            exercises::stage1::lost_wakeup::attempt(
                $v::Event::new,
                $v::Event::wait,
                $v::Event::set,
            )
        }
    };
    (snapshot_your_own $v:ident) => {
        || {
            exercises::stage1::snapshot_your_own::attempt(
                exercises::stage1::snapshot_your_own::Work {
                    scenario: $v::scenario,
                    events: $v::EVENTS,
                    expected: $v::EXPECTED,
                },
            )
        }
    };
    (sticky_flag $v:ident) => {
        plug!(@row sticky_flag releasem_slow $v)
    };
    (newstack_order $v:ident) => {
        plug!(@row newstack_order newstack $v)
    };
    (half_plus_one $v:ident) => {
        plug!(@row half_plus_one runqputslow $v)
    };
    (steal_half $v:ident) => {
        plug!(@row steal_half runqgrab $v)
    };
    (sysmon_sleep $v:ident) => {
        plug!(@more sysmon_sleep sysmon_delay $v)
    };
    (retake_slice $v:ident) => {
        plug!(@more retake_slice retake $v)
    };
    (three_conditions $v:ident) => {
        plug!(@more three_conditions retake_syscall $v)
    };
    (handoff $v:ident) => {
        plug!(@stage2 handoff handoffp $v)
    };
    (exit_syscall $v:ident) => {
        plug!(@more exit_syscall exitsyscall_slow $v)
    };
    (inject_list $v:ident) => {
        plug!(@more inject_list injectglist $v)
    };
    (check_dead $v:ident) => {
        plug!(@stage2 check_dead m_idle $v)
    };
    (@row $exercise:ident $row:ident $v:ident) => {
        || {
            const MINE: &stage1_coop::Stage = &stage1_coop::Stage {
                $row: $v::$row,
                ..stage1_coop::STAGE
            };
            exercises::stage1::$exercise::attempt(MINE)
        }
    };
    (@stage2 $exercise:ident $row:ident $v:ident) => {
        || {
            const MINE: &stage2_sysmon::Stage = &stage2_sysmon::Stage {
                $row: $v::$row,
                ..stage2_sysmon::STAGE
            };
            exercises::stage2::$exercise::attempt(MINE)
        }
    };
    (@more $exercise:ident $row:ident $v:ident) => {
        || {
            const MINE: &stage2_sysmon::Stage = &stage2_sysmon::Stage {
                more: &[&stage2_sysmon::rt::table::Rows {
                    $row: $v::$row,
                    ..stage2_sysmon::rt::table::ROWS
                }],
                ..stage2_sysmon::STAGE
            };
            exercises::stage2::$exercise::attempt(MINE)
        }
    };
}

/// Declares the modules of variants, and the list of them: for each the exercise, the name
/// in the list, the module and its file.
macro_rules! variants {
    ($($exercise:ident $name:literal $v:ident $file:literal;)+) => {
        $(
            #[forbid(unsafe_code)]
            // A starter imports what its card offers, and uses little of it.
            #[allow(unused_imports)]
            #[path = $file]
            mod $v;
        )+
        const ALL: &[plug::Entry] = &[$(($name, plug!($exercise $v))),+];
    };
}

/// Runs the variant that the first argument names.
pub fn run(all: &[Entry]) {
    let name = std::env::args().nth(1).unwrap_or_default();
    match all.iter().find(|(n, _)| *n == name) {
        Some((_, main)) => main(),
        None => {
            for (name, _) in all {
                println!("{name}");
            }
        }
    }
}
