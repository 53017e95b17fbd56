//! Which functions of a program can no signal stop, and why? Without an argument: of this one,
//! as it is in memory. With a file's name: of any program that was built with Safepoint.
//!
//! A function that holds something of its thread must not be moved to another thread in the
//! middle. What std does for a goroutine is mostly a call, and then it is not the goroutine's
//! code; but in a build with optimization (`--release`) the compiler copies it into the
//! goroutine's function, and the list grows.

use iced_x86::{Decoder, DecoderOptions, Formatter, Instruction, IntelFormatter};
use object::elf::PT_TLS;
use object::read::elf::{ElfFile64, ProgramHeader};
use object::{
    LittleEndian, Object, ObjectSection, ObjectSymbol, ObjectSymbolTable, RelocationTarget,
    SymbolKind,
};
use stage3_signals::rt::safepoint::{
    Loaded, Place, Program, Why, Words, functions, look_up, points,
};
use stage3_signals::{Runtime, STAGE, gofunc, prologue};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::io;
use std::ops::Range;
use std::process::ExitCode;

thread_local! {
    static TURNS: Cell<u64> = const { Cell::new(0) };
}

/// Touches nothing but its own numbers: can be stopped anywhere.
#[gofunc]
fn adds(n: u64) -> u64 {
    (0..n).fold(0, |sum, i| black_box(sum + i))
}

/// Counts in a variable of the thread.
#[gofunc]
fn counts(n: u64) {
    for _ in 0..n {
        TURNS.set(TURNS.get() + 1);
    }
}

/// Makes a map, whose keys are mixed from a number that std has for each thread.
#[gofunc]
fn maps(n: u64) -> usize {
    let mut all = HashMap::new();
    for i in 0..n {
        all.insert(i % 7, i);
    }
    all.len()
}

/// Asks why a call has failed.
#[gofunc]
fn fails() -> io::Error {
    // SAFETY: closes no descriptor.
    unsafe { libc::close(-1) };
    io::Error::last_os_error()
}

/// Catches a panic. How many panics a thread is in, std counts in a variable of the thread.
#[gofunc]
fn catches(n: u64) -> bool {
    std::panic::catch_unwind(|| assert!(black_box(n) > 0)).is_err()
}

/// The same as `counts`, but the loop is in a function of its own, which can be stopped.
#[gofunc]
fn counts_once(n: u64) {
    let sum = adds(n);
    TURNS.set(TURNS.get() + sum);
}

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        // SAFETY: what these functions keep of a thread, they keep in functions that no signal
        // stops, and over no call.
        unsafe {
            Runtime::new(&STAGE).procs(1).run(|| {
                adds(1);
                counts(1);
                counts_once(1);
                maps(1);
                fails();
                catches(1);
            });
        }
        return listed(of_this_program());
    };
    listed(of_file(&path.to_string_lossy()))
}

