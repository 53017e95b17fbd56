//! Where the trace of an attempt is written: the text that the runtime writes at the end of
//! a run, and a mapping that holds the last events whatever becomes of the process.

use super::clean::clean;
use std::fs::File;
use std::io::{Error, Result};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Bytes of one event in the mapping: its number, and its line.
const RECORD: usize = 128;
/// Events that it holds.
const RECORDS: usize = 1 << 15;
/// Less room than this on a disk that a trace was written to: the trace may have been cut.
const LEAST: u64 = 64 << 10;

/// The folder of one run's traces. It goes with the value.
pub(super) struct Traces {
    dir: PathBuf,
}

impl Traces {
    pub(super) fn new() -> Result<Traces> {
        let made = (|| {
            let dir = safepoint_testkit::fresh_folder("safepoint-exercise-")?;
            let traces = Traces { dir };
            let map = File::create(traces.dir.join("map"))?;
            let bytes = (RECORD * RECORDS) as libc::off_t;
            // All of it now. A page of a sparse file that finds no room later is a SIGBUS in
            // the attempt, which looks like a fault of the learner's.
            // SAFETY: the descriptor is open; no pointers.
            match unsafe { libc::posix_fallocate(map.as_raw_fd(), 0, bytes) } {
                0 => Ok(traces),
                errno => Err(Error::from_raw_os_error(errno)),
            }
        })();
        made.map_err(|e: Error| no_room(&e))
    }

    pub(super) fn announce(&self, command: &mut Command) {
        command.env("SAFEPOINT_TRACE", self.dir.join("trace.txt"));
        command.env("SAFEPOINT_TRACE_MAP", self.dir.join("map"));
    }

    /// The text if there is one; else what the mapping holds, the last events first lost.
    pub(super) fn read(&self) -> Result<String> {
        if room(&self.dir).is_some_and(|bytes| bytes < LEAST) {
            return Err(no_room(&Error::from_raw_os_error(libc::ENOSPC)));
        }
        let text = match std::fs::read(self.dir.join("trace.txt")) {
            Ok(bytes) if !bytes.is_empty() => String::from_utf8_lossy(&bytes).into_owned(),
            _ => std::fs::read(self.dir.join("map"))
                .map(|bytes| from_map(&bytes))
                .unwrap_or_default(),
        };
        Ok(clean(&text))
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn no_room(error: &Error) -> Error {
    let temp = std::env::temp_dir();
    Error::new(
        error.kind(),
        format!(
            "the trace of an attempt cannot be kept in {}: {error} (TMPDIR names another folder)",
            temp.display()
        ),
    )
}

/// Bytes of disk that the trace of one attempt may take.
pub const NEEDED: u64 = 16 << 20;

/// Bytes that are free where `dir` is.
pub fn room(dir: &Path) -> Option<u64> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(dir.as_os_str().as_bytes()).ok()?;
    // SAFETY: the path is a C string, the structure ours, and zeroed is valid for it.
    unsafe {
        let mut about: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(path.as_ptr(), &mut about) == 0).then(|| about.f_bavail * about.f_frsize)
    }
}

/// Reads a mapping: records of a number (from 1, 0 is an empty or unfinished one) and a
/// line, in a ring.
fn from_map(bytes: &[u8]) -> String {
    let mut lines: Vec<(u64, String)> = bytes
        .chunks_exact(RECORD)
        .filter_map(|record| {
            let (number, line) = record.split_at(8);
            let number = u64::from_ne_bytes(number.try_into().ok()?);
            let end = line.iter().position(|&b| b == 0).unwrap_or(line.len());
            // A record is one line, whatever text is in it.
            let line = String::from_utf8_lossy(&line[..end]).replace('\n', " ");
            (number != 0).then_some((number, line))
        })
        .collect();
    lines.sort_by_key(|&(number, _)| number);
    lines.into_iter().map(|(_, line)| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_read_in_order_and_without_what_is_unfinished() {
        let record = |number: u64, line: &str| {
            let mut bytes = vec![0; RECORD];
            bytes[..8].copy_from_slice(&number.to_ne_bytes());
            bytes[8..8 + line.len()].copy_from_slice(line.as_bytes());
            bytes
        };
        let bytes = [record(3, "c\nd"), record(0, "half"), record(2, "b")].concat();
        assert_eq!(from_map(&bytes), "b\nc d\n");
    }

    #[test]
    fn the_mapping_has_its_room_before_the_attempt_begins() {
        use std::os::unix::fs::MetadataExt;
        let traces = Traces::new().expect("a folder");
        let about = traces.dir.join("map").metadata().expect("a file");
        assert!(about.blocks() * 512 >= about.size(), "it is sparse");
        assert_eq!(about.size(), (RECORD * RECORDS) as u64);
    }
}
