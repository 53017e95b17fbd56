//! stage3-signals
