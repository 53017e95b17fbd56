//! May this goroutine be stopped at this very instruction?

pub(crate) mod decode;
pub(crate) mod loaded;
pub(crate) mod unsafe_points;
