//! What the proof runs: every starter, the correct but different solutions, and the wrong
//! ones, in one program: `variants NAME/WHICH CASE`. Each is plugged into its socket as in
//! the check of its exercise.

#[macro_use]
mod plug;

#[forbid(unsafe_code)]
#[path = "../wrong/every_61st/after_61.rs"]
mod every_61st_after_61;
#[forbid(unsafe_code)]
#[path = "../alternates/every_61st.rs"]
mod every_61st_alternate;
#[forbid(unsafe_code)]
#[path = "../wrong/every_61st/for_nothing.rs"]
mod every_61st_for_nothing;
#[forbid(unsafe_code)]
#[path = "../starters/every_61st.rs"]
mod every_61st_starter;
#[forbid(unsafe_code)]
#[path = "../wrong/every_61st/starved.rs"]
mod every_61st_starved;
#[forbid(unsafe_code)]
#[path = "../wrong/every_61st/too_often.rs"]
mod every_61st_too_often;
#[forbid(unsafe_code)]
#[path = "../wrong/every_61st/too_rarely.rs"]
mod every_61st_too_rarely;
#[forbid(unsafe_code)]
#[path = "../alternates/guard_check.rs"]
mod guard_check_alternate;
#[forbid(unsafe_code)]
#[path = "../wrong/guard_check/equal.rs"]
mod guard_check_equal;
#[forbid(unsafe_code)]
#[path = "../wrong/guard_check/fork.rs"]
mod guard_check_fork;
#[forbid(unsafe_code)]
#[path = "../wrong/guard_check/request_too_small.rs"]
mod guard_check_request_too_small;
#[forbid(unsafe_code)]
#[path = "../wrong/guard_check/signed.rs"]
mod guard_check_signed;
#[forbid(unsafe_code)]
#[path = "../starters/guard_check.rs"]
mod guard_check_starter;
#[forbid(unsafe_code)]
#[path = "../wrong/guard_check/too_often.rs"]
mod guard_check_too_often;
#[forbid(unsafe_code)]
#[path = "../wrong/guard_check/too_rarely.rs"]
mod guard_check_too_rarely;
#[forbid(unsafe_code)]
#[path = "../alternates/half_plus_one.rs"]
mod half_plus_one_alternate;
#[forbid(unsafe_code)]
#[path = "../wrong/half_plus_one/kept.rs"]
mod half_plus_one_kept;
#[forbid(unsafe_code)]
#[path = "../wrong/half_plus_one/lost.rs"]
mod half_plus_one_lost;
#[forbid(unsafe_code)]
#[path = "../wrong/half_plus_one/lost_first.rs"]
mod half_plus_one_lost_first;
#[forbid(unsafe_code)]
#[path = "../wrong/half_plus_one/order.rs"]
mod half_plus_one_order;
#[forbid(unsafe_code)]
#[path = "../starters/half_plus_one.rs"]
mod half_plus_one_starter;
#[forbid(unsafe_code)]
#[path = "../alternates/lost_wakeup.rs"]
mod lost_wakeup_alternate;
#[forbid(unsafe_code)]
#[path = "../wrong/lost_wakeup/busy.rs"]
mod lost_wakeup_busy;
#[forbid(unsafe_code)]
#[path = "../wrong/lost_wakeup/lost.rs"]
mod lost_wakeup_lost;
#[forbid(unsafe_code)]
#[path = "../wrong/lost_wakeup/no_wait.rs"]
mod lost_wakeup_no_wait;
#[forbid(unsafe_code)]
#[path = "../wrong/lost_wakeup/one_of_three.rs"]
mod lost_wakeup_one_of_three;
#[forbid(unsafe_code)]
#[path = "../wrong/lost_wakeup/set_first.rs"]
mod lost_wakeup_set_first;
#[forbid(unsafe_code)]
#[path = "../starters/lost_wakeup.rs"]
mod lost_wakeup_starter;
#[forbid(unsafe_code)]
#[path = "../wrong/lost_wakeup/too_early.rs"]
mod lost_wakeup_too_early;
#[forbid(unsafe_code)]
#[path = "../alternates/newstack_order.rs"]
mod newstack_order_alternate;
#[forbid(unsafe_code)]
#[path = "../wrong/newstack_order/bug_unseen.rs"]
mod newstack_order_bug_unseen;
#[forbid(unsafe_code)]
#[path = "../wrong/newstack_order/flag_left_up.rs"]
mod newstack_order_flag_left_up;
#[forbid(unsafe_code)]
#[path = "../wrong/newstack_order/forgotten.rs"]
mod newstack_order_forgotten;
#[forbid(unsafe_code)]
#[path = "../wrong/newstack_order/locks.rs"]
mod newstack_order_locks;
#[forbid(unsafe_code)]
#[path = "../wrong/newstack_order/no_growth.rs"]
mod newstack_order_no_growth;
#[forbid(unsafe_code)]
#[path = "../starters/newstack_order.rs"]
mod newstack_order_starter;
#[forbid(unsafe_code)]
#[path = "../wrong/newstack_order/unheard.rs"]
mod newstack_order_unheard;
#[forbid(unsafe_code)]
#[path = "../alternates/snapshot_your_own.rs"]
mod snapshot_your_own_alternate;
#[forbid(unsafe_code)]
#[path = "../wrong/snapshot_your_own/blind.rs"]
mod snapshot_your_own_blind;
#[forbid(unsafe_code)]
#[path = "../wrong/snapshot_your_own/compiler.rs"]
mod snapshot_your_own_compiler;
#[forbid(unsafe_code)]
#[path = "../wrong/snapshot_your_own/no_events.rs"]
mod snapshot_your_own_no_events;
#[forbid(unsafe_code)]
#[path = "../wrong/snapshot_your_own/nobody_preempted.rs"]
mod snapshot_your_own_nobody_preempted;
#[forbid(unsafe_code)]
#[path = "../wrong/snapshot_your_own/stale.rs"]
mod snapshot_your_own_stale;
#[forbid(unsafe_code)]
#[path = "../starters/snapshot_your_own.rs"]
mod snapshot_your_own_starter;
#[forbid(unsafe_code)]
#[path = "../wrong/snapshot_your_own/unknown_event.rs"]
mod snapshot_your_own_unknown_event;
#[forbid(unsafe_code)]
#[path = "../alternates/steal_half.rs"]
mod steal_half_alternate;
#[forbid(unsafe_code)]
#[path = "../wrong/steal_half/count.rs"]
mod steal_half_count;
#[forbid(unsafe_code)]
#[path = "../wrong/steal_half/order.rs"]
mod steal_half_order;
#[forbid(unsafe_code)]
#[path = "../wrong/steal_half/rounding.rs"]
mod steal_half_rounding;
#[forbid(unsafe_code)]
#[path = "../wrong/steal_half/runnext.rs"]
mod steal_half_runnext;
#[forbid(unsafe_code)]
#[path = "../starters/steal_half.rs"]
mod steal_half_starter;
#[forbid(unsafe_code)]
#[path = "../wrong/steal_half/too_few.rs"]
mod steal_half_too_few;
#[forbid(unsafe_code)]
#[path = "../wrong/steal_half/too_many.rs"]
mod steal_half_too_many;
#[forbid(unsafe_code)]
#[path = "../alternates/sticky_flag.rs"]
mod sticky_flag_alternate;
#[forbid(unsafe_code)]
#[path = "../wrong/sticky_flag/forgotten.rs"]
mod sticky_flag_forgotten;
#[forbid(unsafe_code)]
#[path = "../wrong/sticky_flag/forgotten_twice.rs"]
mod sticky_flag_forgotten_twice;
#[forbid(unsafe_code)]
#[path = "../wrong/sticky_flag/largest_number.rs"]
mod sticky_flag_largest_number;
#[forbid(unsafe_code)]
#[path = "../starters/sticky_flag.rs"]
mod sticky_flag_starter;
#[forbid(unsafe_code)]
#[path = "../wrong/sticky_flag/yields_itself.rs"]
mod sticky_flag_yields_itself;

