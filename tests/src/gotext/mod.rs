//! What is in a goroutine's own code, the section `gotext` of a program: reads the machine code, the
//! unwind tables and the line tables, and says what must not be there.
//!
//! A goroutine may be stopped at any instruction of `gotext` and go on on another thread. So its
//! own code must not look at its thread in several steps, and whatever the compiler inlines into
//! it is its own code. The runtime's functions look at the thread all the time; they stay out by
//! `#[inline(never)]`, and this finds the one that was forgotten. The few that may be inlined are
//! listed in `shells.rs`, with the reason.
//!
//! The section holds functions, each of which has an unwind table, and behind those of each
//! object file the slow paths of their checks, which have none: see `prologue!`.

mod shells;
mod sources;

pub use shells::all as shells;
pub use sources::{Checked, functions_with_a_check};

use addr2line::Context;
use gimli::{BaseAddresses, EhFrame, EndianSlice, LittleEndian, UnwindSection};
use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};
use object::elf::{PT_TLS, ProgramHeader64};
use object::read::elf::{ElfFile64, ProgramHeader};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

/// What was found in a program.
#[derive(Debug, Default)]
pub struct Gotext {
    /// Functions that were looked at.
    pub functions: usize,
    /// Checks whose slow path is in the section.
    pub slow_paths: usize,
    /// What must not be there, each with the function that it is in.
    pub wrong: BTreeSet<String>,
    /// Functions of the runtime that are not on the list of shells, each with the one that it is
    /// inlined into.
    pub inlined: BTreeSet<String>,
    /// Functions with a thread-local of std's or of the program's own: code that is inlined there
    /// looks at its thread in several steps. That is the program's business, and that of a stage
    /// that stops goroutines anywhere.
    pub thread_locals: BTreeSet<String>,
    /// Entries of the list of shells that were met.
    pub shells: BTreeSet<&'static str>,
}

type Elf<'a> = ElfFile64<'a, object::LittleEndian>;
type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// Code, and what there is to know about it.
struct Code<'a> {
    /// Where it begins.
    start: u64,
    bytes: &'a [u8],
    /// Names of functions, by address.
    names: BTreeMap<u64, String>,
    /// The runtime's words of a thread, by their distance from the thread's address.
    words: BTreeMap<i64, &'static str>,
    /// What else a thread has by name: where each begins and ends.
    others: BTreeMap<i64, i64>,
    lines: Context<Slice<'a>>,
}

/// A line of the source that an instruction belongs to.
struct Frame {
    /// The file, from the workspace's root if it is a stage's.
    file: String,
    /// What the compiler made of several lines has none.
    line: Option<u32>,
}

/// The words of a thread that the runtime declares.
const WORDS: [&str; 5] = [
    "go_tls_g",
    "go_tls_m",
    "go_tls_locks",
    "go_tls_mallocing",
    "safepoint_lab_me",
];

/// Looks at the section `gotext` of a program.
///
/// # Panics
/// If it is no program with symbols and line tables.
pub fn look(program: &Path) -> Gotext {
    let bytes = read(program);
    let elf = parse(&bytes, program);
    let mut found = Gotext::default();
    let Some(code) = Code::new(&elf, "gotext") else {
        return found;
    };
    let functions = functions(&elf, code.range());
    let mut at = code.start;
    for (&from, &to) in &functions {
        code.between(at..from, &mut found);
        code.function(from..to, &mut found);
        at = to;
    }
    code.between(at..code.range().end, &mut found);
    found
}

/// Looks at the functions that come from a file whose path ends like this: as if they were a
/// goroutine's own.
///
/// # Panics
/// As for [`look`].
pub fn look_at(program: &Path, file: &str) -> Gotext {
    let bytes = read(program);
    let elf = parse(&bytes, program);
    let mut found = Gotext::default();
    let Some(code) = Code::new(&elf, ".text") else {
        return found;
    };
    let functions = functions(&elf, code.range());
    let mut rows = code.lines.find_location_range(code.start, code.range().end);
    let mut those = BTreeSet::new();
    for (at, _, place) in rows.as_mut().expect("line tables") {
        if place.file.is_some_and(|name| name.ends_with(file)) {
            those.extend(functions.range(..=at).next_back());
        }
    }
    for (&from, &to) in those {
        code.function(from..to, &mut found);
    }
    found
}

