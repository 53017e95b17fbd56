//! Which file of a crate takes what from which: its `use` lines and its paths, as Rust resolves
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// One file.
#[derive(Default)]
pub struct Module {
    /// Its path in the crate: `stack::slots`; empty for `lib.rs`.
    pub path: Vec<String>,
    /// Its code, and nothing else.
    pub code: String,
    /// Names that a `use` binds, to the path that they stand for.
    bound: BTreeMap<String, Vec<String>>,
    /// Those of them that others see.
    shown: BTreeMap<String, Vec<String>>,
}

/// All files of a crate.
pub struct Crate {
    pub modules: Vec<Module>,
    by_path: BTreeMap<Vec<String>, usize>,
    /// Macros of the crate's root, by the file that defines them.
    macros: BTreeMap<String, usize>,
}

/// `text` without comments, and with empty strings. Lifetimes stay, characters go.
pub fn bare(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut i = 0;
    while i < bytes.len() {
        let rest = &text[i..];
        if rest.starts_with("//") {
            i += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            i += rest.find("*/").map_or(rest.len(), |n| n + 2);
        } else if let Some(raw) = rest.strip_prefix("r#\"") {
            i += 3 + raw.find("\"#").map_or(raw.len(), |n| n + 2);
        } else if rest.starts_with('"') {
            i += 1;
            while i < bytes.len() && bytes[i] != b'"' {
                i += if bytes[i] == b'\\' { 2 } else { 1 };
            }
            i += 1;
            out.push_str("\"\"");
        } else if let Some(escaped) = rest.strip_prefix("'\\") {
            i += 2 + escaped.find('\'').map_or(0, |n| n + 1);
        } else if rest.starts_with('\'') && rest.chars().nth(2) == Some('\'') {
            i += rest.char_indices().nth(3).map_or(rest.len(), |(n, _)| n);
        } else {
            let c = rest.chars().next().expect("there is more");
            out.push(c);
            i += c.len_utf8();
        }
    }
    out
}

/// `code` without its modules of tests.
pub fn without_tests(code: &str) -> String {
    let mut out = String::new();
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        out.push_str(&rest[..at]);
        let end = block_end(&rest[at..]).expect("a module of tests has an end");
        rest = &rest[at + end..];
    }
    out + rest
}

