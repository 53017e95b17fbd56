//! Text that a program brings along, in a form that cannot break a line: names of goroutines,
//! a user's lines.
//!
//! A trace has one event a line, and its readers split lines at blanks and take a last `#7`
//! for the number of a request. So a line feed, an escape code of a terminal, or such a `#`
//! inside a name must not come through as it is. Nothing here allocates: a dump in a signal
//! handler uses it too.
//!
//! Tests: below; `chrome::a_name_cannot_add_an_event`.

use std::fmt::{self, Display, Write};

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
        if hash || c == '\\' || breaks_a_line(c) || (blanks && c.is_whitespace()) {
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

/// Whether a terminal or a reader of lines would do something with it.
pub fn breaks_a_line(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
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
}
