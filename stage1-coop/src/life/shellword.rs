//! A command line on one line of a trace's head, so that a shell reads it back as it was.
//!
//! Tests: below; `chrome::the_replay_line_can_be_pasted`.

use safepoint_trace::breaks_a_line;
use std::ffi::{OsStr, OsString};
use std::fmt::{self, Display, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// A command as it is typed, on one line. It is a shell's, so nothing else is changed.
pub(crate) fn one_line(command: &str) -> String {
    command.replace(breaks_a_line, " ")
}

/// A word as a shell reads it: as it is if that is safe, in quotes if not. What does not fit
/// on a line, or is no UTF-8, is written by its bytes, as `$'\x0a'`: bash and zsh know that.
pub(crate) struct ShellWord(OsString);

impl ShellWord {
    pub(crate) fn new(word: &OsStr) -> ShellWord {
        ShellWord(OsString::from_vec(word.as_bytes().to_vec()))
    }
}

impl Display for ShellWord {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let safe = |b: &u8| b.is_ascii_alphanumeric() || b"_-./:=@%+,".contains(b);
        match self.0.to_str() {
            Some(text) if !text.is_empty() && text.bytes().all(|b| safe(&b)) => out.write_str(text),
            Some(text) if !text.chars().any(breaks_a_line) => {
                write!(out, "'{}'", text.replace('\'', r"'\''"))
            }
            _ => {
                out.write_str("$'")?;
                for &b in self.0.as_bytes() {
                    match b {
                        b'\'' | b'\\' => write!(out, "\\{}", b as char)?,
                        b' '..=b'~' => out.write_char(b as char)?,
                        b => write!(out, "\\x{b:02x}")?,
                    }
                }
                out.write_char('\'')
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ShellWord;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    /// The shell itself is the judge.
    #[test]
    fn a_shell_reads_the_same_word() {
        let words: [&[u8]; 9] = [
            b"plain-word_1.0/x",
            b"",
            b"a; b",
            b"it's $HOME `id` \"x\" \\ !",
            b"two\nlines",
            b"\xff\xfe",
            "caf\u{e9} \u{202e}".as_bytes(),
            b"~",
            b"*",
        ];
        for word in words {
            let shown = ShellWord::new(OsStr::from_bytes(word)).to_string();
            assert!(!shown.contains('\n'), "{shown}");
            let Ok(said) = std::process::Command::new("bash")
                .args(["-c", &format!("printf %s {shown}")])
                .output()
            else {
                println!("skipped: no bash");
                return;
            };
            assert_eq!(said.stdout, word, "{shown}");
        }
    }
}
