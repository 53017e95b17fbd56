//! The shape of each stage: its files stand in rooms, and what a file names lies below it.
//!
//! The sources are read as text, without comments, strings and tests. A file depends on the
//! file that *defines* what it names: in a `use`, or in a path in the middle of a line. A
//! `pub use` is a signpost and not a dependency, and `mod` says only where a file is.

mod graph;
mod imports;

use graph::{circles, layers, rooms};
use imports::Crate;
use std::collections::BTreeSet;
use std::path::Path;

/// What may stand in one circle: files that name each other, directly or by way of others.
const CIRCLE: usize = 5;
/// The same in stage 2, where no file names one that names it.
const STAGE_2: usize = 1;

/// How a stage stands.
struct Shape {
    layers: usize,
    /// The largest circle of files.
    circle: Vec<String>,
}

/// Reads a stage, and prints how it stands.
fn shape(stage: &str) -> Shape {
    let src = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(stage)
        .join("src");
    let of = Crate::read(&src);
    let graph = of.graph();
    let (names, room_graph) = rooms(&of, &graph);
    let files = of.modules.iter().filter(|m| !m.code.is_empty()).count();
    let imports: usize = room_graph.iter().map(BTreeSet::len).sum();
    println!(
        "{stage}: {files} files on {} layers, {} rooms on {} layers with {imports} imports",
        layers(&graph),
        names.len(),
        layers(&room_graph)
    );
    let mut circles = circles(&graph);
    circles.sort_by_key(Vec::len);
    for circle in circles.iter().filter(|c| c.len() > 1) {
        println!("a circle of {}:", circle.len());
        for &i in circle {
            let to = graph[i].iter().filter(|to| circle.contains(to));
            let to: Vec<String> = to.map(|&to| of.name(to)).collect();
            println!("  {} -> {}", of.name(i), to.join(", "));
        }
    }
    for (name, below) in names.iter().zip(&room_graph) {
        let below: Vec<&str> = below.iter().map(|&b| names[b].as_str()).collect();
        println!("room {name} -> {}", below.join(", "));
    }
    let largest = circles.last().expect("a file");
    Shape {
        layers: layers(&room_graph),
        circle: largest.iter().map(|&i| of.name(i)).collect(),
    }
}

/// Holds a stage to its limits.
fn hold(stage: &str, circle: usize, layers: usize) {
    let shape = shape(stage);
    assert!(
        shape.circle.len() <= circle,
        "{stage}: a circle of {}: {:?}",
        shape.circle.len(),
        shape.circle
    );
    assert!(shape.layers <= layers, "{} layers of rooms", shape.layers);
}

/// The structures name each other: a G, an M and a P, the words of an M's thread, and the note
/// that an M sleeps on.
#[test]
fn stage_1_stands_on_its_ground_floor() {
    hold("stage1-coop", CIRCLE, 8);
}

#[test]
fn stage_2_has_no_circle() {
    hold("stage2-sysmon", STAGE_2, 6);
}

#[test]
fn stage_3_has_no_circle() {
    hold("stage3-signals", STAGE_2, 6);
}
