pub use stage1_coop::rt::stack::releasem_slow;
// ends as: refused, `pub use`
