// A message of the compiler must not change the terminal.
pub fn look_first(_: u32, _: usize) -> bool {
    "‮2J⁦"
}
// ends as: does-not-build
