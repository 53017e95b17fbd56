//! Functions of goroutines that are stopped at every instruction, and must not notice. Each
//! computes a number that depends on everything it keeps: registers, flags, memory below its stack
//! pointer. Tests: `stepping`.

mod code;
mod registers;
mod shells;

/// What a processor must have for a function to run at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs {
    /// What every x86-64 has.
    Nothing,
    /// AVX2.
    Avx2,
    /// AVX-512 with F, BW, DQ and VL.
    Avx512,
}

impl Needs {
    /// Whether this processor has it.
    pub fn is_there(self) -> bool {
        match self {
            Needs::Nothing => true,
            Needs::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Needs::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
        }
    }
}

/// A function that is stopped at every instruction.
#[derive(Clone, Copy)]
pub struct Victim {
    /// What it keeps.
    pub name: &'static str,
    /// What it runs on.
    pub needs: Needs,
    /// How often it goes through its loop in a short test.
    pub turns: u64,
    /// Called with the number of turns: the same result for the same number, always.
    pub run: fn(u64) -> u64,
}

const fn victim(name: &'static str, needs: Needs, turns: u64, run: fn(u64) -> u64) -> Victim {
    Victim {
        name,
        needs,
        turns,
        run,
    }
}

/// All of them.
pub const VICTIMS: &[Victim] = &[
    victim("registers", Needs::Nothing, 4, registers::general),
    victim("backwards", Needs::Nothing, 2, registers::backwards),
    victim("x87", Needs::Nothing, 5, registers::x87),
    victim("mxcsr", Needs::Nothing, 5, registers::mxcsr),
    victim("xmm", Needs::Nothing, 4, registers::xmm),
    victim("ymm", Needs::Avx2, 4, registers::ymm),
    victim("zmm", Needs::Avx512, 2, registers::zmm),
    victim("loops", Needs::Nothing, 9, code::loops),
    victim("floats", Needs::Nothing, 2, code::floats),
    victim("wide_floats", Needs::Avx2, 2, code::wide_floats),
    victim("several_pages", Needs::Nothing, 3, code::several_pages),
    victim("drops", Needs::Nothing, 3, code::drops),
    victim("landing_pads", Needs::Nothing, 1, code::landing_pads),
    victim("failing_check", Needs::Nothing, 2, code::failing_check),
    victim("growing_stack", Needs::Nothing, 40, code::growing_stack),
    victim("sends", Needs::Nothing, 2, shells::sends),
    victim("selects", Needs::Nothing, 2, shells::selects),
    victim("locks", Needs::Nothing, 2, shells::locks),
    victim("starts", Needs::Nothing, 2, shells::starts),
    victim(
        "holds_its_thread",
        Needs::Nothing,
        3,
        shells::holds_its_thread,
    ),
    victim(
        "calls_the_system",
        Needs::Nothing,
        2,
        shells::calls_the_system,
    ),
];
