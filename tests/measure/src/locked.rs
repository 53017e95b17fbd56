//! `--locked`: how many locked instructions an operation costs.
//!
//! A time on a machine that others use is never quite sure; a count of instructions is. Our
//! program runs one instruction at a time under ptrace, once with N operations and once with
//! 2 N. What the second run did more, divided by N, is the cost of one operation, without
//! the program's start and end. The benchmarks are counted with one P.
//!
//! A locked instruction is one that keeps a cache line for itself while it reads and writes
//! it: it has a LOCK prefix, or is an exchange with memory. MFENCE costs about as much and
//! is listed apart.

use crate::pair::{Watch, clean};
use crate::probe;
use crate::programs::Programs;
use anyhow::{Context, Result, bail};
use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind};
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, UNIX_EPOCH};

/// What is counted: a metric, the two runs by their `BENCH_SCALE`, and how many operations
/// the second one does more.
struct Count {
    program: &'static str,
    bench: &'static str,
    metric: &'static str,
    scales: [&'static str; 2],
    operations: u64,
}

/// The benchmarks' own numbers are far too big. Goroutines are made in the first round and used
/// again in the others, so every run has rounds enough for that.
const COUNTS: [Count; 10] = [
    Count {
        program: "yield",
        bench: "yield",
        metric: "ns_per_gosched",
        // Two rounds; two goroutines; so many yields each.
        scales: ["2,250", "2,500"],
        operations: 2 * 2 * 250,
    },
    Count {
        program: "spawn",
        bench: "spawn",
        metric: "ns_each_batch1000",
        // Rounds of one batch of 1,000; then rounds of so many batches of one.
        scales: ["2,2,100", "3,2,100"],
        operations: 1000,
    },
    Count {
        program: "spawn",
        bench: "spawn",
        metric: "ns_each_batch1",
        scales: ["2,2,100", "2,2,200"],
        operations: 2 * 100,
    },
    Count {
        program: "chanping",
        bench: "chan_pingpong",
        metric: "ns_round_trip",
        // Two rounds of so many trips.
        scales: ["2,250", "2,500"],
        operations: 2 * 250,
    },
    Count {
        program: "prologue",
        bench: "prologue",
        metric: "ns_per_call_fib40",
        // One round of fib(10), which makes 177 calls, and of fib(12), which makes 465.
        scales: ["10,1", "12,1"],
        operations: 465 - 177,
    },
    Count {
        program: "many",
        bench: "many_cold",
        metric: "blocked_ns_each",
        // So many goroutines, which are not woken, once.
        scales: ["500,0,1", "1000,0,1"],
        operations: 500,
    },
    Count {
        program: "many",
        bench: "many_cold",
        metric: "wake_all_ns_each",
        // The same goroutines, woken.
        scales: ["1000,0,1", "1000,1,1"],
        operations: 1000,
    },
    Count {
        program: "steal",
        bench: "steal",
        metric: "parallel_fib40",
        // One round down to fib(2): 33 forks, and 54.
        scales: ["1,9,2,2", "1,10,2,2"],
        operations: 54 - 33,
    },
    Count {
        program: "syscall",
        bench: "syscall_pair",
        metric: "own_cost",
        // Two rounds of so many calls by each protocol; then the hand-offs, as few as can be.
        scales: ["2,250,250,2,2", "2,500,250,2,2"],
        operations: 2 * 250,
    },
    Count {
        program: "syscall",
        bench: "syscall_pair_wired",
        metric: "own_cost",
        scales: ["2,250,250,2,2", "2,250,500,2,2"],
        operations: 2 * 250,
    },
];

/// No run takes longer.
const LIMIT: Duration = Duration::from_secs(300);
/// Where the counts are kept, for the table of a later measurement.
const FILE: &str = "locked.json";

/// The counts that still belong to the programs as they are.
#[derive(Default)]
pub struct Locked(Map<String, Value>);

impl Locked {
    /// Locked instructions of one operation.
    pub fn per_operation(&self, bench: &str, metric: &str) -> Option<f64> {
        self.0.get(&key(bench, metric))?["locked"].as_f64()
    }
}

fn key(bench: &str, metric: &str) -> String {
    format!("{bench} {metric}")
}

/// Changes when the program is built anew.
fn stamp(program: &Path) -> Option<String> {
    let meta = program.metadata().ok()?;
    let age = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(format!("{} bytes, {} ns", meta.len(), age.as_nanos()))
}

/// What an earlier `--locked` left in this folder about these programs.
pub fn recall(programs: &Programs, out: &Path) -> Locked {
    let text = std::fs::read_to_string(out.join(FILE)).unwrap_or_default();
    let all: Map<String, Value> = serde_json::from_str(&text).unwrap_or_default();
    let fresh = all.into_iter().filter(|(_, count)| {
        let program = count["program"].as_str().filter(|p| programs.has(p));
        let now = program.and_then(|p| stamp(programs.path(p)));
        now.is_some_and(|now| count["stamp"] == now.as_str())
    });
    Locked(fresh.collect())
}

/// Counts, prints, and leaves the counts in `out`.
pub fn run(programs: &Programs, out: &Path) -> Result<ExitCode> {
    // The program and we take turns at every instruction. On one CPU that is a switch; on two
    // it is a message to a sleeping CPU, and ten times slower.
    if let Some([cpu, _]) = probe::two_cpus() {
        let _ = probe::pin(cpu);
    }
    let mut all = Map::new();
    let mut totals: HashMap<(&str, &str), Totals> = HashMap::new();
    for count in COUNTS.iter().filter(|c| programs.has(c.program)) {
        let path = programs.path(count.program);
        for scale in count.scales {
            if totals.contains_key(&(count.program, scale)) {
                continue;
            }
            eprintln!("stepping through {} at {scale}", count.program);
            match step_through(path, scale) {
                Ok(t) => totals.insert((count.program, scale), t),
                Err(Refused::ByTheMachine(e)) => {
                    eprintln!("measure: this machine refuses single-stepping: {e}");
                    return Ok(ExitCode::from(3));
                }
                Err(Refused::Other(e)) => return Err(e.context(count.program)),
            };
        }
        let [less, more] = count.scales.map(|s| &totals[&(count.program, s)]);
        let mut counted = report(count, less, more);
        counted["program"] = json!(count.program);
        counted["stamp"] = json!(stamp(path));
        all.insert(key(count.bench, count.metric), counted);
    }
    if all.is_empty() {
        bail!("none of these benchmarks is counted; those are yield, spawn and chanping");
    }
    println!("Places are for addr2line -Cfie.");
    let file = out.join(FILE);
    let text = serde_json::to_string_pretty(&all)?;
    std::fs::write(&file, text + "\n")
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints what one operation costs, by two runs, and returns it.
fn report(count: &Count, less: &Totals, more: &Totals) -> Value {
    let per = |a: u64, b: u64| (b as f64 - a as f64) / count.operations as f64;
    let locked = per(less.of(Kind::Locked), more.of(Kind::Locked));
    let fences = per(less.of(Kind::Fence), more.of(Kind::Fence));
    let instructions = per(less.instructions, more.instructions);
    println!(
        "{} {}: {locked:.3} locked, {fences:.3} mfence, {instructions:.1} instructions each",
        count.bench, count.metric
    );
    let mut sites: Vec<(f64, &Site)> = more
        .sites
        .iter()
        .map(|(site, n)| (per(less.sites.get(site).copied().unwrap_or(0), *n), site))
        .filter(|(n, _)| n.abs() >= 0.001)
        .collect();
    sites.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (n, site) in &sites {
        println!("  {n:7.3}  {}  {}", site.place, site.text);
    }
    json!({ "locked": locked, "mfence": fences, "instructions": instructions })
}

/// What a run did.
#[derive(Default)]
struct Totals {
    instructions: u64,
    sites: BTreeMap<Site, u64>,
}

impl Totals {
    /// How many instructions of this kind there were.
    fn of(&self, kind: Kind) -> u64 {
        let sites = self.sites.iter().filter(|(site, _)| site.kind == kind);
        sites.map(|(_, n)| n).sum()
    }
}

/// A locked instruction.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Site {
    /// The file and the address in it.
    place: String,
    /// The instruction.
    text: String,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    Locked,
    Fence,
}

/// Why there is no count.
enum Refused {
    /// One may not single-step here.
    ByTheMachine(String),
    /// Anything else.
    Other(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Refused {
    fn from(e: E) -> Refused {
        Refused::Other(e.into())
    }
}

/// What kind of instruction this is, if it counts.
fn kind(i: &Instruction) -> Option<Kind> {
    let memory = (0..i.op_count()).any(|n| i.op_kind(n) == OpKind::Memory);
    match i.mnemonic() {
        Mnemonic::Mfence => Some(Kind::Fence),
        // An exchange with memory locks also without the prefix.
        Mnemonic::Xchg if memory => Some(Kind::Locked),
        _ if i.has_lock_prefix() => Some(Kind::Locked),
        _ => None,
    }
}

/// The instruction that these bytes begin with.
fn decode(bytes: &[u8], ip: u64) -> Instruction {
    Decoder::with_ip(64, bytes, ip, DecoderOptions::NONE).decode()
}

/// Runs the program with this `BENCH_SCALE`, instruction by instruction, all its threads.
fn step_through(program: &Path, scale: &str) -> Result<Totals, Refused> {
    let (main, _watch) = start(program, scale)?;
    let mut tracer = Tracer::default();
    loop {
        let (tid, signal) = match waitpid(None, Some(WaitPidFlag::__WALL))? {
            WaitStatus::Exited(pid, 0) if pid == main => break,
            WaitStatus::Exited(pid, code) if pid == main => {
                return Err(anyhow::anyhow!("it ended with status {code}").into());
            }
            WaitStatus::Signaled(pid, signal, _) if pid == main => {
                return Err(anyhow::anyhow!("{signal} ended it").into());
            }
            WaitStatus::Stopped(tid, Signal::SIGTRAP) => {
                tracer.look(main, tid);
                (tid, None)
            }
            // How a thread begins under ptrace. Nothing else sends it.
            WaitStatus::Stopped(tid, Signal::SIGSTOP) => (tid, None),
            WaitStatus::Stopped(tid, signal) => (tid, Some(signal)),
            WaitStatus::PtraceEvent(tid, ..) => (tid, None),
            _ => continue,
        };
        match ptrace::step(tid, signal) {
            // A thread may be gone by now, when the whole process ends.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(tracer.totals())
}

/// Starts the program under ptrace, and a watch that ends it after [`LIMIT`]. It is about to
/// execute its first instruction.
fn start(program: &Path, scale: &str) -> Result<(Pid, Watch), Refused> {
    let mut command = Command::new(program);
    clean(&mut command);
    command
        .env("BENCH_SCALE", scale)
        .env("BENCH_PROCS", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    // SAFETY: between fork and exec, only a system call and a look at errno; no memory is
    // allocated unless it fails, and then only this child suffers.
    unsafe { command.pre_exec(|| Ok(ptrace::traceme()?)) };
    let refused = [libc::EPERM, libc::ENOSYS, libc::EACCES];
    let child = command.spawn().map_err(|e| match e.raw_os_error() {
        Some(code) if refused.contains(&code) => Refused::ByTheMachine(e.to_string()),
        _ => e.into(),
    })?;
    let main = Pid::from_raw(child.id() as i32);
    let watch = Watch::kill_after(LIMIT, child.id());
    // It stops after exec.
    waitpid(main, None)?;
    ptrace::setoptions(
        main,
        Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_EXITKILL,
    )?;
    if let Err(e) = ptrace::step(main, None) {
        let _ = ptrace::kill(main);
        let _ = waitpid(main, None);
        return Err(Refused::ByTheMachine(e.to_string()));
    }
    Ok((main, watch))
}

/// What was seen so far, by address.
#[derive(Default)]
struct Tracer {
    instructions: u64,
    seen: HashMap<u64, Option<(Site, u64)>>,
}

impl Tracer {
    /// What was counted, by place.
    fn totals(self) -> Totals {
        let mut totals = Totals {
            instructions: self.instructions,
            ..Totals::default()
        };
        for (site, n) in self.seen.into_values().flatten() {
            *totals.sites.entry(site).or_default() += n;
        }
        totals
    }

    /// The thread is about to execute what its instruction pointer points to.
    fn look(&mut self, main: Pid, tid: Pid) {
        const RIP: usize = std::mem::offset_of!(libc::user_regs_struct, rip);
        let Ok(ip) = ptrace::read_user(tid, RIP as ptrace::AddressType) else {
            return;
        };
        let ip = ip as u64;
        self.instructions += 1;
        let site = self.seen.entry(ip).or_insert_with(|| {
            let bytes: Vec<u8> = [ip, ip + 8]
                .into_iter()
                .map_while(|at| ptrace::read(tid, at as ptrace::AddressType).ok())
                .flat_map(i64::to_ne_bytes)
                .collect();
            let kind = kind(&decode(&bytes, ip))?;
            let maps = std::fs::read_to_string(format!("/proc/{main}/maps")).unwrap_or_default();
            let (file, at) = place(&maps, ip);
            // Decoded at its place in the file, it reads the same in every run.
            let text = decode(&bytes, at).to_string();
            Some((
                Site {
                    place: format!("{file} {at:#x}"),
                    text,
                    kind,
                },
                0,
            ))
        });
        if let Some((_, n)) = site {
            *n += 1;
        }
    }
}

/// The name of the file that is mapped at `ip`, and the address in it.
fn place(maps: &str, ip: u64) -> (&str, u64) {
    let mappings = || {
        maps.lines().filter_map(|line| {
            let (range, rest) = line.split_once(' ')?;
            let (from, to) = range.split_once('-')?;
            let hex = |text| u64::from_str_radix(text, 16).ok();
            let file = rest.split_whitespace().nth(4)?;
            Some((hex(from)?, hex(to)?, file))
        })
    };
    let Some((.., file)) = mappings().find(|(from, to, _)| (*from..*to).contains(&ip)) else {
        return ("?", ip);
    };
    // The first mapping of a file begins with its address 0.
    let base = mappings().find(|m| m.2 == file).map_or(0, |m| m.0);
    (file.rsplit('/').next().unwrap_or(file), ip - base)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(bytes: &[u8]) -> Option<Kind> {
        kind(&decode(bytes, 0x1000))
    }

    #[test]
    fn locked_instructions_are_recognized() {
        // lock cmpxchg [rdi], rcx
        assert_eq!(kind_of(&[0xf0, 0x48, 0x0f, 0xb1, 0x0f]), Some(Kind::Locked));
        // lock inc dword ptr [rax]
        assert_eq!(kind_of(&[0xf0, 0xff, 0x00]), Some(Kind::Locked));
        // xchg [rdi], rax: no prefix needed
        assert_eq!(kind_of(&[0x48, 0x87, 0x07]), Some(Kind::Locked));
        // xchg rax, rbx: two registers
        assert_eq!(kind_of(&[0x48, 0x93]), None);
        // cmpxchg [rdi], rcx without the prefix
        assert_eq!(kind_of(&[0x48, 0x0f, 0xb1, 0x0f]), None);
        // mfence, mov [rdi], rax, and nothing
        assert_eq!(kind_of(&[0x0f, 0xae, 0xf0]), Some(Kind::Fence));
        assert_eq!(kind_of(&[0x48, 0x89, 0x07]), None);
        assert_eq!(kind_of(&[]), None);
    }

    #[test]
    fn places_are_addresses_in_the_file() {
        let maps = "55d0000-55d2000 r--p 00000000 fe:00 7    /t/yield\n\
                    55d2000-55d9000 r-xp 00001000 fe:00 7    /t/yield\n\
                    7f00000-7f01000 rw-p 00000000 00:00 0\n\
                    7f01000-7f02000 r-xp 00000000 00:00 0    [vdso]\n";
        assert_eq!(place(maps, 0x55d_2345), ("yield", 0x2345));
        assert_eq!(place(maps, 0x7f0_1010), ("[vdso]", 0x10));
        assert_eq!(place(maps, 0x7f0_0010), ("?", 0x7f0_0010));
    }

    #[test]
    fn the_metrics_are_those_of_the_benchmarks() {
        for count in &COUNTS {
            assert!(crate::benchmarks::program(count.program).is_ok());
            assert!(count.bench.starts_with(&count.program[..4]));
        }
    }
}
