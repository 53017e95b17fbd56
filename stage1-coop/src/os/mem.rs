//! Memory from the kernel: reserving address space, guarding a page, giving pages back.
//! Mirrors `mem_linux.go`.

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect};
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Bytes of a page. The arena of stacks assumes it.
pub const PAGE: usize = 4096;

/// `MADV_GUARD_INSTALL` of Linux 6.13: makes pages fault without splitting the mapping.
const MADV_GUARD_INSTALL: i32 = 102;

/// Set once the kernel has refused `MADV_GUARD_INSTALL`.
static NO_GUARD_ADVICE: AtomicBool = AtomicBool::new(false);

/// Reserves zeroed address space that costs memory only where it is touched.
///
/// # Errors
/// The kernel's, usually ENOMEM.
pub fn reserve(bytes: usize) -> Result<NonNull<u8>, nix::Error> {
    let length = NonZeroUsize::new(bytes).ok_or(nix::Error::EINVAL)?;
    // SAFETY: a fresh private mapping at an address of the kernel's choice touches nothing
    // that exists.
    let p = unsafe {
        mmap_anonymous(
            None,
            length,
            ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
            MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE,
        )
    }?;
    Ok(p.cast())
}

/// Makes the page at `page` fault on any access.
///
/// A guard marker costs no mapping of its own, so a million stacks fit in one. Where the
/// kernel does not know it (before 6.13) or forbids it, the page's protection is taken away
/// instead, which splits the mapping: about 32,000 stacks under the usual limit.
///
/// # Errors
/// The kernel's: ENOMEM when `vm.max_map_count` is reached.
///
/// # Safety
/// The page belongs to the caller and holds nothing.
pub unsafe fn guard(page: NonNull<u8>) -> Result<(), nix::Error> {
    if !NO_GUARD_ADVICE.load(Relaxed) {
        // SAFETY: the caller gives us the page; the advice drops its (unused) contents.
        if unsafe { libc::madvise(page.as_ptr().cast(), PAGE, MADV_GUARD_INSTALL) } == 0 {
            return Ok(());
        }
        NO_GUARD_ADVICE.store(true, Relaxed);
    }
    // SAFETY: as above.
    unsafe { protect(page) }
}

/// Takes the protection of the page at `page` away.
///
/// # Errors
/// The kernel's: ENOMEM when `vm.max_map_count` is reached.
///
/// # Safety
/// The page belongs to the caller and holds nothing.
pub(crate) unsafe fn protect(page: NonNull<u8>) -> Result<(), nix::Error> {
    // SAFETY: the caller gives us the page.
    unsafe { mprotect(page.cast(), PAGE, ProtFlags::PROT_NONE) }
}

/// `MADV_POPULATE_WRITE` of Linux 5.14.
const MADV_POPULATE_WRITE: i32 = 23;

/// Gets memory for the pages around `[lo, lo + bytes)` in one call instead of one fault for
/// each. Where the kernel does not know the advice, the faults come.
///
/// # Safety
/// The range lies in one that [`reserve`] returned.
pub unsafe fn populate(lo: *mut u8, bytes: usize) {
    let begin = lo as usize & !(PAGE - 1);
    let bytes = (lo as usize + bytes).next_multiple_of(PAGE) - begin;
    // SAFETY: the pages belong to the caller; what they hold stays.
    unsafe { libc::madvise(begin as *mut libc::c_void, bytes, MADV_POPULATE_WRITE) };
}

/// Gives the pages of `[lo, lo + bytes)` back; they read as zero when touched again.
///
/// # Safety
/// Nothing in the range is in use.
pub unsafe fn discard(lo: NonNull<u8>, bytes: usize) {
    // SAFETY: the caller gives the range up. A refusal only means that the pages stay.
    unsafe { libc::madvise(lo.as_ptr().cast(), bytes, libc::MADV_DONTNEED) };
}

/// Unmaps a range that [`reserve`] returned.
///
/// # Safety
/// Nothing in the range is in use any more.
pub unsafe fn release(lo: NonNull<u8>, bytes: usize) {
    // SAFETY: the caller gives the range up.
    let _ = unsafe { nix::sys::mman::munmap(lo.cast(), bytes) };
}
