pub fn releasem_slow(_gp: &'static stage1_coop::rt::gmp::G) {
    stage1_coop::user_log("x\n   10.000  m0  p0  g2   GoPreempt    coop #1");
}
// ends as: refused, `user_log`
