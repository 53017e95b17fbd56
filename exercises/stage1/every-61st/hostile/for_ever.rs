#![allow(long_running_const_eval)]

const N: usize = {
    let mut i = 0_usize;
    while i != 2 {
        i ^= 1;
    }
    i
};

pub fn look_first(_: u32, _: usize) -> bool {
    N > 0
}
// ends as: does-not-build
