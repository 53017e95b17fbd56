//! What makes an exercise and a stage: a folder with a good name and a text that can be read.
//! Everything else is refused in one line, which names the folder.

use super::PLACES;
use exercises::catalogue;
use safepoint_card::{Card, Folder, folders};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[path = "../../judges/list.rs"]
mod list;

/// A folder `exercises` with these in it, each with a text.
fn place(names: &[&str]) -> PathBuf {
    let dir = tests::fresh_folder("safepoint-folders-").expect("a folder");
    for name in names {
        let folder = dir.join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("exercise.toml"), "").expect("a file");
    }
    dir
}

/// What is said of these folders.
fn refused(names: &[&str]) -> String {
    let dir = place(names);
    let said = folders(&dir).expect_err(names[names.len() - 1]);
    std::fs::remove_dir_all(dir).expect("it is there");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

#[test]
fn every_name_can_stand_where_it_is_written() {
    for name in [
        "Half",
        "half_plus",
        "half plus",
        "-half",
        "half-",
        "half--plus",
        "61st",
        "\u{e4}",
        "a.b",
        "a\"); }",
        "a\nb",
        "{}",
        "a#b",
        "\u{202e}a",
        "abcdefghijklmnopqrstuvwxyzabcdefghi",
    ] {
        let said = refused(&[&format!("stage1/{name}")]);
        assert!(said.contains("lower-case letters and digits"), "{said}");
        let shown = name.escape_debug();
        assert!(
            said.starts_with(&format!("exercises/stage1/{shown}: ")),
            "{said}"
        );
    }
    for name in [
        "loop", "yield", "self", "crate", "gen", "library", "rt", "std",
    ] {
        let said = refused(&[&format!("stage1/{name}")]);
        assert!(
            said.contains(&format!("`{name}` means something else")),
            "{said}"
        );
    }
    for stage in [
        "stage", "stage0", "stage01", "stage+1", "stage1 ", "stage100", "stages", "stageX",
    ] {
        let said = refused(&[&format!("{stage}/half")]);
        assert!(said.starts_with(&format!("exercises/{stage}: ")), "{said}");
    }
}

#[test]
fn no_two_exercises_have_one_name() {
    for (names, other) in [
        (["stage1/half-plus", "stage1/halfplus"], "stage1/half-plus"),
        (["stage1/half", "stage2/half"], "stage1/half"),
        (["stage2/ab-c", "stage10/a-bc"], "stage10/a-bc"),
    ] {
        let said = refused(&names);
        assert!(
            said.contains(&format!("exercises/{other} has this name")),
            "{said}"
        );
    }
}

#[test]
fn a_folder_without_a_text_is_no_exercise() {
    let dir = place(&["stage1/half"]);
    std::fs::create_dir(dir.join("stage1/empty")).expect("a folder");
    assert_eq!(
        folders(&dir),
        Err("exercises/stage1/empty: there is no exercise.toml in it".to_owned())
    );
    std::fs::remove_dir_all(dir).expect("it is there");
    let gone = folders(Path::new("/nowhere")).expect_err("it is not there");
    assert!(gone.starts_with("exercises: it cannot be read: "), "{gone}");
}

/// A stage needs nothing but its folder: the third is listed beside the others, and files,
/// editors' folders and everything that is no stage are left alone.
#[test]
fn a_new_stage_is_its_folder() {
    let dir = place(&[
        "stage3/push-call",
        "stage1/half",
        "work/x",
        "src",
        "stage3/.git",
    ]);
    std::fs::write(dir.join("stage3/shared.rs"), "").expect("a file");
    let found = folders(&dir).expect("they are good");
    let names: Vec<String> = found.iter().map(Folder::shown).collect();
    assert_eq!(
        names,
        ["exercises/stage1/half", "exercises/stage3/push-call"]
    );
    let text = list::modules(&found);
    for part in [
        "pub mod stage3 {\ninclude!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/../stage3/shared.rs\"));",
        "pub mod push_call { include!",
        "Found { stage: 3, name: \"push-call\"",
        "= &[stage1::ALL, stage3::ALL, ];",
        "Kinds = stage3::library::STAGE.kinds;",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    std::fs::remove_dir_all(dir).expect("it is there");
}

/// What was built is what the folders hold now: a new folder `stageN` alone does not start
/// the build script again.
#[test]
fn the_folders_are_those_that_were_built() {
    let now = folders(&PLACES.root.join("exercises")).expect("they are good");
    let now: BTreeSet<(u8, &str)> = now.iter().map(|f| (f.stage, &*f.name)).collect();
    let built = catalogue::all().iter().map(|e| (e.card.stage, e.name));
    assert_eq!(
        built.collect::<BTreeSet<_>>(),
        now,
        "touch exercises/judges/Cargo.toml"
    );
}

#[test]
fn a_broken_text_is_one_line_with_its_place() {
    let exercise = catalogue::find("sticky-flag").expect("an exercise");
    let path = PLACES.folder(exercise);
    let whole = super::read(&path.join("exercise.toml"));
    let folder = Folder {
        stage: 1,
        name: "sticky-flag".into(),
        path,
    };
    assert_eq!(Card::parse(&folder, &whole).as_ref(), Ok(&exercise.card));
    for (from, to, why) in [
        ("title = ", "title ", "line 1: "),
        ("order = ", "order = x", "line 2: "),
        ("points = ", "points = -", "line "),
        ("title = ", "titel = ", "line 1: unknown field `titel`"),
        ("minutes = ", "# minutes = ", "missing field `minutes`"),
        ("row = \"", "row = \"a b", "\"a breleasem_slow\" is no name"),
        (
            "row = ",
            "socket = \"x\"\nrow = ",
            "either `row` or `socket`",
        ),
    ] {
        assert!(whole.contains(from), "{from}");
        let said = Card::parse(&folder, &whole.replacen(from, to, 1)).expect_err(to);
        let begin = format!("exercises/stage1/sticky-flag/exercise.toml: {why}");
        assert!(said.starts_with(&begin), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
