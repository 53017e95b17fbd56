//! The map of unsafe points, of this very program: which functions may be stopped, where they
//! begin and end, and what is between them. Where std's part is copied into them by the compiler
//! is asked of an optimized build. What the decoder makes of single instructions is tested beside
//! it, in stage 3.

use shapes::counts_for_its_thread;
use stage3_signals::rt::arch::{gotext_bounds, in_gotext};
use stage3_signals::rt::safepoint::{
    Loaded, Place, Program, Why, Words, functions, init, look_up, points,
};
use stage3_signals::*;
use std::arch::{asm, naked_asm};
use std::collections::BTreeSet;
use std::hint::black_box;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use tests::{LIMIT, example, long, root, run};

#[gofunc]
fn adds(n: u64) -> u64 {
    (0..n).fold(0, |sum, i| black_box(sum.wrapping_add(i)))
}

#[gofunc]
fn holds_a_lock(n: u64) -> u64 {
    rt::arch::locks_inc();
    let sum = adds(n);
    rt::arch::locks_dec();
    sum
}

#[gofunc]
fn has_the_thread_pointer() -> usize {
    let at;
    // SAFETY: reads the word that holds its own address.
    unsafe { asm!("mov {}, fs:[0]", out(reg) at, options(nostack, preserves_flags, readonly)) };
    at
}

/// Declares functions of two instructions of `gotext`, which are never called.
macro_rules! by_hand {
    ($($name:ident: $instruction:literal $(, $symbol:ident = $value:path)?;)+) => {
        $(
            #[unsafe(naked)]
            #[unsafe(link_section = "gotext")]
            extern "C" fn $name() {
                naked_asm!(
                    ".cfi_startproc", $instruction, "ret", ".cfi_endproc",
                    $($symbol = sym $value)?
                )
            }
        )+
    };
}

by_hand! {
    by_the_table: "call [rip + __errno_location@GOTPCREL]";
    by_the_tables_word: "mov rax, [rip + __errno_location@GOTPCREL]";
    by_a_stub: "call __errno_location@PLT";
    by_the_stubs_address: "lea rax, [rip + __errno_location@PLT]";
    by_a_jump: "jmp __errno_location@PLT";
    of_a_library: "call [rip + __tls_get_addr@GOTPCREL]";
    not_bound_yet: "call [rip + {word}]", word = NOT_BOUND;
    bound: "call [rip + getpid@GOTPCREL]";
    through_a_stub: "call getpid@PLT";
    of_gotext: "call {f}", f = has_the_thread_pointer;
    a_breakpoint: "int3";
}

/// What a linker makes where functions are looked up at their first call: the word in its table
/// holds the address of the rest of the stub, until the loader writes the function's there.
#[unsafe(naked)]
extern "C" fn rest_of_a_stub() {
    naked_asm!(".byte 0x68", ".long 7", "jmp {f}", f = sym exit)
}
static NOT_BOUND: extern "C" fn() = rest_of_a_stub;

/// Has no unwind tables: the assembler was not told where a function begins.
#[unsafe(naked)]
#[unsafe(link_section = "gotext")]
extern "C" fn without_tables() {
    naked_asm!("nop", "ret")
}

fn place(f: *const ()) -> Place {
    init();
    look_up(f as usize)
}

/// The function of this program that begins at `f`.
fn range_of(f: *const ()) -> Range<u64> {
    let all = functions(&Loaded::here()).expect("this program has unwind tables");
    let at = f as u64;
    let function = all.into_iter().find(|range| range.start == at);
    function.expect("it is in gotext")
}

#[test]
fn a_loop_that_touches_only_its_own_may_be_stopped() {
    assert_eq!(place(adds as *const ()), Place::Fine);
    assert_eq!(place(holds_a_lock as *const ()), Place::Fine);
    assert_eq!(place(spin as *const ()), Place::Fine, "its int3 is known");
    // They do what they seem to.
    assert_eq!((adds(4), holds_a_lock(4)), (6, 6));
}

#[test]
fn a_function_that_touches_its_thread_may_not() {
    assert_eq!(
        place(has_the_thread_pointer as *const ()),
        Place::ThreadLocal
    );
    assert_ne!(has_the_thread_pointer(), 0);
    // Rust's own way to do that is not always copied into the function, but here it is.
    assert_eq!(
        place(counts_for_its_thread as *const ()),
        Place::ThreadLocal
    );
    assert_eq!(counts_for_its_thread(), 1);
}

