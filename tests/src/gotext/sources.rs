//! The functions of the runtime's sources: which one a line belongs to, and which of them have a
//! check. Line tables name files and lines without doubt; the names of inlined closures they
//! leave to the reader. The sources are read as rustfmt writes them: an item ends at the first
//! brace that stands as far to the left as it begins.

use crate::root;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// A function or a macro of a file.
struct Item {
    name: String,
    is_macro: bool,
    /// Its first and last line.
    lines: (u32, u32),
    /// It is compiled where it is called.
    is_generic: bool,
    is_never_inlined: bool,
}

/// A function of the runtime with a check.
pub struct Checked {
    /// `file: function`.
    pub name: String,
    /// It has a type of its caller's, so it is compiled where it is called.
    pub is_generic: bool,
    /// It says `#[inline(never)]`.
    pub is_never_inlined: bool,
}

/// The items of the files that were asked for.
static FILES: Mutex<Option<HashMap<String, Vec<Item>>>> = Mutex::new(None);

/// A file of a stage, named from the workspace's root (which may have moved since the program was
/// built); any other file as it is.
pub(super) fn inside(file: &str) -> &str {
    let stage = |at: &usize| {
        let name = file[at + 1..].strip_prefix("stage");
        let number = name.and_then(|rest| rest.split_once('-'));
        number.is_some_and(|(number, _)| number.parse::<u8>().is_ok())
    };
    let found = file.match_indices('/').map(|(at, _)| at).find(stage);
    found.map_or(file, |at| &file[at + 1..])
}

/// The function of the runtime that this line is in, as `file: function`, or `derive` for one that
/// the compiler has written; `None` for a line of a program's own, which one in a macro of the
/// runtime's is, too.
pub(super) fn item(file: &str, line: u32) -> Option<String> {
    if !(file.starts_with("stage") && file.contains("/src/")) {
        return None;
    }
    let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    let files = files.get_or_insert_default();
    let all = files.entry(file.to_owned()).or_insert_with(|| {
        let text = std::fs::read_to_string(root().join(file));
        items(&text.unwrap_or_else(|e| panic!("{file}: {e}")))
    });
    let around = || {
        all.iter()
            .filter(|item| (item.lines.0..=item.lines.1).contains(&line))
    };
    if around().any(|item| item.is_macro) {
        return None;
    }
    match around().max_by_key(|item| item.lines.0) {
        Some(item) => Some(format!("{file}: {}", item.name)),
        None => Some(format!("{file}: derive")),
    }
}

/// The functions with a check in a stage's sources.
///
/// # Panics
/// If they cannot be read.
pub fn functions_with_a_check(stage: &str) -> Vec<Checked> {
    let mut found = Vec::new();
    walk(&root().join(stage).join("src"), &mut |path, text| {
        let items = items(text);
        for (i, line) in text.lines().enumerate() {
            let line = line.split("//").next().unwrap_or_default();
            if line.trim() != "prologue!();" {
                continue;
            }
            let at = i as u32 + 1;
            let around = items
                .iter()
                .filter(|item| (item.lines.0..=item.lines.1).contains(&at));
            let Some(item) = around.max_by_key(|item| item.lines.0) else {
                continue;
            };
            let path = path.to_string_lossy();
            found.push(Checked {
                name: format!("{}: {}", inside(&path), item.name),
                is_generic: item.is_generic,
                is_never_inlined: item.is_never_inlined,
            });
        }
    });
    found
}

fn walk(dir: &Path, each: &mut impl FnMut(&Path, &str)) {
    for entry in dir.read_dir().expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, each);
        } else {
            each(&path, &std::fs::read_to_string(&path).expect("a source"));
        }
    }
}

