const _: &str = stringify!('r"\" ");
pub use stage1_coop::rt::stack::releasem_slow;
const _: &str = stringify!(r" ");
// ends as: refused, a lifetime runs
