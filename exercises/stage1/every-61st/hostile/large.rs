pub static BIG: [u8; 400 << 20] = [7; 400 << 20];

pub fn look_first(_: u32, _: usize) -> bool {
    BIG[std::hint::black_box(5)] == 0
}
// ends as: does-not-build
