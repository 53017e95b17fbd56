//! Which functions must not be stopped, read from the machine code.
//!
//! Go's compiler knows where a function holds something that belongs to its thread, and writes it
//! down (`PCDATA_UnsafePoint`). Rust's compiler inlines such code, too: the panic count of
//! `catch_unwind`, the keys of a `HashMap`, `errno`, a `thread_local!` of the program's own. It
//! writes nothing down, but a thread's variables are reached in two ways only, and both show in
//! the instructions: through the segment register `fs`, or by asking a function of the C library
//! for the address. A goroutine that is stopped between such an instruction and the last use of
//! what it found may go on as another thread, with the old thread's variable in its hand.
//!
//! So every function of `gotext`, from its first byte to its last as the unwind tables have them,
//! is decoded, and one such instruction makes all of it unsafe. Not counted are single
//! instructions that are over before a signal can land: the load of `g`, which moves with the
//! goroutine, and counting in `locks` and `mallocing`. What cannot be decoded is unsafe.
//!
//! Nothing here can tell that an ordinary call returned the address of a thread's variable:
//! `pthread_self`, or the accessor of a `thread_local!` that was not inlined. That is in the
//! contract of `Runtime::run`.
//!
//! This file reads a [`Program`], be it the running one (`loaded.rs`) or a file (the example
//! `unsafe_points`). The chapter is *May it be stopped here?*.
//!
//! Tests: `unsafe_points`, and below.

use gimli::{BaseAddresses, EhFrame, EhFrameHdr, LittleEndian, Pointer, UnwindSection};
use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};
use std::ops::Range;

/// A program whose goroutines' code is to be read. Addresses are those that its instructions use.
pub trait Program {
    /// The section `gotext`.
    fn gotext(&self) -> Range<u64>;
    /// Where the index of the unwind tables is; `None` if it was stripped off.
    fn eh_frame_hdr(&self) -> Option<u64>;
    /// What is never written to and begins at `address`: to the end of its section or more.
    /// Empty where nothing is known.
    fn bytes(&self, address: u64) -> &[u8];
    /// Why the function at this address must not be called, if it is one of those.
    fn function(&self, address: u64) -> Option<Why>;
    /// The same of the function whose address is in the word at `address`, or will be once the
    /// program is loaded.
    fn slot(&self, address: u64) -> Option<Why>;
    /// The thread's words that goroutines' code may touch.
    fn words(&self) -> Words;
    /// The `int3` that is the clock of `spin` in lockstep; 0 if the program has none.
    fn clock(&self) -> u64;
}

/// Where three words of the runtime are, counted from the thread pointer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Words {
    g: i64,
    locks: i64,
    mallocing: i64,
}

impl Words {
    /// Offsets of `g`, `m.locks` and `m.mallocing` in bytes; as an instruction has them, below 0.
    pub fn new(g: i64, locks: i64, mallocing: i64) -> Words {
        Words {
            g,
            locks,
            mallocing,
        }
    }

    /// Whether this access to a thread's storage is one of those that are over at once.
    fn allow(&self, i: &Instruction) -> bool {
        let direct = i.memory_base() == Register::None && i.memory_index() == Register::None;
        let at = i.memory_displacement64().cast_signed();
        direct
            && match i.code() {
                Code::Mov_r64_rm64 => at == self.g,
                Code::Inc_rm32 | Code::Dec_rm32 => at == self.locks || at == self.mallocing,
                _ => false,
            }
    }
}

/// What makes a function unsafe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// An instruction with the segment `fs` or `gs`.
    ThreadsStorage,
    /// The thread pointer itself is read or written.
    ThreadPointer,
    /// `__errno_location` is called, or its address is taken.
    Errno,
    /// `__tls_get_addr` is called, or its address is taken.
    TlsGetAddr,
    /// The function that is called will be looked for when it is: it may be one of those.
    NotBound,
    /// A debugger has put an `int3` in the place of an instruction.
    Breakpoint,
    /// These bytes are no instruction.
    Undecodable,
}

impl Why {
    /// The same for people.
    pub fn says(self) -> &'static str {
        match self {
            Why::ThreadsStorage => "touches a variable of the thread",
            Why::ThreadPointer => "reads or writes the thread pointer",
            Why::Errno => "asks where the thread's errno is",
            Why::TlsGetAddr => "asks where a variable of the thread is",
            Why::NotBound => "may ask the same: what it calls is looked up when it is called",
            Why::Breakpoint => "may be anything: a debugger has put a breakpoint over it",
            Why::Undecodable => "is no instruction of this processor's",
        }
    }
}

