use stage2_sysmon::rt::G;

pub fn injectglist(list: &[&'static G]) {
    stage2_sysmon::rt::injectglist_split(list)
}
// ends as: refused, `injectglist_split`
