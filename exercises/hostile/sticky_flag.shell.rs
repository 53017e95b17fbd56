#!/*
pub use stage1_coop::rt::releasem_slow;
//*/
