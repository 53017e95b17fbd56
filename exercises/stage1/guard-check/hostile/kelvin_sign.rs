pub fn must_look(sp: usize, guard: usize) -> bool {
    sp <= guard
}

pub const REQUEST: usize = stage1_coop::rt::STACK_PREEMPT;
// ends as: refused, U+212A