const ALL: &[plug::Entry] = &[
    (
        "guard-check/starter",
        plug!(guard_check guard_check_starter),
    ),
    (
        "guard-check/alternate",
        plug!(guard_check guard_check_alternate),
    ),
    ("guard-check/equal", plug!(guard_check guard_check_equal)),
    ("guard-check/fork", plug!(guard_check guard_check_fork)),
    (
        "guard-check/request-too-small",
        plug!(guard_check guard_check_request_too_small),
    ),
    ("guard-check/signed", plug!(guard_check guard_check_signed)),
    (
        "guard-check/too-often",
        plug!(guard_check guard_check_too_often),
    ),
    (
        "guard-check/too-rarely",
        plug!(guard_check guard_check_too_rarely),
    ),
    (
        "sticky-flag/starter",
        plug!(sticky_flag sticky_flag_starter),
    ),
    (
        "sticky-flag/alternate",
        plug!(sticky_flag sticky_flag_alternate),
    ),
    (
        "sticky-flag/forgotten",
        plug!(sticky_flag sticky_flag_forgotten),
    ),
    (
        "sticky-flag/forgotten-twice",
        plug!(sticky_flag sticky_flag_forgotten_twice),
    ),
    (
        "sticky-flag/largest-number",
        plug!(sticky_flag sticky_flag_largest_number),
    ),
    (
        "sticky-flag/yields-itself",
        plug!(sticky_flag sticky_flag_yields_itself),
    ),
    (
        "newstack-order/starter",
        plug!(newstack_order newstack_order_starter),
    ),
    (
        "newstack-order/alternate",
        plug!(newstack_order newstack_order_alternate),
    ),
    (
        "newstack-order/bug-unseen",
        plug!(newstack_order newstack_order_bug_unseen),
    ),
    (
        "newstack-order/flag-left-up",
        plug!(newstack_order newstack_order_flag_left_up),
    ),
    (
        "newstack-order/forgotten",
        plug!(newstack_order newstack_order_forgotten),
    ),
    (
        "newstack-order/locks",
        plug!(newstack_order newstack_order_locks),
    ),
    (
        "newstack-order/no-growth",
        plug!(newstack_order newstack_order_no_growth),
    ),
    (
        "newstack-order/unheard",
        plug!(newstack_order newstack_order_unheard),
    ),
    (
        "half-plus-one/starter",
        plug!(half_plus_one half_plus_one_starter),
    ),
    (
        "half-plus-one/alternate",
        plug!(half_plus_one half_plus_one_alternate),
    ),
    (
        "half-plus-one/kept",
        plug!(half_plus_one half_plus_one_kept),
    ),
    (
        "half-plus-one/lost",
        plug!(half_plus_one half_plus_one_lost),
    ),
    (
        "half-plus-one/lost-first",
        plug!(half_plus_one half_plus_one_lost_first),
    ),
    (
        "half-plus-one/order",
        plug!(half_plus_one half_plus_one_order),
    ),
    ("every-61st/starter", plug!(every_61st every_61st_starter)),
    (
        "every-61st/alternate",
        plug!(every_61st every_61st_alternate),
    ),
    ("every-61st/after-61", plug!(every_61st every_61st_after_61)),
    (
        "every-61st/for-nothing",
        plug!(every_61st every_61st_for_nothing),
    ),
    ("every-61st/starved", plug!(every_61st every_61st_starved)),
    (
        "every-61st/too-often",
        plug!(every_61st every_61st_too_often),
    ),
    (
        "every-61st/too-rarely",
        plug!(every_61st every_61st_too_rarely),
    ),
    ("steal-half/starter", plug!(steal_half steal_half_starter)),
    (
        "steal-half/alternate",
        plug!(steal_half steal_half_alternate),
    ),
    ("steal-half/count", plug!(steal_half steal_half_count)),
    ("steal-half/order", plug!(steal_half steal_half_order)),
    ("steal-half/rounding", plug!(steal_half steal_half_rounding)),
    ("steal-half/runnext", plug!(steal_half steal_half_runnext)),
    ("steal-half/too-few", plug!(steal_half steal_half_too_few)),
    ("steal-half/too-many", plug!(steal_half steal_half_too_many)),
    (
        "lost-wakeup/starter",
        plug!(lost_wakeup lost_wakeup_starter),
    ),
    (
        "lost-wakeup/alternate",
        plug!(lost_wakeup lost_wakeup_alternate),
    ),
    ("lost-wakeup/busy", plug!(lost_wakeup lost_wakeup_busy)),
    ("lost-wakeup/lost", plug!(lost_wakeup lost_wakeup_lost)),
    (
        "lost-wakeup/no-wait",
        plug!(lost_wakeup lost_wakeup_no_wait),
    ),
    (
        "lost-wakeup/one-of-three",
        plug!(lost_wakeup lost_wakeup_one_of_three),
    ),
    (
        "lost-wakeup/set-first",
        plug!(lost_wakeup lost_wakeup_set_first),
    ),
    (
        "lost-wakeup/too-early",
        plug!(lost_wakeup lost_wakeup_too_early),
    ),
    (
        "snapshot-your-own/starter",
        plug!(snapshot_your_own snapshot_your_own_starter),
    ),
    (
        "snapshot-your-own/alternate",
        plug!(snapshot_your_own snapshot_your_own_alternate),
    ),
    (
        "snapshot-your-own/blind",
        plug!(snapshot_your_own snapshot_your_own_blind),
    ),
    (
        "snapshot-your-own/compiler",
        plug!(snapshot_your_own snapshot_your_own_compiler),
    ),
    (
        "snapshot-your-own/no-events",
        plug!(snapshot_your_own snapshot_your_own_no_events),
    ),
    (
        "snapshot-your-own/nobody-preempted",
        plug!(snapshot_your_own snapshot_your_own_nobody_preempted),
    ),
    (
        "snapshot-your-own/stale",
        plug!(snapshot_your_own snapshot_your_own_stale),
    ),
    (
        "snapshot-your-own/unknown-event",
        plug!(snapshot_your_own snapshot_your_own_unknown_event),
    ),
];

fn main() {
    plug::run(ALL);
}