/// One instruction that makes its function unsafe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Point {
    /// Its address.
    pub at: u64,
    /// What is wrong with it.
    pub why: Why,
}

/// The functions of `gotext`, by address: what the unwind tables say.
///
/// # Errors
/// What is wrong with the tables.
pub fn functions(program: &impl Program) -> Result<Vec<Range<u64>>, gimli::Error> {
    let index = program.eh_frame_hdr().unwrap_or(0);
    let bases = BaseAddresses::default().set_eh_frame_hdr(index);
    let header = EhFrameHdr::new(program.bytes(index), LittleEndian).parse(&bases, 8)?;
    let at = header.eh_frame_ptr().direct()?;
    let bases = bases.set_eh_frame(at);
    let frames = EhFrame::new(program.bytes(at), LittleEndian);
    let table = header.table().ok_or(gimli::Error::NoUnwindInfoForAddress)?;
    let gotext = program.gotext();

    // The table is sorted, and `gotext` is a small part of it.
    let start = |(from, _): (Pointer, Pointer)| from.direct();
    let (mut first, mut end) = (0, table.iter(&bases).size_hint().0);
    while first < end {
        let middle = (first + end) / 2;
        match table.iter(&bases).nth(middle)? {
            Some(entry) if start(entry)? < gotext.start => first = middle + 1,
            _ => end = middle,
        }
    }
    let mut rest = table.iter(&bases);
    if first > 0 {
        rest.nth(first - 1)?;
    }
    let mut all = Vec::new();
    while let Some((from, fde)) = rest.next()? {
        if from.direct()? >= gotext.end {
            break;
        }
        let fde = table.pointer_to_offset(fde)?;
        let fde = frames.fde_from_offset(&bases, fde, EhFrame::cie_from_offset)?;
        all.push(fde.initial_address()..fde.end_address());
    }
    Ok(all)
}

/// What makes `function` unsafe, instruction by instruction; nothing if it may be stopped.
pub fn points<P: Program>(program: &P, function: Range<u64>) -> impl Iterator<Item = Point> {
    let length = usize::try_from(function.end.saturating_sub(function.start));
    let bytes = length
        .ok()
        .and_then(|n| program.bytes(function.start).get(..n));
    let missing = bytes.is_none().then_some(Point {
        at: function.start,
        why: Why::Undecodable,
    });
    let code = bytes.unwrap_or_default();
    let mut decoder = Decoder::with_ip(64, code, function.start, DecoderOptions::NONE);
    let mut i = Instruction::default();
    let decoded = std::iter::from_fn(move || {
        while decoder.can_decode() {
            decoder.decode_out(&mut i);
            if i.is_invalid() {
                // The next one may begin anywhere behind it: nothing more is to be learned.
                let _ = decoder.set_position(code.len());
            }
            if let Some(why) = why(program, &i) {
                return Some(Point { at: i.ip(), why });
            }
        }
        None
    });
    missing.into_iter().chain(decoded)
}

// ANCHOR: why
/// What is wrong with one instruction.
fn why(program: &impl Program, i: &Instruction) -> Option<Why> {
    match i.segment_prefix() {
        Register::FS if program.words().allow(i) => return None,
        Register::FS | Register::GS => return Some(Why::ThreadsStorage),
        _ => {}
    }
    match i.code() {
        Code::INVALID => return Some(Why::Undecodable),
        Code::Int3 if i.ip() != program.clock() => return Some(Why::Breakpoint),
        Code::Rdfsbase_r32 | Code::Rdfsbase_r64 | Code::Wrfsbase_r32 | Code::Wrfsbase_r64 => {
            return Some(Why::ThreadPointer);
        }
        _ => {}
    }
    match i.op0_kind() {
        OpKind::NearBranch64 => return leads_to(program, i.near_branch_target()),
        OpKind::NearBranch32 | OpKind::NearBranch16 => return Some(Why::Undecodable),
        _ => {}
    }
    // An address that is in the instruction: of a word that holds a function's, which is called
    // or loaded, or (`lea`, or `mov` where a program has a fixed place) of the function itself.
    let fixed = matches!(i.memory_base(), Register::RIP | Register::None)
        && i.memory_index() == Register::None;
    match (i.mnemonic(), i.op1_kind()) {
        (Mnemonic::Lea, _) if fixed => leads_to(program, i.memory_displacement64()),
        (Mnemonic::Mov, OpKind::Immediate32 | OpKind::Immediate32to64 | OpKind::Immediate64) => {
            leads_to(program, i.immediate(1))
        }
        _ if fixed && has_memory(i) => program.slot(i.memory_displacement64()),
        _ => None,
    }
}
// ANCHOR_END: why

