//! The pages of the last build, kept in one file for the next start.
//!
//! The pages of unchanged sources need not be built again. The file's first line names the
//! sources' stamp and the program that built them, so a changed source or program makes it
//! worthless. It is replaced whole, by renaming, and it carries a sum: half a file, or one
//! that was damaged, is as good as none. Where it cannot be written, pages are built at each
//! start.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use hyper::body::Bytes;

use super::site::Files;
use crate::files;
use crate::workspace::Workspace;

/// Where the pages are kept.
#[derive(Debug)]
pub struct Shelf {
    file: PathBuf,
    /// The program's own size and time.
    program: String,
}

/// More than this is not our book.
const MOST: u64 = 256 * 1024 * 1024;

impl Shelf {
    /// That of this workspace.
    pub fn of(ws: &Workspace) -> Shelf {
        let program = std::env::current_exe().and_then(fs::metadata);
        let program = program.map_or(String::new(), |meta| {
            format!("{} {:?}", meta.len(), meta.modified().ok())
        });
        Shelf {
            file: ws.root.join("target/book-pages"),
            program,
        }
    }

    /// The pages of these sources, if they are kept.
    pub fn take(&self, stamp: u64) -> Option<Files> {
        let mut bytes = Vec::new();
        let file = files::open(&self.file).ok()?;
        file.take(MOST).read_to_end(&mut bytes).ok()?;
        let rest = bytes.strip_prefix(self.head(stamp).as_bytes())?;
        unpack(rest)
    }

    /// Keeps the pages of these sources.
    pub fn put(&self, stamp: u64, files: &Files) {
        // Without it the next start takes longer; there is nothing else to lose.
        let _ = self.write(stamp, files);
    }

    fn write(&self, stamp: u64, files: &Files) -> io::Result<()> {
        let parent = self.file.parent().unwrap_or(Path::new("."));
        // A tree that cargo has not built in is not ours to write to.
        if !parent.is_dir() {
            return Ok(());
        }
        let fresh = parent.join(format!("book-pages.{}", std::process::id()));
        let mut bytes = self.head(stamp).into_bytes();
        pack(files, &mut bytes);
        let done = fs::write(&fresh, bytes).and_then(|()| fs::rename(&fresh, &self.file));
        if done.is_err() {
            let _ = fs::remove_file(&fresh);
        }
        done
    }

    fn head(&self, stamp: u64) -> String {
        format!("Safepoint's pages {stamp:016x} {}\n", self.program)
    }
}

/// The sum of the rest, then for each file its name's length, name, length and bytes.
fn pack(files: &Files, out: &mut Vec<u8>) {
    let mut rest = Vec::new();
    for (name, bytes) in files {
        for part in [name.as_bytes(), bytes] {
            rest.extend_from_slice(&(part.len() as u64).to_le_bytes());
            rest.extend_from_slice(part);
        }
    }
    out.extend_from_slice(&sum(&rest).to_le_bytes());
    out.extend_from_slice(&rest);
}

fn unpack(bytes: &[u8]) -> Option<Files> {
    let (expected, mut rest) = bytes.split_first_chunk()?;
    if u64::from_le_bytes(*expected) != sum(rest) {
        return None;
    }
    let mut files = Files::new();
    while !rest.is_empty() {
        let name = part(&mut rest)?;
        let name = String::from_utf8(name.to_vec()).ok()?;
        files.insert(name, Bytes::copy_from_slice(part(&mut rest)?));
    }
    Some(files)
}

fn part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, tail) = rest.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (part, tail) = tail.split_at_checked(length)?;
    *rest = tail;
    Some(part)
}

fn sum(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn what_is_kept_comes_back_and_nothing_else() {
        let dir = Scratch::new().unwrap();
        fs::create_dir(dir.path().join("target")).unwrap();
        let shelf = Shelf::of(&Workspace::at(dir.path()));
        assert!(shelf.take(1).is_none());
        let files: Files = [("a.html", "text"), ("css/b.css", ""), ("ü", "\0")]
            .map(|(name, text)| (name.to_string(), Bytes::from(text)))
            .into();
        shelf.put(1, &files);
        assert_eq!(shelf.take(1), Some(files.clone()));
        assert!(shelf.take(2).is_none(), "other sources");
        let other = Shelf {
            file: shelf.file.clone(),
            program: "0".to_string(),
        };
        assert!(other.take(1).is_none(), "another program");
        let whole = fs::read(&shelf.file).unwrap();
        for cut in 0..whole.len() {
            fs::write(&shelf.file, &whole[..cut]).unwrap();
            assert!(shelf.take(1).is_none(), "cut at {cut}");
            let mut bent = whole.clone();
            bent[cut] ^= 1;
            fs::write(&shelf.file, &bent).unwrap();
            assert!(shelf.take(1).is_none(), "bent at {cut}");
        }
        let left = fs::read_dir(dir.path().join("target")).unwrap().count();
        assert_eq!(left, 1, "nothing else stays");
    }
}