fn read(program: &Path) -> Vec<u8> {
    std::fs::read(program).unwrap_or_else(|e| panic!("{}: {e}", program.display()))
}

fn parse<'a>(bytes: &'a [u8], program: &Path) -> Elf<'a> {
    ElfFile64::parse(bytes).unwrap_or_else(|e| panic!("{}: {e}", program.display()))
}

impl<'a> Code<'a> {
    /// The code of a section, if there is one.
    fn new(elf: &Elf<'a>, section: &str) -> Option<Code<'a>> {
        let section = elf.section_by_name(section)?;
        let mut code = Code {
            start: section.address(),
            bytes: section.data().expect("it has bytes"),
            names: BTreeMap::new(),
            words: BTreeMap::new(),
            others: BTreeMap::new(),
            lines: line_tables(elf),
        };
        let headers = elf.elf_program_headers();
        let tls = headers
            .iter()
            .find(|h| h.p_type(object::LittleEndian) == PT_TLS);
        for symbol in elf.symbols() {
            let Ok(name) = symbol.name() else { continue };
            if symbol.kind() == SymbolKind::Tls {
                let tls = tls.expect("a program with such words has a segment for them");
                let at = distance(tls, symbol.address());
                match WORDS.iter().find(|word| **word == name) {
                    Some(word) => drop(code.words.insert(at, *word)),
                    None => drop(code.others.insert(at, at + symbol.size() as i64)),
                }
            } else if symbol.size() != 0 && code.range().contains(&symbol.address()) {
                let name = format!("{:#}", rustc_demangle::demangle(name));
                code.names.insert(symbol.address(), name);
            }
        }
        assert_eq!(
            code.words.len(),
            WORDS.len(),
            "a program with the runtime's words"
        );
        Some(code)
    }

    fn range(&self) -> Range<u64> {
        self.start..self.start + self.bytes.len() as u64
    }

    fn decode(&self, at: Range<u64>) -> Decoder<'_> {
        let bytes = &self.bytes[(at.start - self.start) as usize..(at.end - self.start) as usize];
        Decoder::with_ip(64, bytes, at.start, DecoderOptions::NONE)
    }

    /// Slow paths of checks and padding, and nothing else.
    fn between(&self, at: Range<u64>, found: &mut Gotext) {
        let mut expected = Mnemonic::Lea;
        for i in self.decode(at) {
            expected = match (i.mnemonic(), expected) {
                (Mnemonic::Nop | Mnemonic::Int3, Mnemonic::Lea) => Mnemonic::Lea,
                (Mnemonic::Lea, Mnemonic::Lea) => Mnemonic::Push,
                (Mnemonic::Push, Mnemonic::Push) => Mnemonic::Jmp,
                (Mnemonic::Jmp, Mnemonic::Jmp) => {
                    found.slow_paths += 1;
                    Mnemonic::Lea
                }
                _ => {
                    let name = self.names.range(..=i.ip()).next_back();
                    let name = name.map_or("", |(_, name)| name.as_str());
                    let what = "has no unwind table, and is no slow path of a check";
                    found.wrong.insert(format!("{name}: {i} {what}"));
                    return;
                }
            };
        }
    }

    fn function(&self, at: Range<u64>, found: &mut Gotext) {
        found.functions += 1;
        let name = self.names.get(&at.start);
        let name = name.map_or("a function without a name", String::as_str);
        // What the line tables do not tell apart is asked for once.
        let (mut frames, mut same) = (Vec::new(), 0..0);
        for i in self.decode(at.clone()) {
            if !same.contains(&i.ip()) {
                same = self.same_line(i.ip(), at.end);
                frames = self.frames(i.ip());
                for frame in &frames {
                    let item = frame.line.and_then(|line| sources::item(&frame.file, line));
                    let Some(item) = item else { continue };
                    match shells::find(&item) {
                        Some(shell) => drop(found.shells.insert(shell)),
                        None => drop(found.inlined.insert(format!("{name}: {item}"))),
                    }
                }
            }
            if i.mnemonic() == Mnemonic::Stmxcsr {
                found
                    .wrong
                    .insert(format!("{name}: {i}, as a switch has it"));
            }
            if i.memory_segment() == Register::FS {
                self.word_of_a_thread(&i, name, &frames, found);
            }
        }
    }

