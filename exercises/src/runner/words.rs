//! The words of a Rust text, read as the compiler reads them.
//!
//! Comments, strings and characters are no words. Where they begin and end is what a trick
//! would try to shift: a comment that we see and the compiler does not hides everything after
//! it from us. So the few forms in which the two could differ are refused, and no honest file
//! needs them: a letter, a sign or a blank outside of ASCII that is not in a comment or a
//! string, a first line for the shell, a literal that runs into the next word.

/// Words and signs, each with its line.
pub(super) type Words<'a> = Vec<(usize, &'a str)>;

/// A line, and what is wrong with it.
type Refused = (usize, String);

/// The words and signs of a text, without comments, strings and characters.
///
/// # Errors
/// The first place that the compiler could read in another way.
pub(super) fn words(text: &str) -> Result<Words<'_>, Refused> {
    // Editors write this mark, and the compiler drops one of it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.starts_with("#!") && !text.starts_with("#![") {
        return Err((1, "the file begins with a line for the shell".to_owned()));
    }
    if text.trim_start().starts_with("---") {
        return Err((1, "the file begins with a note for cargo".to_owned()));
    }
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        at: 0,
        line: 1,
        found: Vec::new(),
    };
    while reader.at < reader.bytes.len() {
        let from = reader.at;
        reader.next().map_err(|why| (reader.line, why))?;
        let passed = &reader.bytes[from..reader.at];
        reader.line += passed.iter().filter(|&&b| b == b'\n').count();
    }
    Ok(reader.found)
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    line: usize,
    found: Words<'a>,
}

fn is_word(b: u8) -> bool {
    b == b'_' || b.is_ascii_alphanumeric()
}

