pub use stage1_coop::rt::*;
