//! The optional mode of the last page of stage 3: LLVM puts the check in front of a function.

use std::process::Command;
use tests::root;

#[test]
fn llvm_can_put_the_check_in_and_requests_are_found_by_it() {
    let script = root().join("stage3-signals/llvm-prologue/run.sh");
    let out = Command::new("bash")
        .arg(script)
        .env("CARGO_TARGET_DIR", env!("CARGO_TARGET_TMPDIR"))
        .output()
        .expect("bash is there");
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    if said.contains("skipped:") {
        return println!("{said}");
    }
    assert!(
        out.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let lines: Vec<&str> = said.lines().collect();
    // The comparison stands before everything else, the frame's registers included.
    assert!(lines[0].ends_with("<go.fib>:"), "{said}");
    assert!(
        lines[1].contains("cmp ") && lines[1].contains("fs:0x70"),
        "{said}"
    );
    assert!(lines[2].contains("jbe "), "{said}");
    let found: u32 = lines
        .last()
        .and_then(|line| {
            line.strip_prefix("20 requests, ")?
                .strip_suffix(" found")?
                .parse()
                .ok()
        })
        .unwrap_or_else(|| panic!("{said}"));
    // A request that comes before the last one was found is one with it.
    assert!((1..=20).contains(&found), "{said}");
}
