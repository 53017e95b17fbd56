//! How long a page takes to read.
//!
//! Words are counted while the page is put together: the author's own lines and the
//! listings, at 200 a minute. Recorded traces and pictures are looked at, not read, so they
//! do not count. The deeper sections are counted apart, because a reader may leave them out.

use super::directive::Kind;

/// Words a minute, of a reader who stops to think now and then.
const SPEED: usize = 200;

/// What was counted so far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// Outside of the deeper sections.
    pub core: usize,
    /// In them.
    pub deeper: usize,
}

impl Words {
    /// Counts the words of a text.
    pub fn add(&mut self, text: &str, deeper: bool) {
        let words = text
            .split_whitespace()
            .filter(|word| word.chars().any(char::is_alphanumeric))
            .count();
        if deeper {
            self.deeper += words;
        } else {
            self.core += words;
        }
    }

    /// The line below the heading.
    pub fn line(&self, kind: Kind) -> String {
        let (class, name) = match kind {
            Kind::Core => ("sp-core", "Core"),
            Kind::Deeper => ("sp-deep", "Deeper"),
        };
        let mut text = format!("about {} of reading", minutes(self.core));
        if self.deeper > 0 {
            text.push_str(&format!(
                ", and {} for the sections marked as deeper",
                minutes(self.deeper)
            ));
        }
        let more = match kind {
            Kind::Core => "",
            Kind::Deeper => "; you may leave this page out at first",
        };
        format!(
            "<p class=\"sp-page {class}\"><strong class=\"sp-kind\">{name}</strong> {text}{more}</p>"
        )
    }
}

fn minutes(words: usize) -> String {
    match words.div_ceil(SPEED).max(1) {
        1 => "1 minute".to_string(),
        n => format!("{n} minutes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_minutes() {
        let mut words = Words::default();
        words.add("One two, `three` — four: {{ }} //", false);
        assert_eq!(words.core, 4);
        assert!(
            words
                .line(Kind::Core)
                .contains(">Core</strong> about 1 minute of")
        );
        words.core = 1001;
        words.add("a b", true);
        let line = words.line(Kind::Deeper);
        assert!(line.contains("about 6 minutes of reading, and 1 minute for"));
        assert!(line.contains("leave this page out"));
    }
}
