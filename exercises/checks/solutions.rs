//! The solutions, in one program: `solutions NAME/solution CASE`.

#[macro_use]
mod plug;

variants! {
    guard_check "guard-check/solution" guard_check_solution "../solutions/guard_check.rs";
    sticky_flag "sticky-flag/solution" sticky_flag_solution "../solutions/sticky_flag.rs";
    newstack_order "newstack-order/solution" newstack_order_solution "../solutions/newstack_order.rs";
    half_plus_one "half-plus-one/solution" half_plus_one_solution "../solutions/half_plus_one.rs";
    every_61st "every-61st/solution" every_61st_solution "../solutions/every_61st.rs";
    steal_half "steal-half/solution" steal_half_solution "../solutions/steal_half.rs";
    lost_wakeup "lost-wakeup/solution" lost_wakeup_solution "../solutions/lost_wakeup.rs";
    snapshot_your_own "snapshot-your-own/solution" snapshot_your_own_solution "../solutions/snapshot_your_own.rs";
    sysmon_sleep "sysmon-sleep/solution" sysmon_sleep_solution "../solutions/sysmon_sleep.rs";
    retake_slice "retake-slice/solution" retake_slice_solution "../solutions/retake_slice.rs";
    three_conditions "three-conditions/solution" three_conditions_solution "../solutions/three_conditions.rs";
    handoff "handoff/solution" handoff_solution "../solutions/handoff.rs";
    exit_syscall "exit-syscall/solution" exit_syscall_solution "../solutions/exit_syscall.rs";
    inject_list "inject-list/solution" inject_list_solution "../solutions/inject_list.rs";
    check_dead "check-dead/solution" check_dead_solution "../solutions/check_dead.rs";
}

fn main() {
    plug::run(ALL);
}
