//! stage4-gc-safepoints
