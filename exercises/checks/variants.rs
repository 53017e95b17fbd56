//! What the proof runs: every starter, the correct but different solutions, and the wrong
//! ones, in one program: `variants NAME/WHICH CASE`. Each is plugged into its socket as in
//! the check of its exercise.

#[macro_use]
mod plug;

variants! {
    guard_check "guard-check/starter" guard_check_starter "../starters/guard_check.rs";
    guard_check "guard-check/alternate" guard_check_alternate "../alternates/guard_check.rs";
    guard_check "guard-check/equal" guard_check_equal "../wrong/guard_check/equal.rs";
    guard_check "guard-check/fork" guard_check_fork "../wrong/guard_check/fork.rs";
    guard_check "guard-check/request-too-small" guard_check_request_too_small "../wrong/guard_check/request_too_small.rs";
    guard_check "guard-check/signed" guard_check_signed "../wrong/guard_check/signed.rs";
    guard_check "guard-check/too-often" guard_check_too_often "../wrong/guard_check/too_often.rs";
    guard_check "guard-check/too-rarely" guard_check_too_rarely "../wrong/guard_check/too_rarely.rs";
    sticky_flag "sticky-flag/starter" sticky_flag_starter "../starters/sticky_flag.rs";
    sticky_flag "sticky-flag/alternate" sticky_flag_alternate "../alternates/sticky_flag.rs";
    sticky_flag "sticky-flag/forgotten" sticky_flag_forgotten "../wrong/sticky_flag/forgotten.rs";
    sticky_flag "sticky-flag/forgotten-twice" sticky_flag_forgotten_twice "../wrong/sticky_flag/forgotten_twice.rs";
    sticky_flag "sticky-flag/largest-number" sticky_flag_largest_number "../wrong/sticky_flag/largest_number.rs";
    sticky_flag "sticky-flag/yields-itself" sticky_flag_yields_itself "../wrong/sticky_flag/yields_itself.rs";
    newstack_order "newstack-order/starter" newstack_order_starter "../starters/newstack_order.rs";
    newstack_order "newstack-order/alternate" newstack_order_alternate "../alternates/newstack_order.rs";
    newstack_order "newstack-order/bug-unseen" newstack_order_bug_unseen "../wrong/newstack_order/bug_unseen.rs";
    newstack_order "newstack-order/flag-left-up" newstack_order_flag_left_up "../wrong/newstack_order/flag_left_up.rs";
    newstack_order "newstack-order/forgotten" newstack_order_forgotten "../wrong/newstack_order/forgotten.rs";
    newstack_order "newstack-order/locks" newstack_order_locks "../wrong/newstack_order/locks.rs";
    newstack_order "newstack-order/no-growth" newstack_order_no_growth "../wrong/newstack_order/no_growth.rs";
    newstack_order "newstack-order/nothing-to-refuse" newstack_order_nothing_to_refuse "../wrong/newstack_order/nothing_to_refuse.rs";
    newstack_order "newstack-order/stack-first" newstack_order_stack_first "../wrong/newstack_order/stack_first.rs";
    newstack_order "newstack-order/unheard" newstack_order_unheard "../wrong/newstack_order/unheard.rs";
    half_plus_one "half-plus-one/starter" half_plus_one_starter "../starters/half_plus_one.rs";
    half_plus_one "half-plus-one/alternate" half_plus_one_alternate "../alternates/half_plus_one.rs";
    half_plus_one "half-plus-one/kept" half_plus_one_kept "../wrong/half_plus_one/kept.rs";
    half_plus_one "half-plus-one/lost" half_plus_one_lost "../wrong/half_plus_one/lost.rs";
    half_plus_one "half-plus-one/lost-first" half_plus_one_lost_first "../wrong/half_plus_one/lost_first.rs";
    half_plus_one "half-plus-one/order" half_plus_one_order "../wrong/half_plus_one/order.rs";
    every_61st "every-61st/starter" every_61st_starter "../starters/every_61st.rs";
    every_61st "every-61st/alternate" every_61st_alternate "../alternates/every_61st.rs";
    every_61st "every-61st/after-61" every_61st_after_61 "../wrong/every_61st/after_61.rs";
    every_61st "every-61st/for-nothing" every_61st_for_nothing "../wrong/every_61st/for_nothing.rs";
    every_61st "every-61st/starved" every_61st_starved "../wrong/every_61st/starved.rs";
    every_61st "every-61st/too-often" every_61st_too_often "../wrong/every_61st/too_often.rs";
    every_61st "every-61st/too-rarely" every_61st_too_rarely "../wrong/every_61st/too_rarely.rs";
    steal_half "steal-half/starter" steal_half_starter "../starters/steal_half.rs";
    steal_half "steal-half/alternate" steal_half_alternate "../alternates/steal_half.rs";
    steal_half "steal-half/count" steal_half_count "../wrong/steal_half/count.rs";
    steal_half "steal-half/order" steal_half_order "../wrong/steal_half/order.rs";
    steal_half "steal-half/rounding" steal_half_rounding "../wrong/steal_half/rounding.rs";
    steal_half "steal-half/runnext" steal_half_runnext "../wrong/steal_half/runnext.rs";
    steal_half "steal-half/too-few" steal_half_too_few "../wrong/steal_half/too_few.rs";
    steal_half "steal-half/too-many" steal_half_too_many "../wrong/steal_half/too_many.rs";
    steal_half "steal-half/twice" steal_half_twice "../wrong/steal_half/twice.rs";
    lost_wakeup "lost-wakeup/starter" lost_wakeup_starter "../starters/lost_wakeup.rs";
    lost_wakeup "lost-wakeup/alternate" lost_wakeup_alternate "../alternates/lost_wakeup.rs";
    lost_wakeup "lost-wakeup/busy" lost_wakeup_busy "../wrong/lost_wakeup/busy.rs";
    lost_wakeup "lost-wakeup/lock-kept" lost_wakeup_lock_kept "../wrong/lost_wakeup/lock_kept.rs";
    lost_wakeup "lost-wakeup/lost" lost_wakeup_lost "../wrong/lost_wakeup/lost.rs";
    lost_wakeup "lost-wakeup/no-wait" lost_wakeup_no_wait "../wrong/lost_wakeup/no_wait.rs";
    lost_wakeup "lost-wakeup/one-of-three" lost_wakeup_one_of_three "../wrong/lost_wakeup/one_of_three.rs";
    lost_wakeup "lost-wakeup/set-first" lost_wakeup_set_first "../wrong/lost_wakeup/set_first.rs";
    lost_wakeup "lost-wakeup/too-early" lost_wakeup_too_early "../wrong/lost_wakeup/too_early.rs";
    snapshot_your_own "snapshot-your-own/starter" snapshot_your_own_starter "../starters/snapshot_your_own.rs";
    snapshot_your_own "snapshot-your-own/alternate" snapshot_your_own_alternate "../alternates/snapshot_your_own.rs";
    snapshot_your_own "snapshot-your-own/blind" snapshot_your_own_blind "../wrong/snapshot_your_own/blind.rs";
    snapshot_your_own "snapshot-your-own/compiler" snapshot_your_own_compiler "../wrong/snapshot_your_own/compiler.rs";
    snapshot_your_own "snapshot-your-own/no-events" snapshot_your_own_no_events "../wrong/snapshot_your_own/no_events.rs";
    snapshot_your_own "snapshot-your-own/nobody-preempted" snapshot_your_own_nobody_preempted "../wrong/snapshot_your_own/nobody_preempted.rs";
    snapshot_your_own "snapshot-your-own/stale" snapshot_your_own_stale "../wrong/snapshot_your_own/stale.rs";
    snapshot_your_own "snapshot-your-own/unknown-event" snapshot_your_own_unknown_event "../wrong/snapshot_your_own/unknown_event.rs";
}

fn main() {
    plug::run(ALL);
}
