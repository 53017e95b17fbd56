//! stage2-sysmon