#[test]
fn errno_is_found_in_the_tables_that_the_loader_has_filled() {
    let why = |f: extern "C" fn()| {
        let at = f as *const ();
        let found: Vec<Why> = points(&Loaded::here(), range_of(at))
            .map(|point| point.why)
            .collect();
        let expected = if found.is_empty() {
            Place::Fine
        } else {
            Place::ThreadLocal
        };
        assert_eq!(place(at), expected);
        found
    };
    for f in [
        by_the_table,
        by_the_tables_word,
        by_a_stub,
        by_the_stubs_address,
        by_a_jump,
    ] {
        assert_eq!(why(f), [Why::Errno]);
    }
    assert_eq!(why(of_a_library), [Why::TlsGetAddr]);
    assert_eq!(why(not_bound_yet), [Why::NotBound]);
    assert_eq!(why(a_breakpoint), [Why::Breakpoint]);
    for f in [bound, through_a_stub, of_gotext] {
        assert_eq!(why(f), []);
    }
}

#[test]
fn each_function_is_known_from_its_first_byte_to_its_last() {
    init();
    let (start, stop) = gotext_bounds();
    let all = functions(&Loaded::here()).expect("this program has unwind tables");
    assert!(all.len() > 100, "{}", all.len());
    let begins: BTreeSet<u64> = all.iter().map(|f| f.start).collect();
    let mut before = start as u64;
    let mut gaps = 0;
    for f in &all {
        assert!(
            f.start >= before && f.start < f.end,
            "in order, and none in another"
        );
        for gap in before..f.start {
            assert_eq!(look_up(gap as usize), Place::NoFunction);
            gaps += 1;
        }
        let place = look_up(f.start as usize);
        assert_ne!(place, Place::NoFunction);
        for at in f.clone() {
            assert_eq!(look_up(at as usize), place);
        }
        if !begins.contains(&f.end) {
            assert_eq!(look_up(f.end as usize), Place::NoFunction);
        }
        before = f.end;
    }
    assert!(gaps > 0, "functions are aligned");
    for outside in [0, 1, start - 1, stop, stop + 1, usize::MAX] {
        assert_eq!(look_up(outside), Place::NoFunction);
    }
    let elsewhere = each_function_is_known_from_its_first_byte_to_its_last as *const ();
    assert_eq!(place(elsewhere), Place::NoFunction);
}

#[test]
fn what_the_tables_do_not_have_is_no_function() {
    assert_eq!(place(without_tables as *const ()), Place::NoFunction);
    // The slow path of a check: `jbe`, with an offset of four bytes.
    let code = range_of(adds as *const ());
    let bytes = Loaded::here().bytes(code.start).to_vec();
    let jbe = bytes
        .windows(2)
        .position(|two| two == [0x0f, 0x86])
        .expect("it has a check");
    let offset = bytes[jbe + 2..jbe + 6].try_into().expect("four bytes");
    let slow =
        (code.start as usize + jbe + 6).wrapping_add_signed(i32::from_le_bytes(offset) as isize);
    assert!(in_gotext(slow), "{slow:#x}");
    assert_eq!(look_up(slow), Place::NoFunction);
}

/// This program with other unwind tables.
struct Other {
    loaded: Loaded,
    header: Option<Vec<u8>>,
}

impl Program for Other {
    fn gotext(&self) -> Range<u64> {
        self.loaded.gotext()
    }
    fn eh_frame_hdr(&self) -> Option<u64> {
        self.loaded.eh_frame_hdr().filter(|_| self.header.is_some())
    }
    fn bytes(&self, address: u64) -> &[u8] {
        match &self.header {
            Some(bytes) if self.loaded.eh_frame_hdr() == Some(address) => bytes,
            _ => self.loaded.bytes(address),
        }
    }
    fn function(&self, address: u64) -> Option<Why> {
        self.loaded.function(address)
    }
    fn slot(&self, address: u64) -> Option<Why> {
        self.loaded.slot(address)
    }
    fn words(&self) -> Words {
        self.loaded.words()
    }
    fn clock(&self) -> u64 {
        self.loaded.clock()
    }
}

#[test]
fn broken_tables_are_an_error_and_no_more() {
    let loaded = Loaded::here();
    let at = loaded.eh_frame_hdr().expect("this program has them");
    let all = functions(&loaded).expect("and they can be read");
    let whole = loaded.bytes(at)[..64 << 10].to_vec();
    let read = |header| {
        functions(&Other {
            loaded: Loaded::here(),
            header,
        })
    };
    assert!(read(None).is_err(), "there are none");
    for length in 0..12 {
        assert!(
            read(Some(whole[..length].to_vec())).is_err(),
            "cut off after {length}"
        );
    }
    let mut random = tests::Random::new(1);
    for _ in 0..200 {
        let mut bytes = loaded.bytes(at)[..whole.len()].to_vec();
        for _ in 0..8 {
            // Mostly where the forms of the numbers are.
            let byte = if random.below(2) == 0 {
                random.below(12)
            } else {
                random.below(1 << 16)
            };
            bytes[byte as usize] = random.below(256) as u8;
        }
        // Whatever comes out: each is decoded, and nothing is read that is not there.
        for f in read(Some(bytes)).unwrap_or_default() {
            let _ = points(&loaded, f).count();
        }
    }
    // And nothing of that was kept.
    assert_eq!(functions(&loaded), Ok(all));
}