/// Whether one of the operands is a memory operand with a base, an index, a displacement.
fn has_memory(i: &Instruction) -> bool {
    i.op_kinds().any(|kind| kind == OpKind::Memory)
}

/// Jumps that are followed from a call to the function.
const STUBS: usize = 4;

/// What a call to `target` calls, if it must not be: the function itself, or a stub of the
/// linker's that jumps there. What is called in `gotext` speaks for itself.
fn leads_to(program: &impl Program, mut target: u64) -> Option<Why> {
    for _ in 0..STUBS {
        if program.gotext().contains(&target) {
            return None;
        }
        if let Some(why) = program.function(target) {
            return Some(why);
        }
        let mut decoder = Decoder::with_ip(64, program.bytes(target), target, DecoderOptions::NONE);
        let mut i = decoder.decode();
        if i.code() == Code::Endbr64 {
            i = decoder.decode();
        }
        match i.code() {
            Code::Jmp_rm64 if i.is_ip_rel_memory_operand() => {
                return program.slot(i.ip_rel_memory_address());
            }
            Code::Jmp_rel8_64 | Code::Jmp_rel32_64 => target = i.near_branch_target(),
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Point, Program, Why, Words, points};
    use std::ops::Range;

    /// The function under test begins here; `gotext` is the page around it.
    const HERE: u64 = 0x1000;
    /// What the program calls outside.
    const ERRNO: u64 = 0x7f00_0000;
    const TLS_GET_ADDR: u64 = 0x7f00_1000;
    /// Words of a table, which hold the two addresses, and another one.
    const ERRNO_SLOT: u64 = 0x3000;
    const TLS_SLOT: u64 = 0x3008;
    const OTHER_SLOT: u64 = 0x3010;
    const LAZY_SLOT: u64 = 0x3018;
    /// Stubs of the linker's, each 16 bytes: a jump through the words above.
    const STUBS: u64 = 0x2000;

    struct ByHand(Vec<u8>, Vec<u8>);

    impl Program for ByHand {
        fn gotext(&self) -> Range<u64> {
            HERE..HERE + 0x1000
        }
        fn eh_frame_hdr(&self) -> Option<u64> {
            None
        }
        fn bytes(&self, address: u64) -> &[u8] {
            let from = |start: u64, bytes: &'_ [u8]| {
                address
                    .checked_sub(start)
                    .map(|n| n as usize)
                    .filter(|&n| n < bytes.len())
            };
            if let Some(n) = from(HERE, &self.0) {
                &self.0[n..]
            } else if let Some(n) = from(STUBS, &self.1) {
                &self.1[n..]
            } else {
                &[]
            }
        }
        fn function(&self, address: u64) -> Option<Why> {
            match address {
                ERRNO => Some(Why::Errno),
                TLS_GET_ADDR => Some(Why::TlsGetAddr),
                _ => None,
            }
        }
        fn slot(&self, address: u64) -> Option<Why> {
            match address {
                ERRNO_SLOT => Some(Why::Errno),
                TLS_SLOT => Some(Why::TlsGetAddr),
                LAZY_SLOT => Some(Why::NotBound),
                _ => None,
            }
        }
        fn words(&self) -> Words {
            Words::new(-64, -48, -44)
        }
        fn clock(&self) -> u64 {
            HERE + 1
        }
    }

    /// A jump or a call at `at`, with this opcode, of something `to`.
    fn relative(opcode: &[u8], at: u64, to: u64) -> Vec<u8> {
        let next = at + opcode.len() as u64 + 4;
        let offset = to.wrapping_sub(next) as i32;
        [opcode, &offset.to_le_bytes()].concat()
    }

    /// What is found in a function of these bytes.
    fn found(code: &[u8]) -> Vec<Point> {
        let jump_at = [0xff, 0x25];
        let endbr64 = [0xf3, 0x0f, 0x1e, 0xfa];
        let mut stubs = Vec::new();
        let mut stub = |bytes: Vec<u8>| {
            stubs.extend(bytes);
            stubs.resize(stubs.len().next_multiple_of(16), 0xcc);
        };
        stub(relative(&jump_at, STUBS, ERRNO_SLOT));
        stub(relative(&jump_at, STUBS + 16, TLS_SLOT));
        stub(relative(&jump_at, STUBS + 32, OTHER_SLOT));
        stub(relative(
            &[&endbr64[..], &jump_at].concat(),
            STUBS + 48,
            ERRNO_SLOT,
        ));
        stub(relative(&[0xe9], STUBS + 64, STUBS)); // a jump to a stub
        stub(relative(&jump_at, STUBS + 80, LAZY_SLOT));
        stub(relative(&[0xe9], STUBS + 96, STUBS + 96)); // a jump to itself
        let program = ByHand(code.to_vec(), stubs);
        points(&program, HERE..HERE + code.len() as u64).collect()
    }

    /// Asserts that a function of a `nop` and these bytes, which follow at `HERE + 1`, has this
    /// one unsafe point there, or none.
    #[track_caller]
    fn expect(code: &[u8], why: Option<Why>) {
        let whole = [&[0x90], code, &[0xc3]].concat();
        let wanted: Vec<Point> = why
            .map(|why| Point { at: HERE + 1, why })
            .into_iter()
            .collect();
        assert_eq!(found(&whole), wanted, "{code:02x?}");
    }

    /// `fs:[at]` with the opcode and the middle of the ModRM byte.
    fn fs(opcode: &[u8], reg: u8, at: i32) -> Vec<u8> {
        let modrm = [reg << 3 | 4, 0x25];
        [&[0x64], opcode, &modrm, &at.to_le_bytes()].concat()
    }

    #[test]
    fn the_load_of_g_and_the_counting_of_locks_may_be_anywhere() {
        expect(&fs(&[0x48, 0x8b], 0, -64), None); // mov rax, fs:[g]
        expect(&fs(&[0x4c, 0x8b], 7, -64), None); // mov r15, fs:[g]
        for word in [-48, -44] {
            expect(&fs(&[0xff], 0, word), None); // inc dword ptr fs:[locks]
            expect(&fs(&[0xff], 1, word), None); // dec
        }
    }

    #[test]
    fn any_other_access_through_fs_makes_its_function_unsafe() {
        let unsafe_ = Some(Why::ThreadsStorage);
        expect(&fs(&[0x48, 0x8b], 0, 0), unsafe_); // mov rax, fs:[0]: the thread pointer
        expect(&fs(&[0x48, 0x8b], 0, -56), unsafe_); // mov rax, fs:[m]
        expect(&fs(&[0x8b], 0, -64), unsafe_); // mov eax, fs:[g]: half of it
        expect(&fs(&[0x48, 0x89], 0, -64), unsafe_); // mov fs:[g], rax
        expect(&fs(&[0x8b], 0, -48), unsafe_); // mov eax, fs:[locks]
        expect(&fs(&[0x89], 0, -48), unsafe_); // mov fs:[locks], eax
        expect(&fs(&[0xff], 0, -64), unsafe_); // inc dword ptr fs:[g]
        expect(&fs(&[0x48, 0xff], 1, -128), unsafe_); // dec qword ptr fs:[..]: a panic count
        expect(&[0x64, 0x48, 0x8b, 0x40, 0xc0], unsafe_); // mov rax, fs:[rax - 64]
        expect(
            &[0x64, 0x48, 0x8b, 0x04, 0x05, 0xc0, 0xff, 0xff, 0xff],
            unsafe_,
        ); // fs:[rax - 64]
        expect(
            &[0x65, 0x48, 0x8b, 0x04, 0x25, 0xc0, 0xff, 0xff, 0xff],
            unsafe_,
        ); // gs:[-64]
        expect(&[0x64, 0x48, 0x8b, 0x05, 0, 0, 0, 0], unsafe_); // fs:[rip]
        expect(&[0x64, 0xa4], unsafe_); // movsb, from fs:[rsi]
        expect(&[0xf3, 0x48, 0x0f, 0xae, 0xc0], Some(Why::ThreadPointer)); // rdfsbase rax
        expect(&[0xf3, 0x48, 0x0f, 0xae, 0xd0], Some(Why::ThreadPointer)); // wrfsbase rax
    }

    #[test]
    fn errno_and_tls_get_addr_are_found_however_they_are_called() {
        let at = HERE + 1;
        for (function, slot, stub, why) in [
            (ERRNO, ERRNO_SLOT, STUBS, Why::Errno),
            (TLS_GET_ADDR, TLS_SLOT, STUBS + 16, Why::TlsGetAddr),
        ] {
            let why = Some(why);
            expect(&relative(&[0xe8], at, function), why); // call
            expect(&relative(&[0xe9], at, function), why); // jmp: the last call of a function
            expect(&relative(&[0x0f, 0x84], at, function), why); // je
            expect(&relative(&[0x67, 0xe8], at, function), why); // addr32 call: a linker's work
            expect(&relative(&[0xe8], at, stub), why); // call of a stub
            expect(&relative(&[0xff, 0x15], at, slot), why); // call [rip + ..]
            expect(&relative(&[0xff, 0x25], at, slot), why); // jmp [rip + ..]
            expect(&relative(&[0x48, 0x8b, 0x05], at, slot), why); // mov rax, [rip + ..]
            expect(&relative(&[0x48, 0x8d, 0x05], at, function), why); // lea rax, [rip + ..]
            expect(&relative(&[0x48, 0x8d, 0x05], at, stub), why);
            let fixed = (slot as u32).to_le_bytes();
            expect(&[&[0xff, 0x14, 0x25], &fixed[..]].concat(), why); // call [slot]
            let fixed = (function as u32).to_le_bytes();
            expect(&[&[0xb8], &fixed[..]].concat(), why); // mov eax, offset
            expect(&[&[0x48, 0xc7, 0xc0], &fixed[..]].concat(), why); // mov rax, offset
        }
        expect(&relative(&[0xe8], at, STUBS + 48), Some(Why::Errno)); // endbr64 before the jump
        expect(&relative(&[0xe8], at, STUBS + 64), Some(Why::Errno)); // a stub of a stub
        expect(&relative(&[0xe8], at, STUBS + 80), Some(Why::NotBound));
    }

    #[test]
    fn other_calls_are_none_of_its_business() {
        let at = HERE + 1;
        expect(&relative(&[0xe8], at, HERE), None); // of `gotext`
        expect(&relative(&[0xe8], at, STUBS + 32), None);
        expect(&relative(&[0xe8], at, STUBS + 96), None); // a stub without an end
        expect(&relative(&[0xe8], at, 0x9999_0000), None); // of what is not known
        expect(&relative(&[0xff, 0x15], at, OTHER_SLOT), None);
        expect(&[0xff, 0xd0], None); // call rax
        expect(&[0xff, 0x50, 0x18], None); // call [rax + 24]
        expect(&[0x2e, 0x0f, 0x1f, 0x44, 0, 0], None); // nop, with another segment's prefix
        expect(&[0xcc], None); // the clock of `spin`
    }

    #[test]
    fn what_cannot_be_decoded_is_unsafe_and_ends_the_reading() {
        expect(&[0x06], Some(Why::Undecodable)); // push es: not in 64-bit mode
        // The last instruction is cut off.
        let cut = fs(&[0x48, 0x8b], 0, -64);
        let at = Point {
            at: HERE,
            why: Why::Undecodable,
        };
        assert_eq!(found(&cut[..cut.len() - 1]), [at]);
        // Behind it nothing counts.
        assert_eq!(found(&[&[0x06][..], &fs(&[0x8b], 0, 0)].concat()), [at]);
        // A breakpoint may hide anything.
        let at = Point {
            at: HERE,
            why: Why::Breakpoint,
        };
        assert_eq!(found(&[0xcc, 0x90, 0xc3]), [at]);
        // A function whose bytes are not there.
        let program = ByHand(vec![0xc3], Vec::new());
        let at = |at, why| Point { at, why };
        let all = |range| points(&program, range).collect::<Vec<_>>();
        assert_eq!(all(HERE..HERE + 2), [at(HERE, Why::Undecodable)]);
        assert_eq!(all(0x500..0x510), [at(0x500, Why::Undecodable)]);
        assert_eq!(all(HERE..HERE), [], "no bytes at all");
        assert_eq!(all(HERE..HERE + 1), []);
    }

    #[test]
    fn every_unsafe_point_of_a_function_is_listed() {
        let code = [fs(&[0x48, 0x8b], 0, 0), vec![0x90], fs(&[0xff], 0, -16)].concat();
        let at = |at| Point {
            at: HERE + at,
            why: Why::ThreadsStorage,
        };
        assert_eq!(found(&code), [at(0), at(10)]);
    }
}