/// The items of a text.
fn items(text: &str) -> Vec<Item> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    // The header of the `impl` that we are in.
    let mut around = "";
    for (i, line) in lines.iter().enumerate() {
        if line.starts_with("impl") || line.starts_with("unsafe impl") {
            around = line;
        } else if line.starts_with('}') {
            around = "";
        }
        let code = line.trim_start();
        let Some((name, is_macro)) = names(code) else {
            continue;
        };
        let name: String = name
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        let close = format!("{}}}", &line[..line.len() - code.len()]);
        // One on a single line has its end there; a declaration has none.
        let last = match code.ends_with(['}', ';']) {
            true => Some(i),
            false => (i..lines.len()).find(|&j| lines[j] == close),
        };
        let Some(last) = last else { continue };
        let head = lines[i..=last].join(" ");
        let head = head.split('{').next().unwrap_or_default();
        let attributes = lines[..i].iter().rev();
        let mut attributes = attributes.take_while(|l| l.trim_start().starts_with("#["));
        found.push(Item {
            name,
            is_macro,
            lines: (i as u32 + 1, last as u32 + 1),
            is_generic: has_types(head, "fn ")
                || has_types(around, "impl")
                || head.contains(": impl "),
            is_never_inlined: attributes.any(|l| l.contains("inline(never)")),
        });
    }
    found
}

/// The name after `fn` or `macro_rules!` in a line of code, and whether it is a macro's.
fn names(code: &str) -> Option<(&str, bool)> {
    if code.starts_with("//") {
        return None;
    }
    let words: Vec<&str> = code.split(' ').collect();
    words.windows(2).find_map(|pair| match pair {
        ["fn", name] => Some((*name, false)),
        ["macro_rules!", name] => Some((*name, true)),
        _ => None,
    })
}

/// Whether the angle brackets after the word (and a name) hold a type, and not lifetimes only.
fn has_types(head: &str, word: &str) -> bool {
    let Some(at) = head.find(word) else {
        return false;
    };
    let rest = &head[at + word.len()..];
    let rest = rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
    let Some(inside) = rest.strip_prefix('<') else {
        return false;
    };
    let inside = inside.split('>').next().unwrap_or_default();
    inside
        .split(',')
        .any(|parameter| !parameter.trim_start().starts_with('\''))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
fn one() {
    let f = |x| {
        x
    };
    fn two() -> u8 { 2 }
    fn three<T>(
        t: T,
    ) {
        drop(t);
    }
    f(1);
}
macro_rules! four {
    () => { fn five() {} };
}
impl<'a> Six<'a> {
    /// A fn in words.
    #[inline(never)]
    #[track_caller]
    pub const unsafe fn seven<'b>(a: &'b u8);
    fn eight(f: impl Fn()) {
    }
}
impl<T: Send> Nine<T> {
    fn ten() {
    }
}
";

    #[test]
    fn a_line_is_in_the_innermost_function() {
        let found = items(TEXT);
        let lines: Vec<_> = found.iter().map(|i| (i.name.as_str(), i.lines)).collect();
        let right = [
            ("one", (1, 12)),
            ("two", (5, 5)),
            ("three", (6, 10)),
            ("four", (13, 15)),
            ("five", (14, 14)),
            ("seven", (20, 20)),
            ("eight", (21, 22)),
            ("ten", (25, 26)),
        ];
        assert_eq!(lines, right);
        let those = |is: fn(&Item) -> bool| {
            let all = found.iter().filter(|item| is(item));
            all.map(|item| item.name.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(those(|item| item.is_macro), ["four"]);
        assert_eq!(those(|item| item.is_generic), ["three", "eight", "ten"]);
        assert_eq!(those(|item| item.is_never_inlined), ["seven"]);
    }

    #[test]
    fn a_file_of_a_stage_is_named_from_the_root() {
        assert_eq!(inside("/a/stage1-coop/src/rt.rs"), "stage1-coop/src/rt.rs");
        assert_eq!(inside("stage2-sysmon/src/rt.rs"), "stage2-sysmon/src/rt.rs");
        let others = [
            "/exercises/stage1/find-the-bug/judge.rs",
            "/stage-one/src/lib.rs",
        ];
        for other in others {
            assert_eq!(inside(other), other);
        }
    }
}
