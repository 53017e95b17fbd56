#!/*
pub use stage1_coop::rt::releasem_slow;
//*/
// ends as: refused, a line for the shell
