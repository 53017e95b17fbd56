use stage1_coop::rt::gmp::P;

pub fn runqgrab(_: &'static P, _: &'static P, _: u32, _: bool) -> u32 {
    println!("@ end");
    loop {}
}
// ends as: endless
