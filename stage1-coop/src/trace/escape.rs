//! Text that a program brings along, in a form that cannot break a line: names of goroutines,
//! a user's lines, arguments of the command line.
//!
//! A trace has one event a line, and its readers split lines at blanks and take a last `#7`
//! for the number of a request. So a line feed, an escape code of a terminal, or such a `#`
//! inside a name must not come through as it is. Nothing here allocates: a dump in a signal
//! handler uses it too.

use std::ffi::{OsStr, OsString};
use std::fmt::{self, Display, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The text on one line: control characters, characters that a terminal draws as nothing or
/// that turn the direction of writing, and backslashes as Rust escapes them; a `#` at the
/// beginning of a word gets a backslash.
#[derive(Clone, Copy)]
pub struct Escaped<'a>(pub &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(out, self.0, false)
    }
}

/// The same as one word: blanks are escaped as well.
pub(crate) struct Word<'a>(pub &'a str);

impl Display for Word<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(out, self.0, true)
    }
}

fn write(out: &mut dyn Write, text: &str, blanks: bool) -> fmt::Result {
    let mut before = ' ';
    // Nearly every text is plain: write runs of plain characters at once.
    let mut plain = 0;
    for (at, c) in text.char_indices() {
        let hash = c == '#' && before.is_whitespace();
        if hash || c == '\\' || special(c) || (blanks && c.is_whitespace()) {
            out.write_str(&text[plain..at])?;
            plain = at + c.len_utf8();
            match c {
                '#' => out.write_str("\\#")?,
                '\\' => out.write_str("\\\\")?,
                c if c.is_control() => write!(out, "{}", c.escape_default())?,
                c => write!(out, "{}", c.escape_unicode())?,
            }
        }
        before = c;
    }
    out.write_str(&text[plain..])
}

/// A command as it is typed, on one line. It is a shell's, so nothing else is changed.
pub(crate) fn one_line(command: &str) -> String {
    command.replace(special, " ")
}

/// Whether a terminal or a reader of lines would do something with it.
fn special(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
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
            Some(text) if !text.chars().any(special) => {
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
    use super::*;

    #[test]
    fn what_would_break_a_line_is_escaped() {
        let shown = |text| Escaped(text).to_string();
        assert_eq!(shown("reader 2, of $x's café"), "reader 2, of $x's café");
        assert_eq!(
            shown("a\n    0.001  m0  p0  g1   GoEnd"),
            "a\\n    0.001  m0  p0  g1   GoEnd"
        );
        assert_eq!(shown("fix for #7"), "fix for \\#7");
        assert_eq!(shown("# a comment"), "\\# a comment");
        assert_eq!(shown("C#, a#b"), "C#, a#b");
        assert_eq!(shown("\x1b[31mred"), "\\u{1b}[31mred");
        assert_eq!(shown("a\\nb\r\t\u{202e}"), "a\\\\nb\\r\\t\\u{202e}");
        assert_eq!(
            Word("my prog procs=9").to_string(),
            "my\\u{20}prog\\u{20}procs=9"
        );
    }

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
