pub fn look_first(_: u32, _: usize) -> bool {
    (exercises::stage1::ALL[5].reference)("three wait");
    false
}
// ends as: refused, `ALL`
