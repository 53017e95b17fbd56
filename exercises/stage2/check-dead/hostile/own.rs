use stage2_sysmon::rt::M;

pub fn m_idle(_: &'static M) {
    stage2_sysmon::rt::checkdead()
}
// ends as: refused, `checkdead`
