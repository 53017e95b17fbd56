//! What an attempt or a compiler says, made safe for a terminal.
//!
//! A learner's text can reach another person's terminal, for example through the
//! compiler's messages: no character of it may change the terminal's mode, or show a line in
//! another order than it has.

/// The text without control characters and without those that change the direction of
/// writing or cannot be seen.
pub fn clean(text: &str) -> String {
    text.chars().filter(|&c| is_plain(c)).collect()
}

fn is_plain(c: char) -> bool {
    match c {
        '\n' | '\t' => true,
        // Marks and overrides of direction, line and paragraph separators, and characters
        // without a width.
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' => false,
        '\u{2060}'..='\u{206f}' | '\u{feff}' => false,
        // C0 and C1.
        c => !c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_cannot_change_the_terminal_or_the_order_of_letters() {
        let shown = clean("a\u{1b}[31mb\u{7}\tc\n\u{9b}2Jd\u{202e}e\u{2066}f\u{200e}\u{feff}g\r");
        assert_eq!(shown, "a[31mb\tc\n2Jdefg");
        assert_eq!(clean("äöü 漢字 é"), "äöü 漢字 é");
    }
}
