pub fn must_look(_: usize, _: usize) -> bool {
    println!("@ end");
    true
}

pub const REQUEST: usize = {
    let mut i = 0_usize;
    loop {
        i ^= 1;
        if i == 2 {
            break;
        }
    }
    i
};
// ends as: does-not-build