impl<'a> Reader<'a> {
    fn byte(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Passes over one word, sign, blank, comment or literal.
    fn next(&mut self) -> Result<(), String> {
        let from = self.at;
        match self.byte(0) {
            b'/' if self.byte(1) == b'/' => {
                let rest = &self.bytes[from..];
                self.at += rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
            }
            b'/' if self.byte(1) == b'*' => self.comment()?,
            b'"' => self.string(1)?,
            b'\'' => self.quote()?,
            b if is_word(b) => self.word()?,
            // What the compiler takes for a blank, as far as it is ASCII.
            b'\t' | b'\n' | 0x0b | 0x0c | b'\r' | b' ' => self.at += 1,
            b if b.is_ascii_graphic() => {
                self.at += 1;
                self.found.push((self.line, &self.text[from..self.at]));
            }
            _ => {
                let c = self.text[from..].chars().next().unwrap_or_default();
                return Err(format!(
                    "U+{:04X} may stand in comments and strings only",
                    u32::from(c)
                ));
            }
        }
        Ok(())
    }

    fn comment(&mut self) -> Result<(), String> {
        let mut depth = 0;
        loop {
            match (self.byte(0), self.byte(1)) {
                (b'/', b'*') => (depth, self.at) = (depth + 1, self.at + 2),
                (b'*', b'/') => (depth, self.at) = (depth - 1, self.at + 2),
                _ if self.at >= self.bytes.len() => return Err("a comment has no end".to_owned()),
                _ => self.at += 1,
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// A string, whose text begins so far ahead.
    fn string(&mut self, ahead: usize) -> Result<(), String> {
        self.at += ahead;
        while self.at < self.bytes.len() {
            match self.byte(0) {
                b'\\' => self.at += 2,
                b'"' => {
                    self.at += 1;
                    return self.literal_ends();
                }
                _ => self.at += 1,
            }
        }
        Err("a string has no end".to_owned())
    }

    /// A raw string: so many signs, a quote, the text.
    fn raw_string(&mut self, hashes: usize) -> Result<(), String> {
        let end = [&b"\""[..], &b"#".repeat(hashes)].concat();
        let from = self.at + hashes + 1;
        let rest = self.bytes.get(from..).unwrap_or(&[]);
        match rest.windows(end.len()).position(|w| w == end) {
            Some(at) => {
                self.at = from + at + end.len();
                self.literal_ends()
            }
            None => Err("a string has no end".to_owned()),
        }
    }

    /// A character, or a lifetime.
    fn quote(&mut self) -> Result<(), String> {
        let next = self.text[self.at + 1..].chars().next();
        let next = next.ok_or("a quote at the end")?;
        if next == '\\' {
            // What is behind the backslash cannot be the end.
            let rest = self.bytes.get(self.at + 3..).unwrap_or(&[]);
            let end = rest.iter().position(|&b| b == b'\'');
            self.at += 3 + end.ok_or("a character has no end")? + 1;
            return self.literal_ends();
        }
        if self.byte(1 + next.len_utf8()) == b'\'' {
            self.at += next.len_utf8() + 2;
            return self.literal_ends();
        }
        self.at += 1;
        let from = self.at;
        while is_word(self.byte(0)) {
            self.at += 1;
        }
        if from == self.at {
            return Err("this quote begins neither a character nor a lifetime".to_owned());
        }
        self.found.push((self.line, &self.text[from..self.at]));
        match self.byte(0) {
            b'"' | b'\'' | b'#' => Err("a lifetime runs into what follows it".to_owned()),
            _ => Ok(()),
        }
    }

    fn word(&mut self) -> Result<(), String> {
        let from = self.at;
        while is_word(self.byte(0)) {
            self.at += 1;
        }
        let word = &self.text[from..self.at];
        let hashes = self.bytes[self.at..]
            .iter()
            .take_while(|&&b| b == b'#')
            .count();
        match (word, self.byte(0), self.byte(hashes)) {
            ("b" | "c", b'"', _) => return self.string(1),
            ("b", b'\'', _) => return self.quote(),
            ("r" | "br" | "cr", _, b'"') => return self.raw_string(hashes),
            // A raw identifier: the word behind it counts.
            ("r", b'#', _) if hashes == 1 && is_word(self.byte(1)) => {
                self.at += 1;
                return self.word();
            }
            (_, b'"' | b'\'', _) => return Err(format!("`{word}` runs into a literal")),
            _ => self.found.push((self.line, word)),
        }
        Ok(())
    }

    /// Behind a literal: no word may follow at once. The compiler would take it for a part of
    /// the literal.
    fn literal_ends(&self) -> Result<(), String> {
        match self.byte(0) {
            b if is_word(b) || b >= 0x80 => Err("a literal runs into a word".to_owned()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_and_what_is_no_word_is_not() {
        let text = "let a = 'b'; // c ä\n/* d /* e */ */ f::<'g>(\"h\\\"\", r#\"i\"j\"#, b'k', '\\'', \
                    r#l, 'ä', b\"m\", 'static, 1u8, '\"', c\"n\", '\\u{e9}')";
        let found: Vec<&str> = words(text).expect("fair").iter().map(|w| w.1).collect();
        let letters: Vec<&str> = found
            .into_iter()
            .filter(|w| w.chars().all(char::is_alphanumeric))
            .collect();
        assert_eq!(letters, ["let", "a", "f", "g", "l", "static", "1u8"]);
        let lines = words("a\n\"\n\"\nb").expect("fair");
        assert_eq!(lines, [(1, "a"), (4, "b")]);
        assert!(words("\u{feff}#![allow(dead_code)]\r\nfn f() {}").is_ok());
    }

    #[test]
    fn what_the_compiler_could_read_otherwise_is_refused() {
        for text in [
            "pub\u{200e}use x;",
            "std::\u{2028}env",
            "fn f()\u{a0}{}",
            "fn f()\u{85}{}",
            "a\u{feff}b",
            "\u{feff}\u{feff}use x;",
            "STAC\u{212a}_PREEMPT",
            "let ä = 1;",
            "#!/*\nuse x; */",
            "#! [x]",
            "---\n/*\n---\nuse x; */",
            "\n---\n",
            "s!(\"a\"r\"\\\" \")",
            "s!('a'r\"\\\" \")",
            "s!('r\"\\\" \")",
            "s!('r#x)",
            "x\"\"",
            "1r\"\\\" \"",
            "rb\"\"",
            "b\"\"x",
            "r#\"\"#x",
            "\"\"ä",
            "'a'ä",
            "\0",
            "\u{7f}",
            "\"",
            "'",
            "/*",
            "r#\"",
            "b'",
            "'\\",
            "\"\\",
            "ä'ö",
            "'é",
            "'\\ä",
        ] {
            words(text).expect_err(text);
        }
    }

    /// Any text at all: an answer, and never a panic.
    #[test]
    fn no_text_makes_it_panic() {
        let mut random = ::tests::Random::new(7);
        let pieces = [
            "'", "\"", "\\", "r", "b", "#", "/*", "*/", "//", "\n", "ä", "x", "!", "[", "---", "'a",
        ];
        for _ in 0..20_000 {
            let text: String = (0..random.below(9))
                .map(|_| pieces[random.below(pieces.len() as u64) as usize])
                .collect();
            let _ = words(&text);
        }
    }
}
