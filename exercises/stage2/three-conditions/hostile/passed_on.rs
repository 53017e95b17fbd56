pub use stage2_sysmon::rt::retake_syscall;
// ends as: refused, `pub use`