fn listed(done: Result<(), String>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("unsafe_points: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Lists the map of the run; only the names are in the file.
fn of_this_program() -> Result<(), String> {
    let path = "/proc/self/exe";
    let bytes = std::fs::read(path).map_err(|e| format!("{path}: {e}"))?;
    let file = Elf::parse(&bytes).map_err(|e| format!("{path}: {e}"))?;
    let loaded = Loaded::here();
    let moved = loaded.gotext().start.wrapping_sub(file.gotext().start);
    let name = |at: u64| file.name(at.wrapping_sub(moved));
    list(&loaded, name, |f| look_up(f.start as usize) == Place::Fine)
}

fn of_file(path: &str) -> Result<(), String> {
    let bytes = std::fs::read(path).map_err(|e| format!("{path}: {e}"))?;
    let file = Elf::parse(&bytes).map_err(|e| format!("{path}: {e}"))?;
    let fine = |f: &Range<u64>| points(&file, f.clone()).next().is_none();
    list(&file, |at| file.name(at), fine)
}

/// Prints the functions of `program` that are not `fine`.
fn list<P: Program>(
    program: &P,
    name: impl Fn(u64) -> String,
    fine: impl Fn(&Range<u64>) -> bool,
) -> Result<(), String> {
    let all = functions(program).map_err(|e| e.to_string())?;
    let (fine, unsafe_): (Vec<_>, Vec<_>) = all.iter().partition(|f| fine(f));
    println!(
        "functions in gotext that a signal can stop: {} of {}",
        fine.len(),
        all.len()
    );
    for function in &unsafe_ {
        println!("\n{}", name(function.start));
        for point in points(program, (*function).clone()) {
            let bytes = program.bytes(point.at);
            let i = Decoder::with_ip(64, bytes, point.at, DecoderOptions::NONE).decode();
            let offset = point.at - function.start;
            println!("  +{offset:<#6x} {:34} {}", text_of(&i), point.why.says());
        }
    }
    if !unsafe_.is_empty() {
        println!("\nA loop in one of these hears of a request only where it comes to a check.");
        println!("Give it a function of its own, or a `prologue!()`.");
    }
    Ok(())
}

/// An instruction without addresses, which differ from run to run.
fn text_of(i: &Instruction) -> String {
    let mut format = IntelFormatter::new();
    format.options_mut().set_rip_relative_addresses(true);
    let mut text = String::new();
    format.format(i, &mut text);
    // A thread's variables are in front of the thread pointer.
    let at = i.memory_displacement64().cast_signed();
    text.replace(
        &format!("fs:[0{at:X}h]"),
        &format!("fs:[-{:X}h]", at.unsigned_abs()),
    )
}

/// A program in a file.
struct Elf<'a> {
    sections: Vec<(Range<u64>, &'a [u8])>,
    gotext: Range<u64>,
    eh_frame_hdr: Option<u64>,
    words: Words,
    clock: u64,
    names: BTreeMap<u64, &'a str>,
    /// The two functions where they are part of the program, and the words for their addresses.
    functions: BTreeMap<u64, Why>,
    slots: BTreeMap<u64, Why>,
}

/// Which function a name is.
fn wanted(name: &str) -> Option<Why> {
    match name {
        "__errno_location" => Some(Why::Errno),
        "__tls_get_addr" => Some(Why::TlsGetAddr),
        _ => None,
    }
}

impl<'a> Elf<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Elf<'a>, String> {
        let file = ElfFile64::<LittleEndian>::parse(bytes).map_err(|e| e.to_string())?;
        let range =
            |s: &object::read::elf::ElfSection64<'_, '_, _>| s.address()..s.address() + s.size();
        let gotext = file
            .section_by_name("gotext")
            .ok_or("it has no section gotext")?;
        let mut elf = Elf {
            sections: file
                .sections()
                .filter_map(|s| Some((range(&s), s.data().ok()?)))
                .filter(|(range, _)| range.start != 0)
                .collect(),
            gotext: range(&gotext),
            eh_frame_hdr: file.section_by_name(".eh_frame_hdr").map(|s| s.address()),
            words: Words::new(0, 0, 0),
            clock: 0,
            names: BTreeMap::new(),
            functions: BTreeMap::new(),
            slots: BTreeMap::new(),
        };
        let mut symbols = BTreeMap::new();
        for symbol in file.symbols().filter(|s| !s.is_undefined()) {
            let Ok(name) = symbol.name() else { continue };
            if symbol.kind() == SymbolKind::Text {
                elf.names.insert(symbol.address(), name);
            }
            if let Some(why) = wanted(name) {
                elf.functions.insert(symbol.address(), why);
            }
            symbols.insert(name, symbol.address());
        }
        // A thread's block ends at the thread pointer.
        let tls = file
            .elf_program_headers()
            .iter()
            .find(|h| h.p_type(LittleEndian) == PT_TLS);
        let size = tls.map_or(0, |h| {
            let align = h.p_align(LittleEndian).max(1);
            h.p_memsz(LittleEndian).next_multiple_of(align)
        });
        let word = |name: &str| {
            let at = symbols
                .get(name)
                .ok_or(format!("it has no symbol {name}"))?;
            Ok::<_, String>(at.wrapping_sub(size).cast_signed())
        };
        elf.words = Words::new(
            word("go_tls_g")?,
            word("go_tls_locks")?,
            word("go_tls_mallocing")?,
        );
        elf.clock = symbols.get("safepoint_lab_int3").copied().unwrap_or(0);
        elf.slots = Elf::slots_of(&file);
        Ok(elf)
    }

    /// The words that the loader fills with the address of one of the functions.
    fn slots_of(file: &ElfFile64<'a, LittleEndian>) -> BTreeMap<u64, Why> {
        let table = file.dynamic_symbol_table();
        let relocations = file.dynamic_relocations().into_iter().flatten();
        let slots = relocations.filter_map(|(at, relocation)| {
            let RelocationTarget::Symbol(index) = relocation.target() else {
                return None;
            };
            let symbol = table.as_ref()?.symbol_by_index(index).ok()?;
            Some((at, wanted(symbol.name().ok()?)?))
        });
        slots.collect()
    }

    /// The name of the function at this address.
    fn name(&self, at: u64) -> String {
        match self.names.get(&at) {
            Some(name) => format!("{:#}", rustc_demangle::demangle(name)),
            None => format!("{at:#x}"),
        }
    }
}

impl Program for Elf<'_> {
    fn gotext(&self) -> Range<u64> {
        self.gotext.clone()
    }
    fn eh_frame_hdr(&self) -> Option<u64> {
        self.eh_frame_hdr
    }
    fn bytes(&self, address: u64) -> &[u8] {
        let mut all = self.sections.iter();
        let section = all.find(|(range, _)| range.contains(&address));
        section.map_or(&[], |(range, bytes)| {
            bytes.get((address - range.start) as usize..).unwrap_or(&[])
        })
    }
    fn function(&self, address: u64) -> Option<Why> {
        self.functions.get(&address).copied()
    }
    fn slot(&self, address: u64) -> Option<Why> {
        self.slots.get(&address).copied()
    }
    fn words(&self) -> Words {
        self.words
    }
    fn clock(&self) -> u64 {
        self.clock
    }
}