/// What the example prints: the functions that it lists, with the reasons.
fn list(program: &Path, arguments: &[&str]) -> String {
    let ended = run(Command::new(program).args(arguments), &[], LIMIT);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    ended.stdout
}

fn path(program: &Path) -> &str {
    program.to_str().expect("a path of ASCII")
}

/// Whether the list has this function of the example.
fn has(list: &str, name: &str) -> bool {
    let name = format!("unsafe_points::{name}");
    list.lines().any(|line| line == name)
}

#[test]
fn the_same_list_from_memory_and_from_the_file() {
    let program = example("stage3-signals", "unsafe_points");
    let live = list(&program, &[]);
    assert_eq!(live, list(&program, &[path(&program)]));
    assert!(has(&live, "counts"), "{live}");
    assert!(has(&live, "counts_once"), "{live}");
    assert!(!has(&live, "adds"), "{live}");
    // And of a program that it knows nothing about.
    let other = list(&program, &[tests::program!("scenario")]);
    assert!(
        other.starts_with("functions in gotext that a signal can stop: "),
        "{other}"
    );
}

#[test]
fn a_file_that_is_no_such_program_gets_one_line() {
    let program = example("stage3-signals", "unsafe_points");
    for (file, words) in [
        ("/dev/null", "/dev/null: "),
        ("/no/such/file", "/no/such/file: No such file"),
        ("/bin/true", "/bin/true: it has no section gotext"),
    ] {
        let ended = run(Command::new(&program).arg(file), &[], LIMIT);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{file}");
        assert!(
            ended.stderr.starts_with(&format!("unsafe_points: {words}")),
            "{ended:#?}"
        );
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:#?}");
    }
}

/// In an optimized build the compiler copies std's part into the goroutine's own functions.
#[test]
fn what_std_keeps_of_a_thread_is_found_in_an_optimized_build() {
    if !long() {
        println!("skipped: builds an example in release; set SAFEPOINT_LONG=1");
        return;
    }
    let program = optimized();
    let live = list(&program, &[]);
    for name in ["counts", "counts_once", "maps", "fails", "catches"] {
        assert!(has(&live, name), "{name} is not in\n{live}");
    }
    assert!(!has(&live, "adds"), "{live}");
    assert_eq!(live, list(&program, &[path(&program)]));
}

fn optimized() -> PathBuf {
    // The folder of the test that compares the traces of all profiles.
    let target = root().join("target/opt/release");
    let mut cargo = tests::cargo();
    cargo
        .args(["build", "-q", "--release", "-p", "stage3-signals"])
        .args(["--example", "unsafe_points", "--target-dir"])
        .arg(&target)
        .current_dir(root());
    assert!(cargo.status().expect("cargo can be started").success());
    target.join("release/examples/unsafe_points")
}

/// A copy of the example whose header says nothing of unwind tables.
#[test]
fn without_unwind_tables_nothing_is_stopped_and_one_line_says_so() {
    const PT_GNU_EH_FRAME: u32 = 0x6474_e550;
    const PT_NULL: u32 = 0;
    let mut bytes = std::fs::read(example("stage3-signals", "unsafe_points")).expect("it is built");
    let half = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let (size, count) = (half(54), half(56));
    let headers = 64;
    let index = (0..count)
        .map(|n| headers + n * size)
        .find(|&at| bytes[at..at + 4] == PT_GNU_EH_FRAME.to_le_bytes())
        .expect("it has such tables");
    bytes[index..index + 4].copy_from_slice(&PT_NULL.to_le_bytes());
    let folder = tests::fresh_folder("safepoint-tables-").expect("a folder");
    let program = folder.join("unsafe_points");
    std::fs::write(&program, bytes).expect("there is room");
    std::fs::set_permissions(
        &program,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .expect("it is ours");
    let ended = run(&mut Command::new(&program), &[], LIMIT);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{ended:#?}");
    assert!(
        lines[0].starts_with("runtime: no signal can stop a goroutine: "),
        "{ended:#?}"
    );
    assert!(lines[1].starts_with("unsafe_points: "), "{ended:#?}");
    std::fs::remove_dir_all(folder).expect("it is ours");
}
