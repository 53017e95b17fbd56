//! Where the registers go that `push` cannot save: how large that area is, what is saved in it,
//! and by which instruction. Asked of the processor once a run.
//!
//! Go saves fewer registers in a check, because its compiler promises that nothing lives in them
//! there. The chapter *The check and the flag* says why ours saves all.
//!
//! Tests: `check`, those about registers; `doors`.

use std::arch::x86_64::{__cpuid_count, _xgetbv};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The instruction that saves what `push` cannot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum SaveForm {
    /// x87 and SSE only: for a processor, or a kernel, without `XSAVE`. There is no AVX then.
    Fxsave = 1,
    /// Everything in [`SAVE_MASK`], each component at its own fixed place: Sandy Bridge to
    /// Broadwell, which have AVX, and virtual machines that hide `XSAVEC`.
    Xsave = 2,
    /// The same, one component after the other: less memory is touched.
    Xsavec = 3,
}

/// A number that assembly reads by its symbol (`[rip + {size}]`, `size = sym SAVE_SIZE`), and
/// only this file writes.
#[repr(transparent)]
pub struct SaveWord(AtomicU64);

impl SaveWord {
    /// The number. It changes only where a run begins, and there only if a test asks for an
    /// older form.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// By which instruction: a [`SaveForm`].
pub static SAVE_FORM: SaveWord = SaveWord(AtomicU64::new(SaveForm::Fxsave as u64));
/// Which components of the extended state are saved: what `edx:eax` must say to `XSAVE` and
/// `XRSTOR`. The upper half is 0.
pub static SAVE_MASK: SaveWord = SaveWord(AtomicU64::new(0));
/// Bytes that they need, a multiple of 64, as the area's address must be.
pub static SAVE_SIZE: SaveWord = SaveWord(AtomicU64::new(LEGACY));
/// What the next run uses at most, 0 for anything.
static AT_MOST: AtomicU64 = AtomicU64::new(0);

/// x87, SSE, AVX, opmask and the two halves of AVX-512. Not PKRU, which is the thread's, and
/// not AMX, whose 8 KiB would take a quarter of the slack.
const WANTED: u64 = 0xe7;
/// Bytes of the area that `FXSAVE` writes; the `XSAVE` forms have a header behind it.
const LEGACY: u64 = 512;
const HEADER: u64 = 64;
/// What the check may take of the slack below a stack.
const SIZE_MAX: u64 = 4096;

/// The next run saves registers by this instruction, or by an older one if the processor
/// does not have it. For tests: call it where that run reads the stage's `godebug`.
pub fn save_at_most(form: SaveForm) {
    AT_MOST.store(form as u64, Relaxed);
}

/// Asks the processor what there is to save. Called once per run, before any check can
/// fail.
pub(crate) fn morestackinit() {
    let leaf1 = __cpuid_count(1, 0);
    let (xsave, osxsave) = (leaf1.ecx & (1 << 26) != 0, leaf1.ecx & (1 << 27) != 0);
    let at_most = match AT_MOST.swap(0, Relaxed) {
        0 => SaveForm::Xsavec as u64,
        n => n,
    };
    if !(xsave && osxsave) || at_most == SaveForm::Fxsave as u64 {
        SAVE_FORM.0.store(SaveForm::Fxsave as u64, Relaxed);
        SAVE_SIZE.0.store(LEGACY, Relaxed);
        return;
    }
    let xsavec = __cpuid_count(0xd, 1).eax & 2 != 0 && at_most == SaveForm::Xsavec as u64;
    // SAFETY: OSXSAVE says that XGETBV may be used.
    let mask = WANTED & unsafe { xcr0() };
    let component = |i| {
        let leaf = __cpuid_count(0xd, i);
        Component {
            size: u64::from(leaf.eax),
            offset: u64::from(leaf.ebx),
            aligned: leaf.ecx & 2 != 0,
        }
    };
    let (form, size) = if xsavec {
        (SaveForm::Xsavec, compacted_size(mask, component))
    } else {
        (SaveForm::Xsave, standard_size(mask, component))
    };
    assert!(size <= SIZE_MAX, "the registers take {size} bytes");
    SAVE_FORM.0.store(form as u64, Relaxed);
    SAVE_SIZE.0.store(size, Relaxed);
    SAVE_MASK.0.store(mask, Relaxed);
}

/// What `CPUID` says about one component of the extended state, from number 2 on.
struct Component {
    size: u64,
    /// Its place in the standard form.
    offset: u64,
    /// It begins at a multiple of 64 in the compacted form.
    aligned: bool,
}

/// Bytes of the compacted form: the components in `mask`, one after the other.
fn compacted_size(mask: u64, component: impl Fn(u32) -> Component) -> u64 {
    let mut end = LEGACY + HEADER;
    for i in (2..63).filter(|i| mask & (1 << i) != 0) {
        let c = component(i);
        if c.aligned {
            end = end.next_multiple_of(64);
        }
        end += c.size;
    }
    end.next_multiple_of(64)
}

/// Bytes of the standard form: up to the end of the last component in `mask`.
fn standard_size(mask: u64, component: impl Fn(u32) -> Component) -> u64 {
    let ends = (2..63).filter(|i| mask & (1 << i) != 0).map(|i| {
        let c = component(i);
        c.offset + c.size
    });
    let end = ends.max().unwrap_or(0).max(LEGACY + HEADER);
    end.next_multiple_of(64)
}

#[target_feature(enable = "xsave")]
unsafe fn xcr0() -> u64 {
    // SAFETY: XCR0 exists where XSAVE does.
    unsafe { _xgetbv(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of real processors: size and offset in the standard form.
    fn component(i: u32) -> Component {
        let (size, offset, aligned) = match i {
            2 => (256, 576, false),   // AVX
            5 => (64, 1088, false),   // opmask
            6 => (512, 1152, false),  // upper halves of zmm0 to 15
            7 => (1024, 1664, false), // zmm16 to 31
            9 => (8, 2688, false),    // PKRU
            17 => (64, 2752, true),   // AMX: tile configuration
            18 => (8192, 2816, true), // AMX: tiles
            _ => unreachable!("component {i} was not asked for"),
        };
        Component {
            size,
            offset,
            aligned,
        }
    }

    #[test]
    fn the_area_holds_what_is_saved_and_no_more() {
        // Broadwell: AVX only.
        assert_eq!(standard_size(0x7, component), 832);
        assert_eq!(compacted_size(0x7, component), 832);
        // Skylake with AVX-512, and the same kernel with PKRU and AMX, which are not wanted.
        for xcr0 in [0xe7, 0x2e7, 0x602e7] {
            assert_eq!(standard_size(WANTED & xcr0, component), 2688);
            assert_eq!(compacted_size(WANTED & xcr0, component), 2432);
        }
        // SSE only.
        assert_eq!(standard_size(0x3, component), 576);
        assert_eq!(compacted_size(0x3, component), 576);
        // A component that wants to be aligned.
        assert_eq!(compacted_size(0x60007, component), 832 + 64 + 8192);
    }
}
