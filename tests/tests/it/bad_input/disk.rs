//! Disks that are full, files that cannot be had: the run goes on, and the status says it.

use super::{Folder, refused};
use std::path::PathBuf;
use std::process::Command;
use tests::{LIMIT, in_order, run, scenario};

#[test]
fn a_trace_that_cannot_be_opened_is_refused() {
    let folder = Folder::new("open");
    let directory = folder.file("directory.txt");
    std::fs::create_dir(&directory).expect("a folder can be made");
    let ended = scenario!([("SAFEPOINT_TRACE", &*directory)], "hello");
    refused(&ended, &["cannot be written: Is a directory"]);
}

#[test]
fn nothing_is_half_done_when_another_switch_is_refused() {
    let folder = Folder::new("half");
    let (new, old) = (folder.file("new.txt"), folder.file("old.txt"));
    std::fs::write(&old, "an earlier trace\n").expect("a file can be written");
    for bad in [("GOMAXPROCS", "x"), ("GODEBUG", "x"), ("GOTRACEBACK", "x")] {
        for trace in [&new, &old] {
            let ended = scenario!([bad, ("SAFEPOINT_TRACE", trace)], "hello");
            refused(&ended, &[bad.0]);
        }
    }
    assert!(!PathBuf::from(&new).exists());
    let text = std::fs::read_to_string(&old).unwrap_or_default();
    assert_eq!(text, "an earlier trace\n");
}

#[test]
fn a_full_disk_costs_the_trace_and_shows_in_the_status() {
    let folder = Folder::new("full");
    for name in ["full.txt", "full.json", "full.trace"] {
        let link = folder.file(name);
        std::os::unix::fs::symlink("/dev/full", &link).expect("a link can be made");
        let ended = scenario!([("SAFEPOINT_TRACE", &*link)], "hello");
        // The program itself has done its work; that its trace is lost is said, and a script
        // can see it.
        assert_eq!((ended.code, &*ended.stdout), (Some(74), "hello\n"));
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:#?}");
        in_order(
            &ended.stderr,
            &[
                "SAFEPOINT_TRACE=",
                name,
                ": the trace is lost: No space left",
            ],
        );
        // Any other status says more.
        let ended = scenario!([("SAFEPOINT_TRACE", &*link)], "exits");
        assert_eq!(ended.code, Some(7), "{ended:#?}");
        let ended = scenario!([("SAFEPOINT_TRACE", &*link)], "panic_with", "str");
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        in_order(&ended.stderr, &["panic: boom\n", "the trace is lost"]);
    }
}

/// Whoever writes may find the disk full before the run has begun. Nobody waits for room then.
#[test]
fn a_full_disk_does_not_stop_a_run_that_streams() {
    let folder = Folder::new("full-stream");
    let link = folder.file("full.txt");
    std::os::unix::fs::symlink("/dev/full", &link).expect("a link can be made");
    for _ in 0..10 {
        let env = [("SAFEPOINT_TRACE", &*link), ("SAFEPOINT_TRACE_STREAM", "1")];
        // More events than an M may be ahead.
        let ended = scenario!(env, "yields", "40000");
        assert_eq!(ended.code, Some(74), "{ended:#?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:#?}");
        in_order(&ended.stderr, &["the trace is lost: No space left"]);
    }
}

#[test]
fn a_map_without_room_on_its_disk_is_refused() {
    // Twice the file: a hole that the disk cannot fill.
    let script = format!(
        "d=$(mktemp -d) && mount -t tmpfs -o size=64k none $d && truncate -s 1M $d/map && \
         SAFEPOINT_TRACE_MAP=$d/map {} hello; s=$?; umount $d; rmdir $d; exit $s",
        env!("CARGO_BIN_EXE_scenario")
    );
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", &script]);
    let ended = run(&mut command, &[], LIMIT);
    if ended.stderr.contains("unshare: ") || ended.stderr.contains("mount: ") {
        println!("skipped: {}", ended.stderr.trim());
        return;
    }
    refused(
        &ended,
        &[
            "SAFEPOINT_TRACE_MAP=",
            "/map: no room for all of it: No space left",
        ],
    );
}

#[test]
fn one_file_for_the_trace_and_the_map_is_refused() {
    let folder = Folder::new("same");
    let (map, link) = (folder.file("map.txt"), folder.file("link.txt"));
    std::fs::write(&map, [0; 4096]).expect("a file can be written");
    std::os::unix::fs::symlink(&map, &link).expect("a link can be made");
    for trace in [&map, &link] {
        let env = [
            ("SAFEPOINT_TRACE", &**trace),
            ("SAFEPOINT_TRACE_MAP", &*map),
        ];
        refused(
            &scenario!(env, "hello"),
            &["this is the file of SAFEPOINT_TRACE_MAP; use two files"],
        );
        let bytes = std::fs::read(&map).unwrap_or_default();
        assert_eq!(bytes, [0; 4096], "nothing is half-done");
    }
}
