---
/*
---
pub use stage1_coop::rt::stack::releasem_slow;
//*/
// ends as: refused, a note for cargo
