//! The guard check as machine code: three instructions, in front of everything, once. Reads
//! functions of this very program, which the crate `shapes` has and which are optimized as the
//! runtime is, and follows their control flow. Rows 5 and 7 of the list of mechanisms.

use iced_x86::{
    Code, ConditionCode, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind,
    Register,
};
use shapes::{
    calls_a_closure, floating, inside_the_allocator, leaf, leaf_with_locals, looping,
    may_return_at_once, recursive, unchecked, with_locals,
};
use stage1_coop::{rt, spin};
use std::collections::BTreeMap;

/// What a function consists of: its instructions by address, found by following every jump.
struct Function {
    entry: u64,
    instructions: BTreeMap<u64, Instruction>,
    /// Direct calls and jumps that leave the function: from where, to where.
    leaves: Vec<(u64, u64)>,
}

/// Disassembles the function at `entry`, which lies in `gotext`.
fn function(entry: usize) -> Function {
    let (start, stop) = rt::arch::gotext_bounds();
    assert!(
        (start..stop).contains(&entry),
        "the function lies in gotext"
    );
    let mut f = Function {
        entry: entry as u64,
        instructions: BTreeMap::new(),
        leaves: Vec::new(),
    };
    let mut todo = vec![entry as u64];
    while let Some(at) = todo.pop() {
        if f.instructions.contains_key(&at) {
            continue;
        }
        // SAFETY: `at` is inside the section, which is mapped, and nobody writes to it.
        let code = unsafe {
            let left = stop - at as usize;
            std::slice::from_raw_parts(at as *const u8, left.min(15))
        };
        let instruction = Decoder::with_ip(64, code, at, DecoderOptions::NONE).decode();
        assert!(!instruction.is_invalid(), "no instruction at {at:#x}");
        f.instructions.insert(at, instruction);
        match instruction.flow_control() {
            FlowControl::Next | FlowControl::IndirectCall => todo.push(instruction.next_ip()),
            FlowControl::Interrupt => todo.push(instruction.next_ip()), // int3
            FlowControl::Call => {
                f.leaves.push((at, instruction.near_branch_target()));
                todo.push(instruction.next_ip());
            }
            FlowControl::ConditionalBranch => {
                let to = instruction.near_branch_target();
                match (start as u64..stop as u64).contains(&to) {
                    true => todo.push(to),
                    // A tail call, if the condition holds.
                    false => f.leaves.push((at, to)),
                }
                todo.push(instruction.next_ip());
            }
            FlowControl::UnconditionalBranch => {
                let to = instruction.near_branch_target();
                // A jump backwards past the entry, or far away, is a tail call.
                if to >= f.entry && to < stop as u64 && !known_entry(to) {
                    todo.push(to);
                } else {
                    f.leaves.push((at, to));
                }
            }
            _ => {} // returns, ud2, jumps through registers
        }
    }
    f
}

impl Function {
    /// Where the instructions with this property stand.
    fn places(&self, is: impl Fn(&Instruction) -> bool) -> Vec<u64> {
        let all = self.instructions.iter();
        all.filter(|(_, i)| is(i)).map(|(&at, _)| at).collect()
    }
    fn after(&self, at: u64) -> &Instruction {
        let next = self.instructions[&at].next_ip();
        self.instructions.get(&next).expect("it goes on there")
    }
    /// Jumps to `morestack`: directly, or through the table of a position-independent
    /// program.
    fn slow_paths(&self) -> Vec<u64> {
        let morestack = rt::stack::morestack as *const () as u64;
        let direct = self.leaves.iter();
        let mut all: Vec<u64> = direct
            .filter(|(_, to)| *to == morestack)
            .map(|(at, _)| *at)
            .collect();
        all.extend(self.places(|i| {
            i.flow_control() == FlowControl::IndirectBranch
                && i.is_ip_rel_memory_operand()
                // SAFETY: a word of the table that the loader filled in.
                && unsafe { *(i.ip_rel_memory_address() as *const u64) } == morestack
        }));
        all
    }
}

/// `mov r, fs:[...]`: loads g.
fn loads_g(i: &Instruction) -> bool {
    i.mnemonic() == Mnemonic::Mov
        && i.op0_kind() == OpKind::Register
        && i.op1_kind() == OpKind::Memory
        && i.memory_segment() == Register::FS
        && i.memory_base() == Register::None
}

