//! What a card offers is in scope in its starter: each name in backticks is put into the
//! starter, and the compiler looks at all of them.

use super::PLACES;
use exercises::attempt::Kind;
use exercises::catalogue::{self, Card};
use exercises::runner::places::Places;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The names in backticks.
fn offers(card: &Card) -> Vec<String> {
    let spans = card
        .helpers
        .iter()
        .flat_map(|h| h.split('`').skip(1).step_by(2));
    // A method's card says `self` where the probe has a parameter.
    spans.map(|span| span.replace("self.", "event.")).collect()
}

/// A function, or an import, that does not build if `offer` is not in scope.
fn probe(number: usize, offer: &str, parameters: &str) -> String {
    let is_name = |text: &str| text.chars().all(|c| c == '_' || c.is_alphanumeric());
    let mut known: BTreeSet<&str> = parameters
        .split(", ")
        .filter_map(|p| p.split(':').next()?.split_whitespace().last())
        .collect();
    if offer.starts_with("#[") {
        return format!("{offer} fn probe_{number}() {{}}\n");
    }
    if is_name(offer) && !known.contains(offer) {
        return format!("mod probe_{number} {{ use super::{offer} as _x; }}\n");
    }
    // Arguments of any name.
    let mut lets = String::new();
    if let Some((_, rest)) = offer.split_once('(') {
        let arguments = rest.trim_end_matches(')').split(", ");
        for argument in arguments.map(|a| a.trim_start_matches("&mut ")) {
            if is_name(argument) && !argument.is_empty() && known.insert(argument) {
                let _ = write!(lets, "let mut {argument} = loop {{}}; ");
            }
        }
    }
    format!("fn probe_{number}({parameters}) {{ {lets}let _ = {offer}; }}\n")
}

#[test]
fn what_a_card_offers_is_in_scope_in_its_starter() {
    let dir = tests::fresh_folder("safepoint-offers-").expect("a folder");
    let mut all = String::from("#![allow(warnings)]\n");
    let mut count = 0;
    for exercise in catalogue::all() {
        let Kind::Rust(_) = exercise.kind else {
            continue;
        };
        let card = &exercise.card;
        let file = Places::file_name(exercise.name, "rs");
        let mut text = super::read(&PLACES.given(exercise, "starter"));
        // The types of the parameters, by names that the starter may have as well.
        let mut parameters = card.given.clone();
        for name in ["G", "P"] {
            parameters = parameters.replace(
                &format!("'static {name}"),
                &format!("'static stage1_coop::rt::gmp::{name}"),
            );
        }
        for (number, offer) in offers(card).iter().enumerate() {
            text.push_str(&probe(number, offer, &parameters));
            count += 1;
        }
        std::fs::write(dir.join(&file), text).expect("a file");
        let _ = writeln!(all, "mod {};", file.trim_end_matches(".rs"));
    }
    assert!(count > 50, "the cards offer {count} things");
    std::fs::write(dir.join("all.rs"), all).expect("a file");
    let output = check(&dir.join("all.rs"));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    std::fs::remove_dir_all(dir).expect("it is there");
}

/// The compiler, without making code.
fn check(file: &Path) -> std::process::Output {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc
        .args([
            "--edition",
            "2024",
            "--crate-type",
            "lib",
            "--emit",
            "metadata",
        ])
        .arg("--out-dir")
        .arg(file.parent().expect("a folder"))
        .arg(file);
    for (name, path) in libraries() {
        let deps = path.parent().expect("a folder");
        rustc
            .arg("-L")
            .arg(format!("dependency={}", deps.display()));
        rustc
            .arg("--extern")
            .arg(format!("{name}={}", path.display()));
    }
    rustc.output().expect("rustc starts")
}

/// The crates that a learner's file may name, as cargo has built them.
fn libraries() -> Vec<(String, PathBuf)> {
    let output = tests::cargo()
        .args([
            "build",
            "-q",
            "-p",
            "exercises",
            "--lib",
            "--message-format",
            "json",
        ])
        .current_dir(&PLACES.root)
        .output()
        .expect("cargo starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text
        .lines()
        .filter_map(|l| serde_json::from_str::<serde_json::Value>(l).ok());
    let libraries: Vec<_> = messages
        .filter_map(|m| {
            let name = m["target"]["name"].as_str()?.replace('-', "_");
            let name = match &*name {
                // As `judges/attempt.rs` renames it.
                "safepoint_judges" => "exercises".to_owned(),
                _ if name.starts_with("stage") => name,
                _ => return None,
            };
            let mut paths = m["filenames"].as_array()?.iter().filter_map(|f| f.as_str());
            Some((name, PathBuf::from(paths.find(|f| f.ends_with(".rmeta"))?)))
        })
        .collect();
    let stages: BTreeSet<u8> = catalogue::all().iter().map(|e| e.card.stage).collect();
    assert!(
        libraries.len() > stages.len(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    libraries
}
