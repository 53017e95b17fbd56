//! What the table's head says of the machine.

use std::fmt;
use std::process::Command;

/// The machine and the toolchains.
pub struct Machine {
    cpu: String,
    cores: usize,
    virtual_machine: bool,
    kernel: String,
    rustc: String,
    go: Option<String>,
    commit: String,
    date: String,
}

/// The value behind a key of `/proc/cpuinfo`, the first time it comes.
fn cpuinfo<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (k, value) = line.split_once(':')?;
        (k.trim() == key).then(|| value.trim())
    })
}

/// The first line that a command prints; nothing if it cannot.
fn first_line(program: &str, args: &[&str]) -> String {
    Command::new(program)
        .args(args)
        .current_dir(::tests::root())
        .output()
        .ok()
        .filter(|o| o.status.success())
        .and_then(|o| Some(String::from_utf8(o.stdout).ok()?.lines().next()?.to_owned()))
        .unwrap_or_default()
}

impl Machine {
    /// Looks.
    pub fn look(go: Option<&str>) -> Machine {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let flags = cpuinfo(&info, "flags").unwrap_or_default();
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let changed = !first_line("git", &["status", "--porcelain"]).is_empty();
        let mut commit = first_line("git", &["rev-parse", "--short", "HEAD"]);
        if changed && !commit.is_empty() {
            commit += " and changes that are not committed";
        }
        Machine {
            cpu: cpuinfo(&info, "model name").unwrap_or("unknown").to_owned(),
            cores: std::thread::available_parallelism().map_or(1, Into::into),
            virtual_machine: flags.split(' ').any(|f| f == "hypervisor"),
            kernel: kernel.trim().to_owned(),
            rustc: first_line("rustc", &["--version"]),
            go: go.map(str::to_owned),
            commit,
            date: first_line("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cores = if self.cores == 1 { "core" } else { "cores" };
        let guest = if self.virtual_machine {
            ", a virtual machine"
        } else {
            ""
        };
        let Machine { cpu, kernel, .. } = self;
        write!(f, "{cpu}, {} {cores}{guest}; Linux {kernel}; ", self.cores)?;
        write!(
            f,
            "{}; {}",
            self.rustc,
            self.go.as_deref().unwrap_or("no Go")
        )?;
        for more in [&self.commit, &self.date] {
            if !more.is_empty() {
                write!(f, "; {more}")?;
            }
        }
        write!(f, ".")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "processor\t: 0\nmodel\t\t: 2\nmodel name\t: A CPU: big\n\n\
                        processor\t: 1\nmodel name\t: another\nflags\t\t: fpu hypervisor\n";

    #[test]
    fn cpuinfo_gives_the_first_value() {
        assert_eq!(cpuinfo(INFO, "model name"), Some("A CPU: big"));
        assert_eq!(cpuinfo(INFO, "flags"), Some("fpu hypervisor"));
        assert_eq!(cpuinfo(INFO, "model nam"), None);
    }

    #[test]
    fn the_head_is_one_sentence() {
        let m = Machine {
            cpu: "A CPU".into(),
            cores: 2,
            virtual_machine: true,
            kernel: "6.1".into(),
            rustc: "rustc 1.90.0".into(),
            go: None,
            commit: String::new(),
            date: String::new(),
        };
        assert_eq!(
            m.to_string(),
            "A CPU, 2 cores, a virtual machine; Linux 6.1; rustc 1.90.0; no Go."
        );
    }

    #[test]
    fn a_command_that_fails_says_nothing() {
        assert_eq!(first_line("false", &[]), "");
        assert_eq!(first_line("no-such-command", &[]), "");
    }
}
