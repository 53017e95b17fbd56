//! The solutions, in one program: `solutions NAME/solution CASE`.

#[macro_use]
mod plug;

#[forbid(unsafe_code)]
#[path = "../solutions/every_61st.rs"]
mod every_61st_solution;
#[forbid(unsafe_code)]
#[path = "../solutions/guard_check.rs"]
mod guard_check_solution;
#[forbid(unsafe_code)]
#[path = "../solutions/half_plus_one.rs"]
mod half_plus_one_solution;
#[forbid(unsafe_code)]
#[path = "../solutions/lost_wakeup.rs"]
mod lost_wakeup_solution;
#[forbid(unsafe_code)]
#[path = "../solutions/newstack_order.rs"]
mod newstack_order_solution;
#[forbid(unsafe_code)]
#[path = "../solutions/snapshot_your_own.rs"]
mod snapshot_your_own_solution;
#[forbid(unsafe_code)]
#[path = "../solutions/steal_half.rs"]
mod steal_half_solution;
#[forbid(unsafe_code)]
#[path = "../solutions/sticky_flag.rs"]
mod sticky_flag_solution;

const ALL: &[plug::Entry] = &[
    (
        "guard-check/solution",
        plug!(guard_check guard_check_solution),
    ),
    (
        "sticky-flag/solution",
        plug!(sticky_flag sticky_flag_solution),
    ),
    (
        "newstack-order/solution",
        plug!(newstack_order newstack_order_solution),
    ),
    (
        "half-plus-one/solution",
        plug!(half_plus_one half_plus_one_solution),
    ),
    ("every-61st/solution", plug!(every_61st every_61st_solution)),
    ("steal-half/solution", plug!(steal_half steal_half_solution)),
    (
        "lost-wakeup/solution",
        plug!(lost_wakeup lost_wakeup_solution),
    ),
    (
        "snapshot-your-own/solution",
        plug!(snapshot_your_own snapshot_your_own_solution),
    ),
];

fn main() {
    plug::run(ALL);
}
