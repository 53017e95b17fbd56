use std::process as p;

pub fn look_first(_: u32, _: usize) -> bool {
    p::abort()
}
// ends as: refused, U+0085