    /// An instruction that reaches into a thread's own memory.
    fn word_of_a_thread(&self, i: &Instruction, name: &str, frames: &[Frame], found: &mut Gotext) {
        let fixed = [i.memory_base(), i.memory_index()] == [Register::None; 2];
        let word = match fixed {
            true => self.words.get(&(i.memory_displacement64() as i64)).copied(),
            false => None,
        };
        let loads = i.mnemonic() == Mnemonic::Mov && i.op0_kind() == OpKind::Register;
        let counts = matches!(i.mnemonic(), Mnemonic::Inc | Mnemonic::Dec);
        match word {
            Some("go_tls_g") if loads => {}
            Some("go_tls_locks" | "go_tls_mallocing") if loads || counts => {}
            None if self.is_a_thread_local(i, frames) => {
                found.thread_locals.insert(name.to_owned());
            }
            _ => {
                let word = word.unwrap_or("a word that nothing is known of");
                found.wrong.insert(format!("{name}: {i}, {word}"));
            }
        }
    }

    /// Whether it is a variable with a name, or code of std's, which finds one by its address.
    fn is_a_thread_local(&self, i: &Instruction, frames: &[Frame]) -> bool {
        let at = i.memory_displacement64() as i64;
        let named = self.others.range(..=at).next_back();
        named.is_some_and(|(_, &end)| at < end)
            || frames.iter().any(|frame| frame.file.contains("/library/"))
    }

    /// The addresses from `at` on that the line tables do not tell apart.
    fn same_line(&self, at: u64, end: u64) -> Range<u64> {
        let mut rows = self
            .lines
            .find_location_range(at, end)
            .expect("line tables");
        match rows.next() {
            Some((from, len, _)) if from <= at => at..from + len.max(1),
            _ => at..at + 1,
        }
    }

    /// Where an instruction comes from: the line, that of the call if it is inlined, and so on.
    fn frames(&self, at: u64) -> Vec<Frame> {
        let mut found = Vec::new();
        let all = self.lines.find_frames(at).skip_all_loads();
        let mut all = all.expect("line tables");
        while let Some(frame) = all.next().expect("line tables") {
            let place = frame.location.and_then(|l| Some((l.file?, l.line)));
            found.extend(place.map(|(file, line)| Frame {
                file: sources::inside(file).to_owned(),
                line,
            }));
        }
        found
    }
}

fn line_tables<'a>(elf: &Elf<'a>) -> Context<Slice<'a>> {
    let load = |id: gimli::SectionId| -> Result<Slice<'a>, gimli::Error> {
        let data = elf.section_by_name(id.name()).and_then(|s| s.data().ok());
        Ok(EndianSlice::new(data.unwrap_or_default(), LittleEndian))
    };
    let dwarf = gimli::Dwarf::load(load).expect("debug information");
    Context::from_dwarf(dwarf).expect("line tables")
}

/// How far from the thread's address a word is that is at `address` in the segment. On x86-64
/// the segment is below the thread's address, and aligned.
fn distance(tls: &ProgramHeader64<object::LittleEndian>, address: u64) -> i64 {
    let e = object::LittleEndian;
    let (size, align, start) = (tls.p_memsz(e), tls.p_align(e).max(1), tls.p_vaddr(e));
    let filler = start.wrapping_add(size).wrapping_neg() & (align - 1);
    address as i64 - (size + filler) as i64
}

/// The functions in these addresses that have an unwind table: where each begins and ends.
fn functions(elf: &Elf<'_>, inside: Range<u64>) -> BTreeMap<u64, u64> {
    let section = elf.section_by_name(".eh_frame").expect("unwind tables");
    let tables = EhFrame::new(section.data().expect("it has bytes"), LittleEndian);
    let bases = BaseAddresses::default().set_eh_frame(section.address());
    let mut entries = tables.entries(&bases);
    let mut found = BTreeMap::new();
    while let Some(entry) = entries.next().expect("unwind tables") {
        let gimli::CieOrFde::Fde(partial) = entry else {
            continue;
        };
        let function = partial
            .parse(EhFrame::cie_from_offset)
            .expect("unwind tables");
        if inside.contains(&function.initial_address()) {
            found.insert(function.initial_address(), function.end_address());
        }
    }
    found
}
