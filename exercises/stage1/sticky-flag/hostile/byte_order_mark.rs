pub use stage1_coop::rt::*;
// ends as: refused, `pub use`
