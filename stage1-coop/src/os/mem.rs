//! Memory from the kernel: reserving address space, guarding a page, giving pages back.
//! Mirrors `mem_linux.go`.
//!
//! Tests: below; `bad_input::system`.

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect};
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// Bytes of a page. The arena of stacks assumes it.
pub const PAGE: usize = 4096;

/// `MADV_GUARD_INSTALL` of Linux 6.13: makes pages fault without splitting the mapping.
const MADV_GUARD_INSTALL: i32 = 102;

/// What is known of it: nothing yet.
const UNKNOWN: u8 = 0;
/// The kernel has done it once.
const KNOWN: u8 = 1;
/// The kernel has never heard of it.
const ABSENT: u8 = 2;
static GUARD_ADVICE: AtomicU8 = AtomicU8::new(UNKNOWN);

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
/// # Errors
/// The kernel's: ENOMEM when `vm.max_map_count` is reached.
///
/// # Safety
/// The page belongs to the caller and holds nothing.
pub unsafe fn guard(page: NonNull<u8>) -> Result<(), nix::Error> {
    // SAFETY: the caller gives us the page.
    unsafe {
        match guard_marker(page) {
            true => Ok(()),
            false => protect(page),
        }
    }
}

/// Makes the page at `page` fault on any access, if that can be done without a mapping of its
/// own; says whether it was. A marker in the page table does it, so a million stacks fit into
/// one mapping.
///
/// Kernels before 6.13 do not know the advice and say EINVAL, which is believed at the first
/// call only: later it may mean that this page is locked. Any other refusal is for this time
/// (no memory for the page table), or a filter's; the next page may have its marker.
///
/// # Safety
/// The page belongs to the caller and holds nothing.
pub(crate) unsafe fn guard_marker(page: NonNull<u8>) -> bool {
    let state = GUARD_ADVICE.load(Relaxed);
    if state == ABSENT {
        return false;
    }
    // SAFETY: the caller gives us the page; the advice drops its (unused) contents.
    let done = unsafe { libc::madvise(page.as_ptr().cast(), PAGE, MADV_GUARD_INSTALL) } == 0;
    if state == UNKNOWN {
        if done {
            GUARD_ADVICE.store(KNOWN, Relaxed);
        } else if nix::Error::last() == nix::Error::EINVAL {
            GUARD_ADVICE.store(ABSENT, Relaxed);
        }
    }
    done
}

/// Asks for small pages only: a large one would make a whole slot resident at its first touch.
///
/// # Safety
/// The range belongs to the caller.
pub(crate) unsafe fn small_pages(lo: NonNull<u8>, bytes: usize) {
    // SAFETY: the caller's range. A refusal means that there are no large pages here.
    unsafe { libc::madvise(lo.as_ptr().cast(), bytes, libc::MADV_NOHUGEPAGE) };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_that_is_about_one_page_does_not_switch_the_markers_off() {
        let base = reserve(3 * PAGE).expect("three pages");
        // SAFETY: the mapping is ours, in parts; the last page is unmapped before it is used.
        unsafe {
            if !guard_marker(base) {
                println!("skipped: the kernel has no markers");
                return;
            }
            let gone = base.add(2 * PAGE);
            release(gone, PAGE);
            assert!(!guard_marker(gone), "ENOMEM: nothing is there");
            let locked = base.add(PAGE);
            assert_eq!(libc::mlock(locked.as_ptr().cast(), PAGE), 0);
            assert!(!guard_marker(locked), "EINVAL: it is locked");
            libc::munlock(locked.as_ptr().cast(), PAGE);
            assert!(guard_marker(locked), "and now it is not");
            release(base, 2 * PAGE);
        }
    }
}
