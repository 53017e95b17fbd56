//! Where the registers go that `push` cannot save: how large that area is, what is saved in it,
//! and by which instruction. Asked of the processor once a run.
//!
//! What is saved is all that the kernel has enabled in `XCR0`, except PKRU and AMX
//! ([`NOT_SAVED`]). So a file of registers that this code has never heard of is saved too, as
//! APX's sixteen were when they came. Go chooses by the names of features, and lost the upper
//! halves of YMM that way (golang/go#81209). In a check Go saves less, because its compiler
//! promises that nothing lives in these registers there; the chapter *The check and the flag*
//! says why ours may not.
//!
//! Tests: `check`, those about registers; `doors`; below, over what real processors answer.

use crate::stack::slots::SLACK;
use std::arch::x86_64::{__cpuid_count, _xgetbv, CpuidResult};
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
pub static SAVE_MASK: SaveWord = SaveWord(AtomicU64::new(X87_AND_SSE));
/// Bytes that they need, a multiple of 64, as the area's address must be.
pub static SAVE_SIZE: SaveWord = SaveWord(AtomicU64::new(LEGACY));
/// What the next run uses at most, 0 for anything.
static AT_MOST: AtomicU64 = AtomicU64::new(0);

// ANCHOR: mask
const X87_AND_SSE: u64 = 0b11;
const PKRU: u64 = 1 << 9;
const AMX: u64 = 1 << 17 | 1 << 18;
/// Components that are not saved. PKRU is the thread's, and not the goroutine's. AMX's tiles take
/// 8 KiB, and no call preserves them: who has tiles must not come to a check.
const NOT_SAVED: u64 = PKRU | AMX;
// ANCHOR_END: mask
/// The components that the lower half of a mask can name. Above there is only AMD's profiling
/// (62), which is the thread's and which Linux has never enabled.
const NAMED: u64 = 0xffff_ffff;
/// Bytes of the area that `FXSAVE` writes; the `XSAVE` forms have a header behind it.
const LEGACY: u64 = 512;
const HEADER: u64 = 64;
/// What the area may take of a stack. It lies in the slack if the check failed for want of stack,
/// and so it may when a later stage saves registers where no check is. A quarter: today's
/// largest takes 2,688 bytes, and the rest is for code without checks.
const SIZE_MAX: u64 = SLACK as u64 / 4;

/// What is saved on this machine, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SaveArea {
    /// What the kernel has enabled; 0 without `XSAVE`.
    pub xcr0: u64,
    /// By which instruction.
    pub form: SaveForm,
    /// Which components.
    pub mask: u64,
    /// Bytes that they need.
    pub size: u64,
}

/// The next run saves registers by this instruction, or by an older one if the processor
/// does not have it. For tests: call it where that run reads the stage's `godebug`.
pub fn save_at_most(form: SaveForm) {
    AT_MOST.store(form as u64, Relaxed);
}

/// Asks the processor what there is to save. Called once per run, before any check can
/// fail.
///
/// # Errors
/// One line for the user, if it is more than a stack has room for.
pub(crate) fn morestackinit() -> Result<(), String> {
    let at_most = match AT_MOST.swap(0, Relaxed) {
        1 => SaveForm::Fxsave,
        2 => SaveForm::Xsave,
        _ => SaveForm::Xsavec,
    };
    let area = choose(__cpuid_count, this_xcr0, at_most)?;
    SAVE_FORM.0.store(area.form as u64, Relaxed);
    SAVE_MASK.0.store(area.mask, Relaxed);
    SAVE_SIZE.0.store(area.size, Relaxed);
    Ok(())
}

/// What a run would save on this machine.
///
/// # Errors
/// One line for the user, if it is more than a stack has room for: no run begins then.
pub fn save_area() -> Result<SaveArea, String> {
    choose(__cpuid_count, this_xcr0, SaveForm::Xsavec)
}

/// Chooses for a processor that answers like this.
fn choose(
    cpuid: impl Fn(u32, u32) -> CpuidResult,
    xcr0: impl Fn() -> u64,
    at_most: SaveForm,
) -> Result<SaveArea, String> {
    let features = cpuid(1, 0).ecx;
    let (xsave, osxsave) = (features & (1 << 26) != 0, features & (1 << 27) != 0);
    let xcr0 = if xsave && osxsave { xcr0() } else { 0 };
    if xcr0 == 0 || at_most == SaveForm::Fxsave {
        return Ok(SaveArea {
            xcr0,
            form: SaveForm::Fxsave,
            mask: X87_AND_SSE,
            size: LEGACY,
        });
    }
    let mask = xcr0 & NAMED & !NOT_SAVED;
    let component = |i| {
        let leaf = cpuid(0xd, i);
        Component {
            size: u64::from(leaf.eax),
            offset: u64::from(leaf.ebx),
            aligned: leaf.ecx & 2 != 0,
        }
    };
    let xsavec = cpuid(0xd, 1).eax & 2 != 0 && at_most == SaveForm::Xsavec;
    let (form, size) = if xsavec {
        (SaveForm::Xsavec, compacted_size(mask, component))
    } else {
        (SaveForm::Xsave, standard_size(mask, component))
    };
    if size > SIZE_MAX {
        return Err(format!(
            "runtime: this processor's registers take {size} bytes (XCR0 is {xcr0:#x}), and a goroutine's stack has {SIZE_MAX} for them"
        ));
    }
    Ok(SaveArea {
        xcr0,
        form,
        mask,
        size,
    })
}

