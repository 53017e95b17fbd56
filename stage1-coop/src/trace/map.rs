//! The flight recorder: the last events of a run as lines of text in a file that another process
//! owns, so that they can be read whatever becomes of this process.
//!
//! `SAFEPOINT_TRACE_MAP=FILE` names a file of a fixed length, which is mapped and shared. It
//! is a ring of records: a number from 1 that only counts up, written last, and a line. No
//! allocation and no lock, so it may be used in a signal handler. Shortening the file
//! meanwhile ends the process (SIGBUS). Nothing of Go corresponds to it.
//!
//! Tests: `trace_of::recorded::the_last_events_in_a_mapped_file`,
//! `chrome::a_name_cannot_add_an_event`,
//! `bad_input::disk::a_map_without_room_on_its_disk_is_refused`.

use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use safepoint_trace::{Record, write_line};
use std::fmt::Write;
use std::fs::Metadata;
use std::num::NonZeroUsize;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::*, fence};

/// Bytes of a record: its number, and a line that ends with the record or a zero byte.
const RECORD: usize = 128;
const LINE: usize = RECORD - 8;

struct Map {
    base: usize,
    records: u64,
    /// Device and number of the file.
    file: (u64, u64),
}

/// One for the life of the process: a thread that cannot be stopped may write for ever.
static MAP: OnceLock<Map> = OnceLock::new();
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Maps the file. A second run of the process goes on in the same one.
///
/// # Errors
/// What the file lacks, in words.
pub(crate) fn open(name: &str) -> Result<(), String> {
    if MAP.get().is_some() {
        return Ok(());
    }
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(name)
        .map_err(|e| format!("cannot be opened: {e}"))?;
    let metadata = file
        .metadata()
        .map_err(|e| format!("cannot be opened: {e}"))?;
    let records = metadata.len() as usize / RECORD;
    let Some(length) = NonZeroUsize::new(records * RECORD) else {
        return Err("is too short; give the file its length first".to_owned());
    };
    // A file may have holes where the disk has no room: the first event there would be SIGBUS.
    // SAFETY: a call about a descriptor that is ours.
    let error = unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, length.get() as i64) };
    if !matches!(error, 0 | libc::EOPNOTSUPP | libc::EINVAL | libc::ENODEV) {
        let error = std::io::Error::from_raw_os_error(error);
        return Err(format!("no room for all of it: {error}"));
    }
    let flags = MapFlags::MAP_SHARED;
    // SAFETY: a fresh mapping at an address of the kernel's choice touches nothing that
    // exists. It is only written, and only in `record`.
    let base = unsafe {
        mmap(
            None,
            length,
            ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
            flags,
            &file,
            0,
        )
    }
    .map_err(|e| format!("cannot be mapped: {}", e.desc()))?;
    let _ = MAP.set(Map {
        base: base.as_ptr() as usize,
        records: records as u64,
        file: (metadata.dev(), metadata.ino()),
    });
    Ok(())
}

/// Whether the map is this file.
pub(crate) fn is(file: &Metadata) -> bool {
    MAP.get()
        .is_some_and(|map| map.file == (file.dev(), file.ino()))
}

/// Whether there is a map.
pub(super) fn is_open() -> bool {
    MAP.get().is_some()
}

/// Adds an event of M `m`.
pub(super) fn record(m: usize, event: &Record) {
    let Some(map) = MAP.get() else { return };
    let mut line = Line {
        bytes: [0; LINE],
        len: 0,
    };
    let _ = write_line(&mut line, m, event);
    let n = NEXT.fetch_add(1, Relaxed);
    let at = (map.base + (n % map.records) as usize * RECORD) as *const [AtomicU64; RECORD / 8];
    // SAFETY: `at` is the place of a record inside the mapping, which is never taken away;
    // it is aligned to a record, and only reached as these atomics. So two writers that meet
    // in a record, because one of them slept for a whole round, spoil a line and nothing else.
    let [number, words @ ..] = unsafe { &*at };
    // A record with the number 0 is being written.
    number.store(0, Relaxed);
    fence(Release);
    for (word, bytes) in words.iter().zip(line.bytes.as_chunks().0) {
        word.store(u64::from_ne_bytes(*bytes), Relaxed);
    }
    number.store(n + 1, Release);
}

/// A formatter that never allocates; what does not fit is cut off.
struct Line {
    bytes: [u8; LINE],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, s: &str) -> std::fmt::Result {
        let n = s.len().min(LINE - self.len);
        self.bytes[self.len..self.len + n].copy_from_slice(&s.as_bytes()[..n]);
        self.len += n;
        Ok(())
    }
}
