//! Code and comments of a Rust file, apart from each other.

/// A Rust file, taken apart.
pub struct Source {
    /// The file with a space for each character of a comment, a string or a character
    /// literal. Lines stay where they are.
    pub code: String,
    /// The comments' text, without their slashes: the line, from 1, and what it says.
    pub comments: Vec<(usize, String)>,
    /// What the string literals hold.
    pub strings: Vec<String>,
}

/// Takes a file apart.
pub fn read(text: &str) -> Source {
    let mut source = Source {
        code: String::with_capacity(text.len()),
        comments: Vec::new(),
        strings: Vec::new(),
    };
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let in_word = source
            .code
            .ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let len = if rest.starts_with("//") {
            let len = rest.find('\n').unwrap_or(rest.len());
            let line = source.code.matches('\n').count() + 1;
            let said = rest[..len].trim_start_matches(['/', '!']);
            source.comments.push((line, said.to_owned()));
            len
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |at| at + 2)
        } else if let Some((open, close)) = quotes(rest).filter(|_| !in_word) {
            let inside = open + end(&rest[open..], &close);
            source.strings.push(rest[open..inside].to_owned());
            (inside + close.len()).min(rest.len())
        } else if first == '\'' {
            character(rest)
        } else {
            source.code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        let blank = |c| if c == '\n' { c } else { ' ' };
        source.code.extend(rest[..len].chars().map(blank));
        rest = &rest[len..];
    }
    source
}

/// If a string begins here: how long its opening is, and what closes it.
fn quotes(rest: &str) -> Option<(usize, String)> {
    let after = rest.trim_start_matches(['b', 'c']);
    let raw = after.strip_prefix('r').unwrap_or(after);
    let hashes = &raw[..raw.len() - raw.trim_start_matches('#').len()];
    let opening = rest.len() - raw.len() + hashes.len() + 1;
    let is_one = raw[hashes.len()..].starts_with('"') && opening <= hashes.len() + 3;
    // A raw string without `#` has no escapes, and none in these sources has a backslash at
    // its end: it may be read as the others.
    is_one.then(|| (opening, format!("\"{hashes}")))
}

/// How long the inside of a string is that is closed by `close`.
fn end(inside: &str, close: &str) -> usize {
    if close.len() > 1 {
        return inside.find(close).unwrap_or(inside.len());
    }
    let mut escaped = false;
    let ends = |c: char| {
        let found = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        found
    };
    inside.find(ends).unwrap_or(inside.len())
}

/// The length of a character literal, or of a lifetime's quote.
fn character(rest: &str) -> usize {
    let mut inside = rest[1..].char_indices();
    match (inside.next(), inside.next()) {
        (Some((_, '\\')), Some((at, c))) => {
            let from = 1 + at + c.len_utf8();
            rest[from..].find('\'').map_or(1, |end| from + end + 1)
        }
        (Some(_), Some((at, '\''))) => 1 + at + 1,
        _ => 1,
    }
}

/// The functions in `code`: name, first line from 1, and length in lines.
pub fn functions(code: &str) -> Vec<(&str, usize, usize)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let before = code[..at].chars().next_back();
        let name = code[at + 3..]
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .next();
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            continue; // `fn $name` of a macro
        };
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        if let Some(len) = body_end(&code[at..]) {
            let first = code[..at].matches('\n').count() + 1;
            found.push((name, first, code[at..at + len].matches('\n').count() + 1));
        }
    }
    found
}

/// Where the body of the function that begins here ends; `None` if it has none.
fn body_end(code: &str) -> Option<usize> {
    let (mut round, mut curly) = (0, 0);
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' => round += 1,
            ')' | ']' => round -= 1,
            '{' => curly += 1,
            '}' => curly -= 1,
            ';' if round == 0 && curly == 0 => return None,
            _ => continue,
        }
        if c == '}' && curly == 0 {
            return Some(at);
        }
    }
    None
}

#[test]
fn a_file_is_taken_apart() {
    let text = "/// A \"doc\".\nfn a<'x>(b: &'x [u8; 2]) -> char {\n    // it's {\n    let s = \"}\\\"{ // no\";\n    let r = br#\"fn c() {\"}\"#;\n    if s == r { '\\'' } else { '{' }\n}\nfn d();\n";
    let source = read(text);
    assert_eq!(source.code.len(), text.len());
    assert_eq!(
        source.comments,
        [(1, " A \"doc\".".to_owned()), (3, " it's {".to_owned())]
    );
    assert_eq!(source.strings, ["}\\\"{ // no", "fn c() {\"}"]);
    assert_eq!(functions(&source.code), [("a", 2, 6)]);
}