/// Where the first block in braces ends.
pub fn block_end(code: &str) -> Option<usize> {
    let mut depth = 0;
    for (i, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return Some(i + 1),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The tokens of a path or a `use`: names, and every other sign by itself.
pub fn tokens(code: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut start = None;
    for (i, c) in code.char_indices() {
        let word = c.is_alphanumeric() || c == '_' || c == '$';
        match (word, start) {
            (true, None) => start = Some(i),
            (false, Some(from)) => {
                out.push(&code[from..i]);
                start = None;
            }
            _ => {}
        }
        if !word && !c.is_whitespace() {
            out.push(&code[i..i + c.len_utf8()]);
        }
    }
    out.extend(start.map(|from| &code[from..]));
    out
}

impl Module {
    /// A path as it stands in this file, from the crate's root; `None` if it leads elsewhere.
    pub fn absolute(&self, path: &[String], of: &Crate) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        let mut from = match first.as_str() {
            "crate" | "$crate" => Vec::new(),
            "self" => self.path.clone(),
            "super" => {
                let mut at = self.path.clone();
                at.pop();
                let mut rest = rest;
                while let Some(("super", more)) = rest
                    .split_first()
                    .map(|(first, more)| (first.as_str(), more))
                {
                    at.pop();
                    rest = more;
                }
                at.extend_from_slice(rest);
                return Some(at);
            }
            name => match self.bound.get(name) {
                Some(path) => path.clone(),
                None => {
                    let mut child = self.path.clone();
                    child.push(name.to_owned());
                    if !of.by_path.contains_key(&child) {
                        return None;
                    }
                    child
                }
            },
        };
        from.extend_from_slice(rest);
        Some(from)
    }
}

/// The paths of a `use` tree, each with the name that it binds.
pub fn tree(
    tokens: &[&str],
    at: &mut usize,
    prefix: &[String],
    out: &mut Vec<(String, Vec<String>)>,
) {
    let mut path = prefix.to_vec();
    while let Some(&token) = tokens.get(*at) {
        match token {
            "{" => {
                *at += 1;
                while tokens.get(*at) != Some(&"}") {
                    tree(tokens, at, &path, out);
                    if tokens.get(*at) == Some(&",") {
                        *at += 1;
                    }
                }
                *at += 1;
                return;
            }
            "," | "}" | ";" => break,
            ":" => *at += 1,
            "as" => {
                out.push((tokens[*at + 1].to_owned(), path));
                *at += 2;
                return;
            }
            name => {
                path.push(name.to_owned());
                *at += 1;
            }
        }
    }
    if path.len() > 1 && path.last().is_some_and(|p| p == "self") {
        path.pop();
    }
    if let Some(name) = path.last().cloned() {
        out.push((name, path));
    }
}

impl Crate {
    pub fn read(src: &Path) -> Crate {
        let mut files = Vec::new();
        find(src, &mut files);
        files.sort();
        let mut of = Crate {
            modules: Vec::new(),
            by_path: BTreeMap::new(),
            macros: BTreeMap::new(),
        };
        for file in files {
            let inside = file.strip_prefix(src).expect("it is below");
            let mut path: Vec<String> = inside
                .with_extension("")
                .iter()
                .map(|p| p.to_string_lossy().into_owned())
                .collect();
            if matches!(path.last().map(String::as_str), Some("mod" | "lib")) {
                path.pop();
            }
            let text = fs::read_to_string(&file).expect("a source");
            let code = without_tests(&bare(&text));
            let index = of.modules.len();
            for exported in code.split("#[macro_export]").skip(1) {
                let tokens = tokens(exported);
                let at = tokens.iter().position(|t| *t == "macro_rules");
                let name = tokens[at.expect("a macro") + 2];
                of.macros.insert(name.to_owned(), index);
            }
            of.by_path.insert(path.clone(), index);
            of.modules.push(Module {
                path,
                code,
                ..Module::default()
            });
        }
        for i in 0..of.modules.len() {
            of.read_uses(i);
        }
        of
    }

    /// Takes the `use`s out of a file's code.
    pub fn read_uses(&mut self, i: usize) {
        let rest = std::mem::take(&mut self.modules[i].code);
        let mut uses = Vec::new();
        let mut kept = String::new();
        let mut at = 0;
        while let Some(found) = find_word(&rest[at..], "use") {
            let start = at + found;
            let Some(len) = rest[start..].find(';') else {
                break;
            };
            let before = rest[..start].trim_end();
            let shown = before.ends_with("pub") || before.ends_with(')');
            // `rt.rs` has its rooms in one file: names inside belong to `rt::room`.
            let inner = room_of(&rest[..start]);
            let tokens = tokens(&rest[start + 3..start + len]);
            let mut out = Vec::new();
            tree(&tokens, &mut 0, &[], &mut out);
            uses.extend(out.into_iter().map(|u| (shown, inner.clone(), u)));
            kept.push_str(&rest[at..start]);
            at = start + len + 1;
        }
        kept.push_str(&rest[at..]);
        for (shown, inner, (name, path)) in uses {
            let Some(target) = self.modules[i].absolute(&path, self) else {
                continue;
            };
            if inner.is_empty() {
                if shown {
                    self.modules[i].shown.insert(name.clone(), target.clone());
                } else {
                    self.modules[i].bound.insert(name, target);
                }
            } else {
                // A room inside a file is a module of its own.
                let mut path = self.modules[i].path.clone();
                path.extend(inner);
                let room = *self.by_path.entry(path.clone()).or_insert_with(|| {
                    self.modules.push(Module {
                        path,
                        ..Module::default()
                    });
                    self.modules.len() - 1
                });
                self.modules[room].shown.insert(name, target);
            }
        }
        self.modules[i].code = kept;
    }

    /// The file that defines what `path` names; `None` for a file itself.
    pub fn definer(&self, path: &[String]) -> Option<usize> {
        let mut at = Vec::new();
        for (i, name) in path.iter().enumerate() {
            let mut child = at.clone();
            child.push(name.clone());
            if self.by_path.contains_key(&child) {
                at = child;
                continue;
            }
            let here = *self.by_path.get(&at)?;
            if at.is_empty()
                && let Some(&home) = self.macros.get(name)
            {
                return Some(home);
            }
            if let Some(target) = self.modules[here].shown.get(name) {
                let mut target = target.clone();
                target.extend_from_slice(&path[i + 1..]);
                return self.definer(&target);
            }
            return Some(here);
        }
        None
    }

    /// What each file depends on.
    pub fn graph(&self) -> Vec<BTreeSet<usize>> {
        let mut graph = Vec::new();
        for (i, module) in self.modules.iter().enumerate() {
            let mut names: Vec<Vec<String>> = module.bound.values().cloned().collect();
            names.extend(
                inline_paths(&module.code)
                    .iter()
                    .filter_map(|path| module.absolute(path, self)),
            );
            let below = names.iter().filter_map(|path| self.definer(path));
            graph.push(below.filter(|&below| below != i).collect());
        }
        graph
    }

    pub fn name(&self, i: usize) -> String {
        match &self.modules[i].path[..] {
            [] => "lib".to_owned(),
            path => path.join("::"),
        }
    }
}

/// The modules with a body, in this file, that enclose the end of `code`.
pub fn room_of(code: &str) -> Vec<String> {
    let tokens = tokens(code);
    let mut open: Vec<Option<String>> = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        match *token {
            "{" => open.push((i >= 2 && tokens[i - 2] == "mod").then(|| tokens[i - 1].to_owned())),
            "}" => drop(open.pop()),
            _ => {}
        }
    }
    open.into_iter().flatten().collect()
}

/// The paths with more than one name in `code`.
pub fn inline_paths(code: &str) -> Vec<Vec<String>> {
    let tokens = tokens(code);
    let mut out = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let mut i = 0;
    let is_name = |t: &str| t.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '$');
    while i < tokens.len() {
        if is_name(tokens[i]) {
            path.push(tokens[i].to_owned());
            if tokens.get(i + 1) == Some(&":")
                && tokens.get(i + 2) == Some(&":")
                && tokens.get(i + 3).is_some_and(|t| is_name(t))
            {
                i += 3;
                continue;
            }
        }
        if path.len() > 1 {
            out.push(std::mem::take(&mut path));
        }
        path.clear();
        i += 1;
    }
    out
}

/// Where `word` stands by itself.
pub fn find_word(code: &str, word: &str) -> Option<usize> {
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    code.match_indices(word)
        .map(|(i, _)| i)
        .find(|&i| !code[..i].ends_with(part) && !code[i + word.len()..].starts_with(part))
}

pub fn find(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            find(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}