/// What `CPUID` says about one component of the extended state, from number 2 on.
struct Component {
    size: u64,
    /// Its place in the standard form.
    offset: u64,
    /// It begins at a multiple of 64 in the compacted form.
    aligned: bool,
}

/// The components in `mask` that have no place in the legacy area.
fn extended(mask: u64) -> impl Iterator<Item = u32> {
    (2..63).filter(move |i| mask & (1 << i) != 0)
}

/// Bytes of the compacted form: the components in `mask`, one after the other.
fn compacted_size(mask: u64, component: impl Fn(u32) -> Component) -> u64 {
    let mut end = LEGACY + HEADER;
    for c in extended(mask).map(component) {
        if c.aligned {
            end = end.next_multiple_of(64);
        }
        end += c.size;
    }
    end.next_multiple_of(64)
}

/// Bytes of the standard form: up to the end of the last component in `mask`, which need not be
/// the one with the highest number.
fn standard_size(mask: u64, component: impl Fn(u32) -> Component) -> u64 {
    let ends = extended(mask).map(component).map(|c| c.offset + c.size);
    let end = ends.max().unwrap_or(0).max(LEGACY + HEADER);
    end.next_multiple_of(64)
}

/// This processor's `XCR0`. Called when `CPUID` has said that there is one.
fn this_xcr0() -> u64 {
    #[target_feature(enable = "xsave")]
    fn read() -> u64 {
        // SAFETY: the caller knows that `XGETBV` may be used.
        unsafe { _xgetbv(0) }
    }
    // SAFETY: `choose` has seen OSXSAVE.
    unsafe { read() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a processor answers: `XCR0`, whether it has `XSAVEC`, and size and offset of each
    /// component. The numbers are those of real ones, under Linux.
    struct Table {
        name: &'static str,
        xcr0: u64,
        xsavec: bool,
        components: &'static [(u32, u32, u32)],
        /// What is right: the mask, and the bytes of the two forms.
        mask: u64,
        compacted: u64,
        standard: u64,
    }

    const AVX: (u32, u32, u32) = (2, 256, 576);
    const MPX: [(u32, u32, u32); 2] = [(3, 64, 960), (4, 64, 1024)];
    const INTEL_512: [(u32, u32, u32); 3] = [(5, 64, 1088), (6, 512, 1152), (7, 1024, 1664)];
    const AMD_512: [(u32, u32, u32); 3] = [(5, 64, 832), (6, 512, 896), (7, 1024, 1408)];
    const TILES: [(u32, u32, u32); 2] = [(17, 64, 2752), (18, 8192, 2816)];
    /// In the standard form it stands where MPX stood.
    const APX: (u32, u32, u32) = (19, 128, 960);

    #[rustfmt::skip]
    const TABLES: &[Table] = &[
        Table { name: "Broadwell: AVX, no XSAVEC", xcr0: 0x7, xsavec: false,
            components: &[AVX], mask: 0x7, compacted: 832, standard: 832 },
        Table { name: "Skylake, with MPX", xcr0: 0x1f, xsavec: true,
            components: &[AVX, MPX[0], MPX[1]], mask: 0x1f, compacted: 960, standard: 1088 },
        Table { name: "Skylake-SP, with MPX and AVX-512", xcr0: 0x2ff, xsavec: true,
            components: &[AVX, MPX[0], MPX[1], INTEL_512[0], INTEL_512[1], INTEL_512[2], (9, 8, 2688)],
            mask: 0xff, compacted: 2560, standard: 2688 },
        Table { name: "Zen 3: AVX2 and PKRU", xcr0: 0x207, xsavec: true,
            components: &[AVX, (9, 8, 832)], mask: 0x7, compacted: 832, standard: 832 },
        Table { name: "Zen 5: AVX-512 and PKRU", xcr0: 0x2e7, xsavec: true,
            components: &[AVX, AMD_512[0], AMD_512[1], AMD_512[2], (9, 8, 2432)],
            mask: 0xe7, compacted: 2432, standard: 2432 },
        Table { name: "Sapphire Rapids: AMX", xcr0: 0x6_02e7, xsavec: true,
            components: &[AVX, INTEL_512[0], INTEL_512[1], INTEL_512[2], (9, 8, 2688), TILES[0], TILES[1]],
            mask: 0xe7, compacted: 2432, standard: 2688 },
        Table { name: "Diamond Rapids: AMX and APX", xcr0: 0xe_02e7, xsavec: true,
            components: &[AVX, INTEL_512[0], INTEL_512[1], INTEL_512[2], (9, 8, 2688), TILES[0], TILES[1], APX],
            mask: 0x8_00e7, compacted: 2560, standard: 2688 },
        Table { name: "APX without AVX-512", xcr0: 0x8_0207, xsavec: true,
            components: &[AVX, (9, 8, 2688), APX], mask: 0x8_0007, compacted: 960, standard: 1088 },
    ];

    impl Table {
        fn cpuid(&self, leaf: u32, sub: u32) -> CpuidResult {
            let (mut eax, mut ebx, mut ecx) = (0, 0, 0);
            match (leaf, sub) {
                (1, 0) => ecx = 1 << 26 | 1 << 27,
                (0xd, 1) => eax = 1 | u32::from(self.xsavec) << 1,
                (0xd, i) => {
                    let found = self.components.iter().find(|c| c.0 == i);
                    let asked = "only what `XCR0` has is asked for";
                    (_, eax, ebx) = *found.expect(asked);
                    // Bit 1: aligned in the compacted form. Of AMX only.
                    ecx = if AMX & (1 << i) != 0 { 2 } else { 0 };
                }
                _ => unreachable!("leaf {leaf:#x} is asked for"),
            }
            let edx = 0;
            CpuidResult { eax, ebx, ecx, edx }
        }

        fn area(&self, at_most: SaveForm) -> Result<SaveArea, String> {
            choose(|leaf, sub| self.cpuid(leaf, sub), || self.xcr0, at_most)
        }
    }

    #[test]
    fn everything_is_saved_but_pkru_and_amx_and_the_area_holds_it_and_no_more() {
        for table in TABLES {
            let name = table.name;
            let area = table.area(SaveForm::Xsavec).expect("it fits");
            assert_eq!(area.mask, table.mask, "{name}");
            assert_eq!(area.mask | area.xcr0 & NOT_SAVED, table.xcr0, "{name}");
            let (form, size) = match table.xsavec {
                true => (SaveForm::Xsavec, table.compacted),
                false => (SaveForm::Xsave, table.standard),
            };
            assert_eq!((area.form, area.size), (form, size), "{name}");
            let older = table.area(SaveForm::Xsave).expect("it fits");
            assert_eq!(
                (older.form, older.size),
                (SaveForm::Xsave, table.standard),
                "{name}"
            );
            let oldest = table.area(SaveForm::Fxsave).expect("it fits");
            assert_eq!(
                (oldest.form, oldest.size),
                (SaveForm::Fxsave, 512),
                "{name}"
            );
        }
    }

    #[test]
    fn a_processor_without_xsave_is_not_asked_for_xcr0() {
        let cpuid = |_, _| CpuidResult {
            eax: 0,
            ebx: 0,
            ecx: 0,
            edx: 0,
        };
        let area = choose(cpuid, || unreachable!("there is none"), SaveForm::Xsavec);
        let area = area.expect("it fits");
        assert_eq!(
            (area.form, area.mask, area.size),
            (SaveForm::Fxsave, 3, 512)
        );
    }

    #[test]
    fn components_that_are_aligned_leave_room_in_front() {
        let table = &TABLES[5];
        let component = |i| {
            let leaf = table.cpuid(0xd, i);
            let (size, offset) = (u64::from(leaf.eax), u64::from(leaf.ebx));
            let aligned = leaf.ecx & 2 != 0;
            Component {
                size,
                offset,
                aligned,
            }
        };
        // PKRU ends at 840.
        assert_eq!(compacted_size(0x6_0207, component), 896 + 64 + 8192);
    }

    #[test]
    fn what_a_stack_has_no_room_for_is_refused_in_one_line() {
        let table = Table {
            name: "a component that nobody knows, of 16 KiB",
            xcr0: 0x10_0007,
            xsavec: true,
            components: &[AVX, (20, 16 << 10, 2688)],
            ..TABLES[0]
        };
        let line = table.area(SaveForm::Xsavec).expect_err("17,216 bytes");
        assert!(
            line.contains("17216 bytes") && line.contains("0x100007"),
            "{line}"
        );
    }

    #[test]
    fn this_processor_is_one_of_them() {
        let area = save_area().expect("it fits");
        assert!(
            area.mask & !area.xcr0 == 0 || area.form == SaveForm::Fxsave,
            "{area:x?}"
        );
        assert!(
            area.size.is_multiple_of(64) && area.size >= LEGACY,
            "{area:x?}"
        );
    }
}