/// `cmp rsp, [r + 10h]`.
fn compares(i: &Instruction, r: Register) -> bool {
    i.code() == Code::Cmp_r64_rm64
        && i.op0_register() == Register::RSP
        && i.memory_base() == r
        && i.memory_index() == Register::None
        && i.memory_displacement64() == 0x10
}

/// The functions with a check, by name and address.
fn checked() -> [(&'static str, usize); 8] {
    [
        ("leaf", leaf as *const () as usize),
        ("recursive", recursive as *const () as usize),
        (
            "may_return_at_once",
            may_return_at_once as *const () as usize,
        ),
        ("looping", looping as *const () as usize),
        ("with_locals", with_locals as *const () as usize),
        ("leaf_with_locals", leaf_with_locals as *const () as usize),
        ("floating", floating as *const () as usize),
        ("calls_a_closure", calls_a_closure as *const () as usize),
    ]
}

fn known_entry(at: u64) -> bool {
    let others = [
        unchecked as *const () as usize,
        inside_the_allocator as *const () as usize,
        spin as *const () as usize,
    ];
    let entries = checked().map(|(_, entry)| entry);
    entries.iter().chain(&others).any(|&e| e as u64 == at)
}

#[test]
fn the_functions_do_what_they_say() {
    assert_eq!(leaf(6, 3), 5);
    assert_eq!(recursive(20), 6765);
    assert_eq!(may_return_at_once(20), 6765 + 4181);
    assert_eq!(looping(10), 45);
    assert_eq!(with_locals(0), 1);
    assert_eq!(leaf_with_locals(1, 2), 4);
    assert!((floating(1.5, 1.0) - 4.0).abs() < 1e-9);
    assert_eq!(calls_a_closure(0), 3);
    assert_eq!(unchecked(6, 7), 42);
}

#[test]
fn a_go_function_has_the_three_instructions_of_go_s_check_exactly_once() {
    for (name, entry) in checked() {
        let f = function(entry);
        let loads = f.places(loads_g);
        assert_eq!(loads.len(), 1, "{name}: g is loaded once");
        let load = f.instructions[&loads[0]];
        let compare = *f.after(loads[0]);
        assert!(compares(&compare, load.op0_register()), "{name}: {compare}");
        let jump = *f.after(compare.ip());
        assert_eq!(jump.condition_code(), ConditionCode::be, "{name}: {jump}");
        // Nothing else looks at the stack pointer, and one place calls morestack.
        let comparisons =
            f.places(|i| i.mnemonic() == Mnemonic::Cmp && i.op0_register() == Register::RSP);
        assert_eq!(comparisons, [compare.ip()], "{name}");
        let slow = f.slow_paths();
        assert_eq!(slow.len(), 1, "{name}: one slow path");
        // The failed check leads there before anything else happens. What it leaves on the
        // stack is the address behind the check: morestack goes back to where the check
        // would have gone on.
        let r = load.op0_register();
        let lea = f.instructions[&jump.near_branch_target()];
        assert_eq!(lea.mnemonic(), Mnemonic::Lea, "{name}: {lea}");
        assert_eq!(lea.op0_register(), r, "{name}: {lea}");
        assert_eq!(lea.ip_rel_memory_address(), jump.next_ip(), "{name}: {lea}");
        let push = *f.after(lea.ip());
        assert_eq!(push.code(), Code::Push_r64, "{name}: {push}");
        assert_eq!(push.op0_register(), r, "{name}: {push}");
        assert_eq!(f.after(push.ip()).ip(), slow[0], "{name}: then morestack");
    }
}

unsafe extern "C" {
    fn _Unwind_FindEnclosingFunction(pc: *mut std::ffi::c_void) -> *mut std::ffi::c_void;
}

/// What wants to stop a goroutine among its slow paths is warned by that.
#[test]
fn the_slow_path_of_a_check_is_in_gotext_and_in_no_function() {
    for (name, entry) in checked() {
        let f = function(entry);
        let jump = *f.after(f.after(f.places(loads_g)[0]).ip());
        let lea = f.instructions[&jump.near_branch_target()];
        let push = *f.after(lea.ip());
        let slow = [lea.ip(), push.ip(), f.slow_paths()[0]];
        for (&at, i) in &f.instructions {
            assert!(rt::arch::in_gotext(at as usize), "{name}: {i}");
            // It looks for the instruction before a return address.
            // SAFETY: a search in read-only tables; any address may be asked for.
            let found = unsafe { _Unwind_FindEnclosingFunction((at + 1) as *mut _) } as u64;
            let right = if slow.contains(&at) { 0 } else { f.entry };
            assert_eq!(found, right, "{name}: {i}");
        }
    }
}

#[test]
fn the_check_comes_before_everything_but_the_frame() {
    for (name, entry) in checked() {
        let f = function(entry);
        let check = f.places(loads_g)[0];
        let mut at = f.entry;
        while at != check {
            let i = &f.instructions[&at];
            let frame = matches!(
                i.mnemonic(),
                Mnemonic::Push
                    | Mnemonic::Sub
                    | Mnemonic::Mov
                    | Mnemonic::Lea
                    | Mnemonic::Xor
                    | Mnemonic::Movaps
                    | Mnemonic::Movups
                    | Mnemonic::Movsd
                    | Mnemonic::Vmovaps
                    | Mnemonic::Vmovups
                    | Mnemonic::Vmovsd
                    | Mnemonic::Nop
            );
            assert!(frame, "{name}: {i} stands before the check");
            at = i.next_ip();
        }
    }
}

#[test]
fn a_function_with_a_check_keeps_nothing_below_its_stack_pointer() {
    // The slow path pushes a word without asking.
    for (name, entry) in checked() {
        let f = function(entry);
        let frame: u64 = f
            .instructions
            .values()
            .map(|i| match i.mnemonic() {
                Mnemonic::Push => 8,
                Mnemonic::Sub if i.op0_register() == Register::RSP => i.immediate(1),
                _ => 0,
            })
            .sum();
        for i in f.instructions.values() {
            let below = (i.memory_displacement64() as i64).unsigned_abs();
            let negative = (i.memory_displacement64() as i64) < 0;
            match i.memory_base() {
                Register::RSP => assert!(!negative, "{name}: {i}"),
                Register::RBP => assert!(!negative || below <= frame, "{name}: {i}"),
                _ => {}
            }
        }
    }
}

#[test]
fn a_short_way_through_a_function_builds_no_frame() {
    let f = function(may_return_at_once as *const () as usize);
    let check = f.places(loads_g)[0];
    let pushes = f.places(|i| i.mnemonic() == Mnemonic::Push && i.op0_register() == Register::RBP);
    assert!(
        pushes.iter().all(|&at| at > check),
        "the frame of a function that may return at once is built behind the check"
    );
}

#[test]
fn code_without_a_check_has_none() {
    for (name, entry) in [
        ("unchecked", unchecked as *const () as usize),
        ("spin", spin as *const () as usize),
    ] {
        let f = function(entry);
        let thread_local = f.places(|i| i.memory_segment() == Register::FS);
        assert!(thread_local.is_empty(), "{name}");
        assert!(f.slow_paths().is_empty(), "{name}");
        let stack =
            f.places(|i| i.mnemonic() == Mnemonic::Cmp && i.op0_register() == Register::RSP);
        assert!(stack.is_empty(), "{name}");
    }
}

/// So a goroutine cannot be moved between finding the word and counting.
#[test]
fn a_section_in_the_allocator_is_counted_by_one_instruction() {
    let f = function(inside_the_allocator as *const () as usize);
    // Beside loads of g: was it asked meanwhile?
    let words = f.places(|i| i.memory_segment() == Register::FS && !loads_g(i));
    let words: Vec<&Instruction> = words.iter().map(|at| &f.instructions[at]).collect();
    let what: Vec<Mnemonic> = words.iter().map(|i| i.mnemonic()).collect();
    assert_eq!(what, [Mnemonic::Inc, Mnemonic::Dec]);
    for i in words {
        let fixed = [i.memory_base(), i.memory_index()] == [Register::None; 2];
        assert!(fixed, "{i}");
    }
}

#[test]
fn the_loop_without_calls_is_a_loop_without_checks() {
    let f = function(looping as *const () as usize);
    let check = f.places(loads_g)[0];
    let back: Vec<u64> = f
        .places(|i| {
            matches!(
                i.flow_control(),
                FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch
            )
        })
        .into_iter()
        .filter(|at| (f.entry..*at).contains(&f.instructions[at].near_branch_target()))
        .collect();
    assert!(!back.is_empty(), "it is a loop");
    // None leads back to the check.
    for at in back {
        let to = f.instructions[&at].near_branch_target();
        assert!(
            to > check,
            "a jump from {at:#x} to {to:#x} passes the check at {check:#x}"
        );
    }
}
