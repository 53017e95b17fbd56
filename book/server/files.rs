//! Reads files that others wrote: only regular ones, and only so much of them.
//!
//! A FIFO without a writer would hold its reader for ever, a device or a huge file would fill
//! the memory. What a reader of the book, an editor or a program has put there is read with
//! this.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// The most of a file that was written by hand.
pub const MOST: u64 = 1024 * 1024;

/// Opens a regular file, and waits for nothing.
pub fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // The open of a FIFO waits for its other end without this; files do not know it.
        options.custom_flags(libc::O_NONBLOCK);
    }
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a regular file",
        ));
    }
    Ok(file)
}

/// The text of a regular file of at most `most` bytes.
pub fn text(path: &Path, most: u64) -> io::Result<String> {
    let mut text = String::new();
    open(path)?.take(most + 1).read_to_string(&mut text)?;
    if text.len() as u64 > most {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {most} bytes"),
        ));
    }
    Ok(text)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use std::fs;

    #[test]
    fn only_what_is_a_file_and_short_enough() {
        let dir = Scratch::new().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "12345").unwrap();
        assert_eq!(text(&file, 5).unwrap(), "12345");
        assert!(text(&file, 4).is_err());
        assert!(text(dir.path(), 5).is_err());
        assert!(text(Path::new("/dev/zero"), 5).is_err());
        let fifo = dir.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        assert!(made.unwrap().success());
        assert!(text(&fifo, 5).is_err(), "and it does not wait");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&fifo, &link).unwrap();
        assert!(text(&link, 5).is_err());
    }
}
