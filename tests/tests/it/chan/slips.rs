//! What the compiler says to a slip in a `select!` or in the use of a check.

use tests::LIMIT;

/// What the compiler says to a program whose main is `body`.
fn compiler_says(body: &str) -> String {
    let deps = std::env::current_exe().expect("a test knows its own program");
    let deps = deps.parent().expect("it is in a folder");
    let newest = deps.read_dir().expect("it can be read").flatten();
    let is_ours = |name: &str| name.starts_with("libstage1_coop-") && name.ends_with(".rlib");
    let newest = newest
        .filter(|e| e.file_name().to_str().is_some_and(is_ours))
        .max_by_key(|e| e.metadata().and_then(|m| m.modified()).ok());
    let library = newest.expect("this test is linked with it").path();
    let folder = tests::fresh_folder("safepoint-slips-").expect("there is room");
    let file = folder.join("slip.rs");
    std::fs::write(&file, body).expect("there is room");
    let rustc = std::path::Path::new(env!("CARGO")).with_file_name("rustc");
    let mut command = std::process::Command::new(rustc);
    command.args([
        "--edition=2024",
        "--crate-type=lib",
        "--emit=metadata",
        "--extern",
    ]);
    command.arg(format!("stage1_coop={}", library.display()));
    command
        .arg("-L")
        .arg(deps)
        .arg("--out-dir")
        .arg(&folder)
        .arg(&file);
    let ended = tests::run(&mut command, &[], LIMIT);
    let _ = std::fs::remove_dir_all(folder);
    ended.stderr
}

#[test]
fn a_slip_in_a_select_is_explained() {
    let says = |arms: &str| {
        compiler_says(&format!(
            "use stage1_coop::*;\npub struct Has(pub Chan<u8>);\npub fn f(a: Chan<u8>, b: Chan<u8>) {{\n select! {{ {arms} }}\n}}\n"
        ))
    };
    let fine = says(
        "default => {}, recv(a) => {} recv(a) -> (Some(_) | None) => {} send(b, 1) if 2 > 1 => {}",
    );
    assert_eq!(fine, "", "what is no slip is taken");
    for (arms, words) in [
        ("rcv(a) -> x => {}", "no arm begins with `rcv`"),
        (
            "recv(a) -> x {}",
            "an arm that receives is `recv(channel) -> pattern => body`",
        ),
        (
            "send(a) => {}",
            "an arm that sends is `send(channel, value) => body`",
        ),
        (
            "send(a, 1) -> x => {}",
            "an arm that sends is `send(channel, value) => body`",
        ),
        (
            "recv a -> x => {}",
            "the channel of an arm that receives is in parentheses",
        ),
        (
            "send a, 1 => {}",
            "the channel and the value of an arm that sends are in parentheses",
        ),
        (
            "recv(7) -> x => {}",
            "one cannot receive from a `{integer}`",
        ),
        (
            "recv(Has(a)) -> x => {}",
            "a thing that has a channel in it gives it by a method",
        ),
        ("recv(a) -> Some(x) => {}", "gets one `Option`"),
        ("recv(a) -> Some(x) if true => {}", "gets one `Option`"),
        ("recv(a) -> None => {}", "gets one `Option`"),
        ("recv(a) -> (x, ok) => {}", "gets one `Option`"),
        ("default => {} default => {}", "two arms `default`"),
        (
            "default if true => {}",
            "the arm for when nothing can go is `default => body`",
        ),
        (
            "recv(a) => f() send(b, 1) => {}",
            "a comma is missing between two arms",
        ),
        (&"recv(a) => {} ".repeat(17), "more than 16 arms"),
    ] {
        let said = says(arms);
        assert!(said.contains(words), "{arms}: {said}");
        assert!(!said.contains("recursion limit"), "{arms}: {said}");
    }
}

#[test]
fn a_missing_import_of_the_check_is_explained() {
    let says = |names: &str| {
        compiler_says(&format!(
            "use stage1_coop::{names};\n#[gofunc]\npub fn f() {{}}\n"
        ))
    };
    assert_eq!(says("{gofunc, prologue}") + &says("*"), "");
    let said = says("gofunc");
    assert!(
        said.contains("`use stage1_coop::{gofunc, prologue};`"),
        "{said}"
    );
    assert!(!said.contains("cannot find macro"), "{said}");
}
